"""Enrollment's one task: a new reference and number for a card that was lost on its way."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from enrollment import application
from enrollment.application_commands import Reason, ReassignDocument
from enrollment.application_events import Application, CardLost
from enrollment.context import App
from epassport import Recorded, TaskStart
from epassport.decider import key_of
from epassport.reactions import Send
from epassport.tasks import Job, Task, Work

REASSIGN = Task("reassign-document", at_once=1)

# The second is used only where another application took the first number in the same moment;
# otherwise the decider finds the document reassigned already and does nothing.
CANDIDATES = 2

_EXPECTED = frozenset({Reason.REJECTED, Reason.WITHDRAWN, Reason.DOCUMENT_NUMBER_TAKEN})


@REASSIGN.starts_on(CardLost)
def reassign_lost(_event: Recorded[CardLost], _after: Application) -> TaskStart:
    return REASSIGN.start({})


def reassign(app: App) -> Work:
    """Done twice, the task draws other values; the first answer is kept and stays."""

    async def work(job: Job) -> Sequence[Send]:
        application_id = UUID(key_of(job.stream))
        return [await _candidate(app, application_id) for _ in range(CANDIDATES)]

    return work


async def _candidate(app: App, application_id: UUID) -> Send:
    number = await app.free_document_number()
    digest = app.number_digest(number)
    command = ReassignDocument(app.clock.now(), uuid4(), number, digest)
    return Send(application.stream(application_id), command, expects=_EXPECTED)
