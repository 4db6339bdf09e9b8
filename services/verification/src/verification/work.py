"""Work of verification: drawing the random status index of a new document."""

import secrets
from collections.abc import Sequence

from epassport import Recorded, TaskStart
from epassport.reactions import Send
from epassport.tasks import Job, Task, Work
from epassport_credentials.status_list import ENTRIES_PER_LIST
from verification import document_status
from verification.context import App
from verification.document_commands import Reason, RegisterDocument
from verification.document_events import Document, DocumentExpected, RegistrationDelayed

DRAWS = 64

DRAW_STATUS_INDEX = Task("draw-status-index")


class StatusListFull(Exception):
    """No free entry in so many draws: time for the next list."""


@DRAW_STATUS_INDEX.starts_on(DocumentExpected, RegistrationDelayed)
def draw(event: Recorded[DocumentExpected | RegistrationDelayed], _document: Document) -> TaskStart:
    return DRAW_STATUS_INDEX.start({"document_ref": event.stream_key})


def draw_status_index(app: App) -> Work:
    """Random, so that neighbours on the list say nothing about who was issued together.

    Taken entries are passed over here; two documents that draw the same free one at once meet
    at the claim, and the loser draws again when its registration is overdue.
    """

    async def work(job: Job) -> Sequence[Send]:
        uri = app.settings.status_list_uri()
        index = await _free_index(app, uri)
        command = RegisterDocument(app.clock.now(), uri, index)
        expects = frozenset({Reason.INDEX_TAKEN, Reason.REVOKED_IS_FINAL})
        return [Send(document_status.stream(job.input["document_ref"]), command, expects=expects)]

    return work


async def _free_index(app: App, uri: str) -> int:
    drawn = [secrets.randbelow(ENTRIES_PER_LIST) for _ in range(DRAWS)]
    claims = [document_status.index_claim(uri, index) for index in drawn]
    async with app.database.connection() as connection:
        rows = await connection.fetch(
            "SELECT digest FROM claims WHERE kind = $1 AND digest = ANY($2::bytea[])",
            claims[0].kind,
            [claim.digest for claim in claims],
        )
    taken = {row["digest"] for row in rows}
    for index, claim in zip(drawn, claims, strict=True):
        if claim.digest not in taken:
            return index
    raise StatusListFull
