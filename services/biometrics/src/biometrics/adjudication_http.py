"""Adjudication over HTTP: cases to answer, their pictures, decisions."""

import base64
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from biometrics import readmodel, record
from biometrics.access import ADJUDICATION
from biometrics.case_view import Side, open_case, states_of
from biometrics.codes import Code
from biometrics.context import App
from biometrics.record_commands import Adjudicate, Appeal, Officer, Reason, Verdict
from epassport import Outcome, Role
from epassport.http import Call, Routes, View, json_response
from epassport.problems import NotFound, Problem

routes = Routes(ADJUDICATION)


class DecisionBody(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Verdict
    reason_code: Code


class AppealBody(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reason_code: Code


@routes.query("list-adjudications", "/v1/adjudications", reads=("records",))
async def list_adjudications(view: View[App]) -> Response:
    """The cases that this person may answer: others' answers, and own cases, are not shown."""
    async with view.database.connection() as connection:
        tables = readmodel.records.on(connection)
        cases = await readmodel.cases_for(tables, view.actor, states_of(view.actor))
    return json_response({"adjudications": [dict(case) for case in cases]})


@routes.query("read-adjudication", "/v1/adjudications/{case_id}", reads=("records",))
async def read_adjudication(case_id: UUID, view: View[App]) -> Response:
    """Pictures side by side, without names, numbers, or what others answered."""
    case = await open_case(view, case_id)
    return json_response(
        {
            "case_id": case_id,
            "state": case.state,
            "appealed": case.appealed,
            "requested_at": case.requested_at,
            "applicant": _shown(case.applicant),
            "others": [_shown(other) for other in case.others],
        }
    )


@routes.query("read-score-classes", "/v1/adjudications/{case_id}/score-classes", reads=("records",))
async def read_score_classes(case_id: UUID, view: View[App]) -> Response:
    """How clearly the engine found each candidate, for who has answered: pictures come first.

    A holder with several enrolments is several candidates, and was found as one.
    """
    async with view.database.connection() as connection:
        tables = readmodel.records.on(connection)
        case = await readmodel.case_of(tables, case_id)
        if case is None:
            raise NotFound
        if view.actor.name not in case["answered_by"]:
            raise Problem(Reason.ANSWER_FIRST)
        _, *others = await readmodel.pictures_in(tables, case)
    known = (await view.app.record(case["holder_id"])).cases[case_id]
    classes = dict(zip(case["against"], known.classes, strict=False))  # the first kept none
    told = [classes[other["holder_id"]] for other in others if other["holder_id"] in classes]
    return json_response({"case_id": case_id, "score_classes": told})


@routes.command("decide-adjudication", "/v1/adjudications/{case_id}/decisions")
async def decide_adjudication(case_id: UUID, body: DecisionBody, call: Call[App]) -> Outcome:
    holder_id = await _holder_of(call, case_id)
    command = Adjudicate(
        call.now,
        case_id,
        Officer.of(call.actor),
        Role.ADJUDICATOR in call.actor.roles,
        Role.SUPERVISOR in call.actor.roles,
        body.verdict,
        body.reason_code,
    )
    return await call.send(record.stream(holder_id), command)


@routes.command("appeal-adjudication", "/v1/adjudications/{case_id}/appeals")
async def appeal(case_id: UUID, body: AppealBody, call: Call[App]) -> Outcome:
    """Opens the case again, for a supervisor who has taken no part and is not this one."""
    holder_id = await _holder_of(call, case_id)
    command = Appeal(call.now, case_id, Officer.of(call.actor), body.reason_code)
    return await call.send(record.stream(holder_id), command)


async def _holder_of(call: Call[App], case_id: UUID) -> UUID:
    async with call.app.database.connection() as connection:
        case = await readmodel.case_of(readmodel.records.on(connection), case_id)
    if case is None:
        raise NotFound
    holder_id: UUID = case["holder_id"]
    return holder_id


def _shown(side: Side) -> dict[str, object]:
    fingers = {position.value: _base64(finger.png) for position, finger in side.fingers.items()}
    return {"face": _base64(side.face), "fingers": fingers}


def _base64(image: bytes | None) -> str | None:
    return None if image is None else base64.b64encode(image).decode()
