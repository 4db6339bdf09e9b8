"""Work of verification: drawing the random status index of a new document."""

import secrets
from collections.abc import Sequence

from epassport import Recorded, TaskStart
from epassport.reactions import Send
from epassport.tasks import Job, Task, Work
from epassport_credentials.status_list import ENTRIES_PER_LIST
from verification import document_status
from verification.context import App
from verification.document_status_commands import Reason, RegisterDocument
from verification.document_status_events import Document, DocumentExpected, RegistrationDelayed
from verification.settings import MAX_STATUS_LISTS

DRAWS = 64

DRAW_STATUS_INDEX = Task("draw-status-index")


class StatusListFull(Exception):
    """No free entry in so many draws, on the last list that an address has room for."""


@DRAW_STATUS_INDEX.starts_on(DocumentExpected, RegistrationDelayed)
def draw(event: Recorded[DocumentExpected | RegistrationDelayed], _document: Document) -> TaskStart:
    return DRAW_STATUS_INDEX.start({"document_ref": event.stream_key})


def draw_status_index(app: App) -> Work:
    """Random, so that neighbours on the list say nothing about who was issued together.

    Taken entries are passed over here; two documents that draw the same free one at once meet
    at the claim, and the loser draws again when its registration is overdue.
    """

    async def work(job: Job) -> Sequence[Send]:
        uri, index = await _free_entry(app)
        command = RegisterDocument(app.clock.now(), uri, index)
        expects = frozenset({Reason.INDEX_TAKEN, Reason.REVOKED_IS_FINAL})
        return [Send(document_status.stream(job.input["document_ref"]), command, expects=expects)]

    return work


async def _free_entry(app: App) -> tuple[str, int]:
    """Of the last list begun or, where it is full, of the next. A list counts as full when so
    many draws in a row are taken: with 95 entries of 100 given out, once in thirty times."""
    last = (await app.published.status_lists.ids(app.database))[-1]
    for number in range(last, min(last + 1, MAX_STATUS_LISTS) + 1):
        uri = app.settings.status_list_uri(number)
        index = await _free_index(app, uri)
        if index is not None:
            return uri, index
    raise StatusListFull


async def _free_index(app: App, uri: str) -> int | None:
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
    return None
