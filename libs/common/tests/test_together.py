"""Questions of many callers in one statement."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
import pytest_asyncio

from epassport.database import Connection, Database
from epassport.together import Together

pytestmark = pytest.mark.stack


@pytest_asyncio.fixture
async def db(database: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database)
    try:
        yield opened
    finally:
        await opened.close()


async def _squares(connection: Connection, numbers: Sequence[int]) -> Sequence[int]:
    rows = await connection.fetch(
        "SELECT n * n AS square FROM unnest($1::int[]) WITH ORDINALITY AS asked (n, place)"
        " ORDER BY place",
        list(numbers),
    )
    return [row["square"] for row in rows]


async def test_what_is_asked_meanwhile_goes_in_the_next(db: Database) -> None:
    asked: list[list[int]] = []
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def held_up(connection: Connection, numbers: Sequence[int]) -> Sequence[int]:
        asked.append(list(numbers))
        under_way.set()
        await go_on.wait()
        return await _squares(connection, numbers)

    together = Together(db, held_up)
    first = asyncio.create_task(together.ask(7))
    await under_way.wait()
    meanwhile = [asyncio.ensure_future(together.ask(n)) for n in (3, 1, 2)]
    gone = asyncio.ensure_future(together.ask(9))
    await asyncio.sleep(0)  # all have asked
    gone.cancel()
    go_on.set()
    assert await first == 49
    assert await asyncio.gather(*meanwhile) == [9, 1, 4]
    assert asked == [[7], [3, 1, 2, 9]]


async def test_a_fault_reaches_all_who_asked_and_nobody_after_them(db: Database) -> None:
    async def divided(connection: Connection, numbers: Sequence[int]) -> Sequence[int]:
        rows = await connection.fetch("SELECT 6 / n AS part FROM unnest($1::int[]) AS n", numbers)
        return [row["part"] for row in rows]

    together = Together(db, divided)
    faults = await asyncio.gather(together.ask(1), together.ask(0), return_exceptions=True)
    assert [type(fault) for fault in faults] == [asyncpg.DivisionByZeroError] * 2
    assert await together.ask(2) == 3
