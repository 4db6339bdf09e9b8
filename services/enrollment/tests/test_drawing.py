"""Document numbers are drawn at random; one that is taken is drawn again."""

from types import SimpleNamespace

import pytest
from service_desk import Desk

from enrollment.context import DRAWS, NoFreeNumber
from enrollment.handover import DOCUMENT_NUMBER


async def take(desk: Desk, number: str) -> None:
    async with desk.opened.essentials.database.connection() as connection:
        await connection.execute(
            "INSERT INTO claims (kind, digest, stream_id) VALUES ($1, $2, 'application/other')",
            DOCUMENT_NUMBER,
            desk.opened.app.number_digest(number),
        )


def draws(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    coming = iter(numbers)
    drawing = SimpleNamespace(randbelow=lambda _limit: next(coming))
    monkeypatch.setattr("enrollment.context.secrets", drawing)


async def test_a_taken_document_number_is_drawn_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take(desk, "900000007")
    draws(monkeypatch, 7, 7, 8)
    assert await desk.opened.app.free_document_number() == "900000008"


async def test_where_every_number_drawn_is_taken_nobody_gets_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take(desk, "900000007")
    draws(monkeypatch, *[7] * DRAWS)
    with pytest.raises(NoFreeNumber):
        await desk.opened.app.free_document_number()
