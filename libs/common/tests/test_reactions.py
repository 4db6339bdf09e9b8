"""Reactions that are refused, against real PostgreSQL: recorded, and everything else goes on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import uuid5

import pytest_asyncio
from kafka_notes import IDS, until
from shelf_aggregate import FULL, NO_ROOM, BoxPut, PutBox, shelf
from shelf_store import AT, SERVICE, catalog, events_of, group_of, opened, rows, send
from shelf_tasks import STARTERS, count_box

from epassport.database import Database
from epassport.events import Recorded
from epassport.projector import OwnReactions
from epassport.reactions import ReactionHandler, Send
from epassport.records import Incoming
from epassport.signals import Signals
from epassport.tasks import Job, Workers
from epassport_contracts import ServiceName
from epassport_contracts.events.enrollment import PausedStep, RolloutPaused

REFUSALS = "SELECT stream_id, command, reason, declared FROM reaction_refusals ORDER BY id"
NO_ROOM_IS_FINE = frozenset({NO_ROOM})


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    """The shelf "full" takes no box any more; no shelf has room to take."""
    async with opened(database) as database_:
        for _ in range(3):
            await send(group_of(database_), "full", PutBox(AT))
        yield database_


def sends() -> list[Send]:
    """One refused unexpectedly, one as expected, one accepted."""
    return [
        Send(shelf.stream("full"), PutBox(AT)),
        Send(shelf.stream("narrow"), PutBox(AT, room=1), expects=NO_ROOM_IS_FINE),
        Send(shelf.stream("free"), PutBox(AT)),
    ]


REFUSED = [("shelf/full", "PutBox", FULL, False), ("shelf/narrow", "PutBox", NO_ROOM, True)]


async def after_free(db: Database) -> None:
    async def put() -> bool:
        return ("shelf/free", 1, "BoxPut") in await events_of(db)

    await until(put)


async def test_a_refused_reaction_to_a_foreign_event_is_recorded_and_the_slice_goes_on(
    db: Database,
) -> None:
    handler = ReactionHandler(SERVICE, {RolloutPaused: [lambda _event: sends()]}, group_of(db))
    async with db.transaction() as connection:
        await handler.apply(connection, [paused_record()])
    assert await rows(db, REFUSALS) == REFUSED
    causes = await rows(db, "SELECT DISTINCT event_id FROM reaction_refusals")
    assert causes == [(paused_record().event_id,)]
    await after_free(db)


def paused_record() -> Incoming:
    event = RolloutPaused(at=AT, region="RU-TA", step=PausedStep.APPLY, reason="drill")
    return Incoming(
        topic="internal.enrollment.rollout.v1",
        partition=0,
        offset=0,
        key="rollout/RU-TA",
        sequence=1,
        event_id=uuid5(IDS, "paused"),
        type=event.type_name(),
        source=ServiceName.ENROLLMENT,
        correlation_id=IDS,
        causation_id=None,
        stream=shelf.stream("elsewhere"),
        time=AT,
        event=event,
    )


async def test_a_refused_reaction_to_an_own_event_is_recorded_and_the_reader_goes_on(
    db: Database,
) -> None:
    def react(event: Recorded[BoxPut]) -> Sequence[Send]:
        return sends() if event.stream == "shelf/cause" else []

    await send(group_of(db), "cause", PutBox(AT))
    reacting = OwnReactions(db, catalog().codec, Signals(), {BoxPut: [react]}, group_of(db))
    running = asyncio.create_task(reacting.run())
    try:
        await after_free(db)
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert await rows(db, REFUSALS) == REFUSED
    (cause,) = await rows(db, "SELECT event_id FROM events WHERE stream_id = 'shelf/cause'")
    assert await rows(db, "SELECT DISTINCT event_id FROM reaction_refusals") == [cause]


async def test_a_refused_answer_of_a_task_is_recorded_under_the_task_and_the_task_is_done(
    db: Database,
) -> None:
    async def answer(_job: Job) -> Sequence[Send]:
        return sends()

    await send(group_of(db, starters=STARTERS), "cause", PutBox(AT))
    ((task_id,),) = await rows(db, "SELECT task_id FROM tasks")
    workers = Workers(db, group_of(db), Signals(), {count_box.kind: (count_box, answer)})
    running = asyncio.create_task(workers.run())
    try:

        async def done() -> bool:
            return await rows(db, "SELECT 1 FROM tasks") == []

        await until(done)
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert await rows(db, REFUSALS) == REFUSED
    assert await rows(db, "SELECT DISTINCT event_id FROM reaction_refusals") == [(task_id,)]
    await after_free(db)
