"""The card on its way, and the counter where the holder gets it: later rules of Application.

- A card lost in transit is never remade: the approval goes on under a new reference.
- Hand-over needs the card at this office and a 1:1 result that is right, fresh, of the same
  officer and station, for this document. The result is used up: the application has ended.
"""

from collections.abc import Sequence
from datetime import timedelta

from enrollment import admission
from enrollment.application_commands import (
    HandOver,
    IssueTicket,
    NoteCardAtOffice,
    NoteCardGone,
    NoteCardLost,
    NoteHolderCheck,
    Reason,
    ReassignDocument,
)
from enrollment.application_events import (
    ENDED,
    Application,
    Biometrics,
    Card,
    CardAtOffice,
    CardGone,
    CardLost,
    Document,
    DocumentReassigned,
    Event,
    HandoverCompleted,
    HolderCheckNoted,
    Status,
    TicketIssued,
)
from enrollment.office import Office
from enrollment.rollout import Rollout
from epassport import Claim, Personal, Refused, Release
from epassport_contracts.desk import TicketPurpose
from epassport_contracts.events.enrollment import PausedStep

CHECK_LIVES = timedelta(minutes=30)

DOCUMENT_NUMBER = "document-number"  # claimed for ever: a number is never used again

Decided = Sequence[Event | Claim | Release] | Refused

NoteCard = NoteCardAtOffice | NoteCardGone | NoteCardLost


def note_card(command: NoteCard, application: Application) -> Decided:
    match application.status:
        case Status.SUBMITTED:
            return Refused(Reason.NOT_APPROVED)
        case Status.APPROVED:
            document = application.document
            if document is None or document.ref != command.document_ref:
                return Refused(Reason.OTHER_DOCUMENT)
            return _card_fact(command, document)
        case Status.HANDED_OVER | Status.REJECTED | Status.WITHDRAWN:
            return Refused(ENDED[application.status])


def _card_fact(command: NoteCard, document: Document) -> Decided:
    match command:
        case NoteCardAtOffice(at, ref, office):
            known = document.card is Card.AT_OFFICE and document.card_at == office
            return [] if known else [CardAtOffice(at, ref, office)]
        case NoteCardGone(at, ref):
            return [] if document.card is Card.GONE else [CardGone(at, ref)]
        case NoteCardLost(at, ref):
            return [] if document.card is Card.LOST else [CardLost(at, ref)]


def reassign(command: ReassignDocument, application: Application) -> Decided:
    match application.status:
        case Status.SUBMITTED:
            return Refused(Reason.NOT_APPROVED)
        case Status.APPROVED:
            document = application.document
            if document is None or document.card is not Card.LOST:
                return []  # reassigned already
            return _reassigned(command, application, document)
        case Status.HANDED_OVER | Status.REJECTED | Status.WITHDRAWN:
            return Refused(ENDED[application.status])


def _reassigned(command: ReassignDocument, application: Application, lost: Document) -> Decided:
    person = application.holder_id
    return [
        DocumentReassigned(
            at=command.at,
            holder_id=person,
            kind=application.kind,
            region=application.region,
            office=application.office,
            document_ref=command.document_ref,
            document_number=Personal(person, "document-number", command.document_number),
            predecessor=application.predecessor,
            identity=application.identity,
            wishes=application.wishes,
            valid_until=lost.valid_until,
            lost_document_ref=lost.ref,
        ),
        Claim(DOCUMENT_NUMBER, command.number_digest, Reason.DOCUMENT_NUMBER_TAKEN, person),
    ]


def issue_ticket(command: IssueTicket, application: Application, office: Office) -> Decided:
    if command.ticket_id == application.last_ticket:
        return []
    match application.status:
        case Status.SUBMITTED:
            if command.purpose is not TicketPurpose.ENROL:
                return Refused(Reason.NOT_APPROVED)
            if application.biometrics is Biometrics.ACCEPTED:  # a duplicate may win an appeal
                return Refused(Reason.BIOMETRICS_ALREADY_THERE)
        case Status.APPROVED:
            if command.purpose is not TicketPurpose.HAND_OVER:
                return Refused(Reason.ALREADY_APPROVED)
            if not _is_card_here(application):
                return Refused(Reason.CARD_NOT_AT_OFFICE)
        case Status.HANDED_OVER | Status.REJECTED | Status.WITHDRAWN:
            return Refused(ENDED[application.status])
    off_duty = office.refuses(command.by, command.station, command.at)
    if off_duty is not None:
        return Refused(off_duty)
    return [
        TicketIssued(
            command.at, command.by, command.ticket_id, command.purpose, command.station,
            command.expires_at,
        )
    ]  # fmt: skip


def note_check(command: NoteHolderCheck, application: Application) -> Decided:
    match application.status:
        case Status.SUBMITTED:
            return Refused(Reason.NOT_APPROVED)
        case Status.APPROVED:
            known = application.check
            if known is not None and known.check_id == command.check.check_id:
                return []
            return [HolderCheckNoted(command.at, command.check)]
        case Status.HANDED_OVER | Status.REJECTED | Status.WITHDRAWN:
            return Refused(ENDED[application.status])


def hand_over(
    command: HandOver, application: Application, rollout: Rollout, office: Office
) -> Decided:
    match application.status:
        case Status.SUBMITTED:
            return Refused(Reason.NOT_APPROVED)
        case Status.APPROVED:
            if rollout.is_paused(PausedStep.HAND_OVER):
                return Refused(Reason.HAND_OVER_PAUSED)
            off_duty = office.refuses(command.by, command.station, command.at)
            if off_duty is not None:
                return Refused(off_duty)
            return _handed_over(command, application)
        case Status.HANDED_OVER:
            return []
        case Status.REJECTED | Status.WITHDRAWN:
            return Refused(ENDED[application.status])


def _handed_over(command: HandOver, application: Application) -> Decided:
    document, check = application.document, application.check
    if document is None or not _is_card_here(application):
        return Refused(Reason.CARD_NOT_AT_OFFICE)
    if check is None or check.document_ref not in (None, document.ref):
        return Refused(Reason.HOLDER_NOT_CHECKED)
    if not check.verified:
        return Refused(Reason.HOLDER_MISMATCH)
    here = (command.by.subject, application.office, command.station)
    if (check.officer, check.office, check.station) != here:
        return Refused(Reason.CHECK_OF_OTHER_DESK)
    if command.at - check.at > CHECK_LIVES:
        return Refused(Reason.CHECK_EXPIRED)
    fact = HandoverCompleted(
        at=command.at,
        by=command.by,
        station=command.station,
        check_id=check.check_id,
        holder_id=application.holder_id,
        kind=application.kind,
        office=application.office,
        document_ref=document.ref,
        document_number=document.number,
        predecessor=application.predecessor,
        identity=application.identity,
        valid_until=document.valid_until,
    )
    return [fact, *admission.no_longer_live(application, command.person_digest)]


def _is_card_here(application: Application) -> bool:
    document = application.document
    return (
        document is not None
        and document.card is Card.AT_OFFICE
        and document.card_at == application.office
    )
