"""Two services under a load that comes by the clock: orders at verification, losses at the hotline.

Verification and cloud-profile run as they do anywhere; what enrollment and card-personalization
would have told them is written to their topics. Commands are sent when they are due, whether or
not earlier ones were answered; a command counts from that moment until a read table shows it.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg

from epassport.actor import service_actor
from epassport.catalog import Publication
from epassport.decider import StreamId
from epassport.events import Origin, Recorded
from epassport.kafka import KafkaClients, KafkaSettings
from epassport.sealing import new_data_key, seal
from epassport.wire import record_of
from epassport_contracts import ContractEvent, ServiceName
from epassport_contracts.events.card_personalization import CardActivated
from epassport_contracts.events.enrollment import (
    ApplicationApproved,
    ApplicationKind,
    HandoverCompleted,
)
from epassport_contracts.registry import home_topic
from epassport_sandbox.citizens import citizens
from epassport_sandbox.client import Client
from epassport_sandbox.people import ADMINISTRATOR, HOTLINE
from epassport_sandbox.road import identity_of
from epassport_sandbox.scratch import scratch_folder
from epassport_sandbox.stack import EmbeddedStack
from epassport_sandbox.system import System, open_system

VERIFICATION, PROFILE = ServiceName.VERIFICATION, ServiceName.CLOUD_PROFILE
LOOK_SECONDS = 0.004  # what a figure may be too high by
FRESH = timedelta(seconds=0.5)  # rows that every look asks for
THOROUGH_SECONDS = 0.1  # between looks at all of RECENT: what a slow one may be too high by
PREPARED_WITHIN = timedelta(seconds=90)
RECENT = timedelta(seconds=10)  # what took longer is not found, and the row fails
SHOWN_WITHIN = timedelta(seconds=20)
AGREED = "900123456"

IN_FORCE = "SELECT count(*) FROM profile_standing_v1 WHERE standing = 'valid'"
REGISTERED = "SELECT count(*) FROM document_v1 WHERE status = 'registered'"
STANDINGS = "SELECT document_ref, version FROM profile_standing_v1 WHERE since > $1"
STATUSES = "SELECT document_ref, version FROM document_v1 WHERE since > $1"


Due = tuple[UUID, Callable[[], Awaitable[None]]]


@dataclass(frozen=True)
class Document:
    ref: UUID
    holder: UUID


@dataclass
class Watch:
    """When a read table showed each new version of a document, by the loop's clock.

    A look costs what it finds, on the cores that are being measured: most ask for fresh rows alone.

    query: rows that changed since a moment of the events' own time
    """

    dsn: str
    query: str
    shown: dict[UUID, list[float]] = field(default_factory=lambda: defaultdict(list))
    _seen: dict[UUID, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled."""
        connection = await asyncpg.connect(self.dsn)
        try:
            known = await connection.fetch(self.query, datetime(2000, 1, 1, tzinfo=UTC))
            self._seen = {row["document_ref"]: row["version"] for row in known}
            thorough = 0.0
            while True:
                is_thorough = time.perf_counter() > thorough + THOROUGH_SECONDS
                since = datetime.now(UTC) - (RECENT if is_thorough else FRESH)
                rows = await connection.fetch(self.query, since)
                now = time.perf_counter()
                thorough = now if is_thorough else thorough
                for ref, version in rows:
                    if self._seen.get(ref) != version:
                        self._seen[ref] = version
                        self.shown[ref].append(now)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            connection.terminate()


@dataclass
class Load:
    system: System
    stack: EmbeddedStack
    client: Client
    documents: Sequence[Document]

    def orders(self, documents: Sequence[Document], rounds: int) -> list[Due]:
        """An even number of rounds leaves the documents in force."""
        return [
            (document.ref, partial(self.order, document, n))
            for n in range(rounds)
            for document in documents
        ]

    async def order(self, document: Document, n: int) -> None:
        """The n-th order of a document: suspended and restored by turns."""
        what = "restore" if n % 2 else "suspend"
        path = f"/documents/{document.ref}/{what}"
        await self.client.command(VERIFICATION, path, {"reason": "ordered"}, ADMINISTRATOR)

    async def lose(self, document: Document) -> None:
        path, body = f"/profiles/{document.holder}/loss", {"document_ref": str(document.ref)}
        await self.client.command(PROFILE, path, body, HOTLINE, channel="hotline")

    @asynccontextmanager
    async def watching(self, service: ServiceName, query: str) -> AsyncIterator[Watch]:
        watch = Watch(self.system.dsn(service), query)
        looking = asyncio.create_task(watch.run())
        try:
            yield watch
        finally:
            looking.cancel()
            await asyncio.wait({looking})

    def cpu_seconds(self) -> dict[str, float]:
        used = {name: child.cpu_seconds() for name, child in self.system.processes.children.items()
                if child.running}  # fmt: skip
        used["postgres"] = self.stack.postgres_server.child.cpu_seconds()
        used["kafka"] = self.stack.kafka_server.child.cpu_seconds()
        return used


async def by_the_clock(rate: float, commands: Iterable[Due]) -> list[tuple[UUID, float]]:
    """Send each when it is due; returns which document's was due when. Raises what a command
    raised."""
    due: list[tuple[UUID, float]] = []
    began = time.perf_counter()
    async with asyncio.TaskGroup() as sending:
        for n, (ref, command) in enumerate(commands):
            at = began + n / rate
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            sending.create_task(_as_coroutine(command))
            due.append((ref, at))
    return due


async def _as_coroutine(command: Callable[[], Awaitable[None]]) -> None:
    await command()


async def milliseconds_until_shown(due: Sequence[tuple[UUID, float]], watch: Watch) -> list[float]:
    """Of every command; each of a document's shows as one new version, in order."""
    wanted: dict[UUID, list[float]] = defaultdict(list)
    for ref, at in due:
        wanted[ref].append(at)
    async with asyncio.timeout(SHOWN_WITHIN.total_seconds()):
        for ref, times in wanted.items():
            while True:
                if len(watch.shown[ref]) >= len(times):
                    break
                await asyncio.sleep(0.05)
    return [
        (shown - at) * 1000
        for ref, times in wanted.items()
        for at, shown in zip(times, watch.shown[ref], strict=True)
    ]


@asynccontextmanager
async def open_load(documents: int) -> AsyncIterator[Load]:
    """Services that run, and so many documents in force; nothing is left running."""
    with scratch_folder() as folder:
        async with (
            EmbeddedStack(folder / "stack", durable=True) as stack,
            open_system(
                stack, folder / "system", services=[VERIFICATION, PROFILE], say=_quietly
            ) as system,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as http,
        ):
            client = Client(system.urls, system.issuer, http)
            yield Load(system, stack, client, await _in_force(system, documents))


def _quietly(_text: str) -> None:
    """Rows say what they measured, not how they came to it."""


async def _in_force(system: System, count: int) -> list[Document]:
    """Approved, registered, handed over, active: as both services hear of it."""
    today = datetime.now(UTC).date()
    people = citizens(1, count, today)
    lives = [_Life(Document(uuid4(), uuid4()), next(people)) for _ in range(count)]
    clients = KafkaClients(KafkaSettings(system.stack.kafka.bootstrap), client_id="bench")
    producer = clients.producer()
    await producer.start()
    try:
        await _tell(producer, [life.approved() for life in lives])
        await _tell(producer, [life.handed_over() for life in lives])
        await _reached(system.dsn(VERIFICATION), REGISTERED, count)
        await _tell(producer, [life.activated() for life in lives])
        await _reached(system.dsn(PROFILE), IN_FORCE, count)
    finally:
        await producer.stop()
    return [life.document for life in lives]


@dataclass
class _Life:
    document: Document
    citizen: Any
    application: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        holder, key = self.document.holder, new_data_key()
        self._identity = seal(key, 1, holder, "identity", identity_of(self.citizen))
        self._number = seal(key, 1, holder, "document-number", AGREED)

    def approved(self) -> "_Told":
        event = ApplicationApproved(region="RU-MOW", wishes=None, **self._issued())
        return _Told(ServiceName.ENROLLMENT, f"application/{self.application}", event, 1)

    def handed_over(self) -> "_Told":
        event = HandoverCompleted(**self._issued())
        return _Told(ServiceName.ENROLLMENT, f"application/{self.application}", event, 2)

    def activated(self) -> "_Told":
        event = CardActivated(
            at=datetime.now(UTC),
            application_id=self.application,
            document_ref=self.document.ref,
            holder_id=self.document.holder,
            office="office-mow-1",
            predecessor=None,
        )
        stream = f"card/{self.document.ref}"
        return _Told(ServiceName.CARD_PERSONALIZATION, stream, event, 1)

    def _issued(self) -> dict[str, Any]:
        return {
            "at": datetime.now(UTC),
            "application_id": self.application,
            "holder_id": self.document.holder,
            "kind": ApplicationKind.FIRST,
            "office": "office-mow-1",
            "document_ref": self.document.ref,
            "document_number": self._number,
            "predecessor": None,
            "identity": self._identity,
            "valid_until": date(2036, 11, 22),
        }


@dataclass(frozen=True)
class _Told:
    service: ServiceName
    stream: str
    event: ContractEvent
    sequence: int


async def _tell(producer: Any, told: Sequence[_Told]) -> None:
    waiting = []
    for each in told:
        topic = home_topic(type(each.event), each.service)
        origin = Origin(service_actor(each.service), uuid4(), uuid4())
        event: Any = Recorded(
            each.event, StreamId(each.stream), each.sequence, 0, 1, uuid4(), origin, each.event.at
        )
        publication = Publication(each.event, topic.name, each.stream)
        record = record_of(each.service, publication, event, each.sequence)
        headers = [(name, text.encode()) for name, text in record.headers.items()]
        waiting.append(
            await producer.send(topic.name, record.payload, key=each.stream.encode(),
                                headers=headers)
        )  # fmt: skip
    await asyncio.gather(*waiting)


async def _reached(dsn: str, query: str, count: int) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(PREPARED_WITHIN.total_seconds()):
            while True:
                if await connection.fetchval(query) == count:
                    return
                await asyncio.sleep(0.1)
    finally:
        await connection.close()
