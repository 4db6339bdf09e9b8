"""Read models that show a record applied twice, left out, or out of order.

They count without a guard, and their digest depends on the order; otherwise a replay of the
same wrong order would look right.
"""

from collections.abc import Sequence
from uuid import UUID

from epassport import Recorded
from epassport.readmodel import Tables


async def add(
    tables: Tables, table: str, wave: Sequence[Recorded[object]], operations: Sequence[UUID]
) -> int:
    """One row per stream: how many operations, and a digest over them in the order they came."""
    return await tables.upsert(
        f"""
        INSERT INTO {{{table}}} AS known (stream, operations, digest)
        SELECT stream, 1, md5(operation::text)
          FROM unnest($1::text[], $2::uuid[]) AS new (stream, operation)
            ON CONFLICT (stream) DO UPDATE
           SET operations = known.operations + 1, digest = md5(known.digest || excluded.digest)
        """,
        [event.stream for event in wave],
        list(operations),
    )
