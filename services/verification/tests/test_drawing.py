"""Entries of the status list are drawn at random; one that is taken is passed over."""

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from epassport.actor import service_actor
from epassport.events import Origin
from epassport.tasks import Job
from epassport_contracts import ServiceName
from verification import document_status, work


async def drawn(town: Any, monkeypatch: pytest.MonkeyPatch, *indexes: int) -> int:
    """Which entry the task gives a document where these are drawn."""
    coming = iter(indexes)
    monkeypatch.setattr(work, "secrets", SimpleNamespace(randbelow=lambda _limit: next(coming)))
    ref = uuid4()
    origin = Origin(service_actor(ServiceName.VERIFICATION), uuid4())
    job = Job(
        uuid4(), "draw-status-index", document_status.stream(ref), {"document_ref": str(ref)},
        origin, 1, uuid4(),
    )  # fmt: skip
    (send,) = await work.draw_status_index(town.replicas[0].app)(job)
    index: int = send.command.status_index
    return index


async def take(town: Any, index: int) -> None:
    app = town.replicas[0].app
    claim = document_status.index_claim(app.settings.status_list_uri(), index)
    async with app.database.connection() as connection:
        await connection.execute(
            "INSERT INTO claims (kind, digest, stream_id) VALUES ($1, $2, 'document-status/other')",
            claim.kind,
            claim.digest,
        )


async def test_a_taken_entry_of_the_status_list_is_passed_over(
    town: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take(town, 5)
    indexes = [5] * (work.DRAWS - 1) + [6]
    assert await drawn(town, monkeypatch, *indexes) == 6
