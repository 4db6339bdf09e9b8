"""The tables of applications on real PostgreSQL, from lives that no office would let happen."""

import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import pytest_asyncio

from enrollment import application
from enrollment.application_events import (
    ApplicationApproved,
    ApplicationSubmitted,
    DocumentReassigned,
    Event,
    InformationSupplied,
)
from enrollment.readmodel import applications
from epassport import StreamId
from epassport.actor import service_actor
from epassport.beside import compare, make_tables
from epassport.database import Database, migrate
from epassport.events import EventCodec, Origin, Recorded
from epassport.readmodel import fill
from epassport_contracts import ServiceName

GOLDEN = Path(__file__).parent / "events"
START = datetime(2026, 11, 1, tzinfo=UTC)
SEED, LIVES, LENGTH = 4, 40, 9


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    await migrate(database, "enrollment")
    opened = await Database.connect(database, connections=1)
    try:
        yield opened
    finally:
        await opened.close()


def lives() -> list[Recorded[Any]]:
    """Of each type some, in any order after the first; two events of a type differ."""
    chance = random.Random(SEED)
    codec = EventCodec([application.aggregate])
    facts = {kind: golden(codec, kind) for kind in get_args(Event)}
    later = [kind for kind in facts if kind is not ApplicationSubmitted]
    events = []
    for version in range(1, LENGTH + 1):
        for life in range(LIVES):
            kind = ApplicationSubmitted if version == 1 else chance.choice(later)
            fact = told_apart(facts[kind], life, version)
            events.append(recorded(fact, UUID(int=life + 1), version))
    assert {type(event.fact) for event in events} == set(facts)
    return events


def golden(codec: EventCodec, kind: type) -> Any:
    path = max((GOLDEN / kind.__name__).glob("*.json"))
    return codec.decode(
        kind.__name__, int(path.stem), json.dumps(json.loads(path.read_text())["data"])
    )


def told_apart(fact: Any, life: int, version: int) -> Any:
    fact = replace(fact, at=START + timedelta(days=version, minutes=life))
    if isinstance(fact, ApplicationApproved | DocumentReassigned):
        until = date(2036, 1, 1) + timedelta(days=version)
        return replace(fact, document_ref=UUID(int=100 * life + version), valid_until=until)
    if isinstance(fact, InformationSupplied):
        return replace(fact, complete=version % 2 == 0)
    return fact


def recorded(fact: Any, application_id: UUID, version: int) -> Recorded[Any]:
    return Recorded(
        fact=fact,
        stream=StreamId(str(application.aggregate.stream(application_id))),
        version=version,
        position=0,
        transaction_id=0,
        event_id=UUID(int=version),
        origin=Origin(service_actor(ServiceName.ENROLLMENT), UUID(int=1)),
        recorded_at=START,
    )


async def test_events_folded_together_leave_the_rows_that_they_leave_one_after_the_other(
    db: Database,
) -> None:
    events = lives()
    async with db.transaction() as connection:
        await make_tables(connection, applications)
    async with db.connection() as connection:
        for event in events:
            await fill(applications, connection, [event])
        third = len(events) // 3  # most lives are met at the start of a page and within it
        for page in (events[:third], events[third : 2 * third], events[2 * third :]):
            await fill(applications.beside(), connection, page)
        found = await compare(connection, applications)
        assert [(one.rows, one.is_equal) for one in found] == [(LIVES, True), (len(events), True)]
        states = await connection.fetch("SELECT DISTINCT state FROM application_v1")
    assert len(states) > 4
