"""What an operator sees: parked streams, stuck tasks, refused reactions, late deadlines.

Answers hold ids, reason codes, counts and times: no payload, no header, nothing of a person.
"""

import json
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from epassport.database import Connection
from epassport.errors import NotThere
from epassport.operations import Place
from epassport.records import WAITING, Cause
from epassport.tasks import IS_CASE

LIMIT = 100
MAX_LIMIT = 1_000

_KEY = re.compile(r"[a-z-]{1,40}/[0-9A-Za-z-]{1,64}|[0-9a-f-]{36}(/[0-9a-z-]{1,40}){3}")


class Seen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ParkedStream(Seen):
    """offset: of the record that holds the stream; with consumer, topic and partition it names
    the stream in every order. stream: null where the record's key has no stream's shape."""

    consumer: str
    topic: str
    partition: int
    offset: int
    stream: str | None
    cause: str
    records: int
    since: datetime
    age_seconds: int


class ParkedRecord(Seen):
    offset: int
    cause: str
    detail: str
    parked_at: datetime
    octets: int


class StuckTask(Seen):
    """retry_at: it is tried again by itself then, since its fault may pass; null: it gave up."""

    task_id: UUID
    kind: str
    stream: str
    attempts: int
    last_error: str | None
    step: str | None
    region: str | None
    created_at: datetime
    age_seconds: int
    retry_at: datetime | None


class Refusal(Seen):
    """declared: the reaction foresaw it; false is a case that somebody closes."""

    refusal_id: int
    event_id: UUID
    stream: str
    command: str
    reason: str
    declared: bool
    refused_at: datetime


class Deadline(Seen):
    """failures: how often its command has failed; then it is sent again at retry_at."""

    stream: str
    kind: str
    due_at: datetime
    overdue_seconds: int
    failures: int
    last_error: str | None
    retry_at: datetime | None


class Circuit(Seen):
    """partitions: in which the consumer stands still, the first of them since `stands_since`.
    remaining: how many more bad records it may park although its circuit would open."""

    consumer: str
    topic: str
    partitions: list[int]
    stands_since: datetime | None
    remaining: int


class Action(Seen):
    action_id: UUID
    action: str
    target: dict[str, Any]
    found: dict[str, Any]
    issuer: str
    subject: str
    reason: str
    done_at: datetime


async def parked_streams(connection: Connection, limit: int = LIMIT) -> list[ParkedStream]:
    """Longest parked first."""
    rows = await connection.fetch(
        """
        SELECT consumer, topic, partition, key AS stream, count(*)::int AS records,
               (array_agg(record_offset ORDER BY cause = ANY($2::text[]),
                                                 cause <> $3, record_offset))[1] AS offset,
               (array_agg(cause ORDER BY cause = ANY($2::text[]),
                                         cause <> $3, record_offset))[1] AS cause,
               min(parked_at) AS since,
               EXTRACT(EPOCH FROM clock_timestamp() - min(parked_at))::int AS age_seconds
          FROM parked GROUP BY consumer, topic, partition, key
         ORDER BY since, consumer, topic, partition, stream LIMIT $1
        """,
        limit,
        list(WAITING),
        Cause.GAP,
    )
    return [ParkedStream(**{**row, "stream": _shown(row["stream"])}) for row in rows]


async def parked_records(
    connection: Connection, place: Place, limit: int = LIMIT
) -> list[ParkedRecord]:
    """Every record of one stream, in order. Raises NotThere."""
    rows = await connection.fetch(
        """
        SELECT p.record_offset AS offset, p.cause, p.detail, p.parked_at,
               COALESCE(length(p.value), 0) AS octets
          FROM parked AS p JOIN parked AS one USING (consumer, topic, partition, key)
         WHERE (one.consumer, one.topic, one.partition, one.record_offset) = ($1, $2, $3, $4)
         ORDER BY p.record_offset LIMIT $5
        """,
        place.consumer,
        place.topic,
        place.partition,
        place.offset,
        limit,
    )
    if not rows:
        raise NotThere("nothing is parked there")
    return [ParkedRecord(**row) for row in rows]


async def stuck_tasks(connection: Connection, limit: int = LIMIT) -> list[StuckTask]:
    """Oldest first."""
    rows = await connection.fetch(
        f"""
        SELECT task_id, kind, stream_id AS stream, attempts, last_error, step, region, created_at,
               EXTRACT(EPOCH FROM clock_timestamp() - created_at)::int AS age_seconds,
               CASE WHEN NOT stuck THEN due_at END AS retry_at
          FROM tasks WHERE {IS_CASE} ORDER BY created_at, task_id LIMIT $1
        """,  # noqa: S608 - a constant
        limit,
    )
    return [StuckTask(**row) for row in rows]


async def open_refusals(connection: Connection, limit: int = LIMIT) -> list[Refusal]:
    """Undeclared ones first, each kind in the order in which they came."""
    rows = await connection.fetch(
        """
        SELECT id AS refusal_id, event_id, stream_id AS stream, command, reason, declared,
               refused_at
          FROM reaction_refusals WHERE closed_by IS NULL ORDER BY declared, id LIMIT $1
        """,
        limit,
    )
    return [Refusal(**row) for row in rows]


async def overdue_deadlines(
    connection: Connection, offset: timedelta, limit: int = LIMIT
) -> list[Deadline]:
    """Failing ones first, then by due time. offset: the clock's, added to the database's."""
    rows = await connection.fetch(
        """
        SELECT d.stream_id AS stream, d.kind, d.due_at, COALESCE(f.failures, 0) AS failures,
               f.last_error, f.retry_at,
               EXTRACT(EPOCH FROM clock_timestamp() + $1::interval - d.due_at)::int
                   AS overdue_seconds
          FROM deadlines AS d
          LEFT JOIN failing_deadlines AS f USING (stream_id, kind, started_by_version)
         WHERE d.due_at <= clock_timestamp() + $1::interval
         ORDER BY f.failures IS NULL, d.due_at, d.stream_id LIMIT $2
        """,
        offset,
        limit,
    )
    return [Deadline(**row) for row in rows]


async def circuits(connection: Connection, limit: int = LIMIT) -> list[Circuit]:
    """Who stands still, longest first, and who is allowed to park more than it would."""
    rows = await connection.fetch(
        """
        SELECT consumer, topic, COALESCE(partitions, '{}') AS partitions, stands_since,
               COALESCE(remaining, 0) AS remaining
          FROM (SELECT consumer, topic, array_agg(partition ORDER BY partition) AS partitions,
                       min(stands_since) AS stands_since
                  FROM consumer_offsets WHERE stands_since IS NOT NULL
                 GROUP BY consumer, topic) AS standing
          FULL JOIN circuit_allowances USING (consumer, topic)
         ORDER BY stands_since, consumer, topic LIMIT $1
        """,
        limit,
    )
    return [Circuit(**row) for row in rows]


async def actions(connection: Connection, limit: int = LIMIT) -> list[Action]:
    """Newest first."""
    rows = await connection.fetch(
        """
        SELECT action_id, action, target, found, actor->>'issuer' AS issuer,
               actor->>'subject' AS subject, reason, done_at
          FROM operator_actions ORDER BY done_at DESC, action_id LIMIT $1
        """,
        limit,
    )
    return [
        Action(
            **{
                **row,
                "target": json.loads(row["target"]),
                "found": json.loads(row["found"]),
            }
        )
        for row in rows
    ]


def _shown(key: str) -> str | None:
    """A key that somebody else wrote may be anything; one in a stream's shape is an id."""
    return key if _KEY.fullmatch(key) else None
