"""What the nemesis puts on the topics: records again, records in another order, poison."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaProducer

from epassport.kafka import KafkaClients, KafkaSettings
from epassport.outbox import SHARDS, OutboxRow, forget, lock_shard, read_shard
from epassport.records import RawRecord
from tests.faults.cluster import Cluster
from tests.faults.observe import (
    BY_NEMESIS,
    COUNTS,
    PICTURES,
    Offsets,
    connected,
    is_forged,
    read_records,
)

LOOK_SECONDS = 0.05
WAITS_FOR_LOCK_SECONDS = 10.0


async def repeat(cluster: Cluster, since: Offsets, share: float, draw: random.Random) -> None:
    """As a relay does that was killed between sending and deleting, but of anything ever sent.

    Each key's repeats keep their order, which every relay keeps.
    """
    records = [one for one in await read_records(cluster, since) if not is_forged(one)]
    chosen = [record for record in records if draw.random() < share]
    async with _producer(cluster) as producer:
        await _send(producer, chosen)


async def reorder(cluster: Cluster, seconds: float, draw: random.Random) -> None:
    """For a while the shards belong to a relay that shuffles what it sends, and sends it twice.

    The real relays give a shard up when their session is ended.
    """
    async with connected(cluster.dsn("sender")) as session, _producer(cluster) as producer:
        shards = [shard for shard in range(SHARDS) if await _take(session, shard)]
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            for shard in shards:
                rows = (await read_shard(session, shard, at_most=100)).rows
                shuffled = draw.sample([*rows, *rows], 2 * len(rows))
                await _send(producer, [_record(row) for row in shuffled])
                await forget(session, [row.position for row in rows])
            await asyncio.sleep(LOOK_SECONDS * 6)  # so that there is something to shuffle


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
