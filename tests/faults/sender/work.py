"""A task for every labelled count: its only effect is its answer, which must come once."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from epassport import Recorded, TaskStart
from epassport.reactions import Send
from epassport.service import Essentials
from epassport.tasks import Job, Task, Work
from tests.faults.sender.tally import Check, Counted, Tally

CHECK = Task("check")


@CHECK.starts_on(Counted)
def check_labelled(event: Recorded[Counted], _tally: Tally) -> TaskStart | None:
    if event.fact.label is None:
        return None
    return CHECK.start({"operation": str(event.fact.operation)})


def checking(app: Essentials) -> Work:
    async def check(job: Job) -> Sequence[Send]:
        operation = UUID(job.input["operation"])
        return [Send(job.stream, Check(app.clock.now(), operation))]

    return check


def works() -> list[tuple[Task, Any]]:
    return [(CHECK, checking)]
