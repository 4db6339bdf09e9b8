"""Enrollment over HTTP, the registrar's part: offices, stations, officers, the rollout."""

from collections.abc import Mapping
from datetime import date

from enrollment import office, readmodel, rollout
from enrollment.bodies import (
    Name,
    OfficeBody,
    OfficerBody,
    OpenRolloutBody,
    PauseBody,
    Region,
    ResumeBody,
    StationBody,
    minute_of_day,
)
from enrollment.context import App
from enrollment.http import ACCESS
from enrollment.office import OfficerId
from epassport import Outcome
from epassport.http import Call, Routes, View
from epassport.problems import NotFound

routes = Routes(ACCESS)


@routes.command("register-office", "/v1/offices")
async def register_office(body: OfficeBody, call: Call[App]) -> Outcome:
    time = office.WorkingTime(
        minute_of_day(body.opens),
        minute_of_day(body.closes),
        tuple(sorted(set(body.weekdays))),
        body.utc_offset_minutes,
    )
    command = office.RegisterOffice(call.now, body.region, body.name, time, body.from_day)
    return await call.send(office.stream(body.office_id), command)


@routes.command("register-station", "/v1/offices/{office_id}/stations")
async def register_station(office_id: Name, body: StationBody, call: Call[App]) -> Outcome:
    command = office.RegisterStation(call.now, body.station_id, body.from_day)
    return await call.send(office.stream(office_id), command)


@routes.command("register-officer", "/v1/offices/{office_id}/officers")
async def register_officer(office_id: Name, body: OfficerBody, call: Call[App]) -> Outcome:
    officer = OfficerId(body.issuer, body.subject)
    command = office.RegisterOfficer(call.now, officer, body.public_key, body.from_day)
    return await call.send(office.stream(office_id), command)


@routes.command("open-rollout", "/v1/rollouts/{region}/open")
async def open_rollout(region: Region, body: OpenRolloutBody, call: Call[App]) -> Outcome:
    command = rollout.OpenRollout(call.now, region, body.opens_on, body.quota)
    return await call.send(rollout.stream(region), command)


@routes.command("pause-rollout", "/v1/rollouts/{region}/pause")
async def pause_rollout(region: Region, body: PauseBody, call: Call[App]) -> Outcome:
    command = rollout.PauseRollout(call.now, body.step, body.reason)
    return await call.send(rollout.stream(region), command)


@routes.command("resume-rollout", "/v1/rollouts/{region}/resume")
async def resume_rollout(region: Region, body: ResumeBody, call: Call[App]) -> Outcome:
    command = rollout.ResumeRollout(call.now, body.step)
    return await call.send(rollout.stream(region), command)


@routes.query("read-rollout", "/v1/rollouts/{region}", reads=("rollouts",))
async def read_rollout(
    region: Region, view: View[App], on: date | None = None
) -> Mapping[str, object]:
    """The policy as of a day, today where none is named."""
    day = on or view.now.date()
    async with view.database.connection() as connection:
        tables = readmodel.rollouts.on(connection)
        known = await readmodel.rollout(tables, region)
        pauses = await readmodel.pauses_on(tables, region, day)
    if known is None:
        raise NotFound
    return {
        "region": region,
        "on": day,
        "open": known["opens_on"] <= day,
        "opens_on": known["opens_on"],
        "quota": known["quota"],
        "pauses": [dict(pause) for pause in pauses],
    }
