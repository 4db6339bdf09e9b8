"""What the tests of relay and consumer share: a topic of their own, an event, a handler's table."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from uuid import UUID, uuid4, uuid5

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from epassport.consumer import ConsumerRunner
from epassport.database import Connection, Database
from epassport.kafka import KafkaClients, KafkaSettings
from epassport.outbox import FENCED_SHARD, SHARDS
from epassport.records import Incoming
from epassport_contracts import ContractEvent, ServiceName
from epassport_contracts.registry import Classification, Cleanup, EventSpec, Topic
from epassport_sandbox.topics import TopicSpec, create_topics

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SERVICE = ServiceName.ENROLLMENT
IDS = UUID("6f1c1c2e-0000-4000-8000-000000000000")
PATIENCE_SECONDS = 60.0
LARGEST_REQUEST_BYTES = 20_000_000  # whoever writes nonsense keeps to no limit of ours


class NoteTaken(ContractEvent):
    text: str


class NoteLost(ContractEvent):
    """An event of the same topic that the tests' handler does not care for."""


async def new_topic(
    bootstrap: str,
    *,
    cleanup: Cleanup = Cleanup.KEPT,
    classification: Classification = Classification.INTERNAL,
    partitions: int = 1,
    config: Mapping[str, str] | None = None,
) -> Topic:
    name = f"test.{uuid4().hex}.v1"
    topic = topic_named(name, cleanup=cleanup, classification=classification, partitions=partitions)
    await create_topics(
        bootstrap, [TopicSpec(topic.name, partitions, {**topic.config, **(config or {})})]
    )
    return topic


def topic_named(
    name: str,
    *,
    cleanup: Cleanup = Cleanup.KEPT,
    classification: Classification = Classification.INTERNAL,
    partitions: int = 1,
) -> Topic:
    """As `new_topic` has made it, for another process."""
    return Topic(
        name,
        frozenset({SERVICE}),
        (EventSpec(NoteTaken, frozenset()), EventSpec(NoteLost, frozenset())),
        cleanup,
        classification,
        sequenced=cleanup is Cleanup.KEPT and classification is Classification.INTERNAL,
        partitions=partitions,
    )


async def make_anew(bootstrap: str, topic: Topic) -> None:
    """Delete it and make one of the same name."""
    admin = clients_of(bootstrap).admin()
    await admin.start()

    async def made() -> bool:
        answer = await admin.create_topics(
            [NewTopic(topic.name, topic.partitions, 1, None, topic.config)]
        )
        ((_, code, _),) = answer.topic_errors
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise for_code(code)
        return not code

    try:
        await admin.delete_topics([topic.name])
        await until(made)  # Kafka forgets the old one soon, not at once
    finally:
        await admin.close()


SESSION = timedelta(seconds=6)


def clients_of(
    bootstrap: str, *, member: str | None = None, session: timedelta = SESSION
) -> KafkaClients:
    """member: its lasting name in its groups."""
    settings = KafkaSettings(bootstrap, session_timeout=session, group_instance_id=member)
    return KafkaClients(settings, client_id="tests")


async def prepare(dsn: str) -> None:
    """The runtime's schema and the handler's table."""
    connection = await asyncpg.connect(dsn)
    try:
        for script in sorted((files("epassport") / "migrations").iterdir(), key=lambda f: f.name):
            if script.name.endswith(".sql"):
                await connection.execute(script.read_text())
        await connection.execute(
            "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, key text, text text)"
        )
    finally:
        await connection.close()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():  # noqa: ASYNC110 - a database does not tell
            await asyncio.sleep(0.02)


# --- writing records as a producer would ---------------------------------------------------


def headers_of(
    event: ContractEvent | str, key: str, sequence: int | None, *, version: int = 1
) -> dict[str, str]:
    name = event if isinstance(event, str) else event.type_name()
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid5(IDS, f"{key} {sequence}")),
        "ce_source": f"/epassport/{SERVICE}",
        "ce_type": name,
        "ce_subject": key,
        "ce_time": AT.isoformat(),
        "ce_dataschema": f"{name}/v{version}",
        "ce_correlationid": str(uuid5(IDS, key)),
        "ce_causationid": str(uuid5(IDS, f"cause {key} {sequence}")),
        "content-type": "application/json",
    }
    if sequence is not None:
        headers["ce_sequence"] = str(sequence)
    return headers


Written = tuple[bytes | None, Sequence[tuple[str, bytes | None]], bytes | None]
"""Key, headers, value."""


def wire(headers: Mapping[str, str]) -> list[tuple[str, bytes | None]]:
    return [(name, text.encode()) for name, text in headers.items()]


def note(key: str, sequence: int | None, text: str | None = None) -> Written:
    event = NoteTaken(at=AT, text=text or f"{key}{sequence}")
    return key.encode(), wire(headers_of(event, key, sequence)), event.model_dump_json().encode()


def lost(key: str, sequence: int | None) -> Written:
    """Of a type that `Notes` passes over."""
    event = NoteLost(at=AT)
    return key.encode(), wire(headers_of(event, key, sequence)), event.model_dump_json().encode()


def damaged(key: str, sequence: int | None) -> Written:
    """Headers in order, the value no JSON."""
    return key.encode(), wire(headers_of("NoteTaken", key, sequence)), b'{"at": "2026'


async def write(bootstrap: str, topic: Topic, *records: Written, partition: int = 0) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        max_request_size=LARGEST_REQUEST_BYTES,
    )
    await producer.start()
    try:
        sent = [
            await producer.send(topic.name, value, key=key, headers=headers, partition=partition)
            for key, headers, value in records
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


# --- consuming them ----------------------------------------------------------------------------


class Notes:
    """Writes every note it is given into `notes`. A subclass spoils some of it."""

    name = "notes"
    types = frozenset({"NoteTaken"})
    one_per_stream = False

    def __init__(self, *topics: Topic) -> None:
        self.topics = tuple(topic.name for topic in topics)

    def streams_of(self, record: Incoming) -> frozenset[str]:
        return frozenset({record.key})

    def can_wait(self, key: bytes) -> bool:
        return key.startswith(b"another's")

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        for record in records:
            assert isinstance(record.event, NoteTaken)
            await connection.execute(
                "INSERT INTO notes (key, text) VALUES ($1, $2)", record.key, record.event.text
            )


@asynccontextmanager
async def consuming(
    database: Database,
    bootstrap: str,
    handler: Notes,
    *topics: Topic,
    service: ServiceName = SERVICE,
    member: str | None = None,
    session: timedelta = SESSION,
) -> AsyncIterator[ConsumerRunner]:
    runner = ConsumerRunner(
        database,
        service,
        [handler],
        clients_of(bootstrap, member=member, session=session),
        topics={topic.name: topic for topic in topics},
    )
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop()


async def notes(database: Database, key: str | None = None) -> list[str]:
    """Texts in the order in which they were written."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT text FROM notes WHERE $1::text IS NULL OR key = $1 ORDER BY id", key
        )
    return [row["text"] for row in rows]


async def parked(database: Database) -> list[tuple[str, int, str]]:
    """(key, offset, cause) in order."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT key, record_offset, cause FROM parked ORDER BY topic, partition, record_offset"
        )
    return [(row["key"], row["record_offset"], row["cause"]) for row in rows]


async def stored_offset(database: Database, topic: Topic) -> int:
    """Sum over the partitions: how many offsets are done with."""
    async with database.connection() as connection:
        total = await connection.fetchval(
            "SELECT COALESCE(sum(next_offset), 0)::bigint FROM consumer_offsets WHERE topic = $1",
            topic.name,
        )
    return int(total)


# --- the outbox and what comes of it -------------------------------------------------------


async def put_out(dsn: str, topic: Topic, rows: Iterable[tuple[str, int, str]]) -> None:
    """rows: key, sequence, text; as one append would write them."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.executemany(
            """
            INSERT INTO outbox (transaction_id, shard, id, aggregatetype, aggregateid, type,
                                headers, payload)
            VALUES (pg_current_xact_id(), $1, $2, $3, $4, 'NoteTaken', $5, $6)
            """,
            [_outbox_row(topic, key, sequence, text) for key, sequence, text in rows],
        )
    finally:
        await connection.close()


def _outbox_row(
    topic: Topic, key: str, sequence: int, text: str
) -> tuple[int, UUID, str, str, str, bytes]:
    compacted = topic.cleanup is Cleanup.COMPACTED
    shard = FENCED_SHARD if compacted else zlib.crc32(key.encode()) % SHARDS
    event = NoteTaken(at=AT, text=text)
    headers = headers_of(event, key, sequence if topic.sequenced else None)
    payload = event.model_dump_json().encode()
    return shard, UUID(headers["ce_id"]), topic.name, key, json.dumps(headers), payload


async def waiting_in_outbox(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM outbox"))
    finally:
        await connection.close()


async def read_topic(bootstrap: str, topic: Topic) -> list[tuple[str, str]]:
    """(key, text) of every committed record, in the order of each partition."""
    partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[tuple[str, str]] = []
        for partition in partitions:
            await consumer.seek_to_beginning(partition)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [(r.key.decode(), json.loads(r.value)["text"]) for r in records]
        return found
    finally:
        await consumer.stop()
