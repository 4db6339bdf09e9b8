"""Checkpoints that move past events which concern nobody: of all readers of a process at once.

Most events concern few of a service's readers, and each would otherwise send a statement of its own
for every page. Such a move may be lost: it is made again.
"""

from collections.abc import Sequence
from typing import NamedTuple

from epassport.commands import Token
from epassport.database import Connection, Database
from epassport.together import Together


class _Move(NamedTuple):
    reader: str
    seen: Token
    last: Token


class Passing:
    def __init__(self, database: Database) -> None:
        self._moves = Together(database, _advance_all)

    async def move(self, reader: str, seen: Token, last: Token) -> bool:
        """seen: no start. False where somebody else has moved the checkpoint, or is about to."""
        return await self._moves.ask(_Move(reader, seen, last))


async def _advance_all(connection: Connection, moves: Sequence[_Move]) -> Sequence[bool]:
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
    moved = {row["reader"] for row in rows}
    return [move.reader in moved for move in moves]
