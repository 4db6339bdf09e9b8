"""Tasks against real PostgreSQL: done once, whoever dies meanwhile."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid5

import pytest
import pytest_asyncio
from kafka_notes import until
from shelf_aggregate import PutBox
from shelf_operations import Desk, order
from shelf_store import AT, accepted, envelope, events_of, group_of, opened, rows
from shelf_tasks import STARTERS, count_box, two_rooms

from epassport import metrics, overview
from epassport.database import Database
from epassport.errors import KeyPending
from epassport.reactions import Send
from epassport.signals import Signals
from epassport.tasks import ATTEMPTS_BEFORE_CASE, LEASE, Job, Work, Workers
from epassport.waits import overdue_waits

DYING_WORKER = Path(__file__).with_name("worker_that_dies.py")
ROOMS = [
    ("shelf/left", 1, "RoomAdded"),
    ("shelf/right", 1, "RoomAdded"),
    ("shelf/s", 1, "BoxPut"),
]


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(database: str) -> str:
    return database


@pytest_asyncio.fixture(loop_scope="session")
async def db(dsn: str) -> AsyncIterator[Database]:
    async with opened(dsn) as database_:
        yield database_


@asynccontextmanager
async def working(db: Database, work: Work = two_rooms) -> AsyncIterator[None]:
    """A worker of this process; one that dies ends the test."""
    group = group_of(db, starters=STARTERS)
    async with asyncio.TaskGroup() as parent:
        workers = Workers(db, group, Signals(), {count_box.kind: (count_box, work)})
        running = parent.create_task(workers.run())
        try:
            yield
        finally:
            running.cancel()


async def put_box(db: Database, name: str = "s") -> None:
    group = group_of(db, starters=STARTERS)
    accepted((await group.execute([envelope(name, PutBox(AT))]))[0])


def tasks_left(db: Database, n: int) -> Callable[[], Awaitable[bool]]:
    async def left() -> bool:
        return await rows(db, "SELECT count(*) FROM tasks") == [(n,)]

    return left


async def kill_a_worker(dsn: str, moment: str) -> None:
    """A process of its own claims the task and is killed by -9 at that moment."""
    environment = {**os.environ, "PYTHONPATH": str(DYING_WORKER.parent)}
    worker = await asyncio.create_subprocess_exec(
        sys.executable, str(DYING_WORKER), dsn, moment, env=environment
    )
    try:
        async with asyncio.timeout(60):
            assert await worker.wait() == -signal.SIGKILL
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


async def run_leases_out(db: Database) -> None:
    """What a minute would do."""
    async with db.connection() as connection:
        await connection.execute(
            "UPDATE tasks SET leased_until = clock_timestamp() - interval '1s'"
        )


async def test_a_tasks_input_may_name_its_parts_by_an_enumeration(db: Database) -> None:
    await put_box(db)
    assert await rows(db, "SELECT input->'sides'->>'left' FROM tasks") == [("1",)]


async def test_a_task_is_written_with_its_event_and_gone_once_it_is_answered(db: Database) -> None:
    await put_box(db)
    assert await rows(db, "SELECT kind, stream_id, attempts FROM tasks") == [
        ("count-box", "shelf/s", 0)
    ]
    async with working(db):
        await until(tasks_left(db, 0))
    assert await events_of(db) == ROOMS


async def test_a_task_has_the_id_that_its_event_and_its_kind_make(db: Database) -> None:
    await put_box(db)
    ((event_id,),) = await rows(db, "SELECT event_id FROM events")
    assert await rows(db, "SELECT task_id FROM tasks") == [(uuid5(event_id, "count-box"),)]


@pytest.mark.parametrize("moment", ["before-answer", "after-first"])
async def test_a_task_whose_worker_was_killed_is_finished_once_by_another(
    db: Database, dsn: str, moment: str
) -> None:
    await put_box(db)
    await kill_a_worker(dsn, moment)
    assert await tasks_left(db, 1)()
    assert len(await events_of(db)) == (2 if moment == "after-first" else 1)
    await run_leases_out(db)
    async with working(db), working(db):
        await until(tasks_left(db, 0))
    assert await events_of(db) == ROOMS


async def test_a_task_is_left_to_the_worker_who_holds_its_lease(db: Database) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def slow(job: Job) -> list[Send]:
        begun.set()
        await goes_on.wait()
        return await two_rooms(job)

    async def quick(job: Job) -> list[Send]:
        done.append(job.stream)
        return []

    await put_box(db)
    async with working(db, slow):
        await begun.wait()
        async with working(db, quick):
            await put_box(db, "other")
            await until(tasks_left(db, 1))
        goes_on.set()
        await until(tasks_left(db, 0))
    assert done == ["shelf/other"]


async def test_a_worker_that_comes_back_after_its_lease_changes_nothing_any_more(
    db: Database,
) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def late(job: Job) -> list[Send]:
        begun.set()
        await goes_on.wait()
        return await two_rooms(job)

    await put_box(db)
    async with working(db, late):
        await begun.wait()
        await run_leases_out(db)
        async with working(db):
            await until(tasks_left(db, 0))
        goes_on.set()
        await put_box(db, "other")  # the late one does this only after it has ended its first
        await until(tasks_left(db, 0))
    events = await events_of(db)
    assert [event for event in events if event[0] in ("shelf/left", "shelf/right")] == [
        (f"shelf/{side}", version, "RoomAdded") for side in ("left", "right") for version in (1, 2)
    ]


async def test_a_worker_that_fails_after_its_lease_takes_the_task_from_nobody(
    db: Database,
) -> None:
    begun, goes_on, taken_over, went_on = (asyncio.Event() for _ in range(4))

    async def fails_late(job: Job) -> list[Send]:
        if job.stream == "shelf/other":
            went_on.set()
            return []
        begun.set()
        await goes_on.wait()
        raise ZeroDivisionError

    async def is_at_it(job: Job) -> list[Send]:
        taken_over.set()
        return await asyncio.Future()

    await put_box(db)
    async with working(db, fails_late):
        await begun.wait()
        await run_leases_out(db)
        async with working(db, is_at_it):
            await taken_over.wait()
            lease = await rows(db, "SELECT lease, leased_until, due_at FROM tasks")
            goes_on.set()
            await put_box(db, "other")  # whoever fails comes to it after its first only
            await went_on.wait()
            kept = "SELECT lease, leased_until, due_at FROM tasks WHERE stream_id = 'shelf/s'"
            assert await rows(db, kept) == lease


async def test_a_task_whose_end_could_not_be_written_does_not_wait_for_its_leases_end(
    db: Database,
) -> None:
    """Its row is locked for so long that neither its end nor giving it back can be written."""
    async with db.pool.acquire() as other:
        locking = other.transaction()

        async def loses_the_database(job: Job) -> list[Send]:
            if job.attempts == 1:
                await locking.start()
                await other.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                await other.execute("SELECT 1 FROM tasks FOR UPDATE")
            return await two_rooms(job)

        async def is_given_back_in_vain() -> bool:
            waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            return await rows(
                db, f"{waits} AND wait_event_type = 'Lock' AND query LIKE 'UPDATE tasks%'"
            ) == [(1,)]

        await put_box(db)
        async with working(db, loses_the_database):
            await until(is_given_back_in_vain)
            await locking.rollback()
            async with asyncio.timeout(LEASE.total_seconds() / 2):
                await until(tasks_left(db, 0))
    assert await events_of(db) == ROOMS


async def test_a_task_waits_for_a_key_that_comes_after_its_event_and_is_never_stuck_for_it(
    db: Database,
) -> None:
    attempts = 0
    arrives_at = ATTEMPTS_BEFORE_CASE // 3

    async def opens(job: Job) -> list[Send]:
        nonlocal attempts
        attempts = job.attempts
        if attempts < arrives_at:
            raise KeyPending(job.task_id, "identity")
        return await two_rooms(job)

    await put_box(db)
    async with working(db, opens):
        await until(tasks_left(db, 0))
    assert attempts == arrives_at
    assert await events_of(db) == ROOMS


async def test_a_task_that_fails_again_and_again_is_kept_for_an_operator_and_holds_up_no_other(
    db: Database,
) -> None:
    async def fails(job: Job) -> list[Send]:
        if job.stream == "shelf/bad":
            raise ZeroDivisionError
        return await two_rooms(job)

    await put_box(db, "bad")
    async with db.connection() as connection:
        await connection.execute("UPDATE tasks SET attempts = $1", ATTEMPTS_BEFORE_CASE - 1)
    await put_box(db)
    async with working(db, fails):
        await until(tasks_left(db, 1))

        async def is_stuck() -> bool:
            return await rows(db, "SELECT stream_id, last_error FROM tasks WHERE stuck") == [
                ("shelf/bad", "ZeroDivisionError")
            ]

        await until(is_stuck)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("fault", [OSError("image file is truncated"), TimeoutError()])
async def test_a_task_whose_fault_may_pass_is_an_operators_case_until_it_is_done(
    db: Database, fault: Exception, ordered: bool
) -> None:
    """It is tried on meanwhile: by itself, or at once where an operator says so."""
    mended = False

    async def fails_until_mended(job: Job) -> list[Send]:
        if mended:
            return await two_rooms(job)
        raise fault

    async def cases() -> list[overview.StuckTask]:
        async with db.connection() as connection:
            return await overview.stuck_tasks(connection)

    async def is_a_case() -> bool:
        return [one.last_error for one in await cases()] == [type(fault).__name__]

    await put_box(db)
    await rows(db, "UPDATE tasks SET attempts = $1", ATTEMPTS_BEFORE_CASE - 1)
    assert await cases() == []
    async with working(db, fails_until_mended):
        await until(is_a_case)
        (case,) = await cases()
        (wait,) = await rows(db, "SELECT due_at, due_at > clock_timestamp() FROM tasks")
        assert (case.attempts, (case.retry_at, True)) == (ATTEMPTS_BEFORE_CASE, wait)
        async with db.connection() as connection:
            waits = await overdue_waits(connection, timedelta())
        assert f"task/{case.task_id}" in [one.wait for one in waits]
        await metrics.sample(db)
        assert metrics.TASKS_STUCK.collect()[0].samples[0].value == 1
        mended = True
        if ordered:
            await Desk(db).operations.retry_task(order(), case.task_id)
        else:
            await rows(db, "UPDATE tasks SET due_at = clock_timestamp()")  # what a minute would do
        await until(tasks_left(db, 0))
    assert await events_of(db) == ROOMS


async def test_an_order_takes_no_task_from_the_worker_who_is_at_it(db: Database) -> None:
    begun = asyncio.Event()

    async def is_at_it(job: Job) -> list[Send]:
        begun.set()
        return await asyncio.Future()

    await put_box(db)
    await rows(db, "UPDATE tasks SET attempts = $1", ATTEMPTS_BEFORE_CASE)
    async with working(db, is_at_it):
        await begun.wait()
        lease = await rows(db, "SELECT lease, leased_until FROM tasks")
        ((task_id,),) = await rows(db, "SELECT task_id FROM tasks")
        await Desk(db).operations.retry_task(order(), task_id)
        assert await rows(db, "SELECT lease, leased_until FROM tasks") == lease


async def test_a_paused_step_in_a_region_stops_its_tasks_until_it_is_resumed(db: Database) -> None:
    async with db.connection() as connection:
        await connection.execute("INSERT INTO pauses VALUES ('RU-MOW', 'count', 'drill', now())")
    await put_box(db)
    async with db.connection() as connection:
        await connection.execute("UPDATE tasks SET region = 'RU-TA'")
    await put_box(db, "paused")
    async with working(db):
        await until(tasks_left(db, 1))
        assert await rows(db, "SELECT stream_id, attempts FROM tasks") == [("shelf/paused", 0)]
        async with db.connection() as connection:
            await connection.execute("DELETE FROM pauses")
        await until(tasks_left(db, 0))
