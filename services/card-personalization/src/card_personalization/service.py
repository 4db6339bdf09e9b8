"""The composition root of card-personalization: settings in, service out."""

from card_personalization import (
    batch,
    blank_lot,
    card,
    http,
    publications,
    reactions,
    readmodel,
    work,
)
from card_personalization.context import SIGNING_PURPOSES, open_app
from card_personalization.settings import CardSettings
from epassport.service import Service
from epassport.settings import read_settings
from epassport_contracts import ServiceName


def build(settings: CardSettings | None = None) -> Service:
    return Service(
        name=ServiceName.CARD_PERSONALIZATION,
        package="card_personalization",
        settings=settings or read_settings(CardSettings),
        aggregates=[card.aggregate, blank_lot.aggregate, batch.aggregate],
        publications=[publications],
        reactions=[reactions],
        read_models=[readmodel.cards, readmodel.lots, readmodel.batches],
        routes=[http.routes],
        app=open_app,
        works=[
            (work.PREPARE, work.prepare),
            (work.ALLOCATE, work.allocate),
            (work.WRITE, work.write),
        ],
        signs=SIGNING_PURPOSES,
    )
