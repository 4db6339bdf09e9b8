"""What an operator does: replay and discard, retry and abandon, override, close, allow, send again.

Each order names who gave it and why, and stays: a row of `operator_actions`, written in the
transaction that has the effect (of a replay, which has many, before the first). The same order
sent again, known by its id, has no second effect.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from epassport.actor import Actor
from epassport.clock import Clock
from epassport.database import Connection, Database
from epassport.decider import StreamId
from epassport.draining import ParkedStreams
from epassport.errors import GroupConflict, NotThere, RuntimeFault, TransactionTooLong
from epassport.group import ATTEMPTS as GROUP_ATTEMPTS
from epassport.progress import Progress
from epassport.refused import RefusedReactions
from epassport.republish import NumbersUnknown, Republisher
from epassport.tasks import IS_CASE

_ACTOR: TypeAdapter[Actor] = TypeAdapter(Actor)

MAX_ALLOWANCE = 10_000
STREAMS_AT_ONCE = 100
_NEXT_STREAMS = "SELECT stream_id FROM streams WHERE stream_id > $1 ORDER BY stream_id LIMIT $2"

Found = dict[str, Any]


class OrderReused(RuntimeFault):
    """The id of this order belongs to another one."""


@dataclass(frozen=True)
class Order:
    """reason: free text for those who read it later; it names no person."""

    action_id: UUID
    actor: Actor
    reason: str


@dataclass(frozen=True)
class Place:
    """Any parked record of a stream; the stream is the one of its key."""

    consumer: str
    topic: str
    partition: int
    offset: int

    def as_target(self) -> Found:
        return dict(vars(self))


class Operations:
    """Raises NotThere where what an order names is not there, or not in that state."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        parked: Iterable[ParkedStreams],
        refused: RefusedReactions,
        republisher: Republisher,
    ) -> None:
        """parked: of every consumer and topic of this service."""
        self.clock = clock
        self._republisher = republisher
        self._refused = refused
        self._database = database
        self._parked = {(one.consumer, one.topic): one for one in parked}

    async def replay(self, order: Order, place: Place) -> Found:
        """Try a parked stream again, in order, up to a record that fails again or is missing.

        Raises passing faults; what was applied until then stays applied.
        """
        parked = self._parked_streams(place)

        async def count(connection: Connection) -> Found:
            key = await parked.key_at(connection, place.partition, place.offset)
            return {"parked": await parked.count(connection, key)}

        found = await self._once(order, "replay", place.as_target(), count)
        async with self._database.connection() as connection:
            try:
                key = await parked.key_at(connection, place.partition, place.offset)
            except NotThere:  # the same order sent again, after it did its work
                return {**found, "applied": 0, "left": 0}
        applied = await parked.drain(place.partition, key, also_faults=True)
        async with self._database.connection() as connection:
            return {**found, "applied": applied, "left": await parked.count(connection, key)}

    async def discard(self, order: Order, place: Place) -> Found:
        """Put one record away for good; the rest of its stream goes on by itself.

        Raises NotDiscardable where one before it is missing or waits too.
        """
        parked = self._parked_streams(place)

        async def put_away(connection: Connection) -> Found:
            record = await parked.discard(
                connection, place.partition, place.offset, order.actor, order.reason
            )
            return {"cause": record.cause}

        return await self._once(order, "discard", place.as_target(), put_away)

    async def retry_task(self, order: Order, task_id: UUID) -> Found:
        """An operator's case is due at once, with all its attempts before it again."""
        return await self._once(
            order,
            "retry-task",
            {"task_id": str(task_id)},
            _one_row(
                f"""
                WITH stuck AS (SELECT * FROM tasks
                                WHERE task_id = $1 AND {IS_CASE} FOR UPDATE)
                UPDATE tasks AS t SET stuck = false, attempts = 0, due_at = clock_timestamp()
                  FROM stuck AS s WHERE t.task_id = s.task_id
                RETURNING s.kind, s.stream_id AS stream, s.attempts, s.last_error
                """,  # noqa: S608 - a constant
                task_id,
                missing="no such task is stuck",
            ),
        )

    async def abandon_task(self, order: Order, task_id: UUID) -> Found:
        """It is not begun any more; whoever waits for it hears from its deadline.

        A worker that is at it at this moment may still finish it.
        """
        return await self._once(
            order,
            "abandon-task",
            {"task_id": str(task_id)},
            _one_row(
                f"DELETE FROM tasks WHERE task_id = $1 AND {IS_CASE}"  # noqa: S608 - a constant
                " RETURNING kind, stream_id AS stream, attempts, last_error",
                task_id,
                missing="no such task is stuck",
            ),
        )

    async def close_refusal(self, order: Order, refusal_id: int) -> Found:
        """A reaction's refusal that it did not declare has been dealt with."""

        return await self._once(
            order,
            "close-refusal",
            {"refusal_id": refusal_id},
            _one_row(
                "UPDATE reaction_refusals SET closed_by = $2"
                " WHERE id = $1 AND NOT declared AND closed_by IS NULL"
                " RETURNING event_id::text, stream_id AS stream, command, reason",
                refusal_id,
                order.action_id,
                missing="no such case is open",
            ),
        )

    async def retry_reaction(self, order: Order, refusal_id: int) -> Found:
        """The command that was refused unforeseen is sent again, and decided on today's state."""

        async def send_again(connection: Connection) -> Found:
            return await self._refused.send_again(connection, refusal_id, order.action_id)

        target = {"refusal_id": refusal_id}
        for _ in range(GROUP_ATTEMPTS - 1):
            with suppress(GroupConflict):
                return await self._once(order, "retry-reaction", target, send_again)
        return await self._once(order, "retry-reaction", target, send_again)

    async def override_deadline(self, order: Order, stream: str, kind: str) -> Found:
        """What is overdue is not waited for any more, and nothing comes of it."""
        return await self._once(
            order,
            "override-deadline",
            {"stream": stream, "kind": kind},
            _one_row(
                """
                WITH held AS MATERIALIZED (
                    SELECT 1 FROM streams WHERE stream_id = $1 FOR UPDATE
                ), forgiven AS (
                    DELETE FROM failing_deadlines WHERE stream_id = $1 AND kind = $2)
                DELETE FROM deadlines
                 WHERE stream_id = $1 AND kind = $2 AND EXISTS (SELECT 1 FROM held)
                   AND (due_at <= clock_timestamp() + $3::interval OR overdue_since IS NOT NULL)
                RETURNING started_by_version, coalesce(overdue_since, due_at)::text AS overdue_since
                """,
                stream,
                kind,
                self.clock.offset,
                missing="no such wait is overdue",
            ),
        )

    async def retry_deadline(self, order: Order, stream: str, kind: str) -> Found:
        """The deadline of an overdue wait is sent at once, and decided on today's state."""
        return await self._once(
            order,
            "retry-deadline",
            {"stream": stream, "kind": kind},
            _one_row(
                """
                WITH failing AS (
                    UPDATE failing_deadlines SET retry_at = clock_timestamp()
                     WHERE stream_id = $1 AND kind = $2
                    RETURNING started_by_version, failures, last_error)
                UPDATE deadlines AS d SET due_at = least(due_at, clock_timestamp() + $3::interval)
                 WHERE stream_id = $1 AND kind = $2
                   AND (due_at <= clock_timestamp() + $3::interval OR overdue_since IS NOT NULL)
                RETURNING coalesce((SELECT failures FROM failing), 0) AS failures,
                          (SELECT last_error FROM failing) AS last_error
                """,
                stream,
                kind,
                self.clock.offset,
                missing="no such wait is overdue",
            ),
        )

    async def allow(self, order: Order, consumer: str, topic: str, records: int) -> Found:
        """Let a consumer park that many bad records although its circuit would open."""
        if (consumer, topic) not in self._parked:
            raise NotThere("no such consumer hears this topic")
        return await self._once(
            order,
            "allow",
            {"consumer": consumer, "topic": topic, "records": records},
            _one_row(
                """
                INSERT INTO circuit_allowances (consumer, topic, remaining) VALUES ($1, $2, $3)
                    ON CONFLICT (consumer, topic) DO UPDATE SET remaining = excluded.remaining
                RETURNING remaining
                """,
                consumer,
                topic,
                records,
                missing="",
            ),
        )

    async def begin_again(self, order: Order, consumer: str, topic: str) -> Found:
        """Let a consumer that stands still read its topic from the beginning, where it was made
        anew: what it has applied already it passes over as repeats."""
        return await self._once(
            order,
            "begin-again",
            {"consumer": consumer, "topic": topic},
            _one_row(
                """
                WITH begun AS (
                    UPDATE consumer_offsets SET next_offset = 0, stands_since = NULL
                     WHERE consumer = $1 AND topic = $2 AND stands_since IS NOT NULL
                    RETURNING partition)
                SELECT count(*)::int AS partitions FROM begun HAVING count(*) > 0
                """,
                consumer,
                topic,
                missing="no such consumer stands still",
            ),
        )

    async def republish(self, order: Order, stream: StreamId) -> Found:
        """Send a stream's records again, to whoever has not got them all. Raises NumbersUnknown."""

        async def send(connection: Connection) -> Found:
            sent = await self._republisher.send(connection, [stream], self.clock.now())
            if sent.unknown:
                raise NumbersUnknown(f"{stream} has used other numbers than its events would get")
            if not sent.records:
                raise NotThere("nothing was ever published of this stream")
            return {"records": sent.records}

        return await self._once(order, "republish", {"stream": stream}, send)

    async def republish_all(self, order: Order, progress: Progress) -> Found:
        """The records of all streams; may be ordered again where it was cut short."""

        async def count(connection: Connection) -> Found:
            return {"streams": await connection.fetchval("SELECT count(*) FROM streams")}

        found = await self._once(order, "republish-all", {}, count)
        progress.begin(found["streams"])
        records = unknown = 0
        after, at_most = "", STREAMS_AT_ONCE
        while True:
            try:
                async with self._database.transaction() as connection:
                    streams = await connection.fetch(_NEXT_STREAMS, after, at_most)
                    if not streams:
                        break
                    names = [row["stream_id"] for row in streams]
                    sent = await self._republisher.send(connection, names, self.clock.now())
            except TransactionTooLong:
                if at_most == 1:
                    raise
                at_most //= 2
                continue
            after, at_most = names[-1], min(STREAMS_AT_ONCE, at_most * 2)
            records, unknown = records + sent.records, unknown + len(sent.unknown)
            progress.add(len(names))
        progress.end()
        return {**found, "records": records, "unknown": unknown}

    async def _once(
        self,
        order: Order,
        action: str,
        target: Mapping[str, Any],
        effect: Callable[[Connection], Awaitable[Found]],
    ) -> Found:
        async with self._database.transaction() as connection:
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", str(order.action_id)
            )
            before = await connection.fetchrow(
                "SELECT action, target, found FROM operator_actions WHERE action_id = $1",
                order.action_id,
            )
            if before is not None:
                if (before["action"], json.loads(before["target"])) != (action, target):
                    raise OrderReused
                return dict(json.loads(before["found"]))
            found = await effect(connection)
            await record_action(connection, order, action, target, found)
        return found

    def _parked_streams(self, place: Place) -> ParkedStreams:
        try:
            return self._parked[place.consumer, place.topic]
        except KeyError:
            raise NotThere("no such consumer hears this topic") from None


async def record_action(
    connection: Connection, order: Order, action: str, target: Mapping[str, Any], found: Found
) -> None:
    """In the transaction that has the effect."""
    await connection.execute(
        "INSERT INTO operator_actions (action_id, action, target, found, actor, reason)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        order.action_id,
        action,
        json.dumps(target),
        json.dumps(found),
        _ACTOR.dump_json(order.actor).decode(),
        order.reason,
    )


def _one_row(
    statement: str, *arguments: object, missing: str
) -> Callable[[Connection], Awaitable[Found]]:
    """An effect that is one statement and returns what it found there."""

    async def effect(connection: Connection) -> Found:
        row = await connection.fetchrow(statement, *arguments)
        if row is None:
            raise NotThere(missing)
        return dict(row)

    return effect
