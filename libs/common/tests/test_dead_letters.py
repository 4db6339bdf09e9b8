"""Dead letters: the octets that came, and what was wrong, on a topic for foreign tools."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from hypothesis import given
from hypothesis import strategies as st
from kafka_notes import (
    SERVICE,
    clients_of,
    damaged,
    note,
    parked,
    until,
    waiting_in_outbox,
)
from shelf_operations import TOPIC, Desk, order, place
from shelf_store import opened, rows

from epassport.breaker import CircuitOpen
from epassport.database import Database
from epassport.dead_letters import headers_of
from epassport.parking import parked_stream
from epassport.records import RawRecord
from epassport.relay import Relay
from epassport.signals import Signals
from epassport.wire import MAX_RECORD_BYTES
from epassport_contracts.registry import BY_NAME, dead_letter_topic
from epassport_sandbox.stack import Stack
from epassport_sandbox.topics import TopicSpec, create_topics

DEAD_LETTERS = BY_NAME[dead_letter_topic(SERVICE)]


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


async def read(bootstrap: str, count: int) -> list[Any]:
    """The last records of the topic, which other tests may have written to before."""
    consumer = AIOKafkaConsumer(
        DEAD_LETTERS.name, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    found: list[Any] = []
    try:
        async with asyncio.timeout(60):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
    finally:
        await consumer.stop()
    return found


@pytest.mark.stack
async def test_a_parked_record_comes_with_its_octets_and_its_cause_to_the_dead_letters(
    db: Database, database: str, stack: Stack
) -> None:
    kafka = stack.kafka.bootstrap
    await create_topics(
        kafka, [TopicSpec(DEAD_LETTERS.name, DEAD_LETTERS.partitions, dict(DEAD_LETTERS.config))]
    )
    key, headers, value = damaged("shelf/dead-letter", 1)
    sent = [*headers, ("odd", b"\xff\x00"), ("nothing", None)]
    await Desk(db).receive((key, sent, value), note("shelf/dead-letter", 2))
    relay = asyncio.create_task(Relay(database, SERVICE, clients_of(kafka), Signals()).run())

    async def empty() -> bool:
        return await waiting_in_outbox(database) == 0

    await until(empty)
    relay.cancel()
    await asyncio.gather(relay, return_exceptions=True)
    (record,) = await read(kafka, 1)
    told = dict(record.headers)
    assert (record.key, record.value) == (key, value)
    assert {name: told[name] for name, _ in headers} == dict(headers)
    assert told["x-original-header-base64-odd"] == base64.b64encode(b"\xff\x00")
    assert "x-original-header-null-nothing" in told
    assert (told["x-error-cause"], told["x-error-consumer"]) == (b"malformed-event", b"notes")
    assert (told["x-original-topic"], told["x-original-offset"]) == (TOPIC.name.encode(), b"0")


@pytest.mark.stack
async def test_each_fault_is_told_once_also_when_it_is_tried_again(db: Database) -> None:
    desk = Desk(db)
    await desk.receive(damaged("a", 1), damaged("a", 2), note("a", 3))
    told = "SELECT headers->>'x-original-offset' FROM outbox ORDER BY position"
    assert await rows(db, told) == [("0",)]
    await desk.operations.replay(order(), place(0))
    assert await rows(db, told) == [("0",)]
    await desk.operations.discard(order(), place(0))
    await desk.operations.replay(order(), place(1))
    assert await rows(db, told) == [("0",), ("1",)]


@pytest.mark.stack
async def test_a_slice_that_trips_the_circuit_leaves_nothing_behind_until_it_is_allowed(
    db: Database,
) -> None:
    desk = Desk(db)
    bad = [damaged(f"bad{n}", 1) for n in range(30)]
    stands = "SELECT next_offset, stands_since IS NOT NULL FROM consumer_offsets"
    for _ in range(2):
        with pytest.raises(CircuitOpen):
            await desk.receive(note("good", 1), *bad)
        assert await parked(db) == []
        assert await rows(db, stands) == [(0, True)]
    await desk.operations.allow(order(), "notes", TOPIC.name, 29)
    with pytest.raises(CircuitOpen):
        await desk.receive(note("good", 1), *bad)
    await desk.operations.allow(order(), "notes", TOPIC.name, 40)
    await desk.receive(note("good", 1), *bad)
    assert len(await parked(db)) == 30
    assert await rows(db, "SELECT remaining FROM circuit_allowances") == [(10,)]
    assert await rows(db, stands) == [(31, False)]


@given(
    st.binary(max_size=20) | st.none(),
    st.binary(max_size=20) | st.none(),
    st.lists(st.tuples(st.text(max_size=10), st.binary(max_size=20) | st.none()), max_size=5),
)
def test_whatever_came_its_dead_letter_has_headers_that_the_outbox_holds(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    raw = RawRecord("t", 0, 7, key, tuple(headers), value)
    told = headers_of(raw, "notes", "null-key", "")
    assert not any("\0" in text for item in told.items() for text in item)
    if key is None:
        assert told["x-original-key"] == "null"
    elif "x-original-key-base64" in told:
        assert base64.b64decode(told["x-original-key-base64"]) == key
    else:
        assert raw.stream_key.encode() == key


def test_of_a_repeated_header_the_last_counts_and_the_earlier_ones_are_kept() -> None:
    headers = (("a", b"1"), ("x-error-cause", b"mine"), ("a", None), ("b", b"2"), ("a", b"3"))
    told = headers_of(RawRecord("t", 0, 7, b"k", headers, b""), "notes", "bad-header", "")
    assert (told["a"], told["b"], told["x-error-cause"]) == ("3", "2", "bad-header")
    others = json.loads(told["x-original-headers-others"])
    assert others == [["a", "MQ=="], ["x-error-cause", "bWluZQ=="], ["a", None]]


@pytest.mark.stack
async def test_a_parked_record_keeps_every_header_and_its_last_ones_count(db: Database) -> None:
    """`:key` is what the parking itself calls something."""
    key, headers, value = damaged("shelf/repeated", 1)
    sent = [("ce_sequence", b"7"), *headers, ("odd", None), (":key", b"mine"), ("odd", b"\xff")]
    await Desk(db).receive((key, sent, value))
    async with db.connection() as connection:
        stream = await parked_stream(
            connection, "notes", TOPIC.name, "shelf/repeated", sequenced=True
        )
    (record,) = stream.records
    assert (record.raw.key, record.raw.value, record.raw.sequence) == (key, value, 1)
    for name in {name for name, _ in sent}:
        came = [octets for called, octets in sent if called == name]
        assert [octets for called, octets in record.raw.headers if called == name] == came


def test_what_would_not_fit_the_topic_is_named_and_left_out() -> None:
    many = tuple((f"h{n}", b"x" * 600) for n in range(100))
    raw = RawRecord("t", 0, 7, b"a", many, b"x" * (MAX_RECORD_BYTES + 1))
    told = headers_of(raw, "notes", "bad-header", "")
    assert told["x-original-headers-left-out"] == "100"
    assert told["x-original-value-left-out"] == str(MAX_RECORD_BYTES + 1)
    assert "h0" not in told
