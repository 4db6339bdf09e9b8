"""The composition root of the sender, which stands in the place of biometrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from epassport.service import Essentials, Service
from epassport.settings import read_settings
from epassport.signing import SigningPurpose
from epassport_contracts import ServiceName
from tests.faults.sender import http, publications, readmodel, work
from tests.faults.sender.tally import tally
from tests.faults.settings import FaultsSettings


@asynccontextmanager
async def open_app(essentials: Essentials) -> AsyncIterator[Essentials]:
    yield essentials


def build(settings: FaultsSettings | None = None) -> Service:
    return Service(
        name=ServiceName.BIOMETRICS,
        package="tests.faults.sender",
        settings=settings or read_settings(FaultsSettings),
        aggregates=[tally],
        publications=[publications],
        reactions=[],
        read_models=[readmodel.tallies],
        routes=[http.routes],
        app=open_app,
        works=work.works(),
        signs=frozenset({SigningPurpose.SUBJECT_KEY}),
    )
