"""The relay against real PostgreSQL and Kafka: everything is sent, in order per key."""

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from kafka_notes import (
    SERVICE,
    clients_of,
    new_topic,
    prepare,
    put_out,
    read_topic,
    until,
    waiting_in_outbox,
)
from structlog.testing import capture_logs

from epassport.errors import Unsafe
from epassport.kafka import KafkaClients, KafkaSettings
from epassport.outbox import ALL_SHARDS, FENCED_SHARD, SHARDS, shard_of
from epassport.relay import PUBLIC_REST_SECONDS, STATEMENT_SECONDS, Relay, rest_seconds
from epassport.sending import (
    FORGOTTEN_SECONDS,
    FencedSender,
    Outgoing,
    PipelinedSender,
    Sent,
    confirmed_prefixes,
)
from epassport.signals import Signals
from epassport_contracts import ServiceName
from epassport_contracts.registry import (
    PUBLIC_STATUS,
    SUBJECT_KEYS,
    TOPICS,
    Classification,
    Cleanup,
    Topic,
)
from epassport_sandbox.stack import Stack
from epassport_sandbox.topics import TopicSpec, create_topics

STOPPED_RELAY = Path(__file__).with_name("relay_that_stops.py")
APPLICATIONS = "internal.enrollment.application.v1"


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(database: str) -> str:
    await prepare(database)
    return database


@pytest.fixture
def kafka(stack: Stack) -> str:
    return stack.kafka.bootstrap


@asynccontextmanager
async def relaying(dsn: str, kafka: str, *, signals: Signals | None = None) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:  # a relay that dies ends the test
        relay = group.create_task(
            Relay(dsn, SERVICE, clients_of(kafka), signals or Signals()).run()
        )
        try:
            yield
        finally:
            relay.cancel()


async def emptied(dsn: str) -> None:
    async def empty() -> bool:
        return await waiting_in_outbox(dsn) == 0

    await until(empty)


async def texts(kafka: str, topic: Topic, key: str) -> list[str]:
    return [text for written_key, text in await read_topic(kafka, topic) if written_key == key]


def first_times(texts: Sequence[str]) -> list[str]:
    """Without repeats: what a consumer that knows the sequence takes."""
    return list(dict.fromkeys(texts))


def life(key: str, first: int, last: int) -> list[tuple[str, int, str]]:
    return [(key, sequence, f"{key}{sequence}") for sequence in range(first, last + 1)]


class LostProducer(AIOKafkaProducer):  # type: ignore[misc]
    """As aiokafka's was after connections were cut: it says nothing more, whatever it is told."""

    async def send(self, *_arguments: Any, **_named: Any) -> Any:
        await asyncio.Event().wait()

    async def abort_transaction(self) -> None:
        await asyncio.Event().wait()


class LosingClients(KafkaClients):
    """The first producer of each shard loses its way, the next does not."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(KafkaSettings(bootstrap), client_id="losing")
        self.lost = len(ALL_SHARDS)

    def producer(self, *, transactional_id: str | None = None) -> AIOKafkaProducer:
        if self.lost == 0:
            return super().producer(transactional_id=transactional_id)
        self.lost -= 1
        return LostProducer(**self.producer_arguments(transactional_id))


async def end_sessions(dsn: str) -> None:
    """As a failover of the database does."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'epassport-relay-%'"
        )
    finally:
        await connection.close()


def test_a_key_is_always_in_the_same_shard_and_compacted_topics_in_their_own() -> None:
    assert shard_of(APPLICATIONS, "application/1") == 1
    assert {shard_of(APPLICATIONS, str(n)) for n in range(50)} == set(range(SHARDS))
    assert {shard_of(SUBJECT_KEYS, str(n)) for n in range(50)} == {FENCED_SHARD}
    assert {shard_of(PUBLIC_STATUS, str(n)) for n in range(50)} == {FENCED_SHARD}


@pytest.mark.parametrize("service", ServiceName)
def test_only_what_nobody_but_agencies_waits_for_rests(service: ServiceName) -> None:
    """Without a data key no other service can read what was sealed with it."""
    own = [topic for topic in TOPICS if service in topic.producers]
    sends_keys = any(topic.name == SUBJECT_KEYS for topic in own)
    rests = {shard: rest_seconds(shard, own, linger=0.0) for shard in ALL_SHARDS}
    assert rests.pop(FENCED_SHARD) == (0.0 if sends_keys else PUBLIC_REST_SECONDS)
    assert set(rests.values()) == {0.0}
    assert {rest_seconds(shard, own, linger=0.25) for shard in ALL_SHARDS} == {0.25}


def test_only_what_stands_before_a_keys_first_failure_is_forgotten() -> None:
    records = [
        Outgoing(position, topic, key, (), b"")
        for position, (topic, key) in enumerate(
            [("t", b"a"), ("t", b"b"), ("t", b"a"), ("t", b"a"), ("u", b"a"), ("t", b"b")]
        )
    ]
    assert confirmed_prefixes(records, [True, True, False, True, True, True]) == [0, 1, 4, 5]
    assert confirmed_prefixes(records, [True, False]) == [0]
    assert confirmed_prefixes(records, []) == []


async def test_a_producer_that_says_nothing_more_is_given_up(
    dsn: str, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epassport.relay.SEND_SECONDS", 1.0)
    monkeypatch.setattr("epassport.relay.CANCEL_SECONDS", 0.2)
    kept = await new_topic(kafka)
    compacted = await new_topic(kafka, cleanup=Cleanup.COMPACTED)
    await put_out(dsn, kept, life("a", 1, 3))
    await put_out(dsn, compacted, life("a", 1, 3))
    clients = LosingClients(kafka)
    async with asyncio.TaskGroup() as group:
        relay = group.create_task(Relay(dsn, SERVICE, clients, Signals()).run())
        await emptied(dsn)
        relay.cancel()
    assert clients.lost == 0
    assert await texts(kafka, kept, "a") == ["a1", "a2", "a3"]
    assert await texts(kafka, compacted, "a") == ["a1", "a2", "a3"]


async def test_what_waits_in_the_outbox_is_sent_in_order_and_forgotten(
    dsn: str, kafka: str
) -> None:
    topic = await new_topic(kafka, partitions=4)
    keys = [f"k{n}" for n in range(20)]
    for key in keys:
        await put_out(dsn, topic, life(key, 1, 30))
    async with relaying(dsn, kafka):
        await emptied(dsn)
    written = await read_topic(kafka, topic)
    assert len(written) == 600
    for key in keys:
        assert [text for k, text in written if k == key] == [f"{key}{n}" for n in range(1, 31)]


async def test_a_row_of_a_late_commit_is_sent_before_those_that_follow_it(
    dsn: str, kafka: str
) -> None:
    topic = await new_topic(kafka)
    late = await asyncpg.connect(dsn)
    transaction = late.transaction()
    await transaction.start()
    await late.execute("SELECT pg_current_xact_id()")
    await put_out(dsn, topic, life("a", 2, 2))
    async with relaying(dsn, kafka):
        await put_out(dsn, topic, life("a", 3, 3))
        await late.execute(
            """
            INSERT INTO outbox (transaction_id, shard, id, aggregatetype, aggregateid, type,
                                headers, payload)
            SELECT pg_current_xact_id(), shard, gen_random_uuid(), aggregatetype, aggregateid,
                   type, headers, convert_to('{"text": "a1"}', 'UTF8')
              FROM outbox LIMIT 1
            """
        )
        assert await waiting_in_outbox(dsn) == 2
        await transaction.commit()
        await emptied(dsn)
    await late.close()
    assert await texts(kafka, topic, "a") == ["a1", "a2", "a3"]


async def test_a_relay_killed_between_send_and_delete_loses_nothing_and_keeps_order(
    dsn: str, kafka: str
) -> None:
    topic = await new_topic(kafka)
    keys = [f"k{n}" for n in range(8)]
    for key in keys:
        await put_out(dsn, topic, life(key, 1, 20))
    child = await asyncio.create_subprocess_exec(
        sys.executable, STOPPED_RELAY, dsn, kafka, "killed", "50"
    )
    assert await asyncio.wait_for(child.wait(), 30) == -9
    assert await waiting_in_outbox(dsn) > 0
    async with relaying(dsn, kafka):
        await emptied(dsn)
    written = await read_topic(kafka, topic)
    assert len(written) > 160  # some were sent twice
    for key in keys:
        of_key = [text for k, text in written if k == key]
        assert first_times(of_key) == [f"{key}{n}" for n in range(1, 21)]


async def test_two_relays_that_take_shards_from_each_other_keep_order_and_lose_nothing(
    dsn: str, kafka: str
) -> None:
    topic = await new_topic(kafka, partitions=4)
    keys = [f"k{n}" for n in range(12)]
    async with relaying(dsn, kafka), relaying(dsn, kafka):
        for round_ in range(6):
            for key in keys:
                await put_out(dsn, topic, life(key, round_ * 10 + 1, round_ * 10 + 10))
            await end_sessions(dsn)
        await emptied(dsn)
    written = await read_topic(kafka, topic)
    for key in keys:
        of_key = [text for k, text in written if k == key]
        assert first_times(of_key) == [f"{key}{n}" for n in range(1, 61)]


async def test_one_shard_is_sent_by_one_relay_at_a_time(dsn: str, kafka: str) -> None:
    async def holders() -> list[int]:
        connection = await asyncpg.connect(dsn)
        try:
            rows = await connection.fetch(
                "SELECT objid::int AS shard FROM pg_locks JOIN pg_database d ON d.oid = database"
                " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
                " ORDER BY objid"
            )
        finally:
            await connection.close()
        return [row["shard"] for row in rows]

    async def all_held() -> bool:
        return await holders() == [0, 1, 2, 3, 4]

    async with relaying(dsn, kafka), relaying(dsn, kafka):
        await until(all_held)
    assert await holders() == []


async def set_largest_record(kafka: str, topic: Topic, octets: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        resource = ConfigResource(
            ConfigResourceType.TOPIC, topic.name, {"max.message.bytes": str(octets)}
        )
        await admin.alter_configs([resource])
    finally:
        await admin.close()


async def make_anew(kafka: str, topic: Topic, config: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_topics([topic.name])

        async def is_gone() -> bool:
            return topic.name not in await admin.list_topics()

        await until(is_gone)
    finally:
        await admin.close()
    await create_topics(kafka, [TopicSpec(topic.name, topic.partitions, config)])


async def test_after_a_failed_send_a_key_goes_on_at_its_first_unsent_record(
    dsn: str, kafka: str
) -> None:
    """The second record is refused by the broker at first, from one producer after the other. The
    third would be taken, and so is another key's of its shard; each large one fills a batch."""
    topic = await new_topic(kafka, config={"max.message.bytes": "100000"})
    assert shard_of(APPLICATIONS, "a") == shard_of(APPLICATIONS, "c")
    large, larger = "x" * 70_000, "x" * 150_000
    await put_out(dsn, topic, [("a", 1, f"1{large}"), ("a", 2, f"2{larger}"), ("a", 3, "3")])
    await put_out(dsn, topic, life("c", 1, 3))
    with capture_logs() as lines:
        async with relaying(dsn, kafka):

            async def refused_again_and_again() -> bool:
                faults = [line["fault"] for line in lines if "fault" in line]
                return faults.count("MessageSizeTooLargeError") == 3

            await until(refused_again_and_again)
            assert await waiting_in_outbox(dsn) == 2
            assert await texts(kafka, topic, "c") == ["c1", "c2", "c3"]
            await set_largest_record(kafka, topic, 1_000_000)
            await emptied(dsn)
    assert [text[0] for text in await texts(kafka, topic, "a")] == ["1", "2", "3"]


async def test_a_partition_that_may_have_forgotten_the_producer_gets_one_record_alone(
    kafka: str,
) -> None:
    """The topic is made anew, which forgets at once what a broker keeps for a day."""
    now = 0.0
    topic = await new_topic(kafka)
    sender = PipelinedSender(clients_of(kafka), lambda: now)
    await sender.open()
    try:
        assert await sender.send([Outgoing(1, topic.name, b"a", [], b"1")]) == Sent([1], None)
        await make_anew(kafka, topic, {"max.message.bytes": "100000"})
        now += FORGOTTEN_SECONDS
        large = Outgoing(2, topic.name, b"a", [], b"2" * 150_000)
        sent = await sender.send([large, Outgoing(3, topic.name, b"a", [], b'{"text": "3"}')])
    finally:
        await sender.close()
    assert sent.confirmed == []
    assert isinstance(sent.fault, MessageSizeTooLargeError)
    assert await read_topic(kafka, topic) == []


async def test_a_deletion_that_reaches_a_second_is_given_up_and_its_records_are_sent_again(
    dsn: str, kafka: str
) -> None:
    topic = await new_topic(kafka)
    await put_out(dsn, topic, life("a", 1, 3))
    holding = await asyncpg.connect(dsn)
    held = holding.transaction()
    await held.start()
    await holding.execute("SELECT FROM outbox FOR UPDATE")
    with capture_logs() as lines:

        async def given_up() -> bool:
            return any(line.get("fault") == "TimeoutError" for line in lines)

        async with relaying(dsn, kafka):
            async with asyncio.timeout(STATEMENT_SECONDS - 1):  # which would end it anyway
                await until(given_up)
            await held.rollback()
            await emptied(dsn)
    await holding.close()
    assert first_times(await texts(kafka, topic, "a")) == ["a1", "a2", "a3"]


async def test_an_older_producer_of_a_fenced_shard_writes_nothing_visible(kafka: str) -> None:
    topic = await new_topic(kafka, cleanup=Cleanup.COMPACTED)
    name = f"test-relay-{topic.name}"
    old, new = FencedSender(clients_of(kafka), name), FencedSender(clients_of(kafka), name)

    def record(text: str) -> Outgoing:
        return Outgoing(1, topic.name, b"a", (), json.dumps({"text": text}).encode())

    await old.open()
    try:
        assert (await old.send([record("first")])).confirmed == [1]
        await new.open()
        try:
            assert (await new.send([record("newer")])).confirmed == [1]
            sent = await old.send([record("late")])
            assert sent.confirmed == ()
            assert isinstance(sent.fault, KafkaError)
        finally:
            await new.close()
    finally:
        await old.close()
        del old, sent
        gc.collect()  # what aiokafka left unread of a fenced producer is logged here, not later
    assert await texts(kafka, topic, "a") == ["first", "newer"]


async def test_a_frozen_relay_loses_its_shard_and_cannot_bring_an_old_value_back(
    dsn: str, kafka: str
) -> None:
    """Nobody ends its session but the server, ten seconds later; by then it has handed one
    record to its producer, which will still want to send it."""
    topic = await new_topic(kafka, cleanup=Cleanup.COMPACTED)
    await put_out(dsn, topic, [("a", 1, "old"), ("a", 2, "older")])
    child = await asyncio.create_subprocess_exec(
        sys.executable, STOPPED_RELAY, dsn, kafka, "frozen", "2", stdout=asyncio.subprocess.PIPE
    )
    try:

        async def stopped() -> bool:
            status = Path(f"/proc/{child.pid}/stat")
            return " T " in await asyncio.to_thread(status.read_text)

        await until(stopped)
        async with relaying(dsn, kafka):
            await emptied(dsn)
            await put_out(dsn, topic, [("a", 3, "new")])
            await emptied(dsn)
            child.send_signal(18)  # SIGCONT
            assert child.stdout is not None
            async with asyncio.timeout(60):
                while b"relay-shard-starts-over" not in await child.stdout.readline():
                    continue
    finally:
        child.kill()
        await child.wait()
    assert await texts(kafka, topic, "a") == ["old", "older", "new"]


async def test_records_of_a_public_topic_are_signed_as_they_are_sent(dsn: str, kafka: str) -> None:
    topic = await new_topic(kafka, classification=Classification.PUBLIC)
    await put_out(dsn, topic, [("a", 1, "hello")])

    def sign(document: bytes) -> bytes:
        return b"signed:" + document

    relay = asyncio.create_task(
        Relay(dsn, SERVICE, clients_of(kafka), Signals(), sign, topics={topic.name: topic}).run()
    )
    await emptied(dsn)
    relay.cancel()
    await asyncio.wait({relay})
    consumer = AIOKafkaConsumer(topic.name, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        record = await asyncio.wait_for(consumer.getone(), 30)
    finally:
        await consumer.stop()
    assert record.headers == (("content-type", b"application/jose"),)
    assert record.value.startswith(b"signed:")
    document = json.loads(record.value.removeprefix(b"signed:"))
    assert document["data"] == {"at": "2026-11-22T12:00:00Z", "text": "hello"}
    assert document["type"] == "NoteTaken"
    assert document["datacontenttype"] == "application/json"
    assert document["specversion"] == "1.0"


def test_a_service_with_public_topics_cannot_relay_without_a_signer(dsn: str, kafka: str) -> None:
    with pytest.raises(Unsafe, match="nothing signs"):
        Relay(dsn, ServiceName.VERIFICATION, clients_of(kafka), Signals())
