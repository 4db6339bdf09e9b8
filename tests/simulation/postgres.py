"""A database in memory that keeps what the runtime relies on in PostgreSQL, at READ COMMITTED.

Each method that is no generator is one statement and happens at once. Transaction ids are given
at the first write and ended by commit or rollback in any order; positions come from a sequence
that no rollback gives back; so events become visible in another order than their positions. A
write takes its row's lock and sees the row as it was committed last. `horizon` is
pg_snapshot_xmin: the lowest transaction id that is still open.
"""

from collections.abc import Callable, Hashable
from typing import Any

from tests.simulation.scheduler import Disconnected, Process, Steps

Place = tuple[str, Hashable]

LOCK_PATIENCE = 200
"""Ticks a statement waits for a lock before the bound of a transaction ends it."""


class TransactionTooLong(Disconnected):
    """The server ended a transaction that had reached its bound."""


class Database:
    def __init__(self, name: str, now: Callable[[], int]) -> None:
        self.name = name
        self.now = now
        self.rows: dict[str, dict[Any, Any]] = {}
        self.locks: dict[Place, Session] = {}
        self.advisory: dict[Hashable, Session] = {}
        self.open: dict[int, Session] = {}
        self.sessions: dict[Session, None] = {}  # in the order they began
        self.next_transaction_id = 100
        self.next_position = 1

    @property
    def horizon(self) -> int:
        return min(self.open, default=self.next_transaction_id)

    def table(self, name: str) -> dict[Any, Any]:
        """Committed rows; a table's keys are of one shape."""
        return self.rows.setdefault(name, {})

    def restart(self) -> None:
        """What is committed stays; every session is gone."""
        for session in list(self.sessions):
            session.end()

    def end_idle(self, longer_than: int) -> None:
        """idle_session_timeout and the bound of a transaction: nobody holds anything for ever."""
        for session in list(self.sessions):
            if self.now() - session.used_at > longer_than:
                session.end()


class Session:
    """One connection. Outside a transaction every write commits by itself."""

    def __init__(self, database: Database, owner: Process) -> None:
        self._database = database
        self._writes: dict[Place, Any] = {}
        self._held: set[Place] = set()
        self._transaction_id: int | None = None
        self.alive = True
        self.used_at = database.now()
        database.sessions[self] = None
        owner.connections.append(self)

    def _use(self) -> None:
        if not self.alive:
            raise Disconnected(self._database.name)
        self.used_at = self._database.now()

    def touch(self) -> None:
        """SELECT 1. Raises Disconnected where the session, and with it its locks, is gone."""
        self._use()

    def transaction_id(self) -> int:
        """pg_current_xact_id()"""
        self._use()
        if self._transaction_id is None:
            self._transaction_id = self._database.next_transaction_id
            self._database.next_transaction_id += 1
            self._database.open[self._transaction_id] = self
        return self._transaction_id

    def read(self, table: str, key: Hashable) -> Any:
        """The row as committed last, or as this transaction has written it; None: there is none."""
        self._use()
        place = (table, key)
        if place in self._writes:
            return self._writes[place]
        return self._database.table(table).get(key)

    def scan(self, table: str) -> dict[Any, Any]:
        self._use()
        own = {key: row for (name, key), row in self._writes.items() if name == table}
        seen = self._database.table(table) | own
        return {key: row for key, row in seen.items() if row is not None}

    def lock(self, table: str, key: Hashable) -> Steps[Any]:
        """FOR UPDATE, or the uniqueness of an insert: waits, then sees the row as it is now."""
        place = (table, key)
        waited = 0
        self._use()
        while self._database.locks.get(place, self) is not self:
            yield 1
            self._use()
            waited += 1
            if waited > LOCK_PATIENCE:
                self.end()
                raise TransactionTooLong(f"{self._database.name}: {table}")
        self._database.locks[place] = self
        self._held.add(place)
        return self.read(table, key)

    def put(self, table: str, key: Hashable, row: Any) -> None:
        """row: None deletes. The row is locked."""
        self._use()
        assert (table, key) in self._held, f"{table} {key}: written without its lock"
        self.transaction_id()
        self._writes[table, key] = row

    def position(self) -> int:
        self._use()
        self._database.next_position += 1
        return self._database.next_position - 1

    def horizon(self) -> int:
        self._use()
        return self._database.horizon

    def try_advisory(self, key: Hashable) -> bool:
        """Held until the session ends."""
        self._use()
        return self._database.advisory.setdefault(key, self) is self

    def commit(self) -> None:
        self._use()
        for (table, key), row in self._writes.items():
            if row is None:
                self._database.table(table).pop(key, None)
            else:
                self._database.table(table)[key] = row
        self._leave()

    def rollback(self) -> None:
        self._use()
        self._leave()

    def _leave(self) -> None:
        self._writes = {}
        for place in self._held:
            del self._database.locks[place]
        self._held = set()
        if self._transaction_id is not None:
            del self._database.open[self._transaction_id]
        self._transaction_id = None

    def end(self) -> None:
        """Whoever ends it, what was not committed never was."""
        if not self.alive:
            return
        self._leave()
        self.alive = False
        del self._database.sessions[self]
        for key in [key for key, held in self._database.advisory.items() if held is self]:
            del self._database.advisory[key]
