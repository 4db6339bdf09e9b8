"""The consumer against real Kafka and PostgreSQL: one effect each, in order, none lost."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from kafka_notes import (
    AT,
    IDS,
    SERVICE,
    NoteLost,
    Notes,
    NoteTaken,
    Written,
    clients_of,
    consuming,
    damaged,
    headers_of,
    lost,
    new_topic,
    note,
    notes,
    parked,
    prepare,
    stored_offset,
    until,
    wire,
    write,
)
from structlog.testing import capture_logs

from epassport.actor import service_actor
from epassport.consumer import ConsumerRunner
from epassport.database import Connection, Database
from epassport.draining import ParkedStreams
from epassport.errors import KeyPending, NotThere, Poison
from epassport.parking import NotDiscardable
from epassport.records import Cause, Incoming
from epassport.subscription import Subscription
from epassport.wire import MAX_RECORD_BYTES
from epassport_contracts import ServiceName
from epassport_contracts.registry import Cleanup, EventSpec, Topic
from epassport_sandbox.stack import Stack

pytestmark = pytest.mark.stack


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    await prepare(database)
    opened = await Database.connect(database)
    yield opened
    await opened.close()


@pytest.fixture
def kafka(stack: Stack) -> str:
    return stack.kafka.bootstrap


async def reached(db: Database, topic: Topic, offset: int) -> None:
    """Every record before this offset is done with."""

    async def done() -> bool:
        return await stored_offset(db, topic) >= offset

    await until(done)


async def replay(db: Database, handler: Notes, topic: Topic, key: str) -> int:
    """As an operator's process does it, beside the one that consumes."""
    parked = ParkedStreams(db, SERVICE, handler, topic)
    return await parked.drain(0, key, also_faults=True)


async def discard(db: Database, topic: Topic, offset: int, reason: str) -> None:
    parked = ParkedStreams(db, SERVICE, Notes(topic), topic)
    async with db.transaction() as connection:
        await parked.discard(connection, 0, offset, service_actor("operator"), reason)


async def test_a_record_delivered_twice_has_one_effect(db: Database, kafka: str) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 1), note("a", 2), note("a", 1), note("a", 2), note("a", 3))
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 5)
    assert await notes(db) == ["a1", "a2", "a3"]


async def test_a_restarted_consumer_goes_on_where_it_stopped(db: Database, kafka: str) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 1))
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 1)
    await write(kafka, topic, note("a", 2))
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 2)
    assert await notes(db) == ["a1", "a2"]


async def test_the_stored_offset_counts_and_not_the_one_in_kafka(db: Database, kafka: str) -> None:
    """As after the database was restored from a backup: Kafka's offset is ahead of ours."""
    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 1), note("a", 2))
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 2)
    async with db.connection() as connection:
        await connection.execute("UPDATE consumer_offsets SET next_offset = 1")
        await connection.execute("UPDATE consumer_sequences SET sequence = 1")
        await connection.execute("DELETE FROM notes WHERE text = 'a2'")
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 2)
    assert await notes(db) == ["a1", "a2"]


async def test_a_gap_holds_only_its_stream_and_drains_when_it_is_filled(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 1), note("a", 3), note("b", 1), note("a", 4), note("b", 2))
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 5)
        assert await notes(db) == ["a1", "b1", "b2"]
        assert await parked(db) == [("a", 1, "gap"), ("a", 3, "behind")]
        await write(kafka, topic, note("a", 2), note("a", 3), note("a", 5))
        await reached(db, topic, 8)

        async def drained() -> bool:
            return await parked(db) == []

        await until(drained)
    assert await notes(db, "a") == ["a1", "a2", "a3", "a4", "a5"]


async def test_a_sweep_drains_what_a_crash_left_undrained(db: Database, kafka: str) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 2), note("a", 3))
    async with consuming(db, kafka, Notes(topic), topic) as runner:
        await reached(db, topic, 2)
        async with db.connection() as connection:  # record 1 was applied, then we were killed
            await connection.execute(
                "INSERT INTO consumer_sequences VALUES ('notes', $1, 'a', 1)", topic.name
            )
        await runner.sweep()
    assert await notes(db) == ["a2", "a3"]
    assert await parked(db) == []


async def test_what_an_older_build_did_not_know_goes_on_by_itself_in_a_newer_one(
    db: Database, kafka: str
) -> None:
    """The older one has not heard of NoteTaken; of `c` nobody has heard, and `d` is faulty, too."""
    topic = await new_topic(kafka)
    older = replace(topic, events=(EventSpec(NoteLost, frozenset()),))
    await write(
        kafka, topic,
        lost("a", 1), note("a", 2), note("a", 3), lost("b", 1),
        (b"c", wire(headers_of("NoteTaken", "c", 1, version=2)), b"{}"), note("c", 2),
        damaged("d", 1), note("d", 2),
    )  # fmt: skip
    async with consuming(db, kafka, Notes(older), older) as runner:
        await reached(db, topic, 8)
        held = [
            ("a", 1, "unknown-type"), ("a", 2, "behind"),
            ("c", 4, "unknown-type"), ("c", 5, "behind"),
            ("d", 6, "unknown-type"), ("d", 7, "behind"),
        ]  # fmt: skip
        await runner.sweep()
        assert await parked(db) == held
    async with consuming(db, kafka, Notes(topic), topic) as runner:
        await runner.sweep()
        left = [
            ("c", 4, "unknown-type"), ("c", 5, "behind"),
            ("d", 6, "malformed-event"), ("d", 7, "behind"),
        ]  # fmt: skip
        assert await parked(db) == left
        await runner.sweep()
        assert await parked(db) == left
        await write(kafka, topic, note("a", 4))
        await reached(db, topic, 9)
    assert await notes(db) == ["a2", "a3", "a4"]


async def test_a_stream_held_by_a_gap_for_a_minute_is_reported_once(
    db: Database, kafka: str
) -> None:
    """A minute by the database's clock, which wrote since when it is held."""
    topic = await new_topic(kafka)
    await write(kafka, topic, note("late", 2), note("recent", 2))
    async with consuming(db, kafka, Notes(topic), topic) as runner:
        await reached(db, topic, 2)
        async with db.connection() as connection:
            await connection.execute(
                "UPDATE parked SET parked_at = clock_timestamp() - CASE key WHEN 'late'"
                " THEN interval '61 s' ELSE interval '20 s' END"
            )
        with capture_logs() as lines:
            await runner.sweep()
            await runner.sweep()
    alarms = [line for line in lines if line["event"] == "stream-held-by-gap"]
    assert [(line["key"], line["topic"]) for line in alarms] == [("late", topic.name)]


class FailsAt(Notes):
    """A bug that one record brings to light."""

    def __init__(self, text: str, *topics: Topic) -> None:
        super().__init__(*topics)
        self.text = text
        self.calls = 0

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        await super().apply(connection, records)
        for record in records:
            if getattr(record.event, "text", None) == self.text:
                self.calls += 1
                raise KeyError(self.text)


class FailsAtAll(Notes):
    """A bug that every record brings to light, until it is mended."""

    is_mended = False

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        await super().apply(connection, records)
        if not self.is_mended:
            raise KeyError


async def test_a_slice_that_fails_at_one_record_parks_its_stream_and_applies_the_rest(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka)
    handler = FailsAt("b1", topic)
    await write(
        kafka, topic,
        note("a", 1), note("b", 1), note("a", 2), note("b", 2), note("c", 1),
    )  # fmt: skip
    async with consuming(db, kafka, handler, topic):
        await reached(db, topic, 5)
    assert await notes(db) == ["a1", "a2", "c1"]
    assert await parked(db) == [("b", 1, "bug"), ("b", 3, "behind")]
    assert handler.calls == 4  # once in the slice, three times alone


async def test_a_mended_bug_is_replayed_in_order(db: Database, kafka: str) -> None:
    topic = await new_topic(kafka)
    handler = FailsAt("b1", topic)
    await write(kafka, topic, note("b", 1), note("b", 2))
    async with consuming(db, kafka, handler, topic):
        await reached(db, topic, 2)
        assert await replay(db, handler, topic, "b") == 0
        assert await parked(db) == [("b", 0, "bug"), ("b", 1, "behind")]
        handler.text = ""
        await write(kafka, topic, note("b", 3))
        await reached(db, topic, 3)
        assert await replay(db, handler, topic, "b") == 3
    assert await notes(db) == ["b1", "b2", "b3"]
    assert await parked(db) == []


async def test_poison_in_the_middle_parks_its_stream_and_others_go_on(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka)
    await write(
        kafka, topic,
        note("a", 1), damaged("a", 2), note("b", 1), note("a", 3), note("b", 2),
    )  # fmt: skip
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 5)
    assert await notes(db) == ["a1", "b1", "b2"]
    assert await parked(db) == [("a", 1, "malformed-event"), ("a", 3, "behind")]


async def test_a_discarded_record_lets_the_rest_of_its_stream_go_on(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 1), damaged("a", 2), note("a", 3), note("a", 4))
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 4)
        with pytest.raises(NotDiscardable):
            await discard(db, topic, 2, "out of order")
        with pytest.raises(NotThere):
            await discard(db, topic, 9, "not parked")
        await discard(db, topic, 1, "sent by a broken build")
        assert await replay(db, Notes(topic), topic, "a") == 2
    assert await notes(db) == ["a1", "a3", "a4"]
    async with db.connection() as connection:
        kept = await connection.fetchrow(
            "SELECT record_offset, discard_reason, discarded_by->>'subject' AS by FROM discarded"
        )
    assert kept is not None
    assert tuple(kept) == (1, "sent by a broken build", "operator")


LONG_KEY = b"".join(hashlib.sha256(bytes([n])).hexdigest().encode() for n in range(200))
"""12,800 octets of good text, more than any index takes."""


async def test_every_way_of_being_unreadable_is_parked_with_its_cause(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka)
    value = note("x", 1)[2]

    def changed(key: str, **new: str | None) -> list[tuple[str, bytes | None]]:
        headers = {**headers_of("NoteTaken", key, 1), **new}
        return [(name, None if text is None else text.encode()) for name, text in headers.items()]

    cases = {
        "null-key": (None, changed("a"), value),
        "unreadable-key": (b"\xff\xfe", changed("b"), value),
        "long key": (LONG_KEY, changed("b"), value),
        "no-value": (b"c", changed("c"), None),
        "wrong-source": (b"d", changed("d", ce_source="/epassport/somebody"), value),
        "unknown-type": (b"e", changed("e", ce_type="NoteBurnt"), value),
        "unknown-version": (b"f", changed("f", ce_dataschema="NoteTaken/v2"), value),
        "malformed-event": (b"g", changed("g"), b"[]"),
        "invalid UTF-8": (b"h", changed("h"), b'{"at": "2026-11-22T12:00:00Z", "text": "\xff"}'),
        "null header": (b"i", changed("i", ce_id=None), value),
        "header no text": (b"j", [*changed("j")[1:], ("ce_specversion", b"\xff")], value),
        "id no uuid": (b"k", changed("k", ce_id="17"), value),
        "time without zone": (b"l", changed("l", ce_time="2026-11-22T12:00:00"), value),
        "sequence zero": (b"m", changed("m", ce_sequence="0"), value),
        "no type": (b"n", [h for h in changed("n") if h[0] != "ce_type"], value),
        "other content": (b"o", changed("o", **{"content-type": "text/xml"}), value),
        "another stream's key": (b"p", changed("q"), value),
        "no header": (b"r", [], value),
    }
    await write(kafka, topic, *cases.values(), note("z", 1))
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, len(cases) + 1)
    causes = [cause for _, _, cause in await parked(db)]
    found = dict(zip(cases, causes, strict=True))
    known = {name for name in cases if name in set(Cause)}
    assert {name: found[name] for name in known} == {name: name for name in known}
    assert (found["long key"], found["invalid UTF-8"]) == ("unreadable-key", "malformed-event")
    others = found.keys() - known - {"long key", "invalid UTF-8"}
    assert {name: found[name] for name in others} == dict.fromkeys(others, "bad-header")
    assert await notes(db) == ["z1"]


class NoText(str):
    """A name that goes out as octets that are no UTF-8."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe"


async def write_batch(kafka: str, topic: Topic, *records: Written, compression: int) -> None:
    """As the octets of one batch: aiokafka's producer itself takes names of text only."""
    batch = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, -1, 64_000)
    for offset, (key, headers, value) in enumerate(records):
        batch.append(offset, int(AT.timestamp() * 1000), key, value, headers)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    try:
        written = producer.create_batch()
        written._buffer, written._relative_offset = batch.build(), len(records)
        written.close()
        await (await producer.send_batch(written, topic.name, partition=0))
    finally:
        await producer.stop()


@pytest.mark.parametrize("compression", [0, 1], ids=["plain", "gzip"])
async def test_a_header_whose_name_is_no_text_stops_nothing(
    db: Database, kafka: str, compression: int
) -> None:
    """Kafka takes any octets for it. Beside the headers of ours it is passed over like others."""
    topic = await new_topic(kafka)
    named = [("extra", b"1"), (NoText("?"), b"2")]
    key, headers, value = note("a", 2)
    odd, bare = (key, [*headers, *named], value), (b"b", named, value)
    await write_batch(
        kafka, topic, note("a", 1), odd, bare, note("a", 3), compression=compression
    )  # fmt: skip
    await write(kafka, topic, note("c", 1))
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 5)
    assert await notes(db) == ["a1", "a2", "a3", "c1"]
    assert await parked(db) == [("b", 2, "bad-header")]


async def test_a_record_of_10_mb_is_parked_unread_and_the_rest_flows(
    db: Database, kafka: str
) -> None:
    """Good JSON of a known event, which would be applied if it were read."""
    topic = await new_topic(kafka, config={"max.message.bytes": "12000000"})
    room = MAX_RECORD_BYTES - len(NoteTaken(at=AT, text="").model_dump_json())
    await write(
        kafka,
        topic,
        note("a", 1, "x" * 10_000_000),
        note("a", 2),
        note("b", 1, "x" * room),
        note("c", 1, "x" * (room + 1)),
        note("d", 1),
    )
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 5)
    assert await parked(db) == [
        ("a", 0, "record-too-large"), ("a", 1, "behind"), ("c", 3, "record-too-large"),
    ]  # fmt: skip
    assert [len(text) for text in await notes(db)] == [room, 2]
    async with db.connection() as connection:
        told = await connection.fetch(
            "SELECT payload, (headers->>'x-original-value-left-out')::int > 10000000 FROM outbox"
            " ORDER BY position LIMIT 1"
        )
    assert [tuple(row) for row in told] == [(None, True)]


async def test_a_bad_value_shows_in_no_column_but_the_value_itself(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka)
    secret = b'{"at": "2026-11-22T12:00:00Z", "text": {"surname": "Ivanova"}}'
    await write(kafka, topic, (b"a", note("a", 1)[1], secret))
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 1)
    async with db.connection() as connection:
        detail = await connection.fetchval("SELECT detail FROM parked")
    assert detail == "text: string_type"


async def test_events_nobody_asked_for_still_count_in_the_sequence(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka)
    lost = NoteLost(at=AT)
    other = (b"a", wire(headers_of(lost, "a", 2)), lost.model_dump_json().encode())
    await write(kafka, topic, note("a", 1), other, note("a", 3))
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 3)
    assert await notes(db) == ["a1", "a3"]


async def test_tombstones_of_a_compacted_topic_are_passed_over(db: Database, kafka: str) -> None:
    topic = await new_topic(kafka, cleanup=Cleanup.COMPACTED)
    await write(kafka, topic, note("a", None, "one"), (b"a", [], None), note("a", None, "two"))
    async with consuming(db, kafka, Notes(topic), topic):
        await reached(db, topic, 3)
    assert await notes(db) == ["one", "two"]
    assert await parked(db) == []


async def test_on_a_topic_without_sequence_poison_holds_its_key_in_order(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka, cleanup=Cleanup.COMPACTED)
    await write(
        kafka, topic,
        note("a", None, "one"), damaged("a", None), note("a", None, "two"), note("b", None, "b"),
    )  # fmt: skip
    async with consuming(db, kafka, Notes(topic), topic) as runner:
        await reached(db, topic, 4)
        assert await notes(db) == ["one", "b"]
        await discard(db, topic, 1, "damaged")
        await runner.sweep()
    assert await notes(db, "a") == ["one", "two"]


class Waits(Notes):
    """The outside is not ready the first times."""

    def __init__(self, times: int, fault: Exception, *topics: Topic) -> None:
        super().__init__(*topics)
        self.times = times
        self.fault = fault

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        await super().apply(connection, records)
        if self.times:
            self.times -= 1
            raise self.fault


@pytest.mark.parametrize(
    "fault",
    [
        KeyPending(IDS, "identity"),
        asyncpg.DeadlockDetectedError("deadlock detected"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        TimeoutError(),
        OSError("network is unreachable"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_passing_fault_is_waited_out_and_nothing_is_skipped(
    db: Database, kafka: str, fault: Exception
) -> None:
    topic = await new_topic(kafka)
    handler = Waits(3, fault, topic)
    await write(kafka, topic, note("a", 1), note("b", 1), note("a", 2))
    async with consuming(db, kafka, handler, topic):
        await reached(db, topic, 3)
    assert handler.times == 0
    assert await notes(db) == ["a1", "b1", "a2"]
    assert await parked(db) == []


async def test_a_handler_that_calls_a_record_poison_parks_it_at_once(
    db: Database, kafka: str
) -> None:
    class Refuses(FailsAt):
        async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
            try:
                await super().apply(connection, records)
            except KeyError:
                raise Poison("wrong-signature") from None

    topic = await new_topic(kafka)
    handler = Refuses("a1", topic)
    await write(kafka, topic, note("a", 1), note("b", 1))
    async with consuming(db, kafka, handler, topic):
        await reached(db, topic, 2)
    assert await parked(db) == [("a", 0, "wrong-signature")]
    assert await notes(db) == ["b1"]
    assert handler.calls == 2  # in the slice, then alone


async def test_where_a_transaction_may_touch_a_stream_once_a_slice_is_cut(
    db: Database, kafka: str
) -> None:
    class OnePerStream(Notes):
        one_per_stream = True

        def __init__(self, *topics: Topic) -> None:
            super().__init__(*topics)
            self.pieces: list[list[str]] = []

        async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
            self.pieces.append([record.key for record in records])
            await super().apply(connection, records)

    topic = await new_topic(kafka)
    handler = OnePerStream(topic)
    many = [note(f"s{number}", 1) for number in range(120)]
    await write(kafka, topic, note("a", 1), note("b", 1), note("a", 2), *many)
    async with consuming(db, kafka, handler, topic):
        await reached(db, topic, 123)
    assert all(len(set(piece)) == len(piece) <= 100 for piece in handler.pieces)
    assert handler.pieces[0] == ["a", "b"]
    assert len(await notes(db)) == 123


async def test_two_workers_that_read_the_same_records_have_one_effect(
    db: Database, kafka: str
) -> None:
    """Two Kafka groups, one stored offset: what a worker is that lost its partition unawares.

    Without a sequence on the topic, so that the offset alone decides.
    """
    topic = await new_topic(kafka, cleanup=Cleanup.COMPACTED, partitions=2)
    first = consuming(db, kafka, Notes(topic), topic)
    second = consuming(db, kafka, Notes(topic), topic, service=ServiceName.BIOMETRICS)
    async with first, second:
        for round_ in range(10):
            for partition, key in enumerate("ab"):
                sequences = range(round_ * 20 + 1, round_ * 20 + 21)
                records = [note(key, None, f"{key}{sequence}") for sequence in sequences]
                await write(kafka, topic, *records, partition=partition)
        await reached(db, topic, 400)
    assert await notes(db, "a") == [f"a{n}" for n in range(1, 201)]
    assert await notes(db, "b") == [f"b{n}" for n in range(1, 201)]


async def test_a_second_runner_of_the_group_takes_over_without_loss_or_repeat(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka, partitions=2)
    keys = {0: "a", 1: "b"}

    async def write_to_both(first: int, last: int) -> None:
        for partition, key in keys.items():
            records = [note(key, sequence) for sequence in range(first, last + 1)]
            await write(kafka, topic, *records, partition=partition)

    async with consuming(db, kafka, Notes(topic), topic) as old:
        await write_to_both(1, 50)
        async with consuming(db, kafka, Notes(topic), topic) as new:

            async def shared() -> bool:
                return {len(r.state().subscriptions[0].partitions) for r in (old, new)} == {1}

            await until(shared)
            await write_to_both(51, 100)
            await reached(db, topic, 200)
        await write_to_both(101, 150)
        await reached(db, topic, 300)
    for key in keys.values():
        assert await notes(db, key) == [f"{key}{n}" for n in range(1, 151)]


async def test_a_member_with_a_lasting_name_that_restarts_moves_no_partition(
    db: Database, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the two once: one of them leads the group."""
    revoked: set[int] = set()
    revoke = Subscription.on_partitions_revoked

    async def watched(self: Subscription, partitions: set[TopicPartition]) -> None:
        revoked.update(partition.partition for partition in partitions)
        await revoke(self, partitions)

    monkeypatch.setattr(Subscription, "on_partitions_revoked", watched)
    topic = await new_topic(kafka, partitions=2)

    def member(name: str) -> AbstractAsyncContextManager[ConsumerRunner]:
        session = timedelta(seconds=24)
        return consuming(db, kafka, Notes(topic), topic, member=name, session=session)

    async with AsyncExitStack() as first, AsyncExitStack() as second:
        stacks = {"first": first, "second": second}
        runners = {name: await stacks[name].enter_async_context(member(name)) for name in stacks}

        def partitions(name: str) -> frozenset[int]:
            return runners[name].state().subscriptions[0].partitions

        async def shared() -> bool:
            return {len(partitions(name)) for name in stacks} == {1}

        await until(shared)
        for turn, (restarts, stays) in enumerate([("first", "second"), ("second", "first")]):
            kept, own = partitions(stays), partitions(restarts)
            await stacks[restarts].aclose()
            revoked.clear()
            for number in (0, 1):
                await write(kafka, topic, note(f"k{number}", turn + 1), partition=number)
            await reached(db, topic, 2 * turn + 1)
            assert (await notes(db))[2 * turn :] == [f"k{n}{turn + 1}" for n in kept]
            runners[restarts] = await stacks[restarts].enter_async_context(member(restarts))
            await reached(db, topic, 2 * turn + 2)
            assert (partitions(stays), partitions(restarts)) == (kept, own)
            assert not revoked & kept


async def test_a_consumer_stands_still_when_most_of_its_topic_is_bad(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka)
    async with consuming(db, kafka, Notes(topic), topic) as runner:
        await write(kafka, topic, *(damaged(f"bad{n}", 1) for n in range(300)))

        async def open_circuit() -> bool:
            state = runner.state().subscriptions[0]
            return state.circuit_open and state.postponed == {0}

        await until(open_circuit)
    assert len(await parked(db)) < 20
    assert await stored_offset(db, topic) == len(await parked(db))


async def test_a_release_that_fails_at_everything_stands_still_and_the_mended_one_goes_on(
    db: Database, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epassport.subscription.CIRCUIT_SECONDS", 0.2)
    topic = await new_topic(kafka)
    keys = [f"k{n}" for n in range(300)]
    handler = FailsAtAll(topic)
    async with consuming(db, kafka, handler, topic) as runner:
        await write(kafka, topic, *(note(key, 1) for key in keys))

        async def open_circuit() -> bool:
            return runner.state().subscriptions[0].circuit_open

        await until(open_circuit)
        before = await parked(db)
        assert 0 < len(before) < 20
        assert before == [(key, n, "bug") for n, key in enumerate(keys[: len(before)])]
        assert await stored_offset(db, topic) == len(before)
        handler.is_mended = True
        await reached(db, topic, len(keys))
        assert len(await notes(db)) == len(keys) - len(before)
        for key, _, _ in before:
            assert await replay(db, handler, topic, key) == 1
    assert sorted(await notes(db)) == sorted(f"{key}1" for key in keys)


async def test_a_parked_stream_stays_held_and_in_order_over_restarts_and_rebalances(
    db: Database, kafka: str
) -> None:
    """Two consumers, one after the other and both at once; later events come to each of them."""
    topic = await new_topic(kafka, partitions=2)
    handler = Notes(topic)
    await write(kafka, topic, note("a", 1), damaged("a", 2), note("a", 3), note("b", 1))
    async with consuming(db, kafka, handler, topic):
        await reached(db, topic, 4)
    async with consuming(db, kafka, handler, topic) as old:
        await write(kafka, topic, note("a", 4), note("b", 2))
        await reached(db, topic, 6)
        async with consuming(db, kafka, handler, topic) as new:

            async def shared() -> bool:
                return {len(r.state().subscriptions[0].partitions) for r in (old, new)} == {1}

            await until(shared)
            await write(kafka, topic, note("a", 5), note("b", 3))
            await write(kafka, topic, note("c", 1), partition=1)
            await reached(db, topic, 9)
    assert await notes(db, "a") == ["a1"]
    assert await notes(db, "b") == ["b1", "b2", "b3"]
    assert await notes(db, "c") == ["c1"]
    assert [cause for key, _, cause in await parked(db) if key == "a"] == [
        "malformed-event", "behind", "behind", "behind",
    ]  # fmt: skip
    await discard(db, topic, 1, "sent by a broken build")
    assert await replay(db, handler, topic, "a") == 3
    assert await notes(db, "a") == ["a1", "a3", "a4", "a5"]


async def test_a_topic_made_anew_is_not_taken_for_applied(db: Database, kafka: str) -> None:
    async def first_applied() -> bool:
        return await notes(db) == ["a1"]

    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 1))
    async with db.connection() as connection:
        await connection.execute(
            "INSERT INTO consumer_offsets VALUES ('notes', $1, 0, 70)", topic.name
        )
    with capture_logs() as lines:
        async with consuming(db, kafka, Notes(topic), topic) as runner:

            async def refused_or_gone_on() -> bool:
                refused = [line for line in lines if line["event"] == "no-place-yet"]
                return len(refused) > 1 or not runner.state().subscriptions[0].postponed

            await until(refused_or_gone_on)
            assert runner.state().subscriptions[0].postponed == {0}
            assert await stored_offset(db, topic) == 70
            async with db.connection() as connection:  # what an operator would do
                await connection.execute("UPDATE consumer_offsets SET next_offset = 0")
            await until(first_applied)
    assert await notes(db) == ["a1"]


async def test_a_topic_that_is_missing_is_not_made_by_who_reads_it(
    db: Database, kafka: str
) -> None:
    """Made by the way it would have the broker's defaults, and a key its partition for life."""
    missing = Topic(f"test.{uuid4().hex}.v1", frozenset({SERVICE}), (), partitions=1)
    clients = clients_of(kafka)
    runner = ConsumerRunner(db, SERVICE, [Notes(missing)], clients, topics={missing.name: missing})
    with pytest.raises(KafkaError):
        await runner.start()
    await runner.stop()
    admin = clients.admin()
    await admin.start()
    try:
        assert missing.name not in await admin.list_topics()
    finally:
        await admin.close()
