"""A document that is not registered stays in the operators' list, however often it is tried."""

from pathlib import Path

import pytest
from shelf_store import opened
from waiting import Waiting, is_listed_until_it_ends

from epassport.waits import What
from verification.document_status import Wait, aggregate

pytestmark = pytest.mark.stack

EVENTS = Path(__file__).parent / "events"
DECIDED = {Wait.LOSS_WITHDRAWAL: "DocumentSuspended", Wait.EXPIRY: "DocumentActivated"}


async def test_a_late_registration_is_listed_until_it_comes(database: str, tmp_path: Path) -> None:
    """Its deadline starts it anew each time, and it is late since the first one."""
    async with opened(database) as db:
        life = Waiting(db, aggregate, EVENTS, tmp_path / "clock")
        await is_listed_until_it_ends(
            life, Wait.REGISTRATION, ["DocumentExpected"], ["DocumentRegistered"]
        )


async def test_a_registration_that_is_tried_again_is_late_since_its_first_deadline(
    database: str, tmp_path: Path
) -> None:
    async with opened(database) as db:
        life = Waiting(db, aggregate, EVENTS, tmp_path / "clock")
        await life.happens("DocumentExpected")
        await life.passes()
        (late,) = await life.overdue()
        await life.order(What.RETRY, late.wait)
        await life.passes()
        (later,) = await life.overdue()
        assert later.since == late.since
        async with db.connection() as connection:
            tried = "SELECT count(*) FROM events WHERE type = 'RegistrationDelayed'"
            assert await connection.fetchval(tried) == 2


@pytest.mark.parametrize(("wait", "starts"), DECIDED.items())
async def test_what_a_deadline_decides_by_itself_is_not_overdue(
    database: str, tmp_path: Path, wait: Wait, starts: str
) -> None:
    async with opened(database) as db:
        life = Waiting(db, aggregate, EVENTS, tmp_path / "clock")
        await life.happens("DocumentExpected", "DocumentRegistered", starts)
        await life.passes()
        assert await life.overdue() == []


def test_every_wait_is_looked_at() -> None:
    assert {Wait.REGISTRATION, *DECIDED} == set(Wait)
