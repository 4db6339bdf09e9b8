"""What routes and tasks of card-personalization work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from card_personalization import card
from card_personalization.bench import Bench, open_bench
from card_personalization.card_events import Card
from card_personalization.settings import CardSettings
from epassport.clock import Clock
from epassport.database import Database
from epassport.errors import Unsafe
from epassport.events import EventCodec
from epassport.keyring import SubjectKeyring
from epassport.service import Essentials
from epassport.signing import Signer, SigningPurpose
from epassport.store import load

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
        """As its events say now, for tasks; nothing is decided on it."""
        stream = card.stream(document_ref)
        async with self.database.connection() as connection:
            events = await load(connection, self.codec, [stream])
        found: Card = card.aggregate.state_after(events[stream])
        return found


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
        codec=EventCodec([card.aggregate]),
        code_signer=essentials.keystore.signer(SigningPurpose.CARD_QR),
        bench=open_bench(
            essentials.keystore.signer(SigningPurpose.DOCUMENT_SIGNER),
            settings.document_signer_certificate_file,
            settings.csca_certificate_file,
            sandbox=sandbox,
        ),
        print_resolution=settings.print_resolution,
        sandbox=sandbox,
    )
