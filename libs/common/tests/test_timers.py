"""Deadlines against real PostgreSQL: a due row is handled once, by however many replicas."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio
from shelf_aggregate import PutBox, TakeBoxes
from shelf_store import AT, SERVICE, envelope, events_of, group_of, opened, rows, send

from epassport.clock import Clock
from epassport.database import Database
from epassport.timers import LIMIT, Timer


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


def timer(db: Database, clock: Clock | None = None) -> Timer:
    """Of another process each time."""
    return Timer(SERVICE, db, group_of(db), clock or Clock(None))


async def forgotten(db: Database) -> list[str]:
    return [stream for stream, _, kind in await events_of(db) if kind == "ShelfForgotten"]


async def test_a_deadline_that_is_due_is_handled_once_by_two_replicas(db: Database) -> None:
    group = group_of(db)
    names = [f"s{n:03}" for n in range(30)]
    await group.execute([envelope(name, PutBox(AT)) for name in names])
    await asyncio.gather(*(timer(db).step() for _ in range(4)))
    assert await forgotten(db) == [f"shelf/{name}" for name in names]
    assert await rows(db, "SELECT * FROM deadlines") == []
    assert await timer(db).step() == 0


async def test_a_deadline_whose_wait_has_ended_does_nothing(db: Database) -> None:
    group = group_of(db)
    await send(group, "s", PutBox(AT))
    await send(group, "s", TakeBoxes(AT))
    assert await timer(db).step() == 0
    assert await forgotten(db) == []


async def test_a_deadline_is_due_by_the_moved_clock_and_not_before(
    db: Database, tmp_path: Path
) -> None:
    await send(group_of(db), "s", PutBox(datetime.now(UTC)))
    assert await timer(db).step() == 0
    moved = tmp_path / "clock"
    moved.write_text(str(timedelta(hours=1, seconds=5).total_seconds()))
    assert await timer(db, Clock(moved)).step() == 1
    assert await forgotten(db) == ["shelf/s"]


async def test_after_an_outage_more_than_one_page_of_deadlines_is_worked_off(db: Database) -> None:
    group = group_of(db)
    names = [f"s{n:03}" for n in range(LIMIT + 20)]
    for start in range(0, len(names), LIMIT):
        page = names[start : start + LIMIT]
        await group.execute([envelope(name, PutBox(AT)) for name in page])
    first, second = timer(db), timer(db)
    while sum(await asyncio.gather(first.step(), second.step())):
        pass
    assert await forgotten(db) == [f"shelf/{name}" for name in names]
