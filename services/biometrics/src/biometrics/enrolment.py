"""Enrolment: samples are taken, searched, or excepted from searching. Rules of a record.

- Samples come under a ticket that enrollment signed, from the officer who holds it. What the
  gate refuses is recorded, and may be captured again.
- They are accepted after a search over the whole gallery, which `adjudication` judges.
- Unusable fingers: another person, a supervisor, takes it on instead of the search.
"""

from collections.abc import Sequence

from biometrics import adjudication, holder_check
from biometrics.record_commands import (
    ConcludeSearch,
    ExceptFingers,
    Reason,
    ReceiveSamples,
    RejectSample,
)
from biometrics.record_events import (
    BiometricRecord,
    BiometricsAccepted,
    DuplicateSearchCompleted,
    Enrolment,
    Event,
    FingersExcepted,
    SampleRejected,
    SamplesReceived,
    Status,
)
from epassport import Refused
from epassport_contracts.desk import Ticket, TicketPurpose
from epassport_contracts.events.enrollment import ApplicationKind

OPEN_KINDS = frozenset({ApplicationKind.FIRST, ApplicationKind.REPLACE})

Decided = Sequence[Event] | Refused


def receive(command: ReceiveSamples, record: BiometricRecord) -> Decided:
    ticket = command.ticket
    if command.by.subject != ticket.officer:
        return Refused(Reason.TICKET_OF_OTHER_OFFICER)
    enrolment = _enrolment(ticket, record)
    if isinstance(enrolment, Refused):
        return enrolment
    if enrolment.capture_id == command.capture_id:
        return []
    if refusal := _cannot_take(enrolment):
        return refusal
    return [
        SamplesReceived(
            command.at,
            command.by,
            enrolment.application_id,
            _kind(ticket),
            ticket.office,
            ticket.station,
            command.capture_id,
            command.samples,
        )
    ]


def reject(command: RejectSample, record: BiometricRecord) -> Decided:
    if command.by.subject != command.ticket.officer:
        return Refused(Reason.TICKET_OF_OTHER_OFFICER)
    enrolment = _enrolment(command.ticket, record)
    if isinstance(enrolment, Refused):
        return enrolment
    if command.capture_id in enrolment.rejected:
        return []
    if refusal := _cannot_take(enrolment):
        return refusal
    return [
        SampleRejected(
            command.at, command.by, enrolment.application_id, command.capture_id, command.reason
        )
    ]


def except_fingers(command: ExceptFingers, record: BiometricRecord) -> Decided:
    ticket = command.ticket
    if command.by.subject == ticket.officer:
        return Refused(Reason.FOUR_EYES)
    if ticket.purpose in holder_check.PURPOSES:
        return holder_check.except_at_counter(command, record)
    enrolment = _enrolment(ticket, record)
    if isinstance(enrolment, Refused):
        return enrolment
    if enrolment.capture_id == command.capture_id:
        return []
    if refusal := _cannot_take(enrolment):
        return refusal
    excepted = FingersExcepted(
        command.at,
        command.by,
        ticket.ticket_id,
        ticket.purpose,
        enrolment.application_id,
        _kind(ticket),
        command.capture_id,
        command.face,
        command.reason_code,
    )
    return [excepted, BiometricsAccepted(command.at, enrolment.application_id, by_exception=True)]


def _enrolment(ticket: Ticket, record: BiometricRecord) -> Enrolment | Refused:
    """The enrolment that an enrol ticket is for, as it stands."""
    if ticket.purpose is not TicketPurpose.ENROL or ticket.application_id is None:
        return Refused(Reason.TICKET_OF_OTHER_PURPOSE)
    if ticket.kind not in OPEN_KINDS:
        return Refused(Reason.KIND_NOT_YET_OPEN)
    return record.enrolment(ticket.application_id)


def _kind(ticket: Ticket) -> ApplicationKind:
    assert ticket.kind is not None, "an enrol ticket has been looked at"
    return ticket.kind


def _cannot_take(enrolment: Enrolment) -> Refused | None:
    match enrolment.status:
        case Status.AWAITED:
            return None
        case Status.SEARCHING | Status.SUSPECTED | Status.DUPLICATE | Status.ACCEPTED:
            return Refused(Reason.SAMPLES_ALREADY_THERE)
        case Status.RETIRED:
            return Refused(Reason.RETIRED)


def conclude(command: ConcludeSearch, record: BiometricRecord) -> Decided:
    enrolment = record.enrolment(command.application_id)
    if enrolment.capture_id != command.capture_id:
        return Refused(Reason.UNKNOWN_CAPTURE)
    match enrolment.status:
        case Status.SEARCHING:
            searched = DuplicateSearchCompleted(
                command.at, command.application_id, command.capture_id, command.search
            )
            judged = adjudication.judge_search(
                command.at, enrolment, command.search, command.case_id
            )
            return [searched, *judged]
        case Status.AWAITED | Status.SUSPECTED | Status.DUPLICATE | Status.ACCEPTED:
            return []  # this capture has been searched
        case Status.RETIRED:
            return Refused(Reason.RETIRED)
