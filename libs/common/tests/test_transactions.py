"""How long a transaction may live, and what becomes of its connection, on real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
import pytest_asyncio
from kafka_notes import until
from lock_waits import session
from shelf_aggregate import PutBox
from shelf_store import AT, envelope, events_of, group_of, opened, rows, send

from epassport import Accepted, metrics
from epassport.commands import Idempotency
from epassport.database import Connection, Database
from epassport.errors import TransactionTooLong

PATIENCE_SECONDS = 60
NOTE = "INSERT INTO notes (key, text) VALUES ('a', 'written')"


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


@pytest_asyncio.fixture(loop_scope="session")
async def lone(database: str, db: Database) -> AsyncIterator[Database]:
    """Of a single connection: whoever comes next gets the one that was given back."""
    one = await Database.connect(database, connections=1)
    yield one
    await one.close()


async def pid_of(connection: Connection) -> int:
    return int(await connection.fetchval("SELECT pg_backend_pid()"))


async def next_pid(database: Database) -> int:
    async with database.connection() as connection:
        return await pid_of(connection)


async def gone(db: Database, pid: int) -> None:
    """The server's side of a connection has ended, and its transaction with it."""

    async def ended() -> bool:
        return await rows(db, "SELECT 1 FROM pg_stat_activity WHERE pid = $1", pid) == []

    await until(ended)


async def test_after_a_cancellation_nobody_gets_that_connection_again(
    db: Database, lone: Database
) -> None:
    begun = asyncio.get_running_loop().create_future()

    async def stands_still() -> None:
        async with lone.transaction() as connection:
            await connection.execute(NOTE)
            begun.set_result(await pid_of(connection))
            await asyncio.Event().wait()

    task = asyncio.create_task(stands_still())
    pid = await begun
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert await next_pid(lone) != pid
    await gone(db, pid)
    assert await rows(db, "SELECT * FROM notes") == []


async def test_a_connection_cancelled_while_its_transaction_begins_is_thrown_away_too(
    db: Database, lone: Database
) -> None:
    pid = await next_pid(lone)

    async def begins() -> None:
        async with lone.transaction():
            await asyncio.Event().wait()

    task = asyncio.create_task(begins())
    await asyncio.sleep(0)  # in this turn of the loop the connection is taken and BEGIN is sent
    task.cancel()
    await asyncio.wait({task})
    assert await next_pid(lone) != pid
    await gone(db, pid)


async def test_after_a_refusal_by_the_database_the_connection_is_used_again(lone: Database) -> None:
    pid = await next_pid(lone)
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with lone.transaction() as connection:
            await connection.execute("SELECT 1 / 0")
    assert await next_pid(lone) == pid


async def test_a_connection_may_take_longer_to_prepare_than_a_statement(database: str) -> None:
    """Or the first one to a busy server would end the process that starts."""
    impatient = await Database.connect(database, connections=1, settings={"statement_timeout": "1"})
    try:
        async with impatient.connection() as connection:
            with pytest.raises(asyncpg.QueryCanceledError):
                await connection.execute("SELECT pg_sleep(1)")
    finally:
        await impatient.close()


async def stand_still(_connection: Connection) -> None:
    await asyncio.Event().wait()


async def wait_in_one_statement(connection: Connection) -> None:
    await connection.execute("SELECT pg_sleep(3600)")


async def go_on_and_on(connection: Connection) -> None:
    while True:
        await connection.execute("SELECT 1")


@pytest.mark.parametrize("work", [stand_still, wait_in_one_statement, go_on_and_on])
async def test_a_writing_transaction_that_reaches_its_bound_is_ended_with_nothing_written(
    db: Database, lone: Database, work: Callable[[Connection], Awaitable[None]]
) -> None:
    pid = await next_pid(lone)

    async def write() -> None:
        async with lone.transaction() as connection:
            await connection.execute(NOTE)
            await work(connection)

    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(TransactionTooLong):
            await write()

    async def ended() -> bool:
        writing = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND backend_xid IS NOT NULL"
        return await rows(db, writing, pid) == []

    await until(ended)
    assert await rows(db, "SELECT * FROM notes") == []


async def test_a_statement_outside_any_transaction_has_the_same_bound(lone: Database) -> None:
    async with lone.connection() as connection:
        with pytest.raises(asyncpg.QueryCanceledError):
            await connection.execute("SELECT pg_sleep(3600)")


@pytest.mark.parametrize("in_the_middle", [False, True])
async def test_the_server_ends_the_transaction_of_a_client_that_stands_still(
    db: Database, lone: Database, in_the_middle: bool
) -> None:
    """As one that was stopped does: nothing of its own can end it. Also where it has prepared a
    statement and not yet executed it."""
    async with lone.connection() as frozen:
        if in_the_middle and frozen.get_server_version().major < 17:
            pytest.skip("PostgreSQL knows no bound for it before 17")
        pid = await pid_of(frozen)
        await frozen.execute(f"BEGIN; {NOTE}")
        if in_the_middle:
            await frozen.prepare("SELECT 2")
        await gone(db, pid)
    assert await rows(db, "SELECT * FROM notes") == []


async def test_a_group_that_waits_too_long_for_a_lock_writes_nothing_and_may_be_sent_again(
    db: Database, database: str
) -> None:
    group = group_of(db)
    await send(group, "s", PutBox(AT))
    sent = [
        envelope(name, PutBox(AT), idempotency=Idempotency("somebody|put", name, b"body"))
        for name in ("other", "s")
    ]
    async with session(database) as holder, holder.transaction():
        await holder.execute("SELECT 1 FROM streams WHERE stream_id = 'shelf/s' FOR UPDATE")
        outcomes = await group.execute(sent)
        assert [type(outcome) for outcome in outcomes] == [TransactionTooLong, TransactionTooLong]
    assert await events_of(db) == [("shelf/s", 1, "BoxPut")]
    assert [type(outcome) for outcome in await group.execute(sent)] == [Accepted, Accepted]


async def test_the_age_of_the_oldest_writing_transaction_is_a_metric(
    db: Database, database: str
) -> None:
    async with session(database) as writing, writing.transaction():
        await writing.execute(NOTE)
        age = "SELECT EXTRACT(EPOCH FROM clock_timestamp() - xact_start)::float8"
        at_least = await writing.fetchval(
            f"{age} FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        )
        await metrics.sample(db)
        (sample,) = metrics.OLDEST_TRANSACTION_SECONDS.collect()[0].samples
    assert sample.value > at_least


async def test_the_first_group_of_a_connection_asks_the_server_about_no_type(
    db: Database, lone: Database
) -> None:
    """It would while it holds its streams' locks."""
    asked: list[str] = []
    async with lone.connection() as connection:
        connection.add_query_logger(lambda record: asked.append(record.query))
    await send(group_of(lone), "s", PutBox(AT, label="winter"))
    assert asked
    assert [query for query in asked if "pg_catalog" in query or "typinfo" in query] == []
