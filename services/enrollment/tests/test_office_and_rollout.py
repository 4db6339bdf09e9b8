"""Dated registrations and the dated opening of regions."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from counter import (
    COUNTER,
    DESK,
    HOURS,
    NOON,
    OFFICE_REGISTERED,
    OPENED,
    OPERATOR,
    OPERATOR_REGISTERED,
    OTHER_KEY,
    REGION,
    SPKI,
    STATION,
    STRANGER,
    TODAY,
)

from enrollment import office, rollout
from enrollment.office import (
    OfficeRegistered,
    OfficerRegistered,
    Reason,
    RegisterOffice,
    RegisterOfficer,
    RegisterStation,
    StationRegistered,
    WorkingTime,
)
from enrollment.rollout import OpenRollout, PauseRollout, ResumeRollout, RolloutPaused
from epassport import Give
from epassport.signing import public_key_octets
from epassport.testing import Specification
from epassport_contracts.events.enrollment import PausedStep

given = Specification(office.aggregate).given
region = Specification(rollout.aggregate).given

REGISTER = RegisterOffice(NOON, REGION, "МФЦ", HOURS, TODAY)
DAY = timedelta(days=1)


def test_an_office_is_registered_once_and_may_change_its_hours_from_a_day_on() -> None:
    given().when(REGISTER).then(OFFICE_REGISTERED)
    given(OFFICE_REGISTERED).when(replace(REGISTER, at=NOON + DAY)).then_nothing()
    longer = replace(
        REGISTER, working_time=replace(HOURS, closes_minute=1440), from_day=TODAY + DAY
    )
    given(OFFICE_REGISTERED).when(longer).then_events(
        OfficeRegistered(NOON, REGION, "МФЦ", longer.working_time, TODAY + DAY)
    )


@pytest.mark.parametrize(
    "hours",
    [
        replace(HOURS, opens_minute=1200, closes_minute=480),
        replace(HOURS, closes_minute=1441),
        replace(HOURS, weekdays=()),
    ],
)
def test_hours_that_cannot_be_are_refused(hours: WorkingTime) -> None:
    given().when(replace(REGISTER, working_time=hours)).then_refused(Reason.HOURS_IMPOSSIBLE)


def test_a_station_is_registered_once_at_a_known_office() -> None:
    command = RegisterStation(NOON, STATION, TODAY)
    given(OFFICE_REGISTERED).when(command).then(StationRegistered(NOON, STATION, TODAY))
    given(OFFICE_REGISTERED, StationRegistered(NOON, STATION, TODAY)).when(command).then_nothing()
    given().when(command).then_refused(Reason.NOT_REGISTERED)


def test_an_officer_is_registered_once_with_a_key_that_can_be_used() -> None:
    command = RegisterOfficer(NOON, OPERATOR, SPKI, TODAY)
    given(OFFICE_REGISTERED).when(command).then(OPERATOR_REGISTERED)
    given(OFFICE_REGISTERED, OPERATOR_REGISTERED).when(command).then_nothing()
    given().when(command).then_refused(Reason.NOT_REGISTERED)
    given(OFFICE_REGISTERED).when(replace(command, public_key=b"no key")).then_refused(
        Reason.KEY_UNUSABLE
    )


def test_a_new_key_holds_from_its_day_on_and_the_old_one_before() -> None:
    new = public_key_octets(OTHER_KEY.public_key)
    later = OfficerRegistered(NOON, OPERATOR, new, TODAY + DAY)
    state: Any = given(OFFICE_REGISTERED, OPERATOR_REGISTERED, later).state
    assert state.key_of(OPERATOR, TODAY - DAY) is None
    assert state.key_of(OPERATOR, TODAY) == SPKI
    assert state.key_of(OPERATOR, TODAY + DAY) == new


@pytest.mark.parametrize(
    ("minutes", "reason"),
    [(-241, Reason.CLOSED), (-240, None), (479, None), (480, Reason.CLOSED)],
)
def test_working_time_is_the_offices_own(minutes: int, reason: Reason | None) -> None:
    """Noon in Moscow is 9:00 UTC; open from 8:00 to 20:00 there."""
    assert DESK.refuses(OPERATOR, STATION, NOON + timedelta(minutes=minutes)) == reason


def test_an_office_is_closed_on_other_days() -> None:
    assert DESK.refuses(COUNTER, STATION, NOON + 5 * DAY) is Reason.CLOSED


def test_yesterday_nobody_was_registered() -> None:
    assert DESK.refuses(OPERATOR, STATION, NOON - DAY) is Reason.NOT_REGISTERED
    assert DESK.refuses(STRANGER, STATION, NOON) is Reason.OFFICER_NOT_REGISTERED
    assert DESK.refuses(OPERATOR, "station-9", NOON) is Reason.STATION_NOT_REGISTERED


def test_a_day_begins_at_midnight_of_the_office() -> None:
    assert DESK.day(NOON.replace(hour=20, minute=59)) == TODAY
    assert DESK.day(NOON.replace(hour=21)) == TODAY + DAY


OPEN = OpenRollout(NOON, REGION, TODAY, 10)
PAUSE = PauseRollout(NOON, PausedStep.MAKE, "drill")
PAUSED = RolloutPaused(NOON, PausedStep.MAKE, "drill")
RESUME = ResumeRollout(NOON, PausedStep.MAKE)


def test_opening_a_region_gives_its_quota_once() -> None:
    region().when(OPEN).then(OPENED, Give(f"rollout/{REGION}", 10))
    region(OPENED).when(OPEN).then_nothing()
    region(OPENED).when(replace(OPEN, quota=11)).then_refused(rollout.Reason.ALREADY_OPENED)


def test_a_step_is_paused_and_resumed_once() -> None:
    region(OPENED).when(PAUSE).then(PAUSED)
    region(OPENED, PAUSED).when(PAUSE).then_nothing()
    region(OPENED, PAUSED).when(RESUME).then(rollout.RolloutResumed(NOON, PausedStep.MAKE))
    region(OPENED).when(RESUME).then_nothing()


@pytest.mark.parametrize("command", [PAUSE, RESUME])
def test_a_region_that_is_not_open_cannot_be_paused(command: Any) -> None:
    region().when(command).then_refused(rollout.Reason.NOT_OPENED)
