"""Read models: tables that pages and APIs ask, filled from events alone.

A model declares which event types fill it; each function gets a wave, in which a stream
occurs at most once, and runs one upsert guarded by the stream's version. A function that folds
gets what follows each other in a stream in one wave, and writes it once. Where each event has
rows of its own, there is no order to keep, and the function gets all events at once. Table names
in SQL are written `{table}` and stand for `<table>_v<version>`.
"""

import re
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import asyncpg

from epassport.database import Connection
from epassport.events import Recorded

Function = TypeVar("Function", bound=Callable[..., Any])
Wave = Sequence[Recorded[Any]]
_NOBODY: Mapping[type, object] = MappingProxyType({})

BESIDE = "_beside"
"""Ends the names of a second set of tables, and of who reads for it."""


class Tables:
    """The tables of one version of a read model, through one connection."""

    def __init__(self, connection: Connection, names: Mapping[str, str]) -> None:
        """names: what each table is called in the database, by its name in SQL."""
        self._connection = connection
        self._names = names

    async def upsert(self, sql: str, *arguments: Any) -> int:
        """Run one statement; returns how many rows it changed."""
        status = await self._connection.execute(self._named(sql), *arguments)
        return int(status.rsplit(" ", 1)[1])

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        return list(await self._connection.fetch(self._named(sql), *arguments))

    async def fetchrow(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        return await self._connection.fetchrow(self._named(sql), *arguments)

    async def fetchval(self, sql: str, *arguments: Any) -> Any:
        return await self._connection.fetchval(self._named(sql), *arguments)

    def _named(self, sql: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: self._names[match.group(1)], sql)


@dataclass(frozen=True, eq=False)  # looked up once an event
class _Projection:
    fill: Callable[[Wave, Tables], Any]
    many: bool
    apart: bool
    folds: bool


class ReadModel:
    """name: for operators and checkpoints; tables: without their version."""

    def __init__(
        self, name: str, *, version: int, tables: Sequence[str], is_beside: bool = False
    ) -> None:
        self.name = name
        self.version = version
        self.tables = tuple(tables)
        self.projections: dict[type, list[_Projection]] = {}
        self._suffix = f"_v{version}{BESIDE if is_beside else ''}"

    @property
    def reader(self) -> str:
        return f"{self.name}{self._suffix}"

    @property
    def table_names(self) -> dict[str, str]:
        """In the database, by the names that stand in SQL."""
        return {table: f"{table}{self._suffix}" for table in self.tables}

    def beside(self) -> "ReadModel":
        """The same model in its second set of tables, read by nobody (`epassport.rebuild`)."""
        twin = ReadModel(self.name, version=self.version, tables=self.tables, is_beside=True)
        twin.projections = self.projections
        return twin

    def projects(
        self, *event_types: type, changes: str = "one", apart: bool = False, folds: bool = False
    ) -> Callable[[Function], Function]:
        """Marks `async (wave, tables) -> rows changed`; a wave may hold all of these types.

        changes "one": every event of a wave changes exactly one row, which is checked;
        "any": an event may change none or several.
        apart: no two events touch one row, so that a stream may occur in a wave many times.
        folds: events of one stream that follow each other, with no other function's between them,
        come in one wave, in order; together they change one row, which is checked.
        """

        def mark(function: Function) -> Function:
            projection = _Projection(function, changes == "any", apart, folds)
            for event_type in event_types:
                self.projections.setdefault(event_type, []).append(projection)
            return function

        return mark

    def on(self, connection: Connection) -> Tables:
        return Tables(connection, self.table_names)


class LostRow(Exception):
    """A projection changed fewer rows than its wave holds: a guard or a row is missing."""


async def fill(model: ReadModel, connection: Connection, events: Wave) -> None:
    """Apply events in waves; within a wave, one call per function."""
    tables = model.on(connection)
    for projection, wave in _calls(model, events):
        rows = await projection.fill(wave, tables)
        wanted = len({event.stream for event in wave}) if projection.folds else len(wave)
        if not projection.many and rows != wanted:
            name = getattr(projection.fill, "__name__", "a projection")
            raise LostRow(f"{model.reader}: {name}, {rows} of {wanted}")


def _calls(model: ReadModel, events: Wave) -> Iterator[tuple[_Projection, Wave]]:
    yield from _by_function(model, events, apart=True)
    ordered = [event for event in events if not all(p.apart for p in _of(model, event))]
    for wave in waves(ordered, _folding(model)):
        yield from _by_function(model, wave, apart=False)


def _folding(model: ReadModel) -> dict[type, object]:
    """By event type the function that folds it, where no other keeps its order."""
    alone: dict[type, object] = {}
    for event_type, projections in model.projections.items():
        ordered = [one for one in projections if not one.apart]
        if len(ordered) == 1 and ordered[0].folds:
            alone[event_type] = ordered[0]
    return alone


def _by_function(
    model: ReadModel, events: Wave, *, apart: bool
) -> ItemsView[_Projection, list[Recorded[Any]]]:
    calls: dict[_Projection, list[Recorded[Any]]] = {}
    for event in events:
        for projection in _of(model, event):
            if projection.apart is apart:
                calls.setdefault(projection, []).append(event)
    return calls.items()


def _of(model: ReadModel, event: Recorded[Any]) -> Sequence[_Projection]:
    return model.projections.get(type(event.fact), ())


def waves(events: Wave, folding: Mapping[type, object] = _NOBODY) -> list[list[Recorded[Any]]]:
    """Cut so that a stream occurs at most once in a wave, keeping each stream's order.

    folding: who folds events of a type; what the same one folds stays together.
    """
    found: list[list[Recorded[Any]]] = []
    last: dict[str, tuple[int, object]] = {}
    for event in events:
        level, before = last.get(event.stream, (-1, None))
        folds = folding.get(type(event.fact)) if folding else None
        if folds is None or folds is not before:
            level += 1
            last[event.stream] = level, folds
        if level == len(found):
            found.append([])
        found[level].append(event)
    return found
