"""What routes and tasks of biometrics work with.

Two engines at most: one without a gallery that extracts and compares for routes, one that holds
the gallery for tasks. Either starts its worker when it is first needed, so that a process which
needs none has none. States are read from the event store, not from read tables.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from biometrics import record, thresholds
from biometrics.engine.port import FingerprintEngine
from biometrics.engine.sourceafis import SourceAfis
from biometrics.gallery import Gallery
from biometrics.record_events import BiometricRecord
from biometrics.settings import BiometricsSettings
from biometrics.thresholds import Threshold, Use
from epassport import store
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
    engine: FingerprintEngine
    gallery: Gallery
    policy: Sequence[Threshold]
    codec: EventCodec

    async def record(self, holder_id: UUID, *, version: int | None = None) -> BiometricRecord:
        """As it is now, or as it was at a version."""
        stream = record.stream(holder_id)
        async with self.database.connection() as connection:
            events = (await store.load(connection, self.codec, [stream]))[stream]
        state: BiometricRecord = record.aggregate.state_after(events[:version])
        return state

    def threshold(self, engine: str, use: Use, at: datetime) -> float:
        return thresholds.threshold(self.policy, engine, use, at.date())


@asynccontextmanager
async def open_app(essentials: Essentials) -> AsyncIterator[App]:
    settings = essentials.settings
    if not isinstance(settings, BiometricsSettings):
        raise Unsafe("biometrics needs its own settings")
    database, keyring = essentials.database, essentials.keyring
    async with AsyncExitStack() as closing:
        engine = SourceAfis(settings.worker())
        closing.push_async_exit(engine)  # closed if it was started
        gallery = await closing.enter_async_context(Gallery(database, keyring, settings.worker()))
        yield App(
            database,
            keyring,
            essentials.trust,
            essentials.clock,
            BlobWriter(ServiceName.BIOMETRICS, database, keyring),
            engine,
            gallery,
            thresholds.SANDBOX if settings.profile == "sandbox" else thresholds.PRODUCTION,
            EventCodec([record.aggregate]),
        )
