"""Records from which nothing follows are noted with the next that matter, or soon."""

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from kafka_notes import (
    Notes,
    Written,
    consuming,
    damaged,
    lost,
    new_topic,
    note,
    notes,
    parked,
    prepare,
    stored_offset,
    until,
    write,
)

from epassport.consumer import ConsumerRunner
from epassport.database import Database
from epassport.held_back import HOLD_LIMIT, HeldBack
from epassport_sandbox.stack import Stack

HERE = TopicPartition("notes", 0)
FOREVER = 3600.0


def records(*offsets: int, matters: bool = False) -> Sequence[ConsumerRecord[bytes, bytes]]:
    key = b"matters" if matters else b"waits"
    return [
        ConsumerRecord("notes", 0, offset, 0, 0, key, b"", None, len(key), 0, ())
        for offset in offsets
    ]


def offsets(found: Sequence[ConsumerRecord[bytes, bytes]]) -> list[int]:
    return [record.offset for record in found]


@pytest.fixture
def held() -> HeldBack:
    return HeldBack(lambda record: record.key == b"waits")


def test_what_can_wait_is_due_with_the_next_that_matters(held: HeldBack) -> None:
    assert held.join(HERE, records(0, 1)) == []
    assert held.join(HERE, records(2)) == []
    assert offsets(held.join(HERE, records(3, matters=True))) == [0, 1, 2, 3]
    assert held.partitions() == ()


def test_what_comes_again_is_not_held_twice(held: HeldBack) -> None:
    held.join(HERE, records(0, 1, 2))
    assert held.join(HERE, records(1, 2, 3)) == []
    assert offsets(held.take(HERE)) == [0, 1, 2, 3]


def test_no_more_is_held_than_fits_one_slice(held: HeldBack) -> None:
    assert held.join(HERE, records(*range(HOLD_LIMIT))) == []
    assert len(held.join(HERE, records(HOLD_LIMIT))) == HOLD_LIMIT + 1


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    await prepare(database)
    opened = await Database.connect(database)
    yield opened
    await opened.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is noted for the time alone."""
    monkeypatch.setattr("epassport.subscription.HOLD_SECONDS", FOREVER)


async def delivered(runner: ConsumerRunner, offset: int) -> None:
    """Every record before this offset has come to us."""

    async def has_come() -> bool:
        (subscription,) = runner._subscriptions
        standings = await subscription.standings()
        return sum(standing.delivered for standing in standings.values()) >= offset

    await until(has_come)


@pytest.mark.stack
@pytest.mark.usefixtures("patient")
async def test_a_slice_of_what_can_wait_writes_nothing_until_something_matters(
    db: Database, stack: Stack
) -> None:
    topic = await new_topic(stack.kafka.bootstrap)
    async with consuming(db, stack.kafka.bootstrap, Notes(topic), topic) as runner:
        await write(stack.kafka.bootstrap, topic, lost("a", 1), lost("b", 1))
        await delivered(runner, 2)
        assert await stored_offset(db, topic) == 0
        await write(stack.kafka.bootstrap, topic, note("a", 2))

        async def all_noted() -> bool:
            return await stored_offset(db, topic) == 3

        await until(all_noted)
    assert await notes(db) == ["a2"]
    async with db.connection() as connection:
        rows = await connection.fetch("SELECT key, sequence FROM consumer_sequences ORDER BY key")
    assert [tuple(row) for row in rows] == [("a", 2), ("b", 1)]


@pytest.mark.stack
async def test_what_can_wait_is_noted_soon_where_nothing_follows(
    db: Database, stack: Stack
) -> None:
    topic = await new_topic(stack.kafka.bootstrap)
    await write(stack.kafka.bootstrap, topic, lost("a", 1), note("another's", 1))

    async def noted() -> bool:
        return await stored_offset(db, topic) == 2

    async with consuming(db, stack.kafka.bootstrap, Notes(topic), topic):
        await until(noted)
    assert await notes(db) == ["another's1"]  # it could wait, and has its effect


@pytest.mark.stack
@pytest.mark.usefixtures("patient")
async def test_what_was_held_back_when_a_consumer_ended_comes_again(
    db: Database, stack: Stack
) -> None:
    topic = await new_topic(stack.kafka.bootstrap)
    await write(stack.kafka.bootstrap, topic, lost("a", 1))
    async with consuming(db, stack.kafka.bootstrap, Notes(topic), topic) as runner:
        await delivered(runner, 1)
    assert await stored_offset(db, topic) == 0
    await write(stack.kafka.bootstrap, topic, note("a", 2))

    async def noted() -> bool:
        return await stored_offset(db, topic) == 2

    async with consuming(db, stack.kafka.bootstrap, Notes(topic), topic):
        await until(noted)
    assert (await notes(db), await parked(db)) == (["a2"], [])


def without_a_type(record: Written) -> Written:
    key, headers, value = record
    return key, [(name, text) for name, text in headers if name != "ce_type"], value


def of_no_key(record: Written) -> Written:
    return (None, *record[1:])


@pytest.mark.stack
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    "odd", [damaged("a", 1), without_a_type(lost("a", 1)), of_no_key(lost("a", 1))]
)
async def test_what_is_odd_cannot_wait(db: Database, stack: Stack, odd: Written) -> None:
    topic = await new_topic(stack.kafka.bootstrap)
    await write(stack.kafka.bootstrap, topic, odd)

    async def is_parked() -> bool:
        return len(await parked(db)) == 1

    async with consuming(db, stack.kafka.bootstrap, Notes(topic), topic):
        await until(is_parked)
