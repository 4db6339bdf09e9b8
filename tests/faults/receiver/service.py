"""The composition root of the receiver, which stands in the place of cloud-profile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from epassport.service import Essentials, Service
from epassport.settings import read_settings
from epassport_contracts import ServiceName
from tests.faults.receiver import reactions, readmodel
from tests.faults.receiver.echo import echo
from tests.faults.settings import FaultsSettings


@asynccontextmanager
async def open_app(essentials: Essentials) -> AsyncIterator[Essentials]:
    yield essentials


def build(settings: FaultsSettings | None = None) -> Service:
    return Service(
        name=ServiceName.CLOUD_PROFILE,
        package="tests.faults.receiver",
        settings=settings or read_settings(FaultsSettings),
        aggregates=[echo],
        publications=[],
        reactions=[reactions],
        read_models=[readmodel.heard, readmodel.echoes],
        routes=[],
        app=open_app,
    )
