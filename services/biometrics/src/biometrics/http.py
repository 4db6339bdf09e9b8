"""biometrics over HTTP: capture at the desk, adjudication, the check at the counter."""

import base64
from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from asyncpg import Record
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from biometrics import gallery_readmodel, readmodel, record
from biometrics.capture import JPEG, PNG, read_face, read_finger
from biometrics.context import App
from biometrics.engine.port import EngineUnavailable, Template
from biometrics.engine.quality import CaptureRejected
from biometrics.faces import FaceRejected
from biometrics.holder_check import MAX_TRIES
from biometrics.record_commands import (
    Adjudicate,
    CheckFinger,
    Command,
    ConfirmFace,
    ExceptFingers,
    Officer,
    Reason,
    ReceiveSamples,
    RejectSample,
    Samples,
    Verdict,
)
from biometrics.record_events import Enrolment
from biometrics.thresholds import Use
from epassport import Accepted, Outcome, Role
from epassport.access import AccessTable
from epassport.blob_writer import NewBlob
from epassport.blobs import load
from epassport.events import Origin
from epassport.http import Call, Routes, View, json_response
from epassport.opening import InRecord, open_for
from epassport.problems import NotFound, Problem
from epassport.problems import Reason as ProblemReason
from epassport.sealing import ERASED
from epassport.tickets import MAX_TICKET_CHARACTERS, TicketRefused, open_ticket
from epassport_contracts.desk import Ticket
from epassport_contracts.sealed import Base64Bytes

MAX_IMAGE_BYTES = 1024 * 1024  # the gate's own limits are lower and have a reason of their own

ACCESS = AccessTable(
    {
        "receive-samples": {Role.OPERATOR},
        "except-fingers": {Role.SUPERVISOR},
        "list-adjudications": {Role.ADJUDICATOR, Role.SUPERVISOR},
        "read-adjudication": {Role.ADJUDICATOR, Role.SUPERVISOR},
        "decide-adjudication": {Role.ADJUDICATOR, Role.SUPERVISOR},
        "verify-holder": {Role.HAND_OVER_OFFICER},
        "confirm-face": {Role.HAND_OVER_OFFICER},
        "read-record": {
            Role.OPERATOR,
            Role.SUPERVISOR,
            Role.HAND_OVER_OFFICER,
            Role.ADMINISTRATOR,
        },
        "read-gallery": {Role.SUPERVISOR, Role.ADMINISTRATOR},
    }
)
routes = Routes(ACCESS)

TicketText = Annotated[str, StringConstraints(max_length=MAX_TICKET_CHARACTERS)]
ImageBytes = Annotated[Base64Bytes, Field(max_length=MAX_IMAGE_BYTES)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,60}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FingerBody(_Body):
    """image: base64 of an 8-bit gray PNG."""

    position: Literal["right-index"]
    image: ImageBytes
    dpi: Annotated[int, Field(ge=1, le=10_000)]


class SamplesBody(_Body):
    """face: base64 of a JPEG."""

    ticket: TicketText
    fingers: Annotated[tuple[FingerBody, ...], Field(min_length=1, max_length=1)]
    face: ImageBytes


class ExceptionBody(_Body):
    ticket: TicketText
    face: ImageBytes
    reason_code: Code


class DecisionBody(_Body):
    verdict: Verdict
    reason_code: Code


class FingerCheckBody(_Body):
    ticket: TicketText
    finger: FingerBody


class FaceCheckBody(_Body):
    ticket: TicketText
    verdict: Literal["match", "mismatch"]


@routes.command("receive-samples", "/v1/samples")
async def receive_samples(body: SamplesBody, call: Call[App]) -> Outcome:
    """What the gate refuses is recorded, and told with the gate's reason: take it again."""
    ticket = _ticket(call, body.ticket)
    by, capture_id = Officer.of(call.actor), call.new_id("capture")
    (finger,) = body.fingers
    try:
        await read_face(body.face)
        template = await _template(call.app, finger)
    except (CaptureRejected, FaceRejected) as rejected:
        reject = RejectSample(call.now, by, ticket, capture_id, rejected.fault)
        outcome = await call.send(record.stream(ticket.holder_id), reject)
        if isinstance(outcome, Accepted):
            raise Problem(rejected.fault) from None
        return outcome
    digests = await _write(
        call,
        ticket,
        NewBlob("sample", JPEG, body.face),
        NewBlob("sample", PNG, finger.image),
        NewBlob("template", "application/cbor", template.data),
    )
    samples = Samples(digests[0], digests[1], digests[2], template.engine)
    command = ReceiveSamples(call.now, by, ticket, capture_id, samples)
    return await _send_with_blobs(call, ticket, command, digests)


@routes.command("except-fingers", "/v1/exceptions")
async def except_fingers(body: ExceptionBody, call: Call[App]) -> Outcome:
    ticket = _ticket(call, body.ticket)
    try:
        await read_face(body.face)
    except FaceRejected as rejected:
        raise Problem(rejected.fault) from None
    digests = await _write(call, ticket, NewBlob("sample", JPEG, body.face))
    command = ExceptFingers(
        call.now,
        Officer.of(call.actor),
        ticket,
        call.new_id("capture"),
        digests[0],
        body.reason_code,
    )
    return await _send_with_blobs(call, ticket, command, digests)


@routes.query("list-adjudications", "/v1/adjudications", reads=("records",))
async def list_adjudications(view: View[App]) -> Response:
    """The cases that this person may answer: others' answers, and own cases, are not shown."""
    roles = view.actor.roles
    states = ["open"] if Role.ADJUDICATOR in roles else []
    states += ["escalated"] if Role.SUPERVISOR in roles else []
    async with view.database.connection() as connection:
        tables = readmodel.records.on(connection)
        cases = await readmodel.cases_for(tables, view.actor, states)
    return json_response({"adjudications": [dict(case) for case in cases]})


@routes.query("read-adjudication", "/v1/adjudications/{case_id}", reads=("records",))
async def read_adjudication(case_id: UUID, view: View[App]) -> Response:
    """Pictures side by side, without names, numbers, or what others answered."""
    async with view.database.connection() as connection:
        tables = readmodel.records.on(connection)
        case = await readmodel.case_of(tables, case_id)
        if case is None:
            raise NotFound
        if case["state"] == "closed":
            raise Problem(Reason.CASE_CLOSED)
        pictures = await readmodel.pictures_in(tables, case)
    applicant, *others = await _shown(view, pictures)
    return json_response(
        {
            "case_id": case_id,
            "state": case["state"],
            "requested_at": case["requested_at"],
            "applicant": applicant,
            "others": others,
        }
    )


@routes.command("decide-adjudication", "/v1/adjudications/{case_id}/decisions")
async def decide_adjudication(case_id: UUID, body: DecisionBody, call: Call[App]) -> Outcome:
    async with call.app.database.connection() as connection:
        case = await readmodel.case_of(readmodel.records.on(connection), case_id)
    if case is None:
        raise NotFound
    command = Adjudicate(
        call.now,
        case_id,
        Officer.of(call.actor),
        Role.ADJUDICATOR in call.actor.roles,
        Role.SUPERVISOR in call.actor.roles,
        body.verdict,
        body.reason_code,
    )
    return await call.send(record.stream(case["holder_id"]), command)


@routes.command("verify-holder", "/v1/verifications")
async def verify_holder(body: FingerCheckBody, call: Call[App]) -> Outcome | Response:
    """1:1 with the finger that was enrolled; the answer holds no score."""
    ticket = _ticket(call, body.ticket)
    known = await call.app.record(ticket.holder_id)
    reference = known.reference(ticket.application_id)
    matches = await _matches(call, ticket, reference, body.finger)
    command = CheckFinger(
        call.now,
        Officer.of(call.actor),
        ticket,
        call.new_id("check"),
        reference.capture_id if reference else None,
        matches,
    )
    return await _check(call, ticket, command)


@routes.command("confirm-face", "/v1/face-verifications")
async def confirm_face(body: FaceCheckBody, call: Call[App]) -> Outcome | Response:
    """Each of the two officers calls for themselves; the second one's answer has the result."""
    ticket = _ticket(call, body.ticket)
    command = ConfirmFace(
        call.now,
        Officer.of(call.actor),
        ticket,
        call.new_id("check"),
        body.verdict == "match",
    )
    return await _check(call, ticket, command)


@routes.query("read-record", "/v1/records/{holder_id}", reads=("records",))
async def read_record(holder_id: UUID, view: View[App]) -> Response:
    async with view.database.connection() as connection:
        rows = await readmodel.enrolments_of(readmodel.records.on(connection), holder_id)
    if not rows:
        raise NotFound
    shown = (
        "application_id",
        "kind",
        "status",
        "by_exception",
        "rejected_because",
        "changed_at",
    )
    enrolments = [{name: row[name] for name in shown} for row in rows]
    return json_response({"holder_id": holder_id, "enrolments": enrolments})


@routes.query("read-gallery", "/v1/gallery", reads=("gallery",))
async def read_gallery(view: View[App]) -> Response:
    async with view.database.connection() as connection:
        figures = await gallery_readmodel.gallery_figures(gallery_readmodel.gallery.on(connection))
    return json_response(dict(figures or {}))


def _ticket(call: Call[App], text: str) -> Ticket:
    try:
        return open_ticket(text, call.app.trust, call.now)
    except TicketRefused as refused:
        raise Problem(refused.reason) from None


async def _template(app: App, finger: FingerBody) -> Template:
    """Raises CaptureRejected."""
    try:
        return await read_finger(app.engine, finger.image, dpi=finger.dpi)
    except EngineUnavailable:
        raise Problem(ProblemReason.UNAVAILABLE) from None


async def _write(call: Call[App], ticket: Ticket, *blobs: NewBlob) -> list[str]:
    return await call.app.blobs.write(
        ticket.holder_id,
        blobs,
        stream=record.stream(ticket.holder_id),
        origin=Origin(call.actor, call.correlation_id),
    )


async def _send_with_blobs(
    call: Call[App], ticket: Ticket, command: Command, digests: Sequence[str]
) -> Outcome:
    """Images of a command that was refused, or done before, are named by nothing: they go."""
    answer = {"record_id": str(ticket.holder_id)}
    outcome = await call.send(record.stream(ticket.holder_id), command, answer=answer)
    if not isinstance(outcome, Accepted) or outcome.replayed or outcome.token is None:
        await call.app.blobs.discard(digests)
    return outcome


async def _matches(
    call: Call[App], ticket: Ticket, reference: Enrolment | None, finger: FingerBody
) -> bool:
    """Where there is nothing to compare with, the decider says why."""
    try:
        probe = await _template(call.app, finger)
    except CaptureRejected as rejected:
        raise Problem(rejected.fault) from None
    if reference is None or reference.template is None:
        return False
    async with call.app.database.connection() as connection:
        blob = await load(connection, reference.template)
    if blob is None:
        raise Problem(ProblemReason.ERASED)
    (enrolled,) = await open_for(
        call.app.database,
        call.app.keyring,
        [InRecord(ticket.holder_id, "template", blob.envelope)],
        actor=call.actor,
        reason=f"check-for-{ticket.purpose}",
        correlation_id=call.correlation_id,
    )
    if enrolled is ERASED:
        raise Problem(ProblemReason.ERASED)
    try:
        score = await call.app.engine.compare(probe=probe.data, reference=enrolled)
    except EngineUnavailable:
        raise Problem(ProblemReason.UNAVAILABLE) from None
    return score >= call.app.threshold(probe.engine, Use.COMPARISON, call.now)


async def _check(
    call: Call[App], ticket: Ticket, command: CheckFinger | ConfirmFace
) -> Outcome | Response:
    """The result as the record had it right after this command, also when it is sent again."""
    answer = {"check_id": str(command.check_id)}
    outcome = await call.send(record.stream(ticket.holder_id), command, answer=answer)
    if not isinstance(outcome, Accepted):
        return outcome
    then = await call.app.record(ticket.holder_id, version=outcome.version)
    use = then.ticket(ticket.ticket_id)
    if use.last_check != command.check_id:
        result = "awaiting-second-officer"
    else:
        result = "verified" if use.is_verified else "mismatch"
    return json_response(
        {
            **outcome.answer,
            "result": result,
            "tries_left": MAX_TRIES - use.failures,
            "version": outcome.version,
            "token": str(outcome.token) if outcome.token else None,
        }
    )


async def _shown(view: View[App], pictures: Sequence[Record]) -> list[dict[str, object]]:
    """Opened for this person, each holder's audited; null where somebody was erased."""
    digests = [(row["holder_id"], row[name]) for row in pictures for name in ("face", "finger")]
    async with view.database.connection() as connection:
        blobs = [(who, await load(connection, digest or "")) for who, digest in digests]
    there = [InRecord(who, "sample", blob.envelope) for who, blob in blobs if blob is not None]
    opened = iter(
        await open_for(
            view.database,
            view.keyring,
            there,
            actor=view.actor,
            reason="adjudication",
            correlation_id=view.correlation_id,
        )
    )
    images = [None if blob is None else _base64(next(opened)) for _, blob in blobs]
    return [
        {"face": face, "fingers": {"right-index": finger}}
        for face, finger in zip(images[::2], images[1::2], strict=True)
    ]


def _base64(image: object) -> str | None:
    return base64.b64encode(image).decode() if isinstance(image, bytes) else None
