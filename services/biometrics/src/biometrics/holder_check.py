"""At the counter: is this the person who was enrolled? Rules of a record.

- A ticket serves one result in favour, and at most three against; then a supervisor.
- Fingers are compared by the officer who holds the ticket. Faces only under a recorded
  exception, by two officers, one of whom holds the ticket.
- The result names the ticket's officer, office and station: whoever hands over must be them.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from biometrics.record_commands import (
    CheckFinger,
    ConfirmFace,
    ExceptFingers,
    Officer,
    Reason,
)
from biometrics.record_events import (
    BiometricRecord,
    Event,
    FaceCompared,
    FingersExcepted,
    HolderMismatch,
    HolderVerified,
    TicketUse,
)
from biometrics.score_class import ScoreClass
from epassport import Refused
from epassport_contracts.desk import Ticket, TicketPurpose
from epassport_contracts.events.biometrics import CheckPurpose, ComparisonMethod

MAX_TRIES = 3

PURPOSES = {
    TicketPurpose.HAND_OVER: CheckPurpose.HAND_OVER,
    TicketPurpose.RESTORE: CheckPurpose.RESTORE,
}

Decided = Sequence[Event] | Refused

Result = HolderVerified | HolderMismatch


def check_finger(command: CheckFinger, record: BiometricRecord) -> Decided:
    ticket, use = command.ticket, record.ticket(command.ticket.ticket_id)
    if use.last_check == command.check_id:
        return []
    if refusal := no_finger_for(ticket, command.by, use):
        return Refused(refusal)
    reference = record.reference(ticket.application_id)
    if reference is None:
        return Refused(Reason.NOT_ENROLLED)
    if not reference.fingers:
        return Refused(Reason.FINGERS_EXCEPTED)
    if reference.finger(command.position) is None:
        return Refused(Reason.FINGER_NOT_ENROLLED)
    if reference.capture_id != command.capture_id:
        return Refused(Reason.REFERENCE_CHANGED)
    about = (command.at, command.check_id, ticket, ComparisonMethod.FINGERS, command.score_class)
    return [_result(HolderVerified if command.matches else HolderMismatch, *about)]


def confirm_face(command: ConfirmFace, record: BiometricRecord) -> Decided:
    ticket, use = command.ticket, record.ticket(command.ticket.ticket_id)
    if use.last_check == command.check_id or (command.matches and command.by in use.matched_by):
        return []
    if refusal := _not_now(ticket, use):
        return Refused(refusal)
    reference = record.reference(ticket.application_id)
    if reference is None:
        return Refused(Reason.NOT_ENROLLED)
    if reference.fingers and not use.is_excepted:
        return Refused(Reason.NO_EXCEPTION)
    compared = FaceCompared(command.at, ticket.ticket_id, command.by, command.matches)
    about = (command.at, command.check_id, ticket, ComparisonMethod.FACES_BY_TWO_OFFICERS)
    if not command.matches:
        return [compared, _result(HolderMismatch, *about)]
    officers = use.matched_by | {command.by}
    agreed = len(officers) > 1 and any(each.subject == ticket.officer for each in officers)
    return [compared, _result(HolderVerified, *about)] if agreed else [compared]


def except_at_counter(command: ExceptFingers, record: BiometricRecord) -> Decided:
    """Opens the comparison of faces for this ticket alone, also after the last try."""
    ticket, use = command.ticket, record.ticket(command.ticket.ticket_id)
    if use.is_excepted:
        return []
    if use.is_verified:
        return Refused(Reason.TICKET_USED)
    if record.reference(ticket.application_id) is None:
        return Refused(Reason.NOT_ENROLLED)
    return [
        FingersExcepted(
            command.at,
            command.by,
            ticket.ticket_id,
            ticket.purpose,
            ticket.application_id,
            ticket.kind,
            command.capture_id,
            command.face,
            command.reason_code,
        )
    ]


def no_finger_for(ticket: Ticket, by: Officer, use: TicketUse) -> Reason | None:
    """Known before anything is compared, so that a spent ticket, or another's, tells nothing."""
    if by.subject != ticket.officer:
        return Reason.TICKET_OF_OTHER_OFFICER
    return _not_now(ticket, use)


def _not_now(ticket: Ticket, use: TicketUse) -> Reason | None:
    if ticket.purpose not in PURPOSES:
        return Reason.TICKET_OF_OTHER_PURPOSE
    if use.is_verified:
        return Reason.TICKET_USED
    return Reason.TRIES_EXHAUSTED if use.failures >= MAX_TRIES else None


def _result(
    kind: type[Result],
    at: datetime,
    check_id: UUID,
    ticket: Ticket,
    method: ComparisonMethod,
    score_class: ScoreClass | None = None,
) -> Result:
    return kind(
        at,
        check_id,
        ticket.ticket_id,
        PURPOSES[ticket.purpose],
        method,
        ticket.application_id,
        ticket.document_ref,
        ticket.officer,
        ticket.office,
        ticket.station,
        score_class,
    )
