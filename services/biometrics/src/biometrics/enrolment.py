"""Enrolment: samples are taken, searched, or excepted from searching. Rules of a record.

- Samples come under a ticket that enrollment signed, from the officer who holds it. What the
  gate refuses is recorded, and may be captured again.
- They are accepted after a search over the whole gallery, which `adjudication` judges. Where the
  gallery is kept in parts, nobody is judged before every part was searched.
- Unusable fingers: another person, a supervisor, takes it on instead of the search.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from biometrics import adjudication, holder_check
from biometrics.record_commands import (
    ConcludeSearch,
    ExceptFingers,
    Reason,
    ReceiveSamples,
    RejectSample,
    Search,
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
    ShardSearched,
    Status,
)
from biometrics.score_class import ScoreClass
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
            return _searched(command, enrolment)
        case Status.AWAITED | Status.SUSPECTED | Status.DUPLICATE | Status.ACCEPTED:
            return []  # this capture has been searched
        case Status.RETIRED:
            return Refused(Reason.RETIRED)


def _searched(command: ConcludeSearch, enrolment: Enrolment) -> Sequence[Event]:
    shard, about = command.shard, (command.at, command.application_id, command.capture_id)
    if shard.index in enrolment.searched:
        return []
    parts = [*enrolment.searched.values(), command.search]
    told = [] if shard.of == 1 else [ShardSearched(*about, shard.index, command.search)]
    if len(parts) < shard.of:
        return told
    whole = _together(parts)
    judged = adjudication.judge_search(command.at, enrolment, whole, command.case_id)
    return [*told, DuplicateSearchCompleted(*about, whole), *judged]


def _together(parts: Sequence[Search]) -> Search:
    """As one search of the whole gallery; whoever is found in two parts is told once, in the
    class that is nearer to certainty."""
    if len(parts) == 1:
        return parts[0]
    classes: dict[UUID, ScoreClass] = {}
    for part in parts:
        for holder, found in zip(part.others, part.classes, strict=True):
            classes[holder] = max(classes.get(holder, found), found, key=list(ScoreClass).index)
    clearest = sorted(classes, key=lambda holder: -list(ScoreClass).index(classes[holder]))
    own_matched = any(part.own_matched for part in parts)
    return replace(
        parts[0],
        others=tuple(clearest),
        classes=tuple(classes[holder] for holder in clearest),
        own_matched=own_matched,
        own_mixed_up=not own_matched and any(part.own_mixed_up for part in parts),
        gallery_size=sum(part.gallery_size for part in parts),
        compared=sum(part.compared or 0 for part in parts),
    )
