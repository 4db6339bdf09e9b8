"""A shard of the outbox against real PostgreSQL and Kafka: who may read it, and how far."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from kafka_notes import (
    SERVICE,
    Notes,
    clients_of,
    consuming,
    new_topic,
    note,
    notes,
    prepare,
    put_out,
    read_topic,
    until,
    waiting_in_outbox,
)
from lock_waits import session

from epassport.database import Database
from epassport.outbox import ALL_SHARDS, RELAY_LOCK, ShardPage, read_shard
from epassport.relay import Relay
from epassport.signals import Signals
from epassport_contracts.registry import Cleanup, Topic
from epassport_sandbox.stack import Stack

Session = asyncpg.Connection


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(database: str) -> str:
    await prepare(database)
    return database


@pytest.fixture
def kafka(stack: Stack) -> str:
    return stack.kafka.bootstrap


@pytest_asyncio.fixture(loop_scope="session")
async def topic(kafka: str) -> Topic:
    return await new_topic(kafka)


@pytest_asyncio.fixture(loop_scope="session")
async def looking(dsn: str) -> AsyncIterator[Session]:
    async with session(dsn) as connection:
        yield connection


ASKED = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND state = 'idle' AND query LIKE '%pg_try_advisory_lock%'
   AND application_name LIKE 'epassport-relay-%' AND query_start > $1
"""


async def test_a_relay_sends_nothing_of_a_shard_that_another_one_holds(
    dsn: str, kafka: str, topic: Topic, looking: Session
) -> None:
    """It keeps asking, and goes on once the other one has gone."""
    await put_out(dsn, topic, [("a", 1, "a1"), ("b", 1, "b1"), ("c", 1, "c1")])
    async with session(dsn) as other:
        for shard in ALL_SHARDS:
            await other.execute("SELECT pg_advisory_lock($1, $2)", RELAY_LOCK, shard)
        relay = asyncio.create_task(Relay(dsn, SERVICE, clients_of(kafka), Signals()).run())
        try:
            for _ in range(2):
                since = await looking.fetchval("SELECT clock_timestamp()")

                async def all_have_asked(since: object = since) -> bool:
                    asked = await looking.fetchval(ASKED, since)
                    return asked == len(ALL_SHARDS) or await waiting_in_outbox(dsn) < 3

                await until(all_have_asked)
            assert await waiting_in_outbox(dsn) == 3
            assert await read_topic(kafka, topic) == []
            await other.execute("SELECT pg_advisory_unlock_all()")

            async def empty() -> bool:
                return await waiting_in_outbox(dsn) == 0

            await until(empty)
        finally:
            relay.cancel()
            await asyncio.wait({relay})
    assert len(await read_topic(kafka, topic)) == 3


async def test_rows_that_an_open_transaction_may_still_precede_are_not_read(
    dsn: str, topic: Topic, looking: Session
) -> None:
    async def texts() -> list[str]:
        found = []
        for shard in ALL_SHARDS:
            found += [row.key for row in (await read_shard(looking, shard, at_most=10)).rows]
        return found

    async with session(dsn) as late:
        async with late.transaction():
            await late.execute("SELECT pg_current_xact_id()")
            await put_out(dsn, topic, [("a", 1, "a1")])
            assert await texts() == []
        assert await texts() == ["a"]


async def test_a_row_that_must_wait_is_told_of_with_its_age(
    dsn: str, topic: Topic, looking: Session
) -> None:
    async def pages() -> list[ShardPage]:
        return [await read_shard(looking, shard, at_most=10) for shard in ALL_SHARDS]

    async with session(dsn) as late, late.transaction():
        await late.execute("SELECT pg_current_xact_id()")
        await put_out(dsn, topic, [("a", 1, "a1")])
        await looking.execute("UPDATE outbox SET created_at = created_at - interval '1 minute'")
        found = [page for page in await pages() if page.hidden]
        assert [page.rows for page in found] == [[]]
        assert 60 <= found[0].oldest_seconds < 120
    found = [page for page in await pages() if page.rows]
    assert [(len(page.rows), page.hidden) for page in found] == [(1, False)]
    assert [page.oldest_seconds for page in await pages()].count(0.0) == len(ALL_SHARDS) - 1


async def test_rows_are_read_in_the_order_of_their_transactions_and_not_of_their_positions(
    dsn: str, topic: Topic, looking: Session
) -> None:
    """The later version of a stream may have been given the lower position."""
    await put_out(dsn, topic, [("a", 2, "a2"), ("a", 1, "a1")])
    await looking.execute(
        "UPDATE outbox SET transaction_id = CASE headers->>'ce_sequence'"
        " WHEN '1' THEN '9'::xid8 ELSE '10'::xid8 END"
    )
    (shard,) = [row["shard"] for row in await looking.fetch("SELECT DISTINCT shard FROM outbox")]
    rows = (await read_shard(looking, shard, at_most=10)).rows
    assert [row.headers["ce_sequence"] for row in rows] == ["1", "2"]


async def test_a_record_of_a_transaction_that_was_given_up_has_no_effect(
    dsn: str, kafka: str
) -> None:
    """What a relay that was fenced, or killed while it sent, leaves on a compacted topic."""
    topic = await new_topic(kafka, cleanup=Cleanup.COMPACTED)
    producer = clients_of(kafka).producer(transactional_id=topic.name)
    await producer.start()
    for text, is_given_up in (("old", True), ("new", False)):
        await producer.begin_transaction()
        (key, headers, value) = note("a", None, text)
        await producer.send_and_wait(topic.name, value, key=key, headers=list(headers))
        await (producer.abort_transaction() if is_given_up else producer.commit_transaction())
    await producer.stop()
    database = await Database.connect(dsn)

    async def applied() -> bool:
        return "new" in await notes(database)

    async with consuming(database, kafka, Notes(topic), topic):
        await until(applied)
    assert await notes(database) == ["new"]
    await database.close()
