"""What goes and what stays, on both sides of each limit, against real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from shelf_operations import stuck_task
from shelf_store import opened, rows

from epassport.cleaning import (
    BATCH,
    FAILURES_OF_ENDED_WAITS,
    Cleaner,
    cleanups_of,
    fleeting_claims,
    kept_answers,
)
from epassport.database import Database

pytestmark = pytest.mark.stack

MINUTE = timedelta(minutes=1)
WEEK = timedelta(days=7)


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


async def answer(
    db: Database, key: str, age: timedelta, *, scope: str = "olga", n: int = 1
) -> None:
    async with db.connection() as connection:
        await connection.execute(
            "INSERT INTO idempotency (scope, key, body_hmac, answer, kept_at)"
            " SELECT $1, $2 || CASE WHEN $4 > 1 THEN '-' || number ELSE '' END, '\\x00', '{}',"
            "        clock_timestamp() - $3::interval FROM generate_series(1, $4) AS number",
            scope,
            key,
            age,
            n,
        )


async def kept(db: Database) -> list[str]:
    return [key for (key,) in await rows(db, "SELECT key FROM idempotency ORDER BY key")]


async def test_an_answer_is_kept_for_seven_days_and_not_longer(db: Database) -> None:
    await answer(db, "old", WEEK + MINUTE)
    await answer(db, "young", WEEK - MINUTE)
    assert await Cleaner(db, []).clean(kept_answers()) == 1
    assert await kept(db) == ["young"]


async def test_an_answer_of_a_task_stays_as_long_as_the_task(db: Database) -> None:
    task_id = await stuck_task(db)
    await answer(db, f"{task_id}/0", 2 * WEEK, scope="task")
    await answer(db, f"{uuid4()}/0", 2 * WEEK, scope="task")
    await Cleaner(db, []).clean(kept_answers())
    assert await kept(db) == [f"{task_id}/0"]


async def test_more_than_one_batch_goes_by_two_cleaners_at_once(db: Database) -> None:
    await answer(db, "old", WEEK + MINUTE, n=2 * BATCH + 7)
    await answer(db, "young", timedelta())
    gone = await asyncio.gather(*(Cleaner(db, []).clean(kept_answers()) for _ in range(2)))
    assert sum(gone) == 2 * BATCH + 7
    assert await kept(db) == ["young"]


async def test_a_used_challenge_goes_a_day_after_it_would_have_expired_anyway(
    db: Database,
) -> None:
    lives = timedelta(minutes=10)
    ages = {"a": lives + timedelta(days=1) + MINUTE, "b": lives + timedelta(days=1) - MINUTE}
    async with db.connection() as connection:
        for kind in ("challenge", "document-number"):
            for name, age in ages.items():
                await connection.execute(
                    "INSERT INTO claims (kind, digest, stream_id, taken_at)"
                    " VALUES ($1, $2, 'shelf/a', clock_timestamp() - $3::interval)",
                    kind,
                    name.encode(),
                    age,
                )
    assert await Cleaner(db, []).clean(fleeting_claims("challenge", lives)) == 1
    assert await rows(db, "SELECT kind, digest FROM claims ORDER BY kind, digest") == [
        ("challenge", b"b"),
        ("document-number", b"a"),
        ("document-number", b"b"),
    ]


async def test_failures_go_with_the_wait_that_they_are_about(db: Database) -> None:
    async with db.connection() as connection:
        await connection.execute(
            """
            INSERT INTO deadlines VALUES ('shelf/a', 'k', 1, clock_timestamp()),
                                         ('shelf/b', 'k', 2, clock_timestamp());
            INSERT INTO failing_deadlines SELECT 'shelf/' || s, 'k', 1, 1, 'KeyError',
                   clock_timestamp(), clock_timestamp() FROM unnest('{a,b,c}'::text[]) AS s
            """
        )
    assert await Cleaner(db, []).clean(FAILURES_OF_ENDED_WAITS) == 2
    assert await rows(db, "SELECT stream_id FROM failing_deadlines") == [("shelf/a",)]


async def test_the_process_cleans_all_that_it_was_given_and_waits_out_a_locked_row(
    db: Database,
) -> None:
    await answer(db, "locked", 2 * WEEK)
    await answer(db, "old", 2 * WEEK)
    async with db.transaction() as other:
        await other.execute("SELECT 1 FROM idempotency WHERE key = 'locked' FOR UPDATE")
        cleaning = asyncio.create_task(Cleaner(db, cleanups_of({"challenge": MINUTE})).run())
        async with asyncio.timeout(30):
            while await kept(db) != ["locked"]:  # noqa: ASYNC110 - a database does not tell
                await asyncio.sleep(0.02)
        cleaning.cancel()
        await asyncio.gather(cleaning, return_exceptions=True)
