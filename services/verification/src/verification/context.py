"""What routes and tasks of verification work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from epassport.clock import Clock
from epassport.database import Database
from epassport.errors import Unsafe
from epassport.events import EventCodec
from epassport.service import Essentials
from verification import presentation
from verification.published import Published
from verification.settings import VerificationSettings


@dataclass(frozen=True)
class App:
    """published: the signed lists; presentations: reads what was recorded of a check."""

    settings: VerificationSettings
    database: Database
    clock: Clock
    published: Published
    presentations: EventCodec


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
        EventCodec([presentation.aggregate]),
    )
