"""Tasks: work with effects, done outside any transaction, answered by commands.

A task is a row written with the event that starts it. A worker claims it (SKIP LOCKED,
lease, attempts), does the work, sends the answer under the task's id as idempotency key, and
removes the row. A worker that dies lets the lease run out; another finishes the task, and
what the first already sent is answered from the kept outcome.

After twelve attempts a task is an operator's case. It has given up only where its fault does not
pass by itself: what an outage kept from being done is tried every minute and ends with the outage.
(docs/decisions/0041-a-fault-that-may-pass-gives-no-task-up.md)
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import structlog

from epassport import signals as names
from epassport.backoff import Backoff
from epassport.catalog import Starter, TaskStart
from epassport.commands import Accepted, Envelope, Idempotency, Outcome, Rejected
from epassport.database import Database
from epassport.decider import StreamId
from epassport.errors import KeyPending
from epassport.events import Origin, decode_origin
from epassport.faults import is_transient
from epassport.group import Group
from epassport.reactions import Send, record_refusal
from epassport.signals import Signals

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
ATTEMPTS_BEFORE_CASE = 12  # back-off doubles from 0.1 s and stays at 60 s: about 5 minutes
IS_CASE = f"(stuck OR attempts >= {ATTEMPTS_BEFORE_CASE})"
"""Of a row of `tasks`, in SQL: operators see it and may order something for it."""


@dataclass(frozen=True)
class Job:
    """One claimed task; `lease` is this claim of it."""

    task_id: UUID
    kind: str
    stream: StreamId
    input: dict[str, Any]
    origin: Origin
    attempts: int
    lease: UUID

    def new_id(self, label: str) -> UUID:
        digest = hashlib.sha256(f"{self.task_id}/{label}".encode()).digest()
        return UUID(bytes=digest[:16], version=4)


Work = Callable[[Job], Awaitable[Sequence[Send]]]
Function = TypeVar("Function", bound=Callable[..., Any])


class Task:
    """A kind of task: which own events start it, and how many run at once."""

    def __init__(self, kind: str, *, at_once: int = 4) -> None:
        self.kind = kind
        self.at_once = at_once
        self.starters: dict[type, list[Starter]] = {}

    def starts_on(self, *event_types: type) -> Callable[[Function], Function]:
        """Marks a pure function (event, state after it) -> TaskStart | None."""

        def mark(function: Function) -> Function:
            for event_type in event_types:
                self.starters.setdefault(event_type, []).append(function)
            return function

        return mark

    def start(
        self, input: dict[str, Any], *, step: str | None = None, region: str | None = None
    ) -> TaskStart:
        """step and region: what a pause can stop before a worker claims the task."""
        return TaskStart(self.kind, input, step, region)


class Workers:
    """Claims and does the tasks of one service until cancelled."""

    def __init__(
        self, database: Database, group: Group, signals: Signals, work: dict[str, tuple[Task, Work]]
    ) -> None:
        self._database = database
        self._group = group
        self._signals = signals
        self._work = work

    async def run(self) -> None:
        async with asyncio.TaskGroup() as parent:
            for task, work in self._work.values():
                parent.create_task(self._loop(task, work))

    async def _loop(self, task: Task, work: Work) -> None:
        """Claim as many as may run at once, and again when one is done or may have come."""
        running: set[asyncio.Task[None]] = set()
        lull = self._signals.lull(names.task(task.kind))
        try:
            while True:
                lull.look()
                claimed = await self._claim_or_wait(task.kind, task.at_once - len(running))
                running |= {asyncio.create_task(self._finish(job, work)) for job in claimed}
                if len(running) >= task.at_once:
                    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                elif claimed:
                    lull.found()
                else:
                    await lull.pause()
                for done in {one for one in running if one.done()}:
                    running.remove(done)
                    done.result()
        finally:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _finish(self, job: Job, work: Work) -> None:
        """A fault of the outside gives the task back as soon as there is somebody to take it."""
        try:
            await self._do(job, work)
        except Exception as fault:
            if not is_transient(fault):
                raise
            log.warning("worker-waits", kind=job.kind, fault=type(fault).__name__)
            await self._give_back(job, fault)

    async def _give_back(self, job: Job, fault: Exception) -> None:
        """Or else, after an outage, it would wait for the end of a lease that nobody uses."""
        backoff = Backoff(timedelta(milliseconds=200), timedelta(seconds=5))
        with suppress(TimeoutError):
            async with asyncio.timeout(LEASE.total_seconds()):
                while not await self._given_back(job, fault):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(backoff.seconds())

    async def _given_back(self, job: Job, fault: Exception) -> bool:
        try:
            await self._postpone(job, fault, stuck=False)
        except Exception as again:
            if not is_transient(again):
                raise
            return False
        return True

    async def _claim_or_wait(self, kind: str, at_most: int) -> list[Job]:
        try:
            return await self._claim(kind, at_most)
        except Exception as fault:
            if not is_transient(fault):
                raise
            log.warning("worker-waits", kind=kind, fault=type(fault).__name__)
            await asyncio.sleep(0.5)
            return []

    async def _claim(self, kind: str, at_most: int) -> list[Job]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                WITH due AS MATERIALIZED (  -- a subquery may run again and claim beyond its LIMIT
                    SELECT task_id FROM tasks AS t
                     WHERE kind = $1 AND NOT stuck AND due_at <= clock_timestamp()
                       AND (leased_until IS NULL OR leased_until < clock_timestamp())
                       AND NOT EXISTS (SELECT 1 FROM pauses AS p
                                        WHERE p.region = t.region AND p.step = t.step)
                     ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED)
                UPDATE tasks AS t SET lease = $2, attempts = attempts + 1,
                       leased_until = clock_timestamp() + $3::interval
                  FROM due WHERE t.task_id = due.task_id
                RETURNING t.task_id, kind, stream_id, input, metadata, attempts, lease
                """,
                kind,
                uuid4(),
                LEASE,
                at_most,
            )
        return [
            Job(
                row["task_id"],
                row["kind"],
                row["stream_id"],
                json.loads(row["input"]),
                decode_origin(row["metadata"]),
                row["attempts"],
                row["lease"],
            )
            for row in rows
        ]

    async def _do(self, job: Job, work: Work) -> None:
        try:
            async with asyncio.timeout(LEASE.total_seconds() - 5):
                sends = await work(job)
            await self._answer(job, sends)
        except KeyPending as fault:
            await self._postpone(job, fault, stuck=False)
        except Exception as fault:
            stuck = job.attempts >= ATTEMPTS_BEFORE_CASE and not is_transient(fault)
            log.exception("task-failed", kind=job.kind, task=str(job.task_id), stuck=stuck)
            await self._postpone(job, fault, stuck=stuck)

    async def _answer(self, job: Job, sends: Sequence[Send]) -> None:
        """Each command once, whoever sends it; then the row goes."""
        for index, send in enumerate(sends):
            envelope = Envelope(
                send.stream,
                send.command,
                Origin(job.origin.actor, job.origin.correlation_id, job.origin.causation_id),
                send.reads,
                Idempotency("task", f"{job.task_id}/{index}", b"task"),
            )
            outcome = (await self._group.execute([envelope]))[0]
            await self._note(job, send, outcome)
        async with self._database.connection() as connection:
            await connection.execute("DELETE FROM tasks WHERE task_id = $1", job.task_id)

    async def _note(self, job: Job, send: Send, outcome: Outcome | Exception) -> None:
        match outcome:
            case Accepted():
                return
            case Rejected(reason):
                async with self._database.connection() as connection:
                    await record_refusal(connection, job.task_id, send, reason)
            case Exception():
                raise outcome
            case _:
                raise AssertionError("tasks send no expected version")

    async def _postpone(self, job: Job, fault: Exception, *, stuck: bool) -> None:
        """Unless the lease has ended and another worker is at it by now."""
        seconds = min(0.1 * 2 ** min(job.attempts - 1, 10), 60)
        due = names.task(job.kind)
        asyncio.get_running_loop().call_later(seconds, self._signals.heard, [due])
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE tasks SET leased_until = NULL, last_error = $2, stuck = $3,"
                " due_at = clock_timestamp() + $4::interval WHERE task_id = $1 AND lease = $5",
                job.task_id,
                type(fault).__name__,
                stuck,
                timedelta(seconds=seconds),
                job.lease,
            )


def starters_of(tasks: Sequence[Task]) -> dict[type, list[Starter]]:
    found: dict[type, list[Starter]] = {}
    for task in tasks:
        for event_type, starters in task.starters.items():
            found.setdefault(event_type, []).extend(starters)
    return found
