"""The shelf in a real database: a group for it, what its events are, and a read model of it."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from kafka_notes import prepare
from shelf_aggregate import BoxesTaken, BoxPut, shelf

from epassport import Accepted
from epassport.actor import service_actor
from epassport.catalog import Catalog, Starter
from epassport.clock import Clock
from epassport.commands import Envelope, Outcome
from epassport.database import Connection, Database
from epassport.events import Origin, Recorded
from epassport.group import Group
from epassport.personal import Personal
from epassport.readmodel import ReadModel, Tables
from epassport.signals import Signals
from epassport.testing import test_seal
from epassport_contracts import DataPurpose, Sealed, ServiceName
from epassport_contracts.events.keys import SubjectKey

SERVICE = ServiceName.ENROLLMENT
AT = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

shelves = ReadModel("shelves", version=1, tables=("shelf",))


@shelves.projects(BoxPut)
async def put(wave: Sequence[Recorded[BoxPut]], tables: Tables) -> int:
    """Counts without a guard: a box that were applied twice would show."""
    return await tables.upsert(
        """
        INSERT INTO {shelf} AS known (stream, boxes, last_at)
        SELECT stream, 1, at FROM unnest($1::text[], $2::timestamptz[]) AS new (stream, at)
            ON CONFLICT (stream) DO UPDATE
           SET boxes = known.boxes + 1, last_at = excluded.last_at
        """,
        [event.stream for event in wave],
        [event.fact.at for event in wave],
    )


@shelves.projects(BoxesTaken, changes="any")
async def taken(wave: Sequence[Recorded[BoxesTaken]], tables: Tables) -> int:
    return await tables.upsert(
        "UPDATE {shelf} SET boxes = 0 WHERE stream = ANY($1::text[])",
        [event.stream for event in wave],
    )


class _Keys:
    """Seals under the test seal: the keyring has tests of its own."""

    messages: tuple[SubjectKey, ...] = ()

    def can_seal(self, _subject: UUID, _field: str) -> bool:
        return True

    def seal(self, subject: UUID, field: str, value: Any) -> Sealed[Any]:
        return test_seal(Personal(subject, field, value))


class _Sealer:
    async def sealing_keys(
        self,
        _connection: Connection,
        _wanted: Collection[tuple[UUID, DataPurpose]],
        _optional: Collection[tuple[UUID, DataPurpose]] = (),
    ) -> _Keys:
        return _Keys()


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Database]:
    """A fresh database with the runtime's schema and the read model's table."""
    await prepare(dsn)
    database = await Database.connect(dsn)
    try:
        async with database.connection() as connection:
            await connection.execute(
                "CREATE TABLE shelf_v1 (stream text PRIMARY KEY, boxes int, last_at timestamptz)"
            )
        yield database
    finally:
        await database.close()


def catalog(starters: dict[type, list[Starter]] | None = None) -> Catalog:
    return Catalog(SERVICE, [shelf], starters=starters or {})


def group_of(
    database: Database,
    *,
    starters: dict[type, list[Starter]] | None = None,
    known: Catalog | None = None,
) -> Group:
    """One of another process each time."""
    return Group(known or catalog(starters), database, _Sealer(), Clock(None), Signals())


def envelope(name: str, command: Any, **more: Any) -> Envelope:
    return Envelope(shelf.stream(name), command, Origin(service_actor(SERVICE), uuid4()), **more)


async def send(group: Group, name: str, command: Any) -> Accepted:
    (outcome,) = await group.execute([envelope(name, command)])
    return accepted(outcome)


def accepted(outcome: Outcome | Exception) -> Accepted:
    assert isinstance(outcome, Accepted), outcome
    return outcome


async def rows(database: Database, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    async with database.connection() as connection:
        return [tuple(row) for row in await connection.fetch(statement, *arguments)]


async def events_of(database: Database) -> list[tuple[str, int, str]]:
    """(stream, version, type) in the order of streams."""
    return await rows(
        database, "SELECT stream_id, version, type FROM events ORDER BY stream_id, version"
    )
