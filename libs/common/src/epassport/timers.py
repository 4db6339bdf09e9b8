"""Deadlines: every wait on somebody else ends, by an event or by its due time.

The timer reads due rows and sends `DeadlinePassed` through `decide`; the group drops it where the
wait has ended meanwhile. A wait that it makes overdue stays listed until something ends it
(`epassport.waits`). Of several replicas one handles a page at a time, so that each row is
handled once and late ones in the order of their due times.

A deadline whose command fails is sent again later and later, and until then makes room for the
others. Its failures are kept in `failing_deadlines`, where an operator finds them.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from uuid import uuid4

import structlog

from epassport.actor import service_actor
from epassport.clock import Clock
from epassport.commands import Accepted, Envelope, Outcome, Rejected
from epassport.database import Connection, Database
from epassport.decider import DeadlinePassed, StreamId
from epassport.events import Origin
from epassport.faults import is_transient
from epassport.group import Group
from epassport_contracts import ServiceName

log = structlog.get_logger(__name__)

LIMIT = 100
POLL_SECONDS = 1.0  # no wait is shorter than minutes
FIRST_RETRY = timedelta(seconds=5)  # doubles with each failure
LAST_RETRY = timedelta(minutes=5)
TIMER_LOCK = 7_303_016


class Timer:
    def __init__(
        self, service: ServiceName, database: Database, group: Group, clock: Clock
    ) -> None:
        self._service = service
        self._database = database
        self._group = group
        self._clock = clock
        self._stepped_at = monotonic()

    @property
    def idle_seconds(self) -> float:
        """Since the last step that came to its end; readiness asks."""
        return monotonic() - self._stepped_at

    async def run(self) -> None:
        """Until cancelled; late deadlines after an outage come in order of their due time."""
        while True:
            try:
                handled = await self.step()
            except Exception as fault:
                if not is_transient(fault):
                    raise
                log.warning("timer-waits", fault=type(fault).__name__)
                handled = 0
            if handled < LIMIT:
                await asyncio.sleep(POLL_SECONDS)

    async def step(self) -> int:
        """Send what is due, at most one deadline per stream; returns how many.

        0 also where another replica is at it. The lock's transaction writes nothing, so no reader
        waits for it; a frozen timer loses it with its session, five seconds later.
        """
        async with self._database.transaction() as turn:
            if not await turn.fetchval("SELECT pg_try_advisory_xact_lock($1)", TIMER_LOCK):
                handled = 0
            else:
                handled = await self._send(await self._due(turn))
        self._stepped_at = monotonic()
        return handled

    async def _due(self, connection: Connection) -> list[Envelope]:
        rows = await connection.fetch(
            """
            SELECT DISTINCT ON (stream_id) stream_id, kind, started_by_version, due_at
              FROM (SELECT d.* FROM deadlines AS d
                     WHERE d.due_at <= clock_timestamp() + $1::interval
                       AND NOT EXISTS (SELECT 1 FROM failing_deadlines AS f
                                        WHERE (f.stream_id, f.kind, f.started_by_version)
                                            = (d.stream_id, d.kind, d.started_by_version)
                                          AND f.retry_at > clock_timestamp())
                     ORDER BY d.due_at LIMIT $2) AS due
             ORDER BY stream_id, due_at
            """,
            self._clock.offset,
            LIMIT,
        )
        now = self._clock.now()
        return [
            Envelope(
                StreamId(row["stream_id"]),
                DeadlinePassed(row["kind"], row["started_by_version"], now),
                Origin(service_actor(self._service), uuid4()),
            )
            for row in sorted(rows, key=lambda row: row["due_at"])
        ]

    async def _send(self, envelopes: Sequence[Envelope]) -> int:
        if envelopes:
            outcomes = await self._group.execute(envelopes)
            failed = [
                (envelope, _failure(outcome))
                for envelope, outcome in zip(envelopes, outcomes, strict=True)
                if not isinstance(outcome, Accepted)
            ]
            if failed:
                await self._keep_failures(failed)
        return len(envelopes)

    async def _keep_failures(self, failed: Sequence[tuple[Envelope, str]]) -> None:
        """Where the wait is still open: one whose `decide` refused has ended with that."""
        commands = [envelope.command for envelope, _ in failed]
        async with self._database.connection() as connection:
            kept = await connection.fetch(
                """
                INSERT INTO failing_deadlines AS known
                       (stream_id, kind, started_by_version, failures, last_error, retry_at)
                SELECT d.stream_id, d.kind, d.started_by_version, 1, n.error,
                       clock_timestamp() + $5::interval
                  FROM unnest($1::text[], $2::text[], $3::int[], $4::text[])
                       AS n (stream, kind, version, error)
                  JOIN deadlines AS d ON (d.stream_id, d.kind, d.started_by_version)
                                       = (n.stream, n.kind, n.version)
                    ON CONFLICT (stream_id, kind) DO UPDATE
                   SET failures = CASE WHEN known.started_by_version = excluded.started_by_version
                                       THEN known.failures + 1 ELSE 1 END,
                       failed_since = CASE WHEN known.started_by_version
                                                = excluded.started_by_version
                                           THEN known.failed_since ELSE clock_timestamp() END,
                       started_by_version = excluded.started_by_version,
                       last_error = excluded.last_error,
                       retry_at = clock_timestamp() + least($6::interval,
                           $5::interval * power(2, CASE WHEN known.started_by_version
                                                             = excluded.started_by_version
                                                        THEN least(known.failures, 16)
                                                        ELSE 0 END))
                RETURNING stream_id, kind, failures, last_error
                """,
                [envelope.stream for envelope, _ in failed],
                [command.kind for command in commands],
                [command.started_by_version for command in commands],
                [failure for _, failure in failed],
                FIRST_RETRY,
                LAST_RETRY,
            )
        for row in kept:
            log.error(
                "deadline-failed",
                stream=row["stream_id"],
                kind=row["kind"],
                attempts=row["failures"],
                fault=row["last_error"],
            )


def _failure(outcome: Outcome | Exception) -> str:
    """A code or a class; an exception's own text may quote what it met."""
    return outcome.reason if isinstance(outcome, Rejected) else type(outcome).__name__
