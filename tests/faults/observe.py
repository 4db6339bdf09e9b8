"""What a round left behind: in both databases, on the topics, and in read models made anew."""

import importlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from epassport.catalog import Catalog
from epassport.commands import Token
from epassport.keyring_stream import KEYRING
from epassport.projector import START
from epassport.readmodel import ReadModel, fill
from epassport.records import RawRecord, read_event, read_head
from epassport.service import Service
from epassport.store import read_in_order
from epassport_contracts import ContractEvent
from epassport_contracts.events.biometrics import DuplicateConfirmed, ImageReleased
from epassport_contracts.registry import BY_NAME, home_topic
from tests.faults.checker import Observed, Rows, Sent, Stored
from tests.faults.cluster import NAMES, Cluster
from tests.faults.load import Operation
from tests.faults.settings import FaultsSettings

COUNTS = home_topic(DuplicateConfirmed, NAMES["sender"]).name
PICTURES = home_topic(ImageReleased, NAMES["sender"]).name
BY_NEMESIS = "x-nemesis"
"""Header of records that the nemesis made up: they are no part of anybody's history."""

HEARD_BY: Mapping[str, Sequence[str]] = {
    COUNTS: ("reactions", "heard_v1"),
    PICTURES: ("reactions",),
}
"""The receiver's consumers of the sender's topics."""

PAGE = 2000
REPLAY = "replay"

Offsets = Mapping[TopicPartition, int]


@dataclass(frozen=True)
class Mark:
    """Where a round begins: places in both stores, ends of the topics."""

    places: Mapping[str, Token]
    offsets: Offsets


BEGINNING = Mark(dict.fromkeys(NAMES, START), {})


async def mark(cluster: Cluster) -> Mark:
    places = {}
    for service in NAMES:
        async with connected(cluster.dsn(service)) as connection:
            row = await connection.fetchrow(
                "SELECT transaction_id::text, position FROM events"
                " ORDER BY events.transaction_id DESC, position DESC LIMIT 1"
            )
        places[service] = Token(int(row[0]), row[1]) if row else START
    async with _reader(cluster) as reader:
        return Mark(places, await reader.end_offsets(_partitions()))


async def observe(cluster: Cluster, since: Mark, operations: Sequence[Operation]) -> Observed:
    stored: dict[str, list[Stored]] = {}
    rows: dict[str, Rows] = {}
    replayed: dict[str, Rows] = {}
    everything = await read_records(cluster, since.offsets)
    records = [record for record in everything if not is_forged(record)]
    streams = [operation.stream for operation in operations]
    streams += [stream.replace("tally/", "echo/") for stream in streams]
    for service in NAMES:
        async with connected(cluster.dsn(service)) as connection:
            stored[service] = await _stored(connection, since.places[service])
            tables = await _live_and_replayed(
                connection, _declared(service), since.places[service], records, streams
            )
        rows |= tables[0]
        replayed |= tables[1]
    made, received = await _keys(cluster, operations)
    sent = [(record.topic, _sent(record)) for record in records]
    return Observed(
        operations,
        stored["sender"],
        stored["receiver"],
        counts=[record for topic, record in sent if topic == COUNTS],
        pictures=[record for topic, record in sent if topic == PICTURES],
        rows=rows,
        replayed=replayed,
        keys_made=made,
        keys_received=received,
        poison_left=await _poison_left(cluster, filter(is_forged, everything)),
        waiting=await _waiting(cluster),
    )


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(dsn, timeout=20)
    try:
        yield connection
    finally:
        await connection.close()


async def read_records(cluster: Cluster, since: Offsets) -> list[RawRecord]:
    """Every committed record of the sender's topics, from the beginning where `since` says none."""
    async with _reader(cluster) as reader:
        partitions = _partitions()
        reader.assign(partitions)
        ends = await reader.end_offsets(partitions)
        for partition in partitions:
            reader.seek(partition, since.get(partition, 0))
        found: list[RawRecord] = []
        while behind := [p for p in partitions if await reader.position(p) < ends[p]]:
            for batch in (await reader.getmany(*behind, timeout_ms=500)).values():
                found += [RawRecord.of(record) for record in batch]
    return found


def is_forged(record: RawRecord) -> bool:
    return BY_NEMESIS in dict(record.headers)


@asynccontextmanager
async def _reader(cluster: Cluster) -> AsyncIterator[Any]:
    reader: Any = AIOKafkaConsumer(
        bootstrap_servers=cluster.kafka.bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


def _partitions() -> list[TopicPartition]:
    return [
        TopicPartition(topic, number)
        for topic in (COUNTS, PICTURES)
        for number in range(BY_NAME[topic].partitions)
    ]


def _sent(record: RawRecord) -> Sent:
    operation = UUID(json.loads(record.value or b"{}")["application_id"])
    octets = (record.value or b"") + repr(record.headers).encode()
    return Sent(record.stream_key, record.sequence, operation, octets)


async def _stored(connection: "asyncpg.Connection[asyncpg.Record]", after: Token) -> list[Stored]:
    rows = await connection.fetch(
        """
        SELECT stream_id, version, type, (data->>'operation')::uuid, (data->>'total')::int,
               data->>'label', data->>'what', (data->>'since')::int
          FROM events WHERE (transaction_id, position) > ($1::text::xid8, $2)
         ORDER BY transaction_id, position
        """,
        str(after.transaction_id),
        after.position,
    )
    return [Stored(row[0], row[1], row[2], UUID(str(row[3])), *row[4:]) for row in rows]


async def _waiting(cluster: Cluster) -> frozenset[str]:
    async with connected(cluster.dsn("sender")) as connection:
        rows = await connection.fetch("SELECT stream_id FROM deadlines")
    return frozenset(row["stream_id"] for row in rows)


async def _keys(
    cluster: Cluster, operations: Sequence[Operation]
) -> tuple[frozenset[UUID], dict[UUID, int]]:
    """Who has a key that the receiver may open (a portrait's), and how often it came there."""
    people = [operation.tally for operation in operations]
    async with connected(cluster.dsn("sender")) as connection:
        made = await connection.fetch(
            "SELECT DISTINCT subject FROM subject_keys WHERE subject = ANY($1::uuid[])", people
        )
    async with connected(cluster.dsn("receiver")) as connection:
        received = await connection.fetch(
            "SELECT subject, count(*) FROM received_keys WHERE subject = ANY($1::uuid[])"
            " GROUP BY subject",
            people,
        )
    counts = {UUID(str(row[0])): int(row[1]) for row in received}
    return frozenset(UUID(str(row[0])) for row in made), counts


async def _poison_left(cluster: Cluster, forged: Iterable[RawRecord]) -> list[str]:
    """Which poison some consumer of its topic did not park, for an operator to discard."""
    async with connected(cluster.dsn("receiver")) as connection:
        rows = await connection.fetch(
            "SELECT consumer, topic, partition, record_offset FROM parked WHERE headers ? $1"
            " UNION ALL"
            " SELECT consumer, topic, partition, record_offset FROM discarded WHERE headers ? $1",
            BY_NEMESIS,
        )
    parked = {tuple(row) for row in rows}
    return [
        f"{at} was not parked by {consumer}"
        for at in ((record.topic, record.partition, record.offset) for record in forged)
        for consumer in HEARD_BY[at[0]]
        if (consumer, *at) not in parked
    ]


def _declared(service: str) -> Service:
    root = importlib.import_module(f"tests.faults.{service}.service")
    declared: Service = root.build(FaultsSettings.model_construct())
    return declared


async def _live_and_replayed(
    connection: "asyncpg.Connection[asyncpg.Record]",
    declared: Service,
    after: Token,
    records: Sequence[RawRecord],
    streams: Sequence[str],
) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """Each table as it is and as it is made anew in a schema of its own; of these streams."""
    tables = [f"{t}_v{m.version}" for m in declared.read_models for t in m.tables]
    live: dict[str, Rows] = {
        table: await _rows(connection, f"public.{table}", streams) for table in tables
    }
    await connection.execute(f"DROP SCHEMA IF EXISTS {REPLAY} CASCADE; CREATE SCHEMA {REPLAY}")
    for table in tables:
        made = f"CREATE TABLE {REPLAY}.{table} (LIKE public.{table} INCLUDING ALL)"
        await connection.execute(made)
    await connection.execute(f"SET search_path = {REPLAY}, public")
    codec = Catalog(declared.name, [*declared.aggregates, KEYRING]).codec
    for model in declared.read_models:
        at = after
        while events := await read_in_order(connection, codec, at, PAGE):
            at = Token(events[-1].transaction_id, events[-1].position)
            await fill(model, connection, [e for e in events if type(e.fact) in model.projections])
        await fill(model, connection, _foreign(model, records))
    again: dict[str, Rows] = {
        table: await _rows(connection, f"{REPLAY}.{table}", streams) for table in tables
    }
    await connection.execute(f"DROP SCHEMA {REPLAY} CASCADE")
    return live, again


def _foreign(model: ReadModel, records: Sequence[RawRecord]) -> list[Any]:
    """First occurrences in the order of their numbers, as the runtime applies them."""
    wanted = {t.type_name() for t in model.projections if issubclass(t, ContractEvent)}
    found: dict[tuple[str, int], RawRecord] = {}
    for record in records:
        if record.sequence is not None:
            found.setdefault((record.stream_key, record.sequence), record)
    heads = [(found[at], read_head(found[at], BY_NAME[found[at].topic])) for at in sorted(found)]
    return [
        read_event(record, head).as_recorded() for record, head in heads if head.type_name in wanted
    ]


async def _rows(
    connection: "asyncpg.Connection[asyncpg.Record]", table: str, streams: Sequence[str]
) -> dict[str, tuple[int, str]]:
    rows = await connection.fetch(
        f"SELECT stream, operations, digest FROM {table} WHERE stream = ANY($1::text[])",
        list(streams),
    )
    return {row["stream"]: (row["operations"], row["digest"]) for row in rows}
