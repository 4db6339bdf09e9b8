"""Durable servers for the rows that write: fsync is on, as in production.

Two cores are busy to the last when such a row runs, so what a command costs is CPU: of this
process and of PostgreSQL. Ratios are made of it, because a neighbour who takes the cores away
changes seconds, and hardly the work.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
import uvloop

from epassport.database import Connection, Database, migrate
from epassport.entrypoints import GARBAGE_BEFORE_COLLECTION
from epassport_sandbox.stack import EmbeddedStack, Stack

T = TypeVar("T")


def run(measure: Callable[[EmbeddedStack], Coroutine[Any, Any, T]]) -> T:
    """On the loop that the services run on, with their collector's settings."""

    async def on_a_stack() -> T:
        async with EmbeddedStack(durable=True) as stack:
            return await measure(stack)

    gc.freeze()
    gc.set_threshold(GARBAGE_BEFORE_COLLECTION)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(on_a_stack())


@dataclass
class Spent:
    """Of a block: seconds by the clock; seconds of CPU of this process and of PostgreSQL."""

    seconds: float = 0.0
    here: float = 0.0
    server: float = 0.0

    @property
    def cpu(self) -> float:
        return self.here + self.server


@contextmanager
def spending(stack: EmbeddedStack) -> Iterator[Spent]:
    postgres, spent = stack.postgres_server.child, Spent()
    began, here, server = time.perf_counter(), time.process_time(), postgres.cpu_seconds()
    yield spent
    spent.seconds, spent.here = time.perf_counter() - began, time.process_time() - here
    spent.server = postgres.cpu_seconds() - server


def median_of(kind: str, all_spent: Sequence[Spent]) -> float:
    """kind: a member of Spent."""
    return float(statistics.median(getattr(spent, kind) for spent in all_spent))


@dataclass(frozen=True)
class Fresh:
    database: Database
    dsn: str

    @asynccontextmanager
    async def unbounded(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A session whose statements may take longer than a service's, to prepare a row."""
        connection = await asyncpg.connect(self.dsn)
        try:
            yield connection
        finally:
            await connection.close()


class Schemas:
    """Fresh databases with one service's schema."""

    def __init__(self, stack: Stack, package: str) -> None:
        self._stack = stack
        self._package = package
        self._made = 0

    @asynccontextmanager
    async def fresh(self, *, connections: int = 8) -> AsyncIterator[Fresh]:
        """Gone afterwards; every connection is open and knows the server's settings."""
        self._made += 1
        name = f"bench_{self._package}_{self._made}"
        dsn = await self._stack.postgres.create_database(name)
        await migrate(dsn, self._package)
        database = await Database.connect(dsn, connections=connections)
        try:
            await _warm(database, connections)
            yield Fresh(database, dsn)
        finally:
            await database.close()
            await self._stack.postgres.drop_database(name)


async def _warm(database: Database, connections: int) -> None:
    held = [await database.pool.acquire() for _ in range(connections)]
    for connection in held:
        await database.pool.release(connection)


@dataclass(eq=False)  # a logger is one of a set
class Statements:
    """count: of statements, each a round trip; commits: of transactions that ended well."""

    count: int = 0
    commits: int = 0

    def __call__(self, record: Any) -> None:
        self.count += 1
        self.commits += record.query.startswith("COMMIT")


async def count_statements(database: Database) -> Statements:
    """Of a pool of one connection, from now on."""
    statements = Statements()
    async with database.connection() as connection:
        connection.add_query_logger(statements)
    return statements


async def rows_in(connection: Connection, table: str) -> int:
    count: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return count


async def checkpointed(stack: Stack) -> None:
    """What earlier rounds left to be written is written before the next is measured."""
    connection = await asyncpg.connect(stack.postgres.superuser_dsn)
    try:
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
