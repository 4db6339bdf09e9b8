"""What is overdue and what operators order for it, against real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4, uuid5

import pytest
import pytest_asyncio
from kafka_notes import IDS, until
from shelf_aggregate import FULL, BoxPut, PutBox, ShelfForgotten, TakeBoxes, shelf
from shelf_operations import Desk, order, overdue, refused, stuck_task
from shelf_store import AT, SERVICE, catalog, envelope, events_of, group_of, opened, rows, send

from epassport import DeadlinePassed, EndWait, StartWait, metrics, overview
from epassport.catalog import Catalog
from epassport.cleaning import FAILURES_OF_ENDED_WAITS, Cleaner
from epassport.clock import Clock
from epassport.database import Database
from epassport.errors import NotForThis, NotThere
from epassport.events import Recorded
from epassport.group import Group
from epassport.projector import OwnReactions
from epassport.reactions import Reaction, ReactionHandler, Send
from epassport.records import Incoming
from epassport.signals import Signals
from epassport.timers import Timer
from epassport.waits import OverdueWait, What, carry_out, overdue_waits
from epassport_contracts import ServiceName
from epassport_contracts.events.enrollment import PausedStep, RolloutPaused

pytestmark = pytest.mark.stack

PUT = Send(shelf.stream("full"), PutBox(AT))
HEARD: dict[type, list[Reaction]] = {RolloutPaused: [lambda _event: [PUT]]}


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


async def seen(db: Database) -> list[OverdueWait]:
    async with db.connection() as connection:
        return await overdue_waits(connection, timedelta())


async def fails(db: Database, stream: str) -> None:
    """The deadline's command has been sent three times in vain."""
    await rows(
        db,
        "INSERT INTO failing_deadlines VALUES ($1, 'forgotten', 1, 3, 'KeyError',"
        " clock_timestamp(), clock_timestamp() + interval '1 hour')",
        stream,
    )


def still_waits(event: Any) -> Sequence[StartWait | EndWait]:
    """Whoever was told that a shelf is forgotten still waits for its boxes to be taken."""
    return [] if isinstance(event, ShelfForgotten) else shelf.waits(event)


async def late(
    db: Database,
    *names: str,
    starts: Callable[[Any], Sequence[StartWait | EndWait]] = still_waits,
) -> Group:
    """Waits whose deadline has passed, and the group in which they go on."""
    group = group_of(db, known=Catalog(SERVICE, [replace(shelf, waits=starts)]))
    for name in names:
        await send(group, name, PutBox(AT))
    assert await Timer(SERVICE, db, group, Clock()).step() == 1
    return group


async def times_forgotten(db: Database) -> int:
    return [kind for _, _, kind in await events_of(db)].count("ShelfForgotten")


async def waits_counted(db: Database) -> dict[tuple[str, str], float]:
    await metrics.sample(db)
    samples = metrics.WAITS_OVERDUE.collect()[0].samples
    return {(one.labels["stream"], one.labels["wait"]): one.value for one in samples}


async def refuse_foreign(db: Database) -> int:
    """Another service's event wants a box on a shelf that is full."""
    for _ in range(3):
        await send(group_of(db), "full", PutBox(AT))
    event = RolloutPaused(at=AT, region="RU-TA", step=PausedStep.APPLY, reason="drill")
    record = Incoming(
        "internal.enrollment.rollout.v1", 0, 0, "rollout/RU-TA", 1, uuid5(IDS, "paused"),
        event.type_name(), ServiceName.ENROLLMENT, IDS, None, shelf.stream("elsewhere"), AT, event,
    )  # fmt: skip
    async with db.transaction() as connection:
        await ReactionHandler(SERVICE, HEARD, group_of(db)).apply(connection, [record])
    return await only_refusal(db)


async def only_refusal(db: Database) -> int:
    ((refusal_id,),) = await rows(db, "SELECT id FROM reaction_refusals")
    return int(refusal_id)


async def is_refused(db: Database) -> bool:
    return len(await rows(db, "SELECT id FROM reaction_refusals")) == 1


async def boxes_on(db: Database, stream: str) -> int:
    events = [(name, kind) for name, _, kind in await events_of(db)]
    return events.count((stream, "BoxPut"))


async def test_everything_overdue_is_in_one_list_with_what_may_be_ordered(db: Database) -> None:
    await overdue(db, "early", at=datetime(2026, 1, 5, tzinfo=UTC))
    await overdue(db, "late", at=datetime(2026, 1, 6, tzinfo=UTC))
    await overdue(db, "future", at=datetime(2096, 1, 6, tzinfo=UTC))
    await fails(db, "shelf/late")
    task_id = await stuck_task(db)
    case = await refused(db, "TakeBoxes", declared=False)
    await refused(db, "PutBox", declared=True)
    assert [(one.wait, one.failures, one.last_error, one.orders) for one in await seen(db)] == [
        ("deadline/shelf/early/forgotten", 0, None, [What.RETRY, What.OVERRIDE]),
        ("deadline/shelf/late/forgotten", 3, "KeyError", [What.RETRY, What.OVERRIDE]),
        (f"task/{task_id}", 12, "ValueError", [What.RETRY, What.REJECT]),
        (f"reaction/{case}", 1, "shelf-full", [What.REJECT]),
    ]


async def test_a_deadline_that_was_overridden_never_passes_and_the_reason_stays(
    db: Database,
) -> None:
    await overdue(db, "s", at=datetime(2026, 1, 5, tzinfo=UTC))
    await fails(db, "shelf/s")
    operations, given = Desk(db).operations, order("the desk has heard from them by letter")
    found = await carry_out(operations, given, What.OVERRIDE, "deadline/shelf/s/forgotten")
    assert found["started_by_version"] == 1
    again = await carry_out(operations, given, What.OVERRIDE, "deadline/shelf/s/forgotten")
    assert again == found
    assert await seen(db) == []
    assert await Timer(SERVICE, db, group_of(db), Clock()).step() == 0
    assert "ShelfForgotten" not in [kind for _, _, kind in await events_of(db)]
    assert await rows(db, "SELECT * FROM failing_deadlines") == []
    async with db.connection() as connection:
        (action,) = await overview.actions(connection)
    assert (action.action, action.target, action.reason) == (
        "override-deadline", {"stream": "shelf/s", "kind": "forgotten"}, given.reason,
    )  # fmt: skip


async def test_what_is_not_overdue_is_not_overridden(db: Database) -> None:
    await overdue(db, "s", at=datetime(2096, 1, 5, tzinfo=UTC))
    with pytest.raises(NotThere):
        await carry_out(Desk(db).operations, order(), What.OVERRIDE, "deadline/shelf/s/forgotten")
    assert len(await rows(db, "SELECT * FROM deadlines")) == 1


async def test_retry_and_reject_reach_the_task_the_deadline_and_the_case_they_name(
    db: Database,
) -> None:
    operations = Desk(db).operations
    first, second = await stuck_task(db), await stuck_task(db)
    case = await refused(db, "TakeBoxes", declared=False)
    await overdue(db, "late", at=datetime(2026, 1, 6, tzinfo=UTC))
    await fails(db, "shelf/late")
    await carry_out(operations, order(), What.RETRY, f"task/{first}")
    await carry_out(operations, order(), What.REJECT, f"task/{second}")
    await carry_out(operations, order(), What.REJECT, f"reaction/{case}")
    await carry_out(operations, order(), What.RETRY, "deadline/shelf/late/forgotten")
    assert await rows(db, "SELECT task_id, stuck FROM tasks") == [(first, False)]
    assert await rows(db, "SELECT retry_at <= clock_timestamp() FROM failing_deadlines") == [
        (True,)
    ]
    assert [one.wait for one in await seen(db)] == ["deadline/shelf/late/forgotten"]
    assert await rows(db, "SELECT action FROM operator_actions ORDER BY done_at") == [
        ("retry-task",), ("abandon-task",), ("close-refusal",), ("retry-deadline",),
    ]  # fmt: skip


async def test_a_wait_that_passed_is_told_once_and_listed_until_it_ends(db: Database) -> None:
    group = await late(db, "s")
    for _ in range(2):
        assert await Timer(SERVICE, db, group, Clock()).step() == 0
        await group.execute([envelope("s", DeadlinePassed("forgotten", 1, AT))])
        assert await times_forgotten(db) == 1
        (one,) = await seen(db)
        assert (one.wait, one.since, one.failures, one.orders) == (
            "deadline/shelf/s/forgotten", AT + timedelta(hours=1), 0, [What.RETRY, What.OVERRIDE],
        )  # fmt: skip
    async with db.connection() as connection:
        assert await overview.overdue_deadlines(connection, timedelta()) == []
    assert await waits_counted(db) == {("shelf", "forgotten"): 1}
    await send(group, "s", TakeBoxes(AT))
    assert await seen(db) == []
    assert await waits_counted(db) == {}


async def test_a_wait_that_passed_is_ended_by_an_operator_with_a_reason_that_stays(
    db: Database,
) -> None:
    group, given = await late(db, "s"), order("the shelf was burnt, order 12 of the head office")
    wait = "deadline/shelf/s/forgotten"
    found = await carry_out(Desk(db).operations, given, What.OVERRIDE, wait)
    assert found["overdue_since"].startswith("2026-01-05")
    assert await seen(db) == []
    assert await Timer(SERVICE, db, group, Clock()).step() == 0
    assert await times_forgotten(db) == 1
    with pytest.raises(NotThere):
        await carry_out(Desk(db).operations, order(), What.RETRY, wait)
    async with db.connection() as connection:
        (action,) = await overview.actions(connection)
    assert (action.action, action.reason) == ("override-deadline", given.reason)


async def test_a_wait_that_passed_is_decided_anew_where_an_operator_says_so(db: Database) -> None:
    group = await late(db, "s")
    for times in (2, 3):
        await carry_out(Desk(db).operations, order(), What.RETRY, "deadline/shelf/s/forgotten")
        assert await Timer(SERVICE, db, group, Clock()).step() == 1
        assert await times_forgotten(db) == times
        assert [one.since for one in await seen(db)] == [AT + timedelta(hours=1)]


async def test_a_wait_about_which_there_is_nothing_to_say_any_more_is_not_listed(
    db: Database,
) -> None:
    group = await late(db, "s", starts=lambda e: shelf.waits(e) if isinstance(e, BoxPut) else [])
    await send(group, "s", TakeBoxes(AT))
    assert len(await seen(db)) == 1
    await carry_out(Desk(db).operations, order(), What.RETRY, "deadline/shelf/s/forgotten")
    await Timer(SERVICE, db, group, Clock()).step()
    assert await seen(db) == []


async def test_a_deadline_that_failed_before_it_passed_fails_no_more(db: Database) -> None:
    await overdue(db, "s", at=AT)
    await fails(db, "shelf/s")
    await rows(db, "UPDATE failing_deadlines SET retry_at = clock_timestamp()")
    await late(db)
    assert [(one.failures, one.last_error) for one in await seen(db)] == [(0, None)]
    await metrics.sample(db)
    assert metrics.DEADLINES_FAILING.collect()[0].samples[0].value == 0
    assert await Cleaner(db, []).clean(FAILURES_OF_ENDED_WAITS) == 1


@pytest.mark.parametrize(
    ("what", "wait", "why"),
    [
        (What.REJECT, "deadline/shelf/s/forgotten", NotForThis),
        (What.OVERRIDE, f"task/{uuid4()}", NotForThis),
        (What.OVERRIDE, "reaction/1", NotForThis),
        (What.RETRY, "reaction/7", NotThere),
        (What.RETRY, "deadline/shelf/s/other", NotThere),
        (What.RETRY, "shelf/s", NotThere),
        (What.RETRY, "task/" + "-" * 35, NotThere),
    ],
)
async def test_what_makes_no_sense_or_is_not_there_is_refused_and_leaves_nothing(
    db: Database, what: What, wait: str, why: type[Exception]
) -> None:
    await overdue(db, "s", at=datetime(2026, 1, 5, tzinfo=UTC))
    await refused(db, "TakeBoxes", declared=False)
    with pytest.raises(why):
        await carry_out(Desk(db).operations, order(), what, wait)
    assert await rows(db, "SELECT * FROM operator_actions") == []


async def test_a_refused_reaction_to_a_foreign_event_is_sent_again_once_there_is_room(
    db: Database,
) -> None:
    wait = f"reaction/{await refuse_foreign(db)}"
    assert [(one.wait, one.orders) for one in await seen(db) if one.wait == wait] == [
        (wait, [What.RETRY, What.REJECT])
    ]
    operations = Desk(db, reactions=HEARD).operations
    in_vain = await carry_out(operations, order(), What.RETRY, wait)
    assert in_vain == {"outcome": "refused", "reason": FULL}
    assert await boxes_on(db, "shelf/full") == 3
    await send(group_of(db), "full", TakeBoxes(AT))
    given = order("boxes were taken away")
    for _ in range(2):
        done = await carry_out(operations, given, What.RETRY, wait)
        assert done == {"outcome": "accepted", "reason": None}
    assert await boxes_on(db, "shelf/full") == 4
    (causation,) = (await rows(db, "SELECT metadata->>'causation_id' FROM events"
                                   " ORDER BY position DESC LIMIT 1"))[0]  # fmt: skip
    assert causation == str(uuid5(IDS, "paused"))
    with pytest.raises(NotThere):
        await carry_out(operations, order(), What.RETRY, wait)


async def test_a_refused_reaction_to_an_own_event_is_sent_again_as_well(db: Database) -> None:
    def react(event: Recorded[BoxPut]) -> list[Send]:
        return [PUT] if event.stream == "shelf/cause" else []

    for _ in range(3):
        await send(group_of(db), "full", PutBox(AT))
    await send(group_of(db), "cause", PutBox(AT))
    own: dict[type, list[Reaction]] = {BoxPut: [react]}
    reacting = OwnReactions(db, catalog().codec, Signals(), own, group_of(db))
    running = asyncio.create_task(reacting.run())
    try:
        await until(partial(is_refused, db))
    finally:
        running.cancel()
        await asyncio.wait({running})
    wait = f"reaction/{await only_refusal(db)}"
    await send(group_of(db), "full", TakeBoxes(AT))
    done = await carry_out(Desk(db, reactions=own).operations, order(), What.RETRY, wait)
    assert done["outcome"] == "accepted"
    assert await boxes_on(db, "shelf/full") == 4


async def test_a_reaction_that_this_build_has_no_more_is_not_sent_again(db: Database) -> None:
    wait = f"reaction/{await refuse_foreign(db)}"
    await send(group_of(db), "full", TakeBoxes(AT))
    for reactions in ({}, {RolloutPaused: [lambda _event: []]}):
        with pytest.raises(NotThere):
            await carry_out(Desk(db, reactions=reactions).operations, order(), What.RETRY, wait)
    assert await boxes_on(db, "shelf/full") == 3
