"""A suspected duplicate that nobody judges stays in the operators' list until somebody does."""

from pathlib import Path

import pytest
from shelf_store import opened
from waiting import Waiting, is_listed_until_it_ends

from biometrics.record import aggregate
from epassport.waits import What

pytestmark = pytest.mark.stack

EVENTS = Path(__file__).parent / "events"
CASE = "adjudication/a5da4571-be39-56be-b14f-ec64865dc345"


@pytest.mark.parametrize("end", ["DuplicateConfirmed", "DuplicateDismissed"])
async def test_a_late_adjudication_is_listed_until_it_is_decided(
    database: str, tmp_path: Path, end: str
) -> None:
    async with opened(database) as db:
        life = Waiting(db, aggregate, EVENTS, tmp_path / "clock")
        await is_listed_until_it_ends(life, CASE, ["AdjudicationRequested"], [end])


async def test_an_operator_names_one_case_of_a_record(database: str, tmp_path: Path) -> None:
    async with opened(database) as db:
        life = Waiting(db, aggregate, EVENTS, tmp_path / "clock")
        await life.happens("AdjudicationRequested")
        await life.passes()
        (late,) = await life.overdue()
        await life.order(What.OVERRIDE, late.wait)
        assert await life.overdue() == []
