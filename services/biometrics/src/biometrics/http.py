"""biometrics over HTTP: capture at the desk, and the check at the counter."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from biometrics import gallery_readmodel, readmodel, record
from biometrics.access import CAPTURE
from biometrics.capture import JPEG, PNG, FingerCapture, FingerImage, read_face
from biometrics.codes import Code
from biometrics.context import App
from biometrics.engine.port import EngineUnavailable, Template, TemplateRefused
from biometrics.engine.positions import FingerPosition
from biometrics.engine.quality import CaptureFault, CaptureRejected
from biometrics.faces import FaceRejected
from biometrics.holder_check import MAX_TRIES, no_finger_for
from biometrics.record_commands import (
    CheckFinger,
    Command,
    ConfirmFace,
    ExceptFingers,
    FingerSample,
    MissingFinger,
    Officer,
    Reason,
    ReceiveSamples,
    RejectSample,
    Samples,
)
from biometrics.record_events import Enrolment
from biometrics.score_class import ScoreClass, score_class
from biometrics.thresholds import Use
from epassport import Accepted, Outcome
from epassport.actor import Actor
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

routes = Routes(CAPTURE)

TicketText = Annotated[str, StringConstraints(max_length=MAX_TICKET_CHARACTERS)]
ImageBytes = Annotated[Base64Bytes, Field(max_length=MAX_IMAGE_BYTES)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FingerBody(_Body):
    """image: base64 of an 8-bit gray PNG."""

    position: FingerPosition
    image: ImageBytes
    dpi: Annotated[int, Field(ge=1, le=10_000)]


class MissingBody(_Body):
    position: FingerPosition
    reason_code: Code


class SamplesBody(_Body):
    """fingers: of several captures of one finger the best is kept. face: base64 of a JPEG."""

    ticket: TicketText
    fingers: Annotated[tuple[FingerBody, ...], Field(min_length=1, max_length=30)]
    missing: Annotated[tuple[MissingBody, ...], Field(max_length=9)] = ()
    face: ImageBytes


class ExceptionBody(_Body):
    ticket: TicketText
    face: ImageBytes
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
    check_fingers(body, call.app.fingers_required)
    try:
        await read_face(body.face)
        fingers = await _fingers(call, body)
    except (CaptureRejected, FaceRejected) as rejected:
        reject = RejectSample(call.now, by, ticket, capture_id, rejected.fault)
        outcome = await call.send(
            record.stream(ticket.holder_id), reject, actor=_acting(call, ticket)
        )
        if isinstance(outcome, Accepted):
            raise Problem(rejected.fault) from None
        return outcome
    digests = await _write(
        call,
        ticket,
        NewBlob("sample", JPEG, body.face),
        *(NewBlob("sample", PNG, each.png) for each in fingers),
        *(NewBlob("template", "application/cbor", each.template.data) for each in fingers),
    )
    samples = _samples(call.app, body, fingers, digests)
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


@routes.command("verify-holder", "/v1/verifications")
async def verify_holder(body: FingerCheckBody, call: Call[App]) -> Outcome | Response:
    """1:1 with the finger that was enrolled; the answer holds the class of the score, never it."""
    ticket, by = _ticket(call, body.ticket), Officer.of(call.actor)
    known = await call.app.record(ticket.holder_id)
    useless = no_finger_for(ticket, by, known.ticket(ticket.ticket_id))
    # None: nothing is opened or compared for this ticket, and the decider says why.
    reference = None if useless else known.reference(ticket.application_id)
    found = await _compared(call, ticket, reference, body.finger)
    command = CheckFinger(
        call.now,
        by,
        ticket,
        call.new_id("check"),
        body.finger.position,
        reference.capture_id if reference else None,
        found not in (None, ScoreClass.BELOW),
        found,
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
        "gate",
        "missing",
        "changed_at",
    )
    enrolments = [
        {
            **{name: row[name] for name in shown},
            "qualities": dict(zip(row["positions"], row["qualities"], strict=True)),
        }
        for row in rows
    ]
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


def check_fingers(body: SamplesBody, required: int) -> None:
    there = {finger.position for finger in body.fingers}
    missing = {finger.position for finger in body.missing}
    if len(missing) < len(body.missing) or there & missing:
        raise Problem(Reason.FINGERS_CONTRADICT)
    if len(there | missing) < required:
        raise Problem(Reason.TOO_FEW_FINGERS)


def _image(finger: FingerBody) -> FingerImage:
    return FingerImage(finger.position, finger.dpi, finger.image)


async def _fingers(call: Call[App], body: SamplesBody) -> list[FingerCapture]:
    """Raises CaptureRejected."""
    images = [_image(finger) for finger in body.fingers]

    def same_from(engine: str) -> float:
        return call.app.threshold(engine, Use.COMPARISON, call.now)

    try:
        return await call.app.capturing.fingers(images, same_from=same_from)
    except EngineUnavailable:
        raise Problem(ProblemReason.UNAVAILABLE) from None


def _samples(
    app: App, body: SamplesBody, fingers: Sequence[FingerCapture], digests: Sequence[str]
) -> Samples:
    """digests: of the face, then of all images, then of all templates."""
    images, templates = digests[1 : 1 + len(fingers)], digests[1 + len(fingers) :]
    named = zip(fingers, images, templates, strict=True)
    return Samples(
        digests[0],
        tuple(FingerSample(each.position, i, t, each.quality, each.dpi) for each, i, t in named),
        fingers[0].template.engine,
        tuple(MissingFinger(each.position, each.reason_code) for each in body.missing),
        app.capturing.gate,
    )


async def _write(call: Call[App], ticket: Ticket, *blobs: NewBlob) -> list[str]:
    return await call.app.blobs.write(
        ticket.holder_id,
        blobs,
        stream=record.stream(ticket.holder_id),
        origin=Origin(_acting(call, ticket), call.correlation_id),
    )


def _acting(call: Call[App], ticket: Ticket) -> Actor:
    """Whoever captures or compares may do so because enrollment has issued a ticket."""
    return replace(call.actor, basis=f"ticket/{ticket.ticket_id}")


async def _send_with_blobs(
    call: Call[App], ticket: Ticket, command: Command, digests: Sequence[str]
) -> Outcome:
    """Images of a command that was refused, or done before, are named by nothing: they go."""
    answer = {"record_id": str(ticket.holder_id)}
    outcome = await call.send(
        record.stream(ticket.holder_id), command, answer=answer, actor=_acting(call, ticket)
    )
    if not isinstance(outcome, Accepted) or outcome.replayed or outcome.token is None:
        await call.app.blobs.discard(digests)
    return outcome


async def _compared(
    call: Call[App], ticket: Ticket, reference: Enrolment | None, finger: FingerBody
) -> ScoreClass | None:
    """None where there is nothing to compare with: the decider says why."""
    app = call.app
    try:
        probe = (await app.capturing.finger(_image(finger))).template
        enrolled = reference.finger(finger.position) if reference else None
        if enrolled is None:
            return None
        least = app.threshold(probe.engine, Use.COMPARISON, call.now)
        found = score_class(await _score(call, ticket, probe, enrolled) / least)
        if found is not ScoreClass.BELOW:
            return found
        other = reference.finger(finger.position.mirrored) if reference else None
        if other is not None and await _score(call, ticket, probe, other) >= least:
            raise Problem(CaptureFault.OTHER_HAND)  # no try lost: it is this holder's finger
    except CaptureRejected as rejected:
        raise Problem(rejected.fault) from None
    except EngineUnavailable:
        raise Problem(ProblemReason.UNAVAILABLE) from None
    return ScoreClass.BELOW


async def _score(call: Call[App], ticket: Ticket, probe: Template, enrolled: FingerSample) -> float:
    """Raises EngineUnavailable. Where the engine was changed since, a supervisor's exception is
    the way on."""
    async with call.app.database.connection() as connection:
        blob = await load(connection, enrolled.template)
    if blob is None:
        raise Problem(ProblemReason.ERASED)
    (reference,) = await open_for(
        call.app.database,
        call.app.keyring,
        [InRecord(ticket.holder_id, "template", blob.envelope)],
        actor=call.actor,
        reason=f"check-for-{ticket.purpose}",
        correlation_id=call.correlation_id,
    )
    if reference is ERASED:
        raise Problem(ProblemReason.ERASED)
    try:
        return await call.app.engine.compare(probe=probe.data, reference=reference)
    except TemplateRefused:
        raise Problem(Reason.REFERENCE_OF_OTHER_ENGINE) from None


async def _check(
    call: Call[App], ticket: Ticket, command: CheckFinger | ConfirmFace
) -> Outcome | Response:
    """The result as the record had it right after this command, also when it is sent again."""
    answer = {"check_id": str(command.check_id)}
    outcome = await call.send(
        record.stream(ticket.holder_id), command, answer=answer, actor=_acting(call, ticket)
    )
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
            "score_class": use.last_class if use.last_check == command.check_id else None,
            "tries_left": MAX_TRIES - use.failures,
            "version": outcome.version,
            "token": str(outcome.token) if outcome.token else None,
        }
    )
