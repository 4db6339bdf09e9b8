"""Pauses as every service hears them: its table says which step stands still in which region."""

from collections.abc import AsyncIterator
from uuid import uuid5

import pytest_asyncio
from kafka_notes import AT, IDS
from shelf_store import opened, rows

from epassport import StreamId
from epassport.database import Database
from epassport.pauses import PausesHandler
from epassport.records import Incoming
from epassport_contracts import ServiceName
from epassport_contracts.events.enrollment import PausedStep, RolloutPaused, RolloutResumed

PAUSES = "SELECT region, step, reason FROM pauses ORDER BY region, step"


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


def paused(region: str, step: PausedStep, reason: str = "drill") -> RolloutPaused:
    return RolloutPaused(at=AT, region=region, step=step, reason=reason)


def resumed(region: str, step: PausedStep) -> RolloutResumed:
    return RolloutResumed(at=AT, region=region, step=step)


async def hear(db: Database, *events: RolloutPaused | RolloutResumed) -> None:
    records = [
        Incoming(
            topic=PausesHandler.topics[0],
            partition=0,
            offset=offset,
            key=f"rollout/{event.region}",
            sequence=offset + 1,
            event_id=uuid5(IDS, str(offset)),
            type=event.type_name(),
            source=ServiceName.ENROLLMENT,
            correlation_id=IDS,
            causation_id=None,
            stream=StreamId(f"rollout/{event.region}"),
            time=AT,
            event=event,
        )
        for offset, event in enumerate(events)
    ]
    async with db.transaction() as connection:
        await PausesHandler().apply(connection, records)


async def test_a_step_stands_still_where_it_was_paused_and_nowhere_else(db: Database) -> None:
    await hear(db, paused("RU-TA", PausedStep.MAKE), paused("RU-MOW", PausedStep.CHECK))
    assert await rows(db, PAUSES) == [("RU-MOW", "check", "drill"), ("RU-TA", "make", "drill")]


async def test_what_was_resumed_goes_on_and_other_pauses_stay(db: Database) -> None:
    await hear(
        db,
        paused("RU-TA", PausedStep.MAKE),
        paused("RU-TA", PausedStep.CHECK),
        paused("RU-MOW", PausedStep.MAKE),
        resumed("RU-TA", PausedStep.MAKE),
    )
    assert await rows(db, PAUSES) == [("RU-MOW", "make", "drill"), ("RU-TA", "check", "drill")]


async def test_a_step_paused_again_shows_the_latest_reason(db: Database) -> None:
    await hear(db, paused("RU-TA", PausedStep.MAKE), paused("RU-TA", PausedStep.MAKE, "bad blanks"))
    assert await rows(db, PAUSES) == [("RU-TA", "make", "bad blanks")]
