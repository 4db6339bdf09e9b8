"""Deadlines: every wait on somebody else ends, by an event or by its due time.

The timer reads due rows and sends `DeadlinePassed` through `decide`. The group drops it where
the wait has ended meanwhile, so two timers may see the same row; one has an effect.
"""

import asyncio
from uuid import uuid4

import structlog

from epassport.actor import service_actor
from epassport.clock import Clock
from epassport.commands import Envelope
from epassport.database import Database
from epassport.decider import DeadlinePassed, StreamId
from epassport.events import Origin
from epassport.faults import is_transient
from epassport.group import Group
from epassport_contracts import ServiceName

log = structlog.get_logger(__name__)

LIMIT = 100
POLL_SECONDS = 0.25


class Timer:
    def __init__(
        self, service: ServiceName, database: Database, group: Group, clock: Clock
    ) -> None:
        self._service = service
        self._database = database
        self._group = group
        self._clock = clock

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
        """Send what is due, at most one deadline per stream; returns how many."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT DISTINCT ON (stream_id) stream_id, kind, started_by_version, due_at
                  FROM (SELECT * FROM deadlines WHERE due_at <= clock_timestamp() + $1::interval
                         ORDER BY due_at LIMIT $2) AS due
                 ORDER BY stream_id, due_at
                """,
                self._clock.offset,
                LIMIT,
            )
        now = self._clock.now()
        envelopes = [
            Envelope(
                StreamId(row["stream_id"]),
                DeadlinePassed(row["kind"], row["started_by_version"], now),
                Origin(service_actor(self._service), uuid4()),
            )
            for row in sorted(rows, key=lambda row: row["due_at"])
        ]
        if not envelopes:
            return 0
        for envelope, outcome in zip(envelopes, await self._group.execute(envelopes), strict=True):
            if isinstance(outcome, Exception):
                log.error("deadline-failed", stream=envelope.stream, fault=repr(type(outcome)))
        return len(envelopes)
