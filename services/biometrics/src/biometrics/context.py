"""What routes and tasks of biometrics work with.

Two engines at most: one without a gallery that extracts and compares for routes, begun by `serve`,
and one that holds the gallery for tasks, begun by `work`; so a process that needs none has none.
States are read from the event store, not from read tables.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from biometrics import record, thresholds
from biometrics.capture import Capturing
from biometrics.engine.choice import engine_of
from biometrics.engine.nfiq2 import Nfiq2, open_nfiq2
from biometrics.engine.port import FingerprintEngine, SearchLimits
from biometrics.gallery import Gallery
from biometrics.record_commands import Shard
from biometrics.record_events import BiometricRecord
from biometrics.settings import BiometricsSettings
from biometrics.thresholds import Threshold, Use
from epassport import loading
from epassport.blob_writer import BlobWriter
from epassport.clock import Clock
from epassport.database import Database
from epassport.errors import Unsafe
from epassport.events import EventCodec
from epassport.keyring import SubjectKeyring
from epassport.service import Essentials
from epassport.trustfile import TrustFile
from epassport_contracts import ServiceName


@dataclass(frozen=True)
class App:
    database: Database
    keyring: SubjectKeyring
    trust: TrustFile
    clock: Clock
    blobs: BlobWriter
    capturing: Capturing
    gallery: Gallery
    fingers_required: int
    searches_exhaustively: bool
    policy: Sequence[Threshold]
    codec: EventCodec
    shard: Shard

    async def record(self, holder_id: UUID, *, version: int | None = None) -> BiometricRecord:
        """As it is now, or as it was at a version."""
        stream = record.stream(holder_id)
        async with self.database.connection() as connection:
            events = (await loading.load(connection, self.codec, [stream]))[stream]
        state: BiometricRecord = record.aggregate.state_after(events[:version])
        return state

    @property
    def engine(self) -> FingerprintEngine:
        return self.capturing.engine

    def search_limits(self, engine: str, at: datetime) -> SearchLimits:
        threshold = self.threshold(engine, Use.SEARCH, at)
        fused = self.threshold(engine, Use.FUSED_SEARCH, at)
        return SearchLimits(threshold, fused, exhaustive=self.searches_exhaustively)

    def threshold(self, engine: str, use: Use, at: datetime) -> float:
        return thresholds.threshold(self.policy, engine, use, at.date())


@asynccontextmanager
async def open_app(essentials: Essentials) -> AsyncIterator[App]:
    settings = essentials.settings
    if not isinstance(settings, BiometricsSettings):
        raise Unsafe("biometrics needs its own settings")
    database, keyring = essentials.database, essentials.keyring
    async with AsyncExitStack() as closing:
        engine = await closing.enter_async_context(engine_of(settings))
        nfiq2 = await _nfiq2(settings)
        if nfiq2 is not None:
            closing.callback(nfiq2.close)
        gallery = await closing.enter_async_context(
            Gallery(database, keyring, lambda refill: engine_of(settings, refill), settings.shard())
        )
        yield App(
            database,
            keyring,
            essentials.trust,
            essentials.clock,
            BlobWriter(ServiceName.BIOMETRICS, database, keyring),
            Capturing(engine, nfiq2),
            gallery,
            settings.fingers_required,
            settings.engine_search == "exhaustive",
            thresholds.SANDBOX if settings.profile == "sandbox" else thresholds.PRODUCTION,
            EventCodec([record.aggregate]),
            settings.shard(),
        )


async def _nfiq2(settings: BiometricsSettings) -> Nfiq2 | None:
    return await open_nfiq2() if settings.quality_gate == "nfiq2-if-there" else None


def begin_serving(app: App) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """The engine of the routes starts while nobody waits for it; /readyz says when it answers."""
    app.engine.begin()

    async def engine() -> None:
        app.engine.check_ready()

    return {"engine": engine}


async def before_work(app: App) -> None:
    """Two engines that start at once on two cores are both late; people wait for this one."""
    await app.engine.begun()


def begin_working(app: App) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """Of a process that searches: ready once its part of the gallery is complete."""

    async def gallery() -> None:
        app.gallery.check_ready()

    return {"gallery": gallery}
