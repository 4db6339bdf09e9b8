"""Enrollment over HTTP: the desk, the decision, the hand-over; `registrations` has the rest.

An officer reaches only applications of the own office, and none where the token names no office;
a citizen only the own ones; others answer as if they did not exist.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from enrollment import (
    application,
    challenge,
    holder,
    holder_commands,
    holder_readmodel,
    office,
    readmodel,
    rollout,
)
from enrollment.application_commands import (
    ApproveApplication,
    HandOver,
    IssueTicket,
    Presence,
    RejectApplication,
    RequestInformation,
    SubmitApplication,
    SupplyInformation,
    WithdrawApplication,
)
from enrollment.application_events import Application
from enrollment.bodies import (
    Code,
    ErasureBody,
    HandOverBody,
    HolderTicketBody,
    InformationBody,
    Name,
    RejectBody,
    SubmitBody,
    TicketBody,
)
from enrollment.context import App
from enrollment.office import OfficerId
from epassport import Accepted, Actor, Outcome, Role, StreamId
from epassport.access import ANYONE, AccessTable
from epassport.http import Call, Routes, View
from epassport.opening import InRecord, open_for
from epassport.problems import NotFound
from epassport.sealing import ERASED
from epassport.tickets import sign_ticket
from epassport_contracts import Sealed
from epassport_contracts.desk import Ticket
from epassport_contracts.fields import Identity

TICKET_LIVES = timedelta(minutes=10)

_DESK = frozenset({Role.OPERATOR, Role.HAND_OVER_OFFICER})
_OFFICE = _DESK | {Role.SUPERVISOR}

ACCESS = AccessTable(
    {
        "register-office": {Role.REGISTRAR},
        "register-station": {Role.REGISTRAR},
        "register-officer": {Role.REGISTRAR},
        "open-rollout": {Role.REGISTRAR, Role.ADMINISTRATOR},
        "pause-rollout": {Role.REGISTRAR, Role.ADMINISTRATOR},
        "resume-rollout": {Role.REGISTRAR, Role.ADMINISTRATOR},
        "read-rollout": ANYONE,  # the dated policy is published
        "draw-challenge": _DESK,
        "submit-application": {Role.OPERATOR},
        "issue-ticket": _DESK,
        "issue-holder-ticket": {Role.HAND_OVER_OFFICER},
        "request-information": {Role.OPERATOR, Role.SUPERVISOR},
        "supply-information": {Role.OPERATOR},
        "approve-application": {Role.SUPERVISOR},
        "reject-application": {Role.SUPERVISOR},
        "withdraw-application": {Role.OPERATOR},
        "hand-over": {Role.HAND_OVER_OFFICER},
        "order-erasure": {Role.ADMINISTRATOR},
        "list-erasure-work": {Role.ADMINISTRATOR},
        "read-application": _OFFICE | {Role.CITIZEN},
        "read-progress": _OFFICE | {Role.CITIZEN},
        "list-work": _OFFICE,
        "read-holder": _OFFICE | {Role.CITIZEN, Role.HOTLINE, Role.ADMINISTRATOR},
    }
)
routes = Routes(ACCESS)


@routes.query("draw-challenge", "/v1/presence-challenge")
async def draw_challenge(office: Name, station: Name, view: View[App]) -> Mapping[str, object]:
    """For the officer to sign with the presence record; nothing is kept of it."""
    text = challenge.draw(view.app.search, office, station, view.now, secrets.token_bytes(16))
    expires_at = view.now.replace(microsecond=0) + challenge.LIVES
    return {"challenge": text, "expires_at": expires_at}


@routes.command("submit-application", "/v1/applications")
async def submit_application(body: SubmitBody, call: Call[App]) -> Outcome:
    number = body.replaces_document_number
    predecessor = None if number is None else await call.app.predecessor(number)
    application_id = call.new_id("application")
    holder_id = predecessor.holder_id if predecessor else call.new_id("holder")
    presence = body.presence
    command = SubmitApplication(
        at=call.now,
        by=OfficerId.of(call.actor),
        holder_id=holder_id,
        kind=body.kind,
        region=body.region,
        office=body.office,
        station=body.station,
        identity=body.identity,
        wishes=body.wishes,
        representative=body.representative,
        consents=body.consents,
        warning_read=body.warning_read,
        presence=Presence(presence.challenge, presence.at, presence.signature),
        challenge_drawn_at=challenge.drawn_at(
            call.app.search, presence.challenge, body.office, body.station
        ),
        person_digest=call.app.person_digest(body.identity),
        predecessor=predecessor,
        passport_lines=body.paper_passport_lines,
    )
    return await call.send(
        application.stream(application_id),
        command,
        reads=(rollout.stream(body.region), office.stream(body.office)),
        answer={"application_id": str(application_id), "holder_id": str(holder_id)},
    )


@routes.command("issue-ticket", "/v1/applications/{application_id}/tickets")
async def issue_ticket(application_id: UUID, body: TicketBody, call: Call[App]) -> Outcome:
    """The signed ticket is made anew when the same request comes again, and never kept."""
    found = await _of_own_office(call, application_id)
    ticket_id, expires_at = call.new_id("ticket"), call.now + TICKET_LIVES
    by = OfficerId.of(call.actor)
    outcome = await call.send(
        application.stream(application_id),
        IssueTicket(call.now, by, ticket_id, body.purpose, body.station, expires_at),
        reads=_rollout_and_office(found),
        answer={"ticket_id": str(ticket_id), "expires_at": expires_at.isoformat()},
    )
    return _with_ticket(
        outcome,
        call.app,
        Ticket(
            ticket_id=ticket_id,
            purpose=body.purpose,
            holder_id=found.holder_id,
            application_id=application_id,
            document_ref=found.document.ref if found.document else None,
            kind=found.kind,
            officer=by.subject,
            office=found.office,
            station=body.station,
            expires_at=expires_at,
        ),
    )


@routes.command("issue-holder-ticket", "/v1/holders/{holder_id}/tickets")
async def issue_holder_ticket(holder_id: UUID, body: HolderTicketBody, call: Call[App]) -> Outcome:
    if await call.app.holder(holder_id) is None:
        raise NotFound
    ticket_id, expires_at = call.new_id("ticket"), call.now + TICKET_LIVES
    by = OfficerId.of(call.actor)
    outcome = await call.send(
        holder.stream(holder_id),
        holder_commands.IssueRestoreTicket(
            call.now, by, ticket_id, body.document_ref, body.office, body.station, expires_at
        ),
        reads=(office.stream(body.office),),
        answer={"ticket_id": str(ticket_id), "expires_at": expires_at.isoformat()},
    )
    return _with_ticket(
        outcome,
        call.app,
        Ticket(
            ticket_id=ticket_id,
            purpose=body.purpose,
            holder_id=holder_id,
            application_id=None,
            document_ref=body.document_ref,
            kind=None,
            officer=by.subject,
            office=body.office,
            station=body.station,
            expires_at=expires_at,
        ),
    )


@routes.command("request-information", "/v1/applications/{application_id}/request-information")
async def request_information(
    application_id: UUID, body: InformationBody, call: Call[App]
) -> Outcome:
    await _of_own_office(call, application_id)
    command = RequestInformation(call.now, OfficerId.of(call.actor), body.what)
    return await call.send(application.stream(application_id), command)


@routes.command("supply-information", "/v1/applications/{application_id}/supply-information")
async def supply_information(
    application_id: UUID, body: InformationBody, call: Call[App]
) -> Outcome:
    await _of_own_office(call, application_id)
    command = SupplyInformation(call.now, OfficerId.of(call.actor), body.what)
    return await call.send(application.stream(application_id), command)


@routes.command("approve-application", "/v1/applications/{application_id}/approve")
async def approve_application(application_id: UUID, call: Call[App]) -> Outcome:
    await _of_own_office(call, application_id)
    number = await call.app.free_document_number()
    document_ref = call.new_id("document")
    command = ApproveApplication(
        call.now,
        OfficerId.of(call.actor),
        document_ref,
        number,
        call.app.number_digest(number),
    )
    return await call.send(
        application.stream(application_id), command, answer={"document_ref": str(document_ref)}
    )


@routes.command("reject-application", "/v1/applications/{application_id}/reject")
async def reject_application(application_id: UUID, body: RejectBody, call: Call[App]) -> Outcome:
    found = await _of_own_office(call, application_id)
    digest = await call.app.claimed_digest(application_id, found.holder_id)
    command = RejectApplication(call.now, OfficerId.of(call.actor), body.reason, digest)
    return await call.send(application.stream(application_id), command)


@routes.command("withdraw-application", "/v1/applications/{application_id}/withdraw")
async def withdraw_application(application_id: UUID, call: Call[App]) -> Outcome:
    found = await _of_own_office(call, application_id)
    digest = await call.app.claimed_digest(application_id, found.holder_id)
    command = WithdrawApplication(call.now, OfficerId.of(call.actor), digest)
    return await call.send(application.stream(application_id), command)


@routes.command("hand-over", "/v1/applications/{application_id}/hand-over")
async def hand_over(application_id: UUID, body: HandOverBody, call: Call[App]) -> Outcome:
    found = await _of_own_office(call, application_id)
    digest = await call.app.claimed_digest(application_id, found.holder_id)
    return await call.send(
        application.stream(application_id),
        HandOver(call.now, OfficerId.of(call.actor), body.station, digest),
        reads=_rollout_and_office(found),
    )


@routes.command("order-erasure", "/v1/holders/{holder_id}/erasure")
async def order_erasure(holder_id: UUID, body: ErasureBody, call: Call[App]) -> Outcome:
    if await call.app.holder(holder_id) is None:
        raise NotFound
    command = holder_commands.OrderErasure(call.now, OfficerId.of(call.actor), body.by_order)
    return await call.send(holder.stream(holder_id), command)


@routes.query("read-application", "/v1/applications/{application_id}", reads=("applications",))
async def read_application(application_id: UUID, view: View[App]) -> Mapping[str, object]:
    """With the identity, which is null once the person is erased; the holder reads who looked."""
    row, shown = await _application_shown(application_id, view)
    envelope: Sealed[Identity] = Sealed.model_validate_json(row["identity"])
    (identity,) = await open_for(
        view.database,
        view.keyring,
        [InRecord(row["holder_id"], "identity", envelope)],
        actor=view.actor,
        reason="read-application",
        correlation_id=view.correlation_id,
    )
    return {**shown, "identity": None if identity is ERASED else identity}


@routes.query(
    "read-progress", "/v1/applications/{application_id}/progress", reads=("applications",)
)
async def read_progress(application_id: UUID, view: View[App]) -> Mapping[str, object]:
    """How far it has come, for whoever need not know whose it is: nothing is opened."""
    _, shown = await _application_shown(application_id, view)
    return shown


async def _application_shown(
    application_id: UUID, view: View[App]
) -> tuple[Record, Mapping[str, object]]:
    """The row, and what of it may be shown unopened."""
    async with view.database.connection() as connection:
        tables = readmodel.applications.on(connection)
        row = await readmodel.application(tables, application_id)
        timeline = await readmodel.timeline(tables, application_id)
    if row is None or not _may_see(view.actor, row["office"], row["holder_id"]):
        raise NotFound
    shown = {name: value for name, value in row.items() if name != "identity"}
    return row, {**shown, "timeline": [dict(entry) for entry in timeline]}


@routes.query("list-work", "/v1/work-queue", reads=("applications",))
async def list_work(
    office: Name, view: View[App], state: Code | None = None
) -> list[Mapping[str, object]]:
    if view.actor.office != office:
        raise NotFound
    async with view.database.connection() as connection:
        rows = await readmodel.queue(readmodel.applications.on(connection), office, state)
    return [dict(row) for row in rows]


@routes.query("read-holder", "/v1/holders/{holder_id}", reads=("holders",))
async def read_holder(holder_id: UUID, view: View[App]) -> Mapping[str, object]:
    if view.actor.roles <= {Role.CITIZEN} and view.actor.acting_for != holder_id:
        raise NotFound
    async with view.database.connection() as connection:
        tables = holder_readmodel.holders.on(connection)
        row = await holder_readmodel.holder(tables, holder_id)
        documents = await holder_readmodel.documents(tables, holder_id)
    if row is None:
        raise NotFound
    return {**dict(row), "documents": [dict(document) for document in documents]}


@routes.query("list-erasure-work", "/v1/erasure-queue", reads=("holders",))
async def list_erasure_work(view: View[App]) -> list[Mapping[str, object]]:
    """Whom nothing obliges anybody to keep any longer, and whose erasure is overdue."""
    async with view.database.connection() as connection:
        rows = await holder_readmodel.erasure_queue(holder_readmodel.holders.on(connection))
    return [dict(row) for row in rows]


def _may_see(actor: Actor, office: str, holder_id: UUID) -> bool:
    if actor.roles <= {Role.CITIZEN}:
        return actor.acting_for == holder_id
    return actor.office == office


async def _of_own_office(call: Call[App], application_id: UUID) -> Application:
    found = await call.app.application(application_id)
    if found is None or call.actor.office != found.office:
        raise NotFound
    return found


def _rollout_and_office(found: Application) -> tuple[StreamId, StreamId]:
    return rollout.stream(found.region), office.stream(found.office)


def _with_ticket(outcome: Outcome, app: App, ticket: Ticket) -> Outcome:
    """A kept answer keeps its time, so that asking again makes no ticket live longer."""
    if not isinstance(outcome, Accepted):
        return outcome
    expires_at = datetime.fromisoformat(outcome.answer["expires_at"])
    signed = sign_ticket(app.ticket_signer, ticket.model_copy(update={"expires_at": expires_at}))
    return replace(outcome, answer={**outcome.answer, "ticket": signed})
