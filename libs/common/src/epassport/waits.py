"""Every wait that has passed its time, in one list, and what an operator may order for each.

A wait whose deadline has passed and that no event has ended, a task that failed twelve times, a
reaction that was refused unforeseen: each is something that somebody waits for and that does not
get on. It stays in the list until it is done or an operator ends it.

deadline: retry sends it again, to be decided on today's state; override waits no more; what is
          waited for is rejected by a command of its aggregate alone, by whom it concerns
task: retry begins it anew, reject gives it up; its answer cannot be made up
reaction: retry sends its command again, reject says that the refusal was right

Whoever waits for what was rejected hears of it in the domain's own way: from the stream's next
deadline, or from a command of its aggregate. Each order is kept with who gave it and why.
(docs/decisions/0042-a-wait-is-overdue-until-it-ends.md)
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from epassport.database import Connection
from epassport.errors import NotForThis, NotThere
from epassport.operations import Found, Operations, Order
from epassport.overview import LIMIT, Seen
from epassport.tasks import IS_CASE

_WAIT = re.compile(
    r"deadline/(?P<stream>[a-z-]{1,40}/[0-9A-Za-z-]{1,64})"
    r"/(?P<kind>[a-z-]{1,60}(/[0-9a-f-]{36})?)"
    r"|task/(?P<task>[0-9a-f-]{36})"
    r"|reaction/(?P<reaction>[0-9]{1,18})"
)


class What(StrEnum):
    RETRY = "retry"
    OVERRIDE = "override"
    REJECT = "reject"


class OverdueWait(Seen):
    """wait: its name in an order. kind: of the deadline or task, or the refused command.
    failures: how often it was tried in vain. orders: what may be ordered for it.
    step, region: of a task that knows them."""

    wait: str
    stream: str
    kind: str
    step: str | None
    region: str | None
    since: datetime
    overdue_seconds: int
    failures: int
    last_error: str | None
    orders: list[What]


async def overdue_waits(
    connection: Connection, offset: timedelta, limit: int = LIMIT
) -> list[OverdueWait]:
    """Longest overdue first. offset: the clock's, added to the database's for deadlines."""
    rows = await connection.fetch(
        f"""
        SELECT *, EXTRACT(EPOCH FROM now_of_its_clock - since)::int AS overdue_seconds
          FROM (
            SELECT 'deadline/' || d.stream_id || '/' || d.kind AS wait, d.stream_id AS stream,
                   d.kind, NULL AS step, NULL AS region,
                   coalesce(d.overdue_since, d.due_at) AS since,
                   coalesce(f.failures, 0) AS failures, f.last_error,
                   ARRAY['retry', 'override'] AS orders,
                   clock_timestamp() + $1::interval AS now_of_its_clock
              FROM deadlines AS d
              LEFT JOIN failing_deadlines AS f
                ON (f.stream_id, f.kind, f.started_by_version)
                 = (d.stream_id, d.kind, d.started_by_version) AND d.due_at IS NOT NULL
             WHERE d.due_at <= clock_timestamp() + $1::interval OR d.overdue_since IS NOT NULL
            UNION ALL
            SELECT 'task/' || task_id, stream_id, kind, step, region, created_at, attempts,
                   last_error, ARRAY['retry', 'reject'], clock_timestamp()
              FROM tasks WHERE {IS_CASE}
            UNION ALL
            SELECT 'reaction/' || id, stream_id, command, NULL, NULL, refused_at, 1, reason,
                   CASE WHEN source_type IS NOT NULL
                          OR EXISTS (SELECT 1 FROM events AS e WHERE e.event_id = r.event_id)
                        THEN ARRAY['retry', 'reject'] ELSE ARRAY['reject'] END, clock_timestamp()
              FROM reaction_refusals AS r WHERE NOT declared AND closed_by IS NULL
          ) AS waits
         ORDER BY since, wait LIMIT $2
        """,  # noqa: S608 - a constant
        offset,
        limit,
    )
    return [OverdueWait(**row) for row in rows]


async def carry_out(operations: Operations, order: Order, what: What, wait: str) -> Found:
    """Raises NotThere where there is none, NotForThis where it takes no such order."""
    named = _WAIT.fullmatch(wait)
    if named is None:
        raise NotThere("no wait has such a name")
    if named["task"] is not None:
        return await _for_task(operations, order, what, UUID(named["task"]))
    if named["reaction"] is not None:
        return await _for_reaction(operations, order, what, int(named["reaction"]))
    return await _for_deadline(operations, order, what, named["stream"], named["kind"])


async def _for_deadline(
    operations: Operations, order: Order, what: What, stream: str, kind: str
) -> Found:
    match what:
        case What.RETRY:
            return await operations.retry_deadline(order, stream, kind)
        case What.OVERRIDE:
            return await operations.override_deadline(order, stream, kind)
        case What.REJECT:
            raise NotForThis(
                "what is waited for is rejected by a command of its aggregate, by whom it concerns"
                " (docs/runbooks/overdue-wait.md); override waits no more"
            )


async def _for_task(operations: Operations, order: Order, what: What, task_id: UUID) -> Found:
    match what:
        case What.RETRY:
            return await operations.retry_task(order, task_id)
        case What.REJECT:
            return await operations.abandon_task(order, task_id)
        case What.OVERRIDE:
            raise NotForThis("the answer of a task cannot be made up: retry or reject it")


async def _for_reaction(operations: Operations, order: Order, what: What, refusal_id: int) -> Found:
    match what:
        case What.RETRY:
            return await operations.retry_reaction(order, refusal_id)
        case What.REJECT:
            return await operations.close_refusal(order, refusal_id)
        case What.OVERRIDE:
            raise NotForThis("what a decider refused is not done against it: retry or reject it")
