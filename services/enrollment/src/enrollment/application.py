"""Application: from the counter to the passport in the holder's hand.

Whether it may begin is in `admission`; the card and the last counter are in `handover`.

- It is approved only with accepted biometrics, nothing missing, and by an officer who took
  no part in it; a confirmed duplicate is rejected by a person, never by the system.
- Until hand-over it may be rejected or withdrawn; these ends are final, and an approved
  document ends with them.
- Every wait on somebody else has a deadline. Its passing is a fact that somebody looks at;
  nothing is rejected or given up by a clock.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import get_args

from enrollment import admission, handover
from enrollment.application_commands import (
    ApproveApplication,
    Command,
    HandOver,
    IssueTicket,
    NoteBiometrics,
    NoteCardAtOffice,
    NoteCardGone,
    NoteCardLost,
    NoteDuplicate,
    NoteHolderCheck,
    Reason,
    ReassignDocument,
    RejectApplication,
    RejectionReason,
    RequestInformation,
    SubmitApplication,
    SupplyInformation,
    WithdrawApplication,
)
from enrollment.application_events import (
    ENDED,
    Application,
    ApplicationApproved,
    ApplicationRejected,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    Biometrics,
    BiometricsNoted,
    BiometricsOverdue,
    Card,
    CardAtOffice,
    CardGone,
    CardLost,
    CardOverdue,
    CardUncollected,
    DecisionOverdue,
    Document,
    DocumentReassigned,
    DuplicateNoted,
    Event,
    HandoverCompleted,
    HolderCheckNoted,
    InformationOverdue,
    InformationRequested,
    InformationSupplied,
    Status,
    TicketIssued,
)
from enrollment.handover import DOCUMENT_NUMBER
from enrollment.office import Office, OfficerId
from enrollment.rollout import Rollout
from epassport import (
    Aggregate,
    Claim,
    DeadlinePassed,
    EndWait,
    Give,
    Personal,
    Refused,
    Release,
    StartWait,
    Take,
    sealed,
)
from epassport_contracts.events.enrollment import ApplicationKind

VALIDITY_YEARS = 10


class Wait(StrEnum):
    BIOMETRICS = "biometrics"
    INFORMATION = "information"
    DECISION = "decision"
    CARD = "card"
    COLLECTION = "collection"


PATIENCE = {
    Wait.BIOMETRICS: timedelta(days=10),
    Wait.INFORMATION: timedelta(days=30),
    Wait.DECISION: timedelta(days=10),
    Wait.CARD: timedelta(days=30),
    Wait.COLLECTION: timedelta(days=60),
}

Decided = Sequence[Event | Claim | Release | Take | Give] | Refused

_NO_ROLLOUT, _NO_OFFICE = Rollout(), Office()

initial: Application | None = None


def decide(
    command: Command,
    application: Application | None,
    rollout: Rollout = _NO_ROLLOUT,
    office: Office = _NO_OFFICE,
) -> Decided:
    """Submission and hand-over read rollout and office; tickets read the office."""
    if isinstance(command, SubmitApplication):
        return admission.admit(command, rollout, office) if application is None else []
    if application is None:
        return Refused(Reason.UNKNOWN)
    match command:
        case NoteBiometrics() | NoteDuplicate():
            return _note_biometrics(command, application)
        case RequestInformation():
            return _request_information(command, application)
        case SupplyInformation():
            return _supply_information(command, application)
        case ApproveApplication():
            return _approve(command, application)
        case RejectApplication():
            return _reject(command, application)
        case WithdrawApplication():
            return _withdraw(command, application)
        case NoteCardAtOffice() | NoteCardGone() | NoteCardLost():
            return handover.note_card(command, application)
        case ReassignDocument():
            return handover.reassign(command, application)
        case IssueTicket():
            return handover.issue_ticket(command, application, office)
        case NoteHolderCheck():
            return handover.note_check(command, application)
        case HandOver():
            return handover.hand_over(command, application, rollout, office)
        case DeadlinePassed():
            return _overdue(command, application)


def _note_biometrics(command: NoteBiometrics | NoteDuplicate, application: Application) -> Decided:
    match application.status:
        case Status.SUBMITTED:
            known = application.biometrics
            if isinstance(command, NoteDuplicate):
                return [DuplicateNoted(command.at)] if known is Biometrics.AWAITED else []
            if known is Biometrics.ACCEPTED:
                return []
            return [BiometricsNoted(command.at, command.by_exception)]  # also upon an appeal
        case Status.APPROVED | Status.HANDED_OVER:
            return []
        case Status.REJECTED | Status.WITHDRAWN:
            return Refused(ENDED[application.status])


def _request_information(command: RequestInformation, application: Application) -> Decided:
    match application.status:
        case Status.SUBMITTED:
            if command.what in application.missing:
                return []
            return [InformationRequested(command.at, command.by, command.what)]
        case Status.APPROVED:
            return Refused(Reason.ALREADY_APPROVED)
        case Status.HANDED_OVER | Status.REJECTED | Status.WITHDRAWN:
            return Refused(ENDED[application.status])


def _supply_information(command: SupplyInformation, application: Application) -> Decided:
    match application.status:
        case Status.SUBMITTED:
            if command.what in application.supplied:
                return []
            if command.what not in application.missing:
                return Refused(Reason.INFORMATION_NOT_REQUESTED)
            complete = application.missing == {command.what}
            return [InformationSupplied(command.at, command.by, command.what, complete)]
        case Status.APPROVED:
            return Refused(Reason.ALREADY_APPROVED)
        case Status.HANDED_OVER | Status.REJECTED | Status.WITHDRAWN:
            return Refused(ENDED[application.status])


def _approve(command: ApproveApplication, application: Application) -> Decided:
    match application.status:
        case Status.SUBMITTED:
            reason = _cannot_approve(command.by, application)
            return Refused(reason) if reason else _approved(command, application)
        case Status.APPROVED | Status.HANDED_OVER:
            # The caller is told a reference: another one than the holder's would be a lie.
            same = application.document and application.document.ref == command.document_ref
            return [] if same else Refused(Reason.ALREADY_APPROVED)
        case Status.REJECTED | Status.WITHDRAWN:
            return Refused(ENDED[application.status])


def _cannot_approve(approver: OfficerId, application: Application) -> Reason | None:
    match application.biometrics:
        case Biometrics.AWAITED:
            return Reason.BIOMETRICS_MISSING
        case Biometrics.DUPLICATE:
            return Reason.DUPLICATE_PERSON
        case Biometrics.ACCEPTED:
            if application.missing:
                return Reason.INFORMATION_MISSING
            return Reason.FOUR_EYES if approver in application.taken_part else None


def _approved(command: ApproveApplication, application: Application) -> Decided:
    person = application.holder_id
    return [
        ApplicationApproved(
            at=command.at,
            by=command.by,
            holder_id=person,
            kind=application.kind,
            region=application.region,
            office=application.office,
            document_ref=command.document_ref,
            document_number=Personal(person, "document-number", command.document_number),
            predecessor=application.predecessor,
            identity=application.identity,
            wishes=application.wishes,
            valid_until=_years_after(command.at.date(), VALIDITY_YEARS),
        ),
        Claim(DOCUMENT_NUMBER, command.number_digest, Reason.DOCUMENT_NUMBER_TAKEN, person),
    ]


def _reject(command: RejectApplication, application: Application) -> Decided:
    match application.status:
        case Status.SUBMITTED | Status.APPROVED:
            is_duplicate = application.biometrics is Biometrics.DUPLICATE
            if command.reason is RejectionReason.DUPLICATE_PERSON and not is_duplicate:
                return Refused(Reason.NO_DUPLICATE_CONFIRMED)
            fact = ApplicationRejected(
                command.at,
                command.by,
                application.holder_id,
                application.document.ref if application.document else None,
                application.kind is not ApplicationKind.FIRST,
                command.reason,
            )
            return [fact, *admission.give_back(application, command.person_digest)]
        case Status.REJECTED:
            return []
        case Status.HANDED_OVER | Status.WITHDRAWN:
            return Refused(ENDED[application.status])


def _withdraw(command: WithdrawApplication, application: Application) -> Decided:
    match application.status:
        case Status.SUBMITTED | Status.APPROVED:
            fact = ApplicationWithdrawn(
                command.at,
                command.by,
                application.holder_id,
                application.document.ref if application.document else None,
                application.kind is not ApplicationKind.FIRST,
            )
            return [fact, *admission.give_back(application, command.person_digest)]
        case Status.WITHDRAWN:
            return []
        case Status.HANDED_OVER | Status.REJECTED:
            return Refused(ENDED[application.status])


def _overdue(deadline: DeadlinePassed, application: Application) -> Decided:
    """Heard only while the wait is open; whoever is waited for is told, nothing else happens."""
    match Wait(deadline.kind):
        case Wait.BIOMETRICS:
            return [BiometricsOverdue(deadline.at)]
        case Wait.INFORMATION:
            return [InformationOverdue(deadline.at)]
        case Wait.DECISION:
            ready = application.biometrics is not Biometrics.AWAITED and not application.missing
            return [DecisionOverdue(deadline.at)] if ready else []
        case Wait.CARD:
            return [CardOverdue(deadline.at)]
        case Wait.COLLECTION:
            return [CardUncollected(deadline.at)]


def evolve(application: Application | None, event: Event) -> Application:
    if isinstance(event, ApplicationSubmitted):
        return _begun(event)
    assert application is not None, "a stream begins with ApplicationSubmitted"
    match event:
        case BiometricsNoted():
            return replace(application, biometrics=Biometrics.ACCEPTED)
        case DuplicateNoted():
            return replace(application, biometrics=Biometrics.DUPLICATE)
        case InformationRequested(_, _, what):
            asked, given = application.missing | {what}, application.supplied - {what}
            return replace(application, missing=asked, supplied=given)
        case InformationSupplied(_, by, what):
            asked, given = application.missing - {what}, application.supplied | {what}
            part = application.taken_part | {by}
            return replace(application, missing=asked, supplied=given, taken_part=part)
        case ApplicationApproved() | DocumentReassigned():
            issued = Document(event.document_ref, sealed(event.document_number), event.valid_until)
            return replace(application, status=Status.APPROVED, document=issued, check=None)
        case ApplicationRejected():
            return replace(application, status=Status.REJECTED)
        case ApplicationWithdrawn():
            return replace(application, status=Status.WITHDRAWN)
        case HandoverCompleted():
            return replace(application, status=Status.HANDED_OVER)
        case CardAtOffice(_, _, office):
            return _with_card(application, Card.AT_OFFICE, office)
        case CardGone():
            return _with_card(application, Card.GONE, None)
        case CardLost():
            return _with_card(application, Card.LOST, None)
        case TicketIssued(ticket_id=ticket_id):
            return replace(application, last_ticket=ticket_id)
        case HolderCheckNoted(_, check):
            return replace(application, check=check)
        case (
            BiometricsOverdue()
            | InformationOverdue()
            | DecisionOverdue()
            | CardOverdue()
            | CardUncollected()
        ):
            return application


def _begun(event: ApplicationSubmitted) -> Application:
    return Application(
        status=Status.SUBMITTED,
        holder_id=event.holder_id,
        kind=event.kind,
        region=event.region,
        office=event.office,
        identity=sealed(event.identity),
        wishes=sealed(event.wishes) if event.wishes is not None else None,
        predecessor=event.predecessor,
        taken_part=frozenset({event.by}),
    )


def _with_card(application: Application, card: Card, office: str | None) -> Application:
    """A card that moves overtakes the comparison made for it."""
    assert application.document is not None, "cards are made after approval"
    document = replace(application.document, card=card, card_at=office)
    return replace(application, document=document, check=None)


def waits(event: Event) -> Sequence[StartWait | EndWait]:
    match event:
        case ApplicationSubmitted(at):
            return [_start(Wait.BIOMETRICS, at)]
        case BiometricsNoted(at) | DuplicateNoted(at):
            return [EndWait(Wait.BIOMETRICS), _start(Wait.DECISION, at)]
        case InformationRequested(at):
            return [EndWait(Wait.DECISION), _start(Wait.INFORMATION, at)]
        case InformationSupplied(at, complete=True):
            return [EndWait(Wait.INFORMATION), _start(Wait.DECISION, at)]
        case ApplicationApproved(at):
            return [EndWait(Wait.DECISION), _start(Wait.CARD, at)]
        case CardAtOffice(at):
            return [EndWait(Wait.CARD), _start(Wait.COLLECTION, at)]
        case CardLost(at) | DocumentReassigned(at):
            return [_start(Wait.CARD, at)]
        case CardGone() | HandoverCompleted():
            return [EndWait(Wait.COLLECTION)]
        case ApplicationRejected() | ApplicationWithdrawn():
            return [EndWait(wait) for wait in Wait]
    return []


def _start(wait: Wait, at: datetime) -> StartWait:
    return StartWait(wait, at + PATIENCE[wait])


def _years_after(day: date, years: int) -> date:
    """29 February has no anniversary in a common year; the day before it then counts."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


aggregate = Aggregate("application", initial, decide, evolve, events=get_args(Event), waits=waits)
stream = aggregate.stream
