"""Wake-ups: inside a process, after the commit only, and between processes."""

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
import pytest_asyncio

from epassport.database import Database, after_commit
from epassport.hints import CHANNEL, Hints
from epassport.signals import EVENTS, LATEST_SECONDS, SOONEST_SECONDS, Signals, outbox

BOUND = 30  # seconds: only where a signal is lost does a test take that long


async def test_a_signal_ends_the_pause_of_its_own_readers_alone() -> None:
    signals = Signals()
    waiting = asyncio.create_task(signals.wait(outbox(1), BOUND))
    other = asyncio.create_task(signals.wait(outbox(2), BOUND))
    await asyncio.sleep(0)
    signals.committed({outbox(1)})
    await waiting
    assert not other.done()
    other.cancel()


async def test_a_signal_between_looking_and_pausing_ends_the_pause() -> None:
    signals = Signals()
    lull = signals.lull(EVENTS)
    lull.look()
    signals.committed({EVENTS})
    pausing = asyncio.create_task(lull.pause())
    await asyncio.sleep(0)  # as often as a task needs that waits for nothing
    assert pausing.done()


async def test_pauses_are_long_where_there_is_nothing_and_grow_where_something_is_hidden() -> None:
    signals = Waited()
    lull = signals.lull(EVENTS)
    lull.look()
    await lull.pause()
    assert signals.waited == [LATEST_SECONDS]
    for _ in range(8):
        lull.look()
        await lull.pause(hidden=True)
    hidden = signals.waited[1:]
    assert hidden[0] == SOONEST_SECONDS
    assert hidden == sorted(hidden)
    assert hidden[-1] == LATEST_SECONDS
    lull.found()
    lull.look()
    await lull.pause(hidden=True)
    assert signals.waited[-1] == SOONEST_SECONDS


class Waited(Signals):
    """Notes how long was waited, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    async def wait(self, name: str, timeout: float) -> None:  # noqa: ASYNC109
        self.waited.append(timeout)


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database)
    yield opened
    await opened.close()


@pytest.mark.stack
async def test_what_waits_for_the_commit_is_done_after_it(db: Database) -> None:
    done: list[bool] = []
    async with db.transaction() as connection:
        await connection.execute("CREATE TABLE written ()")
        after_commit(lambda: done.append(True))
        assert not done
    assert done


@pytest.mark.stack
async def test_what_waits_for_the_commit_is_not_done_without_it(db: Database) -> None:
    done: list[bool] = []
    with pytest.raises(asyncpg.DivisionByZeroError):
        await failing(db, lambda: done.append(True))
    assert not done


@pytest.mark.stack
async def test_another_process_hears_what_was_committed_here(database: str) -> None:
    here, there = Signals(), Signals()
    async with asyncio.TaskGroup() as parent:
        hints = [parent.create_task(Hints(database, signals).run()) for signals in (here, there)]
        await listening(database, 2)
        heard = there.count(outbox(3))
        here.committed({outbox(3), EVENTS})
        async with asyncio.timeout(BOUND):
            while there.count(outbox(3)) == heard:
                await there.wait(outbox(3), BOUND)
        for one in hints:
            one.cancel()
    assert (here.count(outbox(3)), there.count(EVENTS)) == (1, 1)


@pytest.mark.stack
async def test_a_lost_connection_is_made_anew(database: str) -> None:
    here, there = Signals(), Signals()
    async with asyncio.TaskGroup() as parent:
        hints = [parent.create_task(Hints(database, signals).run()) for signals in (here, there)]
        gone = await listening(database, 2)
        await ended(database, gone)
        await listening(database, 2)
        async with asyncio.timeout(BOUND):
            while there.count(EVENTS) == 0:  # a hint of the moment in between may be lost
                here.committed({EVENTS})
                await there.wait(EVENTS, 0.1)
        for one in hints:
            one.cancel()


async def failing(database: Database, afterwards: Callable[[], None]) -> None:
    async with database.transaction() as connection:
        after_commit(afterwards)
        await connection.execute("SELECT 1 / 0")


async def listening(dsn: str, count: int) -> list[int]:
    """Backends that listen, once there are as many."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(BOUND):
            while True:
                rows = await connection.fetch(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name = 'epassport-hints' AND query ILIKE $1",
                    f"%LISTEN%{CHANNEL}%",
                )
                if len(rows) == count:
                    return [row["pid"] for row in rows]
                await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def ended(dsn: str, backends: list[int]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for backend in backends:
            await connection.fetchval("SELECT pg_terminate_backend($1, 10000)", backend)
    finally:
        await connection.close()
