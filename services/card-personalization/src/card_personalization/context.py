"""What routes and tasks of card-personalization work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from card_personalization import batch, card
from card_personalization.batch import Batch
from card_personalization.bench import Bench, open_bench
from card_personalization.card_events import Card
from card_personalization.settings import CardSettings
from epassport import Aggregate, StreamId
from epassport.clock import Clock
from epassport.database import Database
from epassport.errors import Unsafe
from epassport.events import EventCodec
from epassport.keyring import SubjectKeyring
from epassport.loading import load
from epassport.service import Essentials
from epassport.signing import Signer, SigningPurpose

SIGNING_PURPOSES = frozenset({SigningPurpose.DOCUMENT_SIGNER, SigningPurpose.CARD_QR})


@dataclass(frozen=True)
class App:
    """sandbox: every card is a specimen, and its chip is the sandbox's."""

    database: Database
    keyring: SubjectKeyring
    clock: Clock
    codec: EventCodec
    code_signer: Signer
    bench: Bench
    print_resolution: int
    sandbox: bool

    async def card(self, document_ref: UUID) -> Card:
        """As its events say now; nothing is decided on it."""
        found: Card = await self._state(card.aggregate, card.stream(document_ref))
        return found

    async def batch(self, batch_id: UUID) -> Batch:
        found: Batch = await self._state(batch.aggregate, batch.stream(batch_id))
        return found

    async def _state(self, aggregate: Aggregate, stream: StreamId) -> Any:
        async with self.database.connection() as connection:
            events = await load(connection, self.codec, [stream])
        return aggregate.state_after(events[stream])


@asynccontextmanager
async def open_app(essentials: Essentials) -> AsyncIterator[App]:
    settings = essentials.settings
    if not isinstance(settings, CardSettings):
        raise Unsafe("card-personalization needs its own settings")
    sandbox = settings.profile == "sandbox"
    yield App(
        database=essentials.database,
        keyring=essentials.keyring,
        clock=essentials.clock,
        codec=EventCodec([card.aggregate, batch.aggregate]),
        code_signer=essentials.keystore.signer(SigningPurpose.CARD_QR),
        bench=open_bench(
            essentials.keystore.signer(SigningPurpose.DOCUMENT_SIGNER),
            settings.document_signer_certificate_file,
            settings.csca_certificate_file,
            settings.csca_crl_file,
            sandbox=sandbox,
        ),
        print_resolution=settings.print_resolution,
        sandbox=sandbox,
    )
