"""The operators' routes of every service: what `python -m <package> operate` does, by role."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from epassport import overview, waits
from epassport.access import AccessTable
from epassport.actor import Role
from epassport.decider import StreamId
from epassport.errors import NotForThis, NotThere
from epassport.http import Call, Routes, View
from epassport.operations import MAX_ALLOWANCE, Found, Operations, Order, OrderReused, Place
from epassport.overview import LIMIT, MAX_LIMIT
from epassport.parking import NotDiscardable
from epassport.problems import NotFound, Problem, Reason
from epassport.republish import NumbersUnknown
from epassport.waits import What

NOT_DISCARDABLE = "parked-record-waits-behind-another"
NOT_FOR_THIS = "wait-takes-no-such-order"
NUMBERS_UNKNOWN = "stream-numbers-unknown"

_OPERATOR = {Role.PLATFORM_OPERATOR}

ACCESS = AccessTable(
    {
        "list-parked-streams": _OPERATOR,
        "list-parked-records": _OPERATOR,
        "list-stuck-tasks": _OPERATOR,
        "list-refusals": _OPERATOR,
        "list-overdue-deadlines": _OPERATOR,
        "list-overdue-waits": _OPERATOR,
        "list-circuits": _OPERATOR,
        "list-operator-actions": _OPERATOR,
        "replay-parked-stream": _OPERATOR,
        "discard-parked-record": _OPERATOR,
        "retry-task": _OPERATOR,
        "abandon-task": _OPERATOR,
        "close-refusal": _OPERATOR,
        "retry-deadline": _OPERATOR,
        "retry-wait": _OPERATOR,
        "override-wait": _OPERATOR,
        "reject-wait": _OPERATOR,
        "allow-bad-records": _OPERATOR,
        "begin-topic-again": _OPERATOR,
        "republish-stream": _OPERATOR,
    }
)

routes = Routes(ACCESS)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]{1,200}$")]
Number = Annotated[int, Field(ge=0, le=2**63 - 1)]
Partition = Annotated[int, Field(ge=0, le=2**31 - 1)]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]
WhyText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=300)]


class Because(BaseModel):
    """reason: for those who read it later; it names no person."""

    model_config = ConfigDict(extra="forbid")

    reason: WhyText


class AboutPlace(Because):
    consumer: Name
    topic: Name
    partition: Partition
    offset: Number

    def place(self) -> Place:
        return Place(self.consumer, self.topic, self.partition, self.offset)


class AboutDeadline(Because):
    stream: Name
    kind: Name


class AboutStream(Because):
    stream: Name


class AboutWait(Because):
    wait: Name


class AboutConsumer(Because):
    consumer: Name
    topic: Name


class AboutCircuit(AboutConsumer):
    records: int = Field(ge=0, le=MAX_ALLOWANCE)


class Done(BaseModel):
    """found: what was there, and what came of it, as counts and codes."""

    action_id: UUID
    found: dict[str, str | int | None]


@routes.query("list-parked-streams", "/v1/operations/parked")
async def list_parked(view: View[Operations], limit: Limit = LIMIT) -> list[overview.ParkedStream]:
    async with view.database.connection() as connection:
        return await overview.parked_streams(connection, limit)


@routes.query("list-parked-records", "/v1/operations/parked/records")
async def list_parked_records(
    consumer: Name,
    topic: Name,
    partition: Partition,
    offset: Number,
    view: View[Operations],
    limit: Limit = LIMIT,
) -> list[overview.ParkedRecord]:
    place = Place(consumer, topic, partition, offset)
    try:
        async with view.database.connection() as connection:
            return await overview.parked_records(connection, place, limit)
    except NotThere:
        raise NotFound from None


@routes.query("list-stuck-tasks", "/v1/operations/tasks")
async def list_tasks(view: View[Operations], limit: Limit = LIMIT) -> list[overview.StuckTask]:
    async with view.database.connection() as connection:
        return await overview.stuck_tasks(connection, limit)


@routes.query("list-refusals", "/v1/operations/refusals")
async def list_refusals(view: View[Operations], limit: Limit = LIMIT) -> list[overview.Refusal]:
    async with view.database.connection() as connection:
        return await overview.open_refusals(connection, limit)


@routes.query("list-overdue-deadlines", "/v1/operations/deadlines")
async def list_deadlines(view: View[Operations], limit: Limit = LIMIT) -> list[overview.Deadline]:
    async with view.database.connection() as connection:
        return await overview.overdue_deadlines(connection, view.app.clock.offset, limit)


@routes.query("list-overdue-waits", "/v1/operations/waits")
async def list_waits(view: View[Operations], limit: Limit = LIMIT) -> list[waits.OverdueWait]:
    async with view.database.connection() as connection:
        return await waits.overdue_waits(connection, view.app.clock.offset, limit)


@routes.query("list-circuits", "/v1/operations/circuits")
async def list_circuits(view: View[Operations], limit: Limit = LIMIT) -> list[overview.Circuit]:
    async with view.database.connection() as connection:
        return await overview.circuits(connection, limit)


@routes.query("list-operator-actions", "/v1/operations/actions")
async def list_actions(view: View[Operations], limit: Limit = LIMIT) -> list[overview.Action]:
    async with view.database.connection() as connection:
        return await overview.actions(connection, limit)


@routes.command("replay-parked-stream", "/v1/operations/parked/replay")
async def replay(body: AboutPlace, call: Call[Operations]) -> Done:
    return await _answer(call, body, lambda order: call.app.replay(order, body.place()))


@routes.command("discard-parked-record", "/v1/operations/parked/discard")
async def discard(body: AboutPlace, call: Call[Operations]) -> Done:
    return await _answer(call, body, lambda order: call.app.discard(order, body.place()))


@routes.command("retry-task", "/v1/operations/tasks/{task_id}/retry")
async def retry_task(task_id: UUID, body: Because, call: Call[Operations]) -> Done:
    return await _answer(call, body, lambda order: call.app.retry_task(order, task_id))


@routes.command("abandon-task", "/v1/operations/tasks/{task_id}/abandon")
async def abandon_task(task_id: UUID, body: Because, call: Call[Operations]) -> Done:
    return await _answer(call, body, lambda order: call.app.abandon_task(order, task_id))


@routes.command("close-refusal", "/v1/operations/refusals/{refusal_id}/close")
async def close_refusal(refusal_id: Number, body: Because, call: Call[Operations]) -> Done:
    return await _answer(call, body, lambda order: call.app.close_refusal(order, refusal_id))


@routes.command("retry-deadline", "/v1/operations/deadlines/retry")
async def retry_deadline(body: AboutDeadline, call: Call[Operations]) -> Done:
    return await _answer(
        call, body, lambda order: call.app.retry_deadline(order, body.stream, body.kind)
    )


@routes.command("retry-wait", "/v1/operations/waits/retry")
async def retry_wait(body: AboutWait, call: Call[Operations]) -> Done:
    return await _for_wait(call, body, What.RETRY)


@routes.command("override-wait", "/v1/operations/waits/override")
async def override_wait(body: AboutWait, call: Call[Operations]) -> Done:
    return await _for_wait(call, body, What.OVERRIDE)


@routes.command("reject-wait", "/v1/operations/waits/reject")
async def reject_wait(body: AboutWait, call: Call[Operations]) -> Done:
    return await _for_wait(call, body, What.REJECT)


async def _for_wait(call: Call[Operations], body: AboutWait, what: What) -> Done:
    return await _answer(
        call, body, lambda order: waits.carry_out(call.app, order, what, body.wait)
    )


@routes.command("allow-bad-records", "/v1/operations/circuits/allow")
async def allow(body: AboutCircuit, call: Call[Operations]) -> Done:
    return await _answer(
        call,
        body,
        lambda order: call.app.allow(order, body.consumer, body.topic, body.records),
    )


@routes.command("begin-topic-again", "/v1/operations/circuits/begin-again")
async def begin_again(body: AboutConsumer, call: Call[Operations]) -> Done:
    return await _answer(
        call, body, lambda order: call.app.begin_again(order, body.consumer, body.topic)
    )


@routes.command("republish-stream", "/v1/operations/streams/republish")
async def republish(body: AboutStream, call: Call[Operations]) -> Done:
    return await _answer(call, body, lambda order: call.app.republish(order, StreamId(body.stream)))


async def _answer(
    call: Call[Operations], body: Because, act: Callable[[Order], Awaitable[Found]]
) -> Done:
    """The order's id comes from the idempotency key, so a repeat is the same order."""
    order = Order(call.new_id("action"), call.actor, body.reason)
    try:
        return Done(action_id=order.action_id, found=await act(order))
    except NotThere:
        raise NotFound from None
    except NotForThis:
        raise Problem(NOT_FOR_THIS) from None
    except NotDiscardable:
        raise Problem(NOT_DISCARDABLE) from None
    except NumbersUnknown:
        raise Problem(NUMBERS_UNKNOWN) from None
    except OrderReused:
        raise Problem(Reason.IDEMPOTENCY_KEY_REUSED) from None
