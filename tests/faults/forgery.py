"""What the nemesis puts on the topics: records again, records in another order, poison."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaProducer

from epassport.kafka import KafkaClients, KafkaSettings
from epassport.operations import Place
from epassport.outbox import SHARDS, OutboxRow, forget, lock_shard, read_shard
from epassport.records import RawRecord
from tests.faults.cluster import Cluster
from tests.faults.observe import (
    BY_NEMESIS,
    COUNTS,
    HEARD_BY,
    PICTURES,
    Offsets,
    connected,
    is_forged,
    read_records,
)

LOOK_SECONDS = 0.05
WAITS_FOR_LOCK_SECONDS = 10.0


async def repeat(cluster: Cluster, since: Offsets, share: float, draw: random.Random) -> int:
    """As a relay does that was killed between sending and deleting, but of anything ever sent.

    Each key's repeats keep their order, which every relay keeps. Returns how many.
    """
    records = [one for one in await read_records(cluster, since) if not is_forged(one)]
    chosen = [record for record in records if draw.random() < share]
    async with _producer(cluster) as producer:
        await _send(producer, chosen)
    return len(chosen)


async def reorder(cluster: Cluster, seconds: float, draw: random.Random) -> int:
    """For a while the shards belong to a relay that shuffles what it sends, and sends it twice.

    The real relays give a shard up when their session is ended. Returns how many records stood
    beside others and could so lose their place.
    """
    shuffled_records = 0
    async with connected(cluster.dsn("sender")) as session, _producer(cluster) as producer:
        shards = [shard for shard in range(SHARDS) if await _take(session, shard)]
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            for shard in shards:
                rows = (await read_shard(session, shard, at_most=100)).rows
                shuffled = draw.sample([*rows, *rows], 2 * len(rows))
                await _send(producer, [_record(row) for row in shuffled])
                await forget(session, [row.position for row in rows])
                shuffled_records += len(rows) if len(rows) > 1 else 0
            await asyncio.sleep(LOOK_SECONDS * 6)  # so that there is something to shuffle
    return shuffled_records


async def _take(session: "asyncpg.Connection[asyncpg.Record]", shard: int) -> bool:
    """End the session of whoever holds the shard until the lock is ours."""
    until = asyncio.get_running_loop().time() + WAITS_FOR_LOCK_SECONDS
    while asyncio.get_running_loop().time() < until:
        if await lock_shard(session, shard):
            return True
        await session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = $1",
            f"epassport-relay-{shard}",
        )
        await asyncio.sleep(LOOK_SECONDS)
    return False


async def poison(cluster: Cluster, records: int, draw: random.Random) -> None:
    """Under keys of nobody, and of every kind that can be read as little as that."""
    async with _producer(cluster) as producer:
        await _send(producer, [_poison(draw) for _ in range(records)])


async def hold(cluster: Cluster, stream: str) -> list[Place]:
    """Poison under the stream's own key, on each topic: all that follows there is held back.

    Returns who will have parked it, and where.
    """
    headers = [(BY_NEMESIS, b"1"), ("ce_sequence", None)]
    places = []
    async with _producer(cluster) as producer:
        for topic, consumers in HEARD_BY.items():
            at = await producer.send_and_wait(topic, b"{}", key=stream.encode(), headers=headers)
            places += [Place(one, topic, at.partition, at.offset) for one in consumers]
    return places


async def discard(cluster: Cluster, place: Place) -> None:
    """As an operator does it, as soon as it is parked and until it is done."""
    async with connected(cluster.dsn("receiver")) as database:
        while not await _is_in(database, "discarded", place):
            if await _is_in(database, "parked", place):
                await _operate(cluster, "discard", place)
            await asyncio.sleep(LOOK_SECONDS)


async def _is_in(database: "asyncpg.Connection[asyncpg.Record]", table: str, place: Place) -> bool:
    found: bool = await database.fetchval(
        f"SELECT EXISTS (SELECT FROM {table} WHERE consumer = $1 AND topic = $2"
        " AND partition = $3 AND record_offset = $4)",
        *place.as_target().values(),
    )
    return found


async def _operate(cluster: Cluster, order: str, place: Place) -> None:
    where = [str(value) for value in place.as_target().values()]
    why = ["--operator", "nemesis", "--reason", "made up by the nemesis"]
    with (cluster.folder / "operate.log").open("ab") as log:
        operator = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.receiver", "operate", order, *where, *why),
            env={**os.environ, **cluster.of("receiver.consume", "receiver.all")[0].environment},
            stdout=log,
            stderr=log,
        )
        await operator.wait()


def _poison(draw: random.Random) -> RawRecord:
    key = f"tally/{UUID(int=draw.getrandbits(128), version=4)}".encode()
    mark = (BY_NEMESIS, b"1")
    good = (
        ("ce_sequence", b"1"),
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
    )
    kinds: Sequence[tuple[bytes | None, tuple[tuple[str, bytes | None], ...], bytes | None]] = (
        (key, (mark, *good), None),
        (key, (mark, ("ce_sequence", None)), b"{}"),
        (key, (mark, ("ce_type", b"\xff\xfe"), *good), b"{}"),
        (key, (mark, ("ce_type", b"NobodyKnowsThis"), *good), b"{}"),
        (key, (mark, *good), b"\xff" * 40),
        (key, (mark, ("content-type", b"text/plain")), b"x"),
        (b"\xff\xfe", (mark, *good), b"{}"),
        (draw.randbytes(3000).hex().encode(), (mark, *good), b"{}"),  # longer than an index takes
    )
    octets = draw.choice(kinds)
    return RawRecord(draw.choice((COUNTS, PICTURES)), 0, 0, *octets)


def _record(row: OutboxRow) -> RawRecord:
    headers = tuple((name, text.encode()) for name, text in row.headers.items())
    return RawRecord(row.topic, 0, 0, row.key.encode(), headers, row.payload)


@asynccontextmanager
async def _producer(cluster: Cluster) -> AsyncIterator[AIOKafkaProducer]:
    """Straight to the broker."""
    clients = KafkaClients(KafkaSettings(cluster.kafka.bootstrap), client_id="nemesis")
    producer = clients.producer()
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, records: Sequence[RawRecord]) -> None:
    waiting = [
        await producer.send(
            record.topic, record.value, key=record.key, headers=list(record.headers)
        )
        for record in records
    ]
    await asyncio.gather(*waiting)
