"""What routes and tasks of verification work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from epassport import StreamId
from epassport.clock import Clock
from epassport.database import Database
from epassport.errors import Unsafe
from epassport.events import EventCodec
from epassport.loading import are_known, load
from epassport.service import Essentials
from epassport.together import Together
from verification import document_status, presentation, relying_party
from verification.published import Published
from verification.settings import VerificationSettings


@dataclass(frozen=True)
class App:
    """published: the signed lists; codec: reads what was recorded; known: whether anything was
    recorded of a stream, before a command for it leaves any trace."""

    settings: VerificationSettings
    database: Database
    clock: Clock
    published: Published
    codec: EventCodec
    known: Together[StreamId, bool]

    async def knows(self, stream: StreamId) -> bool:
        """Whether anything was recorded of it."""
        return await self.known.ask(stream)

    async def events_of(self, stream: StreamId) -> list[Any]:
        """Everything that was recorded of one thing."""
        async with self.database.connection() as connection:
            events = await load(connection, self.codec, [stream])
        return events[stream]


@asynccontextmanager
async def open_app(essentials: Essentials) -> AsyncIterator[App]:
    settings = essentials.settings
    if not isinstance(settings, VerificationSettings):
        raise Unsafe("verification needs its own settings")
    yield App(
        settings,
        essentials.database,
        essentials.clock,
        Published(settings, essentials.keystore, essentials.trust),
        EventCodec([document_status.aggregate, relying_party.aggregate, presentation.aggregate]),
        Together(essentials.database, are_known),
    )
