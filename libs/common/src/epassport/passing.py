"""Checkpoints that move past events which concern nobody: of all readers of a process at once.

Most events concern few of a service's readers, and each would otherwise send a statement of its own
for every page. Such a move may be lost: it is made again.
"""

import asyncio
from dataclasses import dataclass

from epassport.commands import Token
from epassport.database import Connection, Database


@dataclass(frozen=True)
class _Move:
    reader: str
    seen: Token
    last: Token
    moved: asyncio.Future[bool]


class Passing:
    """Moves that are asked for while one is on its way to the database go together in the next."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: list[_Move] = []
        self._moving: asyncio.Task[None] | None = None

    async def move(self, reader: str, seen: Token, last: Token) -> bool:
        """seen: no start. False where somebody else has moved the checkpoint, or is about to."""
        moved: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.append(_Move(reader, seen, last, moved))
        if self._moving is None:
            self._moving = asyncio.create_task(self._move_all())
        return await moved

    async def _move_all(self) -> None:
        try:
            while self._asked:
                await self._move_some()
        finally:
            self._moving = None

    async def _move_some(self) -> None:
        moves: list[_Move] = []
        try:
            async with self._database.connection() as connection:
                moves, self._asked = self._asked, []
                moved = await _advance_all(connection, moves)
        except BaseException as fault:
            if not moves:
                moves, self._asked = self._asked, []
            for move in moves:
                if not move.moved.done():
                    move.moved.set_exception(fault)
            if not isinstance(fault, Exception):
                raise
            return
        for move in moves:
            if not move.moved.done():
                move.moved.set_result(move.reader in moved)


async def _advance_all(connection: Connection, moves: list[_Move]) -> set[str]:
    """Whose row another holds is not waited for: two replicas may come with the same rows."""
    rows = await connection.fetch(
        """
        WITH free AS MATERIALIZED (
            SELECT c.reader, new.transaction_id, new.position
              FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[])
                AS new (reader, transaction_id, position, seen_transaction_id, seen_position)
              JOIN checkpoints AS c ON c.reader = new.reader
               AND c.transaction_id = new.seen_transaction_id::xid8
               AND c.position = new.seen_position
               FOR UPDATE OF c SKIP LOCKED)
        UPDATE checkpoints AS c
           SET transaction_id = free.transaction_id::xid8, position = free.position
          FROM free WHERE c.reader = free.reader
        RETURNING c.reader, set_config('synchronous_commit', 'off', true)
        """,
        [move.reader for move in moves],
        [str(move.last.transaction_id) for move in moves],
        [move.last.position for move in moves],
        [str(move.seen.transaction_id) for move in moves],
        [move.seen.position for move in moves],
    )
    return {row["reader"] for row in rows}
