"""Deadlines against real PostgreSQL: a due row is handled once, by however many replicas."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from shelf_aggregate import PutBox, Shelf, TakeBoxes, shelf
from shelf_store import AT, SERVICE, envelope, events_of, group_of, opened, rows, send

from epassport import DeadlinePassed
from epassport.catalog import Catalog
from epassport.clock import Clock
from epassport.database import Database
from epassport.timers import LIMIT, Timer

pytestmark = pytest.mark.stack


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


def timer(db: Database, clock: Clock | None = None) -> Timer:
    """Of another process each time."""
    return Timer(SERVICE, db, group_of(db), clock or Clock(None))


def timer_that_fails(db: Database) -> Timer:
    """`decide` breaks on every deadline of a shelf that holds two boxes."""

    def decide(command: Any, state: Shelf, *others: Shelf) -> Any:
        if isinstance(command, DeadlinePassed) and state.boxes == 2:
            raise ZeroDivisionError("a box of nobody's")
        return shelf.decide(command, state, *others)

    broken = group_of(db, known=Catalog(SERVICE, [replace(shelf, decide=decide)]))
    return Timer(SERVICE, db, broken, Clock())


async def put(db: Database, *names: str, boxes: int = 1, at: datetime = AT) -> None:
    group = group_of(db)
    for _ in range(boxes):
        for start in range(0, len(names), LIMIT):
            page = names[start : start + LIMIT]
            await group.execute([envelope(name, PutBox(at)) for name in page])


async def failures(db: Database) -> list[tuple[Any, ...]]:
    return await rows(
        db, "SELECT stream_id, failures, last_error FROM failing_deadlines ORDER BY stream_id"
    )


async def let_retry(db: Database) -> None:
    """Time passes."""
    async with db.connection() as connection:
        await connection.execute("UPDATE failing_deadlines SET retry_at = clock_timestamp()")


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


async def test_deadlines_that_fail_do_not_keep_the_others_from_their_turn(db: Database) -> None:
    """More of them than a page holds, and all due before the ones that work."""
    await put(db, *(f"bad{n:03}" for n in range(LIMIT + 1)), boxes=2)
    await put(db, *(f"good{n}" for n in range(3)), at=AT + timedelta(minutes=1))
    failing = timer_that_fails(db)
    assert await failing.step() == LIMIT
    assert await failing.step() == 4
    assert await forgotten(db) == [f"shelf/good{n}" for n in range(3)]
    assert len(await failures(db)) == LIMIT + 1


async def test_a_deadline_that_always_fails_is_sent_later_and_later(db: Database) -> None:
    await put(db, "bad", boxes=2)
    failing = timer_that_fails(db)
    waits = []
    for attempt in range(1, 5):
        assert await failing.step() == 1
        assert await failing.step() == 0
        assert await failures(db) == [("shelf/bad", attempt, "ZeroDivisionError")]
        ((seconds,),) = await rows(
            db, "SELECT EXTRACT(EPOCH FROM retry_at - clock_timestamp())::float8"
            " FROM failing_deadlines",
        )  # fmt: skip
        waits.append(round(seconds + 0.49))
        await let_retry(db)
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]
    async with db.connection() as connection:
        await connection.execute("UPDATE failing_deadlines SET failures = 1000")
    assert await failing.step() == 1
    longest = "SELECT retry_at <= clock_timestamp() + interval '5 minutes' FROM failing_deadlines"
    assert await rows(db, longest) == [(True,)]


async def test_a_mended_deadline_is_handled_at_its_next_turn(db: Database) -> None:
    await put(db, "bad", boxes=2)
    await timer_that_fails(db).step()
    assert await timer(db).step() == 0
    await let_retry(db)
    assert await timer(db).step() == 1
    assert await forgotten(db) == ["shelf/bad"]


async def test_a_wait_started_anew_begins_without_failures(db: Database) -> None:
    await put(db, "bad", boxes=2)
    await timer_that_fails(db).step()
    group = group_of(db)
    await send(group, "bad", TakeBoxes(AT))
    await send(group, "bad", PutBox(AT))
    assert await timer(db).step() == 1
    assert await forgotten(db) == ["shelf/bad"]


async def test_while_one_timer_is_at_it_another_sends_nothing(db: Database) -> None:
    await put(db, *(f"bad{n}" for n in range(20)), boxes=2)
    timers = [timer_that_fails(db) for _ in range(4)]
    for _ in range(3):
        await asyncio.gather(*(one.step() for one in timers))
    assert {count for _, count, _ in await failures(db)} == {1}


async def test_late_deadlines_are_handled_in_the_order_of_their_due_times(db: Database) -> None:
    names = [f"s{n:02}" for n in range(20)]
    for n, name in enumerate(reversed(names)):
        await put(db, name, at=AT + timedelta(minutes=n))
    await timer(db).step()
    order = "SELECT stream_id FROM events WHERE type = 'ShelfForgotten' ORDER BY position"
    assert await rows(db, order) == [(f"shelf/{name}",) for name in reversed(names)]
