"""The composition root of verification: settings in, service out."""

from epassport.service import Service
from epassport.settings import read_settings
from epassport_contracts import ServiceName
from verification import (
    document_status,
    http,
    presentation,
    publications,
    reactions,
    readmodel,
    relying_party,
    work,
)
from verification.context import open_app
from verification.published import SIGNING_PURPOSES
from verification.settings import VerificationSettings


def build(settings: VerificationSettings | None = None) -> Service:
    return Service(
        name=ServiceName.VERIFICATION,
        package="verification",
        settings=settings or read_settings(VerificationSettings),
        aggregates=[document_status.aggregate, relying_party.aggregate, presentation.aggregate],
        publications=[publications],
        reactions=[reactions],
        read_models=[
            readmodel.documents,
            readmodel.status_lists,
            readmodel.device_keys,
            readmodel.relying_parties,
            readmodel.public_events,
        ],
        routes=[http.routes],
        app=open_app,
        works=[(work.DRAW_STATUS_INDEX, work.draw_status_index)],
        signs=SIGNING_PURPOSES,
    )
