"""A topic that was deleted and made anew under its name: noticed at any length, and told."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from kafka_notes import (
    Notes,
    consuming,
    make_anew,
    new_topic,
    note,
    notes,
    prepare,
    stored_offset,
    until,
    write,
)
from shelf_operations import Desk, order

from epassport.consumer import ConsumerRunner
from epassport.database import Database
from epassport_contracts.registry import Cleanup, Topic
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


async def test_one_that_has_grown_beyond_the_stored_place_is_not_gone_on_with(
    db: Database, kafka: str
) -> None:
    """Of a topic without sequence nothing else would show that its beginning was passed over."""
    topic = await new_topic(kafka, cleanup=Cleanup.COMPACTED)
    await write(kafka, topic, note("a", None, "a1"), note("b", None, "b1"))
    async with consuming(db, kafka, Notes(topic), topic):
        await until(_applied(db, ["a1", "b1"]))
    await make_anew(kafka, topic)
    later = ["a2", "b2", "a3", "b3"]
    await write(kafka, topic, *(note(text[0], None, text) for text in later))
    async with consuming(db, kafka, Notes(topic), topic) as runner:
        await until(_told(runner, topic))
        assert await _stands(db) == [True]
        assert (await notes(db), await stored_offset(db, topic)) == (["a1", "b1"], 2)
        found = await Desk(db).operations.begin_again(order(), "notes", topic.name)
        assert found == {"partitions": 1}
        await until(_applied(db, ["a1", "b1", *later]))
        assert runner.unready() == []
    assert await _stands(db) == [False]


async def test_a_reader_that_is_set_back_to_the_beginning_asks_why(
    db: Database, kafka: str
) -> None:
    """aiokafka does so by itself where its offset is not there any more."""
    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 1), note("b", 1))
    async with consuming(db, kafka, Notes(topic), topic) as runner:
        await until(_applied(db, ["a1", "b1"]))
        reader = runner._subscriptions[0]._consumer
        reader.seek(TopicPartition(topic.name, 0), 0)
        await write(kafka, topic, note("a", 2))
        await until(_applied(db, ["a1", "b1", "a2"]))
        async with db.connection() as connection:  # as if all of it had come since
            await connection.execute("UPDATE consumer_offsets SET latest_ms = 1")
        reader.seek(TopicPartition(topic.name, 0), 0)
        await until(_told(runner, topic))
    assert await notes(db) == ["a1", "b1", "a2"]


async def test_the_same_topic_is_gone_on_with(db: Database, kafka: str) -> None:
    topic = await new_topic(kafka)
    for sequence in (1, 2, 3):
        await write(kafka, topic, note("a", sequence))
        async with consuming(db, kafka, Notes(topic), topic):
            await until(_applied(db, [f"a{n}" for n in range(1, sequence + 1)]))


def _applied(db: Database, texts: list[str]) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return await notes(db) == texts

    return holds


def _told(runner: ConsumerRunner, topic: Topic) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return runner.unready() == [f"notes on {topic.name} stands still: the topic was made anew"]

    return holds


async def _stands(db: Database) -> list[bool]:
    async with db.connection() as connection:
        rows = await connection.fetch("SELECT stands_since IS NOT NULL AS s FROM consumer_offsets")
    return [row["s"] for row in rows]
