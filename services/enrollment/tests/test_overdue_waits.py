"""An application or a holder that waits too long stays in the operators' list until it gets on."""

from pathlib import Path

import pytest
from shelf_store import opened
from waiting import Waiting, is_listed_until_it_ends

from enrollment import application, holder
from enrollment.application import Wait
from enrollment.holder import ACTIVATION, BACKUPS, ERASURE, RETENTION

pytestmark = pytest.mark.stack

EVENTS = Path(__file__).parent / "events"
APPLICATION = [
    (Wait.BIOMETRICS, [], ["DuplicateNoted"]),
    (Wait.INFORMATION, ["BiometricsNoted", "InformationRequested"], ["InformationSupplied"]),
    (Wait.DECISION, ["BiometricsNoted"], ["ApplicationRejected"]),
    (Wait.DECISION, ["BiometricsNoted"], ["InformationRequested"]),
    (Wait.CARD, ["BiometricsNoted", "ApplicationApproved"], ["CardAtOffice"]),
    (Wait.COLLECTION, ["BiometricsNoted", "ApplicationApproved", "CardAtOffice"], ["CardGone"]),
]
HOLDER = [
    (ACTIVATION, ["DocumentNoted"], ["StandingNoted"]),
    (ERASURE, ["ErasureOrdered"], ["KeysDestroyedEverywhere"]),
]


@pytest.mark.parametrize(("wait", "starts", "ends"), APPLICATION)
async def test_a_late_application_is_listed_until_it_gets_on(
    database: str, tmp_path: Path, wait: Wait, starts: list[str], ends: list[str]
) -> None:
    async with opened(database) as db:
        life = Waiting(db, application.aggregate, EVENTS, tmp_path / "clock")
        await is_listed_until_it_ends(life, wait, ["ApplicationSubmitted", *starts], ends)


@pytest.mark.parametrize(("wait", "starts", "ends"), HOLDER)
async def test_what_a_holder_waits_for_is_listed_until_it_comes(
    database: str, tmp_path: Path, wait: str, starts: list[str], ends: list[str]
) -> None:
    async with opened(database) as db:
        life = Waiting(db, holder.aggregate, EVENTS, tmp_path / "clock")
        await is_listed_until_it_ends(life, wait, ["HolderRegistered", *starts], ends)


@pytest.mark.parametrize("starts", ["RetentionBegan", "KeysDestroyedEverywhere"])
async def test_a_time_that_the_law_sets_is_over_and_not_overdue(
    database: str, tmp_path: Path, starts: str
) -> None:
    async with opened(database) as db:
        life = Waiting(db, holder.aggregate, EVENTS, tmp_path / "clock")
        await life.happens("HolderRegistered", starts)
        await life.passes()
        assert await life.overdue() == []


def test_every_wait_is_looked_at() -> None:
    assert {wait for wait, _, _ in APPLICATION} == set(Wait)
    started = {holder.ACTIVATION, holder.RETENTION, holder.ERASURE, holder.BACKUPS}
    assert {wait for wait, _, _ in HOLDER} | {RETENTION, BACKUPS} == started
