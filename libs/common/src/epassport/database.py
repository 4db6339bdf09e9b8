"""One service's database: pool, transactions that cannot linger, numbered migrations."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

import asyncpg

from epassport.errors import TransactionTooLong

if TYPE_CHECKING:
    Connection = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )
else:
    Connection = asyncpg.Connection

# A writing transaction holds back every reader of the event store in the whole cluster
# (xmin is cluster-wide), so none may exceed this.
TRANSACTION_SECONDS = 1.0

# The server's part of the bound: a statement, also one alone, and a client that stands still in
# the middle; `bound_transactions` adds the whole.
_SERVER_SETTINGS = {
    "application_name": "epassport",
    "statement_timeout": str(round(TRANSACTION_SECONDS * 1000)),
    "idle_in_transaction_session_timeout": str(round(TRANSACTION_SECONDS * 1000)),
    "timezone": "UTC",
}

# A statement that took too long; a client that stood still, told in time, or found out at its next
# statement, which the driver then calls its own fault.
_ENDED_BY_THE_SERVER = (
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.InternalClientError,
)

# What ends a transaction in time is in the client and above; this comes when they could not.
WHOLE_TRANSACTION_SECONDS = 3.0

MIGRATION_LOCK = 7_303_014

OLDEST_POSTGRES = 15

_after_commit: ContextVar[list[Callable[[], None]] | None] = ContextVar(
    "after_commit", default=None
)


def after_commit(action: Callable[[], None]) -> None:
    """Do this once the caller's `Database.transaction` has committed, and not if it does not;
    at once where there is none."""
    actions = _after_commit.get()
    if actions is None:
        action()
    else:
        actions.append(action)


async def _nothing_to_reset(_connection: object) -> None:
    """Sessions of the pool hold nothing: no advisory locks, listeners or settings of their own.
    What asyncpg would send by itself costs a round trip at each release."""


_ARRAYS = (
    "SELECT $1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bytea[], $6::boolean[],"
    " $7::timestamptz[], $8::date[]"
)


async def bound_transactions(
    connection: "asyncpg.Connection[asyncpg.Record]", seconds: float
) -> None:
    """On the server, each as a whole, where it can (PostgreSQL 17): a client that stops between
    preparing a statement and executing it looks to the server as if it were at work, and neither
    a statement's bound nor an idle session's holds there."""
    if connection.get_server_version().major >= 17:
        await connection.execute(f"SET transaction_timeout = {round(seconds * 1000)}")


class SchemaMismatch(Exception):
    """The database's schema is not the one this build was made for."""


class Database:
    """A pool of connections to one service's database.

    A connection that did its work well is kept at hand for the next: handing it back to the
    driver's pool and taking it again costs more than a statement. All others go back there.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool
        self._free = asyncio.Semaphore(pool.get_max_size())
        self._at_hand: list[asyncpg.pool.PoolConnectionProxy[asyncpg.Record]] = []

    @classmethod
    async def connect(
        cls, dsn: str, *, connections: int = 8, settings: Mapping[str, str] | None = None
    ) -> "Database":
        """settings: of each session, beside those that keep transactions short."""
        wanted = {**_SERVER_SETTINGS, **(settings or {})}
        bound = wanted.pop("statement_timeout")

        async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
            """asyncpg asks the server about each array type when a connection first meets it:
            15 ms and more, which would be spent in a group's transaction, under its locks. On a
            busy machine it is more than a statement may take; here it must not end a start."""
            await connection.prepare(_ARRAYS)
            await connection.execute(f"SET statement_timeout = {bound}")
            await bound_transactions(connection, WHOLE_TRANSACTION_SECONDS)

        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=connections,
            command_timeout=10,
            init=prepare,
            reset=_nothing_to_reset,
            server_settings=wanted,
        )
        return cls(pool)

    async def close(self) -> None:
        while self._at_hand:
            await self.pool.release(self._at_hand.pop())
        await self.pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with self._free:
            connection = await self._take()
            try:
                yield connection
            except BaseException:
                await self.pool.release(connection)
                raise
            self._at_hand.append(connection)

    async def _take(self) -> "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]":
        while self._at_hand:
            connection = self._at_hand.pop()
            if not connection.is_closed():
                return connection
            await self.pool.release(connection)
        return await self.pool.acquire()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """READ COMMITTED, at most TRANSACTION_SECONDS until its COMMIT is sent.

        A cancelled connection is thrown away: asyncpg may hand it back with the transaction
        still open; kept, it once replayed answers that were later missing.
        Raises TransactionTooLong, with nothing written.
        """
        async with self.connection() as connection:
            transaction = connection.transaction()
            bound = asyncio.timeout(TRANSACTION_SECONDS)
            actions: list[Callable[[], None]] = []
            outer = _after_commit.set(actions)
            try:
                async with bound:
                    await transaction.start()
                    yield connection
                await transaction.commit()
            except BaseException as fault:
                cut_off = bound.expired() or isinstance(
                    fault, asyncio.CancelledError | TimeoutError
                )
                await _leave(connection, transaction, thrown_away=cut_off)
                if bound.expired() or isinstance(fault, _ENDED_BY_THE_SERVER):
                    raise TransactionTooLong from fault
                raise
            finally:
                _after_commit.reset(outer)
        for action in actions:
            action()


async def _leave(
    connection: Connection, transaction: asyncpg.transaction.Transaction, *, thrown_away: bool
) -> None:
    if thrown_away:
        connection.terminate()
    elif not connection.is_closed() and connection.is_in_transaction():
        try:
            await transaction.rollback()
        except BaseException:
            connection.terminate()
            raise


def _migrations(folders: Sequence[Traversable]) -> list[tuple[str, str]]:
    """(name, SQL) in order: the runtime's folder first, then the service's."""
    found: list[tuple[str, str]] = []
    for folder in folders:
        scripts = sorted(
            (entry for entry in folder.iterdir() if re.match(r"\d{4}_.*\.sql$", entry.name)),
            key=lambda entry: entry.name,
        )
        found += [(script.name, script.read_text()) for script in scripts]
    names = [name for name, _ in found]
    if len(set(names)) != len(names):
        raise SchemaMismatch("two migrations share a name")
    return found


def migration_folders(package: str) -> list[Traversable]:
    return [files("epassport") / "migrations", files(package) / "migrations"]


async def migrate(dsn: str, package: str) -> list[str]:
    """Apply what is missing under an advisory lock; returns the names applied."""
    connection = await asyncpg.connect(dsn)
    try:
        refuse_old_server(connection.get_server_version().major)
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
        known = await _applied(connection)
        applied: list[str] = []
        for name, script in _migrations(migration_folders(package)):
            if name not in known:
                async with connection.transaction():
                    await connection.execute(script)
                    await connection.execute(
                        "INSERT INTO schema_migrations (name) VALUES ($1)", name
                    )
                applied.append(name)
        return applied
    finally:
        await connection.close()


def refuse_old_server(major: int) -> None:
    """Raises SchemaMismatch: migrations and statements use what older servers do not know."""
    if major < OLDEST_POSTGRES:
        raise SchemaMismatch(f"PostgreSQL {major} is too old: {OLDEST_POSTGRES} or newer")


async def check_schema(database: Database, package: str) -> None:
    """Raises SchemaMismatch where server or schema do not fit this build: too old, or newer."""
    wanted = {name for name, _ in _migrations(migration_folders(package))}
    async with database.connection() as connection:
        refuse_old_server(connection.get_server_version().major)
        exists = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
        known = await _applied(connection) if exists else set()
    if missing := wanted - known:
        raise SchemaMismatch(f"schema is too old: run migrate (missing {min(missing)})")
    if unknown := known - wanted:
        raise SchemaMismatch(f"schema is newer than this build (unknown {min(unknown)})")


async def _applied(connection: Connection) -> set[str]:
    rows = await connection.fetch("SELECT name FROM schema_migrations")
    return {row["name"] for row in rows}
