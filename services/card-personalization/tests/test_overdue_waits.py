"""A card that is late stays in the operators' list until it gets on."""

from pathlib import Path

import pytest
from shelf_store import opened
from waiting import Waiting, is_listed_until_it_ends

from card_personalization.card import Wait, aggregate

pytestmark = pytest.mark.stack

EVENTS = Path(__file__).parent / "events"
LISTED = [
    (Wait.PREPARATION, ["CardOrdered"], ["ChipDataPrepared"]),
    (Wait.MAKING, ["ChipDataPrepared"], ["ChipReadBack"]),
    (Wait.INSPECTION, ["ChipReadBack"], ["QualityAccepted"]),
    (Wait.DISPATCH, ["QualityAccepted"], ["CardDispatched"]),
    (Wait.TRANSIT, ["CardDispatched"], ["CardLostInTransit"]),
    (Wait.COLLECTION, ["CardReceived"], ["CardReturned"]),
]


@pytest.mark.parametrize(("wait", "starts", "ends"), LISTED)
async def test_a_late_card_is_listed_until_it_gets_on(
    database: str, tmp_path: Path, wait: Wait, starts: list[str], ends: list[str]
) -> None:
    async with opened(database) as db:
        life = Waiting(db, aggregate, EVENTS, tmp_path / "clock")
        await is_listed_until_it_ends(life, wait, starts, ends)


async def test_a_search_for_blanks_that_begins_again_is_not_overdue(
    database: str, tmp_path: Path
) -> None:
    async with opened(database) as db:
        life = Waiting(db, aggregate, EVENTS, tmp_path / "clock")
        await life.happens("ChipDataPrepared", "BlanksMissing")
        await life.passes()
        assert [one.kind for one in await life.overdue()] == [Wait.MAKING]


def test_every_wait_is_looked_at() -> None:
    assert {wait for wait, _, _ in LISTED} | {Wait.BLANKS} == set(Wait)
