"""What operators see and do, against real PostgreSQL: in order, once, with actor and reason."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from kafka_notes import damaged, note, notes, parked
from shelf_operations import OLEG, Desk, held, order, overdue, place, refused, stuck_task
from shelf_store import opened, rows

from epassport import overview
from epassport.database import Database
from epassport.errors import NotThere
from epassport.operations import OrderReused
from epassport.parking import NotDiscardable

pytestmark = pytest.mark.stack

CANARY = "Dostoyevskaya-7312"


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


class MendedLater(Desk):
    """Its handler cannot apply one text until it is mended."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        apply, self.broken = self.handler.apply, True

        async def fails(connection: object, records: list[object]) -> None:
            if self.broken and any("b1" in repr(record) for record in records):
                raise ValueError("b1")
            await apply(connection, records)  # type: ignore[arg-type]

        self.handler.apply = fails  # type: ignore[method-assign, assignment]


async def test_a_held_stream_is_shown_with_its_cause_and_the_record_that_holds_it(
    db: Database,
) -> None:
    desk = Desk(db)
    await desk.receive(note("shelf/x", 1), *held("shelf/a", behind=2), note("shelf/g", 3))
    async with db.connection() as connection:
        seen = await overview.parked_streams(connection)
        records = await overview.parked_records(connection, place(2))
    assert [(s.offset, s.stream, s.cause, s.records) for s in seen] == [
        (1, "shelf/a", "malformed-event", 3),
        (4, "shelf/g", "gap", 1),
    ]
    assert [(r.offset, r.cause) for r in records] == [
        (1, "malformed-event"),
        (2, "behind"),
        (3, "behind"),
    ]


async def test_what_is_shown_holds_neither_value_nor_a_key_that_may_be_anything(
    db: Database,
) -> None:
    desk = Desk(db)
    await desk.receive(note(CANARY, 2, CANARY), damaged("shelf/a", 1), note(f"to {CANARY}/1", 5))
    await desk.operations.discard(order(), place(1))
    async with db.connection() as connection:
        seen = [
            *await overview.parked_streams(connection),
            *await overview.parked_records(connection, place(0)),
            *await overview.actions(connection),
        ]
    assert len(seen) == 4
    assert not [one for one in seen if CANARY in one.model_dump_json()]


async def test_a_stream_is_replayed_in_order_and_what_is_left_is_told(db: Database) -> None:
    desk = MendedLater(db)
    await desk.receive(note("b", 1), note("b", 2), damaged("b", 3), note("b", 4))
    assert await desk.operations.replay(order(), place(0)) == {
        "parked": 4, "applied": 0, "left": 4,
    }  # fmt: skip
    desk.broken = False
    assert await desk.operations.replay(order(), place(3)) == {
        "parked": 4, "applied": 2, "left": 2,
    }  # fmt: skip
    assert await notes(db) == ["b1", "b2"]
    assert await parked(db) == [("b", 2, "malformed-event"), ("b", 3, "behind")]


async def test_the_same_order_sent_again_has_no_second_effect(db: Database) -> None:
    desk = Desk(db)
    await desk.receive(*held("a", behind=1))
    given = order()
    assert await desk.operations.discard(given, place(0)) == {"cause": "malformed-event"}
    assert await desk.operations.discard(given, place(0)) == {"cause": "malformed-event"}
    replay = order()
    assert (await desk.operations.replay(replay, place(1)))["applied"] == 1
    assert (await desk.operations.replay(replay, place(1)))["applied"] == 0
    with pytest.raises(OrderReused):
        await desk.operations.replay(given, place(0))
    assert await rows(db, "SELECT action FROM operator_actions ORDER BY done_at") == [
        ("discard",),
        ("replay",),
    ]


async def test_a_discarded_record_is_kept_with_who_and_why(db: Database) -> None:
    desk = Desk(db)
    await desk.receive(*held("a", behind=1))
    with pytest.raises(NotDiscardable):
        await desk.operations.discard(order(), place(1))
    await desk.operations.discard(order("sent by a broken build"), place(0))
    kept = await rows(db, "SELECT record_offset, discard_reason, discarded_by FROM discarded")
    assert [(offset, reason, json.loads(by)["subject"]) for offset, reason, by in kept] == [
        (0, "sent by a broken build", OLEG.subject)
    ]
    async with db.connection() as connection:
        (action,) = await overview.actions(connection)
    assert (action.action, action.issuer, action.subject, action.reason) == (
        "discard", OLEG.issuer, OLEG.subject, "sent by a broken build",
    )  # fmt: skip
    assert action.target == place(0).as_target()


async def test_what_failed_leaves_no_record_of_an_action(db: Database) -> None:
    desk = Desk(db)
    await desk.receive(*held("a", behind=1))
    for attempt in (
        desk.operations.discard(order(), place(1)),
        desk.operations.discard(order(), place(7)),
        desk.operations.replay(order(), place(7)),
        desk.operations.retry_task(order(), uuid4()),
    ):
        with pytest.raises((NotThere, NotDiscardable)):
            await attempt
    assert await rows(db, "SELECT * FROM operator_actions") == []


async def test_what_operators_did_cannot_be_changed_or_deleted(db: Database) -> None:
    desk = Desk(db)
    await desk.receive(*held("a", behind=0))
    await desk.operations.discard(order(), place(0))
    for statement in ("DELETE FROM operator_actions", "UPDATE operator_actions SET reason = ''"):
        async with db.connection() as connection:
            with pytest.raises(asyncpg.RaiseError, match="append-only"):
                await connection.execute(statement)


async def test_a_stuck_task_is_retried_with_all_its_attempts_before_it(db: Database) -> None:
    task_id = await stuck_task(db)
    async with db.connection() as connection:
        (seen,) = await overview.stuck_tasks(connection)
    assert (seen.task_id, seen.kind, seen.attempts, seen.last_error) == (
        task_id, "count-box", 12, "ValueError",
    )  # fmt: skip
    found = await Desk(db).operations.retry_task(order(), task_id)
    assert found == {
        "kind": "count-box", "stream": "shelf/a", "attempts": 12, "last_error": "ValueError",
    }  # fmt: skip
    due = "SELECT stuck, attempts, due_at <= clock_timestamp() FROM tasks"
    assert await rows(db, due) == [(False, 0, True)]
    with pytest.raises(NotThere):
        await Desk(db).operations.abandon_task(order(), task_id)


async def test_an_abandoned_task_is_gone_and_its_reason_stays(db: Database) -> None:
    task_id = await stuck_task(db)
    await Desk(db).operations.abandon_task(order("the card was destroyed"), task_id)
    assert await rows(db, "SELECT * FROM tasks") == []
    async with db.connection() as connection:
        (action,) = await overview.actions(connection)
    assert (action.target, action.reason) == ({"task_id": str(task_id)}, "the card was destroyed")


async def test_undeclared_refusals_come_first_and_only_they_are_closed(db: Database) -> None:
    foreseen = await refused(db, "PutBox", declared=True)
    case = await refused(db, "TakeBoxes", declared=False)
    operations = Desk(db).operations
    async with db.connection() as connection:
        seen = await overview.open_refusals(connection)
    assert [(one.refusal_id, one.declared) for one in seen] == [(case, False), (foreseen, True)]
    with pytest.raises(NotThere):
        await operations.close_refusal(order(), foreseen)
    found = await operations.close_refusal(order("the box was put by hand"), case)
    assert (found["command"], found["reason"]) == ("TakeBoxes", "shelf-full")
    with pytest.raises(NotThere):
        await operations.close_refusal(order(), case)
    async with db.connection() as connection:
        assert [one.refusal_id for one in await overview.open_refusals(connection)] == [foreseen]


async def test_overdue_deadlines_are_shown_failing_ones_first(db: Database) -> None:
    await overdue(db, "early", at=datetime(2026, 1, 5, tzinfo=UTC))
    await overdue(db, "late", at=datetime(2026, 1, 6, tzinfo=UTC))
    await overdue(db, "future", at=datetime(2096, 1, 6, tzinfo=UTC))
    async with db.connection() as connection:
        await connection.execute(
            "INSERT INTO failing_deadlines VALUES ('shelf/late', 'forgotten', 1, 3, 'KeyError',"
            " clock_timestamp(), clock_timestamp() + interval '1 hour')"
        )
        seen = await overview.overdue_deadlines(connection, Desk(db).operations.clock.offset)
    assert [(one.stream, one.failures, one.last_error) for one in seen] == [
        ("shelf/late", 3, "KeyError"),
        ("shelf/early", 0, None),
    ]
    with pytest.raises(NotThere):
        await Desk(db).operations.retry_deadline(order(), "shelf/future", "forgotten")
    await Desk(db).operations.retry_deadline(order(), "shelf/late", "forgotten")
    waits = "SELECT retry_at <= clock_timestamp() FROM failing_deadlines"
    assert await rows(db, waits) == [(True,)]


async def test_bad_records_are_allowed_for_a_consumer_that_there_is(db: Database) -> None:
    operations = Desk(db).operations
    with pytest.raises(NotThere):
        await operations.allow(order(), "notes", "another.topic", 5)
    await operations.allow(order(), "notes", "test.operations.v1", 5)
    await operations.allow(order(), "notes", "test.operations.v1", 7)
    async with db.connection() as connection:
        (seen,) = await overview.circuits(connection)
    assert (seen.consumer, seen.remaining) == ("notes", 7)
    assert (seen.partitions, seen.stands_since) == ([], None)


async def test_who_stands_still_is_shown_and_only_there_begins_again(db: Database) -> None:
    """Longest first; what goes on is not touched."""
    operations = Desk(db).operations
    async with db.connection() as connection:
        await connection.execute(
            """
            INSERT INTO consumer_offsets (consumer, topic, partition, next_offset, stands_since)
            VALUES ('notes', 'later.v1', 0, 10, '2026-01-06'),
                   ('notes', 'early.v1', 2, 20, '2026-01-05'),
                   ('notes', 'early.v1', 0, 21, '2026-01-07'),
                   ('notes', 'early.v1', 1, 22, NULL)
            """
        )
        await operations.allow(order(), "notes", "test.operations.v1", 5)
        seen = await overview.circuits(connection)
    assert [(one.topic, one.partitions, one.remaining) for one in seen] == [
        ("early.v1", [0, 2], 0),
        ("later.v1", [0], 0),
        ("test.operations.v1", [], 5),
    ]
    assert seen[0].stands_since == datetime(2026, 1, 5, tzinfo=UTC)
    given = order()
    for _ in range(2):
        assert await operations.begin_again(given, "notes", "early.v1") == {"partitions": 2}
    with pytest.raises(NotThere):
        await operations.begin_again(order(), "notes", "early.v1")
    places = "SELECT topic, partition, next_offset, stands_since IS NULL FROM consumer_offsets"
    assert sorted(await rows(db, places)) == [
        ("early.v1", 0, 0, True),
        ("early.v1", 1, 22, True),
        ("early.v1", 2, 0, True),
        ("later.v1", 0, 10, False),
    ]
