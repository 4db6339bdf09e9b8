"""verification over HTTP: checks, standings, relying parties, and what is published signed."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from epassport import Accepted, Outcome, Role, StreamId
from epassport.access import ANYONE, AccessTable
from epassport.actor import service_actor
from epassport.http import Call, Routes, View, json_response
from epassport.problems import NotFound, Problem
from epassport.problems import Reason as ProblemReason
from epassport.projector import START
from epassport.requests import preferred
from epassport_contracts import ServiceName
from epassport_contracts.events.verification import StatusReason
from verification import document_status, presentation, readmodel, relying_party
from verification.checking import Opened, answered, look_up, open_code
from verification.context import App
from verification.document_status_commands import LiftSuspension, RevokeDocument, SuspendDocument
from verification.document_status_events import Standing
from verification.presentation import (
    CheckPresentation,
    CodeRefused,
    CodeUndecided,
    PresentationRefused,
    PresentationUndecided,
    PresentationVerified,
    Reason,
)
from verification.relying_party import ClaimName, RegisterPurpose, RegisterRelyingParty
from verification.settings import FIRST_STATUS_LIST, MAX_STATUS_LISTS
from verification.status_lists import NoSuchList

ACCESS = AccessTable(
    {
        "register-relying-party": {Role.REGISTRAR},
        "register-purpose": {Role.REGISTRAR},
        "read-relying-party": {Role.REGISTRAR, Role.VERIFIER},
        "verify": {Role.VERIFIER},
        "suspend-document": {Role.ADMINISTRATOR, Role.SUPERVISOR},
        "restore-document": {Role.ADMINISTRATOR, Role.SUPERVISOR},
        "revoke-document": {Role.ADMINISTRATOR, Role.SUPERVISOR},
        "read-document": {
            Role.ADMINISTRATOR,
            Role.SUPERVISOR,
            Role.OPERATOR,
            Role.HAND_OVER_OFFICER,
            Role.HOTLINE,
        },
        "read-status-list-of-card": ANYONE,
        "read-status-list": ANYONE,
        "read-status-list-addresses": ANYONE,
        "read-trust-list": ANYONE,
        "read-offline-pack": ANYONE,
        "read-public-events": {Role.AGENCY},
    }
)
routes = Routes(ACCESS)

STATUS_LIST_JWT, STATUS_LIST_CWT = "application/statuslist+jwt", "application/statuslist+cwt"

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](-?[a-z0-9]){0,59}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RelyingPartyBody(_Body):
    relying_party_id: Name
    name: Line


class PurposeBody(_Body):
    """basis: the law or contract that lets the organisation ask."""

    purpose: Name
    claims: Annotated[list[ClaimName], Field(min_length=1, max_length=len(ClaimName))]
    basis: Line


class VerifyBody(_Body):
    """claims: names; one that is not in the purpose, or that nobody knows, is asking too much."""

    purpose: Name
    claims: Annotated[list[Name], Field(min_length=1, max_length=20)]
    code: Annotated[str, Field(min_length=1, max_length=4000)]


class SuspendBody(_Body):
    reason: Literal[StatusReason.ORDERED, StatusReason.LOSS_REPORTED]


class RestoreBody(_Body):
    reason: Literal[StatusReason.ORDERED]


class RevokeBody(_Body):
    reason: Literal[StatusReason.ORDERED, StatusReason.LOSS_CONFIRMED, StatusReason.HOLDER_LEFT]


class DocumentAnswer(BaseModel):
    """held_since: an event that may end this document waits; it then checks as unknown."""

    document_ref: UUID
    status: Standing
    since: datetime
    reason: str | None
    application_id: UUID | None
    predecessor: UUID | None
    valid_until: date | None
    status_list_uri: str | None
    status_index: int | None
    held_since: datetime | None


class PurposeAnswer(BaseModel):
    purpose: str
    claims: list[ClaimName]
    basis: str


class RelyingPartyAnswer(BaseModel):
    relying_party_id: str
    name: str
    registered_at: datetime
    purposes: list[PurposeAnswer]


class EventsAnswer(BaseModel):
    """events: CloudEvents as on the public topic; next: the cursor behind the last of them."""

    events: list[dict[str, object]]
    next: str


@routes.command("register-relying-party", "/v1/relying-parties")
async def register_relying_party(body: RelyingPartyBody, call: Call[App]) -> Outcome:
    stream = relying_party.stream(body.relying_party_id)
    answer = {"relying_party_id": body.relying_party_id}
    return await call.send(stream, RegisterRelyingParty(call.now, body.name), answer=answer)


@routes.command("register-purpose", "/v1/relying-parties/{relying_party_id}/purposes")
async def register_purpose(relying_party_id: Name, body: PurposeBody, call: Call[App]) -> Outcome:
    await _known_party(call, relying_party_id)
    command = RegisterPurpose(call.now, body.purpose, frozenset(body.claims), body.basis)
    return await call.send(relying_party.stream(relying_party_id), command)


@routes.query(
    "read-relying-party", "/v1/relying-parties/{relying_party_id}", reads=("relying_parties",)
)
async def read_relying_party(relying_party_id: Name, view: View[App]) -> RelyingPartyAnswer:
    async with view.database.connection() as connection:
        tables = readmodel.relying_parties.on(connection)
        party = await readmodel.relying_party_of(tables, relying_party_id)
        purposes = await readmodel.purposes_of(tables, relying_party_id)
    if party is None:
        raise NotFound
    asks = [PurposeAnswer(**dict(purpose)) for purpose in purposes]
    return RelyingPartyAnswer(**dict(party), purposes=asks)


@routes.command("verify", "/v1/presentations")
async def verify(body: VerifyBody, call: Call[App]) -> Outcome | Response:
    """Sent again, the recorded verdict is told again, with the claims of the code as it was
    opened then: the code is in the request, and what it states is kept nowhere. The event
    names this service as its actor, as it seals who asked."""
    office = call.actor.office
    if office is None:
        raise Problem(ProblemReason.ROLE_NOT_ALLOWED)
    presentation_id = call.new_id("presentation")
    opened = open_code(body.code, call.app.published.trusted, now=call.now)
    findings = await look_up(
        call.app.database, opened, presentation_id=presentation_id, now=call.now
    )
    if findings is None:
        return _unavailable(presentation_id, opened, call.now)
    shown = findings.shown
    command = CheckPresentation(
        call.now,
        office,
        body.purpose,
        tuple(body.claims),
        shown,
        findings.held_since,
        findings.paused,
    )
    reads = [relying_party.stream(office)]
    if shown.document_ref is not None:
        reads.append(document_status.stream(shown.document_ref))
    stream = presentation.stream(presentation_id)
    checker = service_actor(ServiceName.VERIFICATION)
    outcome = await call.send(stream, command, reads=reads, actor=checker)
    if not isinstance(outcome, Accepted):
        return outcome
    recorded = await _recorded(call.app, stream)
    if recorded.at != call.now:
        opened = open_code(body.code, call.app.published.trusted, now=recorded.at)
    return json_response(_verdict(presentation_id, recorded, opened, body.claims))


@routes.command("suspend-document", "/v1/documents/{document_ref}/suspend")
async def suspend_document(document_ref: UUID, body: SuspendBody, call: Call[App]) -> Outcome:
    await _known_document(call, document_ref)
    command = SuspendDocument(call.now, body.reason)
    return await call.send(document_status.stream(document_ref), command)


@routes.command("restore-document", "/v1/documents/{document_ref}/restore")
async def restore_document(document_ref: UUID, body: RestoreBody, call: Call[App]) -> Outcome:  # noqa: ARG001 - says that it is an order
    await _known_document(call, document_ref)
    return await call.send(document_status.stream(document_ref), LiftSuspension(call.now))


@routes.command("revoke-document", "/v1/documents/{document_ref}/revoke")
async def revoke_document(document_ref: UUID, body: RevokeBody, call: Call[App]) -> Outcome:
    await _known_document(call, document_ref)
    command = RevokeDocument(call.now, body.reason)
    return await call.send(document_status.stream(document_ref), command)


@routes.query("read-document", "/v1/documents/{document_ref}", reads=("document_status",))
async def read_document(document_ref: UUID, view: View[App]) -> DocumentAnswer:
    async with view.database.connection() as connection:
        row = await readmodel.document_of(readmodel.documents.on(connection), document_ref)
        held_since = await readmodel.held_since(connection, document_ref)
    if row is None:
        raise NotFound
    return DocumentAnswer(**dict(row), held_since=held_since)


@routes.query("read-status-list-of-card", "/s/{list_id}", reads=("document_status",))
async def read_status_list_of_card(list_id: int, view: View[App]) -> Response:
    """The address printed on every card, so short and for life."""
    return await _status_list(list_id, view)


@routes.query("read-status-list", "/v1/status-lists/{list_id}", reads=("document_status",))
async def read_status_list(list_id: int, view: View[App]) -> Response:
    return await _status_list(list_id, view)


@routes.query("read-status-list-addresses", "/v1/status-lists", reads=("status_lists",))
async def read_status_list_addresses(view: View[App]) -> Response:
    addresses = await view.app.published.status_lists.aggregation(view.database)
    return Response(addresses, media_type="application/json")


async def _status_list(list_id: int, view: View[App]) -> Response:
    """As JWT, or as CWT for whoever asks for it (§8.1 of the draft)."""
    if not FIRST_STATUS_LIST <= list_id <= MAX_STATUS_LISTS:
        raise NotFound
    form = preferred(view.accept, [STATUS_LIST_JWT, STATUS_LIST_CWT])
    if form is None:
        raise Problem(ProblemReason.NOT_ACCEPTABLE)
    lists = view.app.published.status_lists
    try:
        issued = await lists.issued(view.database, list_id, view.now, view.after or START)
    except NoSuchList:
        raise NotFound from None
    token = issued.cwt if form == STATUS_LIST_CWT else issued.jwt
    return Response(token, media_type=form, headers={"Vary": "Accept"})


@routes.query("read-trust-list", "/v1/trust-list")
async def read_trust_list(view: View[App]) -> Response:
    return Response(view.app.published.trust_list(view.now), media_type="application/jwt")


@routes.query("read-offline-pack", "/v1/offline-pack", reads=("document_status", "status_lists"))
async def read_offline_pack(view: View[App]) -> Response:
    pack = await view.app.published.offline_pack(view.database, view.now, view.after or START)
    return Response(pack, media_type="application/jwt")


@routes.query("read-public-events", "/v1/events", reads=("public_events",))
async def read_public_events(
    view: View[App], *, limit: Annotated[int, Field(ge=1, le=500)] = 100
) -> EventsAnswer:
    """`?after=` is the cursor: `next` of the answer before; without it, from the beginning."""
    async with view.database.connection() as connection:
        rows = await readmodel.public_events_after(
            readmodel.public_events.on(connection), view.after or START, limit
        )
    cursor = rows[-1][0] if rows else view.after or START
    return EventsAnswer(events=[event for _, event in rows], next=str(cursor))


async def _known_party(call: Call[App], relying_party_id: str) -> None:
    """An id that nobody has heard of leaves no trace."""
    if not await call.app.knows(relying_party.stream(relying_party_id)):
        raise NotFound


async def _known_document(call: Call[App], document_ref: UUID) -> None:
    if not await call.app.knows(document_status.stream(document_ref)):
        raise NotFound


async def _recorded(app: App, stream: StreamId) -> presentation.Event:
    """What was decided: the store's own word, whoever of two twins wrote it."""
    recorded: presentation.Event = (await app.events_of(stream))[0]
    return recorded


def _verdict(
    presentation_id: UUID, recorded: presentation.Event, opened: Opened, asked: Sequence[str]
) -> dict[str, object]:
    """fresh_as_of: decided on the document's own stream, so as fresh as this service is.

    not_stated: what was asked and the code cannot say; a good document is no yes to it
    """
    known: dict[str, object] = {
        "presentation_id": presentation_id,
        "claims": {},
        "form": recorded.form,
        "checked_at": recorded.at,
        "fresh_as_of": recorded.at,
    }
    match recorded:
        case PresentationVerified():
            told = answered(opened.stated, asked)
            not_stated = [name for name in asked if name not in told]
            return {**known, "outcome": "good", "claims": told, "not_stated": not_stated}
        case PresentationRefused(reason=reason) | CodeRefused(reason=reason):
            return {**known, "outcome": "refused", "reason": reason}
        case (
            PresentationUndecided(reason=reason, since=since)
            | CodeUndecided(reason=reason, since=since)
        ):
            fresh = {"fresh_as_of": since, "since": since}
            return {**known, **fresh, "outcome": "unknown", "reason": reason}


def _unavailable(presentation_id: UUID, opened: Opened, now: datetime) -> Response:
    """Not recorded, for want of a database; the same command may be sent again."""
    return json_response(
        {
            "presentation_id": presentation_id,
            "outcome": "unknown",
            "reason": Reason.REPLAY_UNKNOWN,
            "claims": {},
            "form": opened.shown.form,
            "checked_at": now,
            "fresh_as_of": now,
            "since": now,
        }
    )
