"""Events given to a read model a second time, as a guard by version must not let through."""

from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg

from epassport.commands import Token
from epassport.database import Connection, Database
from epassport.events import EventCodec, Recorded
from epassport.readmodel import LostRow, ReadModel, fill
from epassport.store import read_in_order


async def own_events(database: Database, codec: EventCodec) -> list[Recorded[Any]]:
    async with database.connection() as connection:
        return await read_in_order(connection, codec, Token(0, 0), 10_000)


async def let_through(
    database: Database, model: ReadModel, events: Sequence[Recorded[Any]]
) -> list[str]:
    """Types of those events that changed a row when they came again.

    Each alone, and by each of the model's functions alone: one guards for no other.
    """
    found = []
    async with database.connection() as connection:
        before = await _contents(connection, model)
        assert any(before.values()), model.reader
        for event in events:
            for part in _parts(model, type(event.fact)):
                transaction = connection.transaction()
                await transaction.start()
                try:
                    await fill(part, connection, [event])
                    if await _contents(connection, model) != before:
                        found.append(type(event.fact).__name__)
                except (LostRow, asyncpg.UniqueViolationError):
                    continue  # the whole page is refused
                finally:
                    await transaction.rollback()
    return found


def _parts(model: ReadModel, event_type: type) -> Iterator[ReadModel]:
    for projection in model.projections.get(event_type, ()):
        part = ReadModel(model.name, version=model.version, tables=model.tables)
        part.projections = {event_type: [projection]}
        yield part


async def _contents(connection: Connection, model: ReadModel) -> dict[str, list[str]]:
    found = {}
    for table in model.tables:
        rows = await connection.fetch(f"SELECT t::text AS row FROM {table}_v{model.version} AS t")
        found[table] = sorted(row["row"] for row in rows)
    return found
