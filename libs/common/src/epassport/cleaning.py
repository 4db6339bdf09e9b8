"""Rows that have served their time go, a few at a time, in the process `timers`.

Every batch is a transaction of its own with at most 500 rows, given up after 900 ms: a writing
transaction holds back every reader of the event store. Replicas do not wait for each other. Ages
are by the database's clock, in which these rows were written.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from epassport import metrics
from epassport.database import Database
from epassport.faults import is_transient

log = structlog.get_logger(__name__)

BATCH = 500
BATCHES_AT_ONCE = 20
EVERY_SECONDS = 60.0
STATEMENT_TIMEOUT = "900ms"

ANSWERS_KEPT = timedelta(days=7)
CLAIM_MARGIN = timedelta(days=1)


@dataclass(frozen=True)
class Cleanup:
    """statement: deletes at most $1 rows; further arguments follow."""

    name: str
    statement: str
    arguments: tuple[object, ...] = ()


def kept_answers(after: timedelta = ANSWERS_KEPT) -> Cleanup:
    """An answer of a task stays while its task does: a task that was stuck for longer would
    otherwise send again what it has sent."""
    return Cleanup(
        "kept-answers",
        """
        DELETE FROM idempotency WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM idempotency AS i
             WHERE kept_at < clock_timestamp() - $2::interval
               AND CASE WHEN scope = 'task'
                        THEN NOT EXISTS (SELECT 1 FROM tasks
                                          WHERE task_id = split_part(i.key, '/', 1)::uuid)
                        ELSE true END
             ORDER BY kept_at LIMIT $1 FOR UPDATE SKIP LOCKED))
        """,
        (after,),
    )


def fleeting_claims(kind: str, after: timedelta) -> Cleanup:
    """Claims that forbid a second use, once a first one would be refused as well.

    A day is added: the service's clock and the database's need not agree to the minute.
    """
    return Cleanup(
        f"claims-{kind}",
        """
        DELETE FROM claims WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM claims WHERE kind = $2 AND taken_at < clock_timestamp() - $3::interval
             ORDER BY taken_at LIMIT $1 FOR UPDATE SKIP LOCKED))
        """,
        (kind, after + CLAIM_MARGIN),
    )


FAILURES_OF_ENDED_WAITS = Cleanup(
    "failures-of-ended-waits",
    """
    DELETE FROM failing_deadlines WHERE ctid = ANY (ARRAY(
        SELECT f.ctid FROM failing_deadlines AS f
         WHERE NOT EXISTS (SELECT 1 FROM deadlines AS d
                            WHERE (d.stream_id, d.kind, d.started_by_version)
                                = (f.stream_id, f.kind, f.started_by_version)
                              AND d.due_at IS NOT NULL)
         LIMIT $1 FOR UPDATE SKIP LOCKED))
    """,
)


def cleanups_of(fleeting: Mapping[str, timedelta]) -> list[Cleanup]:
    """What every service cleans up, and its own kinds of fleeting claims."""
    claims = [fleeting_claims(kind, after) for kind, after in fleeting.items()]
    return [kept_answers(), FAILURES_OF_ENDED_WAITS, *claims]


class Cleaner:
    def __init__(self, database: Database, cleanups: Sequence[Cleanup]) -> None:
        self._database = database
        self._cleanups = cleanups

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for cleanup in self._cleanups:
                try:
                    await self.clean(cleanup)
                except Exception as fault:
                    if not is_transient(fault):
                        raise
                    log.warning("cleaning-put-off", name=cleanup.name, fault=type(fault).__name__)
            await asyncio.sleep(EVERY_SECONDS)

    async def clean(self, cleanup: Cleanup) -> int:
        """At most twenty batches; what is left comes with the next round. Returns the rows gone."""
        gone = 0
        for _ in range(BATCHES_AT_ONCE):
            batch = await self._batch(cleanup)
            gone += batch
            metrics.ROWS_CLEANED.labels(cleanup.name).inc(batch)
            if batch < BATCH:
                break
        return gone

    async def _batch(self, cleanup: Cleanup) -> int:
        async with self._database.transaction() as connection:
            await connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
            status = await connection.execute(cleanup.statement, BATCH, *cleanup.arguments)
        return int(status.removeprefix("DELETE "))
