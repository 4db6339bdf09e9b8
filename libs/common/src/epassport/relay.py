"""The relay: outbox rows to Kafka, in order per key, nothing lost.

Publish, then delete: a crash in between sends a record twice, never not at all. A shard is
read by whoever holds its advisory lock, on the very session that holds it; the session is
used every few seconds and the server ends it when it is not (`idle_session_timeout`), so that
a relay that was stopped loses the shard. After a failed send the shard starts over with a
new producer; of what was sent, only each key's confirmed prefix is forgotten.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from typing import TypeVar

import asyncpg
import structlog

from epassport import metrics
from epassport import signals as names
from epassport.backoff import Backoff
from epassport.database import bound_transactions
from epassport.errors import Unsafe
from epassport.faults import is_transient
from epassport.kafka import KafkaClients
from epassport.outbox import (
    ALL_SHARDS,
    FENCED_SHARD,
    OutboxRow,
    forget,
    lock_shard,
    read_shard,
    structured,
)
from epassport.rests import Rests
from epassport.sending import FencedSender, Outgoing, PipelinedSender, Sender
from epassport.signals import Signals
from epassport_contracts import ServiceName
from epassport_contracts.registry import BY_NAME, Classification, Cleanup, Topic

BATCH = 500
SESSION_IDLE_SECONDS = 10
TOUCH_SECONDS = 2.0
LOCK_SECONDS = 1.0
PARTING_SECONDS = 10.0
STATEMENT_SECONDS = 10.0
# What agencies read waits so long at most, and more of it goes in one transaction.
PUBLIC_REST_SECONDS = 0.1
# A client that has lost its way after a fault of the network says nothing more, and no bound of its
# own ends that; longer than a broker takes to answer under load, shorter than an alarm.
SEND_SECONDS = 45.0
CANCEL_SECONDS = 5.0

Sign = Callable[[bytes], bytes]
T = TypeVar("T")

log = structlog.get_logger(__name__)


class SendFailed(Exception):
    """Not everything of a batch was confirmed; the shard starts over."""


class Relay:
    """All shards of one service. Any number of relays may run: each shard has one at a time."""

    def __init__(
        self,
        database_dsn: str,
        service: ServiceName,
        clients: KafkaClients,
        signals: Signals,
        sign: Sign | None = None,
        topics: Mapping[str, Topic] = BY_NAME,
        *,
        linger: float = 0.0,
    ) -> None:
        """sign: makes a compact JWS of a public record. linger: see `Rests`.

        Raises Unsafe where `sign` is missing.
        """
        own = [topic for topic in topics.values() if service in topic.producers]
        if sign is None and any(map(_is_public, own)):
            raise Unsafe(f"{service} produces public topics, but nothing signs their records")
        wire = _Wire(sign, topics)
        self._shards = [
            _ShardRelay(
                shard, database_dsn, service, clients, signals, wire,
                Rests(rest_seconds(shard, own, linger)),
            )
            for shard in ALL_SHARDS
        ]  # fmt: skip

    async def run(self) -> None:
        """Until cancelled; the batch in flight is finished first, within a bound."""
        stopping = asyncio.Event()
        tasks = {asyncio.create_task(shard.run(stopping)) for shard in self._shards}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.set()
            _, late = await asyncio.wait(tasks, timeout=PARTING_SECONDS)
            for task in late:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for fault in results:
            if isinstance(fault, Exception):
                raise fault


class _Wire:
    """Outbox row to record: public ones are signed as they are sent."""

    def __init__(self, sign: Sign | None, topics: Mapping[str, Topic]) -> None:
        self._sign = sign
        self._topics = topics

    def record(self, row: OutboxRow) -> Outgoing:
        headers, value = row.headers, row.payload
        if self._sign is not None and value is not None and _is_public(self._topics[row.topic]):
            headers, value = {"content-type": "application/jose"}, self._sign(structured(row))
        octets = [(name, text.encode()) for name, text in headers.items()]
        return Outgoing(row.position, row.topic, row.key.encode(), octets, value)


class _ShardRelay:
    def __init__(
        self,
        shard: int,
        dsn: str,
        service: ServiceName,
        clients: KafkaClients,
        signals: Signals,
        wire: _Wire,
        rests: Rests,
    ) -> None:
        self._shard = shard
        self._dsn = dsn
        self._service = service
        self._clients = clients
        self._signals = signals
        self._wire = wire
        self._backoff = Backoff(timedelta(milliseconds=100), timedelta(seconds=10))
        self._at_most = BATCH
        self._rests = rests
        labels = (service, str(shard))
        self._sent = metrics.RELAY_SENT.labels(*labels)
        self._faults = metrics.RELAY_FAULTS.labels(*labels)
        self._holds = metrics.RELAY_HOLDS_SHARD.labels(*labels)
        self._oldest = metrics.OUTBOX_OLDEST_SECONDS.labels(*labels)

    async def run(self, stopping: asyncio.Event) -> None:
        """Faults that pass give the shard up and try again; all others end the relay."""
        while not stopping.is_set():
            try:
                async with self._session() as session:
                    if await self._lock(session, stopping):
                        await self._send_all(session, stopping)
            except Exception as fault:
                if not (is_transient(fault) or isinstance(fault, SendFailed)):
                    raise
                cause = type(fault.__cause__ or fault).__name__
                log.warning("relay-shard-starts-over", shard=self._shard, fault=cause)
                self._faults.inc()
                await _pause(stopping, self._backoff.seconds())

    @asynccontextmanager
    async def _session(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A connection of the shard's own; a pooler in transaction mode must not stand between."""
        session = await asyncpg.connect(
            self._dsn,
            timeout=STATEMENT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings={
                "application_name": f"epassport-relay-{self._shard}",
                "idle_session_timeout": str(SESSION_IDLE_SECONDS * 1000),
                # What is forgotten comes back after a crash of the server, and is sent again.
                "synchronous_commit": "off",
                "timezone": "UTC",
            },
        )
        try:
            await bound_transactions(session, SESSION_IDLE_SECONDS)
            yield session
        finally:
            session.terminate()  # releases the lock at once, whatever the session is doing

    async def _lock(
        self, session: "asyncpg.Connection[asyncpg.Record]", stopping: asyncio.Event
    ) -> bool:
        while not stopping.is_set():
            if await lock_shard(session, self._shard):
                return True
            await _pause(stopping, LOCK_SECONDS)
        return False

    async def _send_all(
        self, session: "asyncpg.Connection[asyncpg.Record]", stopping: asyncio.Event
    ) -> None:
        """The producer is closed before the lock is released."""
        sender = self._sender()
        lull = self._signals.lull(names.outbox(self._shard))
        self._holds.set(1)
        try:
            await _touching(session, sender.open(), within=SEND_SECONDS)
            while not stopping.is_set():
                await self._rests.over()
                lull.look()
                started = monotonic()
                at_most = self._at_most
                page = await read_shard(session, self._shard, at_most=at_most)
                self._oldest.set(page.oldest_seconds)
                if page.rows:
                    await self._send(session, sender, page.rows)
                    lull.found()
                    self._backoff.reset()
                if len(page.rows) < at_most:  # what has come since has raised a signal
                    self._rests.worked(started)
                    if not page.hidden:
                        self._oldest.set(0)
                    await lull.pause(hidden=page.hidden)
        finally:
            self._holds.set(0)
            await sender.close()

    def _sender(self) -> Sender:
        if self._shard == FENCED_SHARD:
            return FencedSender(self._clients, f"{self._service}-relay-{self._shard}")
        return PipelinedSender(self._clients)

    async def _send(
        self,
        session: "asyncpg.Connection[asyncpg.Record]",
        sender: Sender,
        rows: Sequence[OutboxRow],
    ) -> None:
        """One batch; half as much at once where it took too long. Raises SendFailed."""
        records = [self._wire.record(row) for row in rows]
        try:
            sent = await _touching(session, sender.send(records), within=SEND_SECONDS)
        except TimeoutError:
            self._at_most = max(1, len(rows) // 2)
            raise
        if sent.confirmed:
            await self._forget(session, sent.confirmed)
        if sent.fault is not None:
            raise SendFailed from sent.fault

    async def _forget(
        self, session: "asyncpg.Connection[asyncpg.Record]", positions: Sequence[int]
    ) -> None:
        """What takes too long is sent again, half as much at once."""
        try:
            await forget(session, positions)
        except TimeoutError:
            self._at_most = max(1, len(positions) // 2)
            raise
        self._sent.inc(len(positions))
        self._at_most = min(BATCH, self._at_most * 2)


async def _touching(
    session: "asyncpg.Connection[asyncpg.Record]", work: Awaitable[T], *, within: float
) -> T:
    """Use the session while `work` takes its time.

    Raises what the session raises when it is gone, and with it the lock; TimeoutError. Work that
    cannot even be cancelled is left behind: its producer is closed, and its shard must go on.
    """
    task = asyncio.ensure_future(work)
    try:
        async with asyncio.timeout(within):
            while not task.done():
                await asyncio.wait({task}, timeout=TOUCH_SECONDS)
                if not task.done():
                    await session.execute("SELECT 1")
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_SECONDS)


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


def rest_seconds(shard: int, own: Iterable[Topic], linger: float) -> float:
    """Longer where nobody but agencies waits; data keys, in the same shard, are waited for.

    own: topics that the service produces
    """
    compacted = (topic for topic in own if topic.cleanup is Cleanup.COMPACTED)
    if shard == FENCED_SHARD and all(map(_is_public, compacted)):
        return max(linger, PUBLIC_REST_SECONDS)
    return linger


def _is_public(topic: Topic) -> bool:
    return topic.classification is Classification.PUBLIC
