"""BiometricRecord: whether a person is one person, once. One stream per holder.

How samples are taken is in `enrolment`, suspected duplicates are in `adjudication`, the person
at the counter is in `holder_check`.

- A rejected or withdrawn application takes the record out of the gallery; where the holder has
  another document, only what this application brought.
- Images leave for one document at a time, and only those of an accepted enrolment.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, assert_never, get_args
from uuid import UUID

from biometrics import adjudication, enrolment, holder_check
from biometrics.record_commands import (
    Adjudicate,
    Appeal,
    CheckFinger,
    Command,
    ConcludeSearch,
    ConfirmFace,
    ExceptFingers,
    Image,
    OrderRelease,
    Reason,
    ReceiveSamples,
    RejectSample,
    ReleaseImages,
    RetireRecord,
)
from biometrics.record_events import (
    AdjudicationEscalated,
    AdjudicationOverdue,
    AdjudicationRequested,
    AdjudicatorDecided,
    AppealOpened,
    BiometricRecord,
    BiometricsAccepted,
    Case,
    DuplicateConfirmed,
    DuplicateDismissed,
    DuplicateSearchCompleted,
    Event,
    FaceCompared,
    FingersExcepted,
    HolderMismatch,
    HolderVerified,
    ImageReleased,
    OwnRecordMissing,
    RecordRetired,
    Release,
    ReleaseOrdered,
    SampleRejected,
    SamplesReceived,
    ShardSearched,
    Status,
    TicketUse,
    check_without_class,
    fingers_with_resolution,
    one_finger_to_many,
    search_without_classes,
)
from epassport import Aggregate, DeadlinePassed, EndWait, Personal, Refused, StartWait
from epassport_contracts import DataPurpose

IMAGE_FIELDS = {DataPurpose.CHIP: "chip-image", DataPurpose.PORTRAIT: "portrait"}
ADJUDICATION_PATIENCE = timedelta(days=3)

_ADJUDICATION = "adjudication/"

Decided = Sequence[Event] | Refused

initial = BiometricRecord()


def decide(command: Command, record: BiometricRecord) -> Decided:
    match command:
        case ReceiveSamples():
            return enrolment.receive(command, record)
        case RejectSample():
            return enrolment.reject(command, record)
        case ExceptFingers():
            return enrolment.except_fingers(command, record)
        case ConcludeSearch():
            return enrolment.conclude(command, record)
        case Adjudicate():
            return adjudication.adjudicate(command, record)
        case Appeal():
            return adjudication.appeal(command, record)
        case RetireRecord():
            return _retire(command, record)
        case OrderRelease():
            return _order_release(command, record)
        case ReleaseImages():
            return _release(command, record)
        case CheckFinger():
            return holder_check.check_finger(command, record)
        case ConfirmFace():
            return holder_check.confirm_face(command, record)
        case DeadlinePassed(kind, _, at):
            return [AdjudicationOverdue(at, UUID(kind.removeprefix(_ADJUDICATION)))]
        case _:
            assert_never(command)


def _retire(command: RetireRecord, record: BiometricRecord) -> Decided:
    """Also where nothing was captured: a ticket may still be in somebody's hand."""
    if record.enrolment(command.application_id).status is Status.RETIRED:
        return []
    wholly = not command.has_other_document
    ended = tuple(
        case_id
        for case_id, case in record.cases.items()
        if not case.is_closed and (wholly or case.application_id == command.application_id)
    )
    return [RecordRetired(command.at, command.application_id, wholly, ended)]


def _order_release(command: OrderRelease, record: BiometricRecord) -> Decided:
    if command.document_ref in record.releases:
        return []
    match record.enrolment(command.application_id).status:
        case Status.ACCEPTED:
            return [ReleaseOrdered(command.at, command.application_id, command.document_ref)]
        case Status.RETIRED:
            return Refused(Reason.RETIRED)
        case Status.AWAITED | Status.SEARCHING | Status.SUSPECTED | Status.DUPLICATE:
            return Refused(Reason.NOT_ACCEPTED)


def _release(command: ReleaseImages, record: BiometricRecord) -> Decided:
    release = record.releases.get(command.document_ref)
    if release is None:
        return Refused(Reason.RELEASE_NOT_ORDERED)
    if release.is_done:
        return []
    if record.enrolment(release.application_id).status is Status.RETIRED:
        return Refused(Reason.RETIRED)
    return [_released(command, release, image) for image in command.images]


def _released(command: ReleaseImages, release: Release, image: Image) -> ImageReleased:
    return ImageReleased(
        command.at,
        release.application_id,
        command.document_ref,
        image.image_kind,
        image.media_type,
        Personal(command.holder_id, IMAGE_FIELDS[image.purpose], image.octets),
    )


def evolve(record: BiometricRecord, event: Event) -> BiometricRecord:
    match event:
        case SamplesReceived() | SampleRejected() | OwnRecordMissing():
            return _captured(record, event)
        case ShardSearched(_, application_id, _, shard, search):
            searched = {**record.enrolment(application_id).searched, shard: search}
            return _with_enrolment(record, application_id, searched=searched)
        case DuplicateSearchCompleted():
            return _searched(record, event)
        case FingersExcepted():
            return _excepted(record, event)
        case AdjudicationRequested(_, case_id, application_id):
            classes = record.enrolment(application_id).classes
            cases = {**record.cases, case_id: Case(application_id, classes)}
            suspected = _with_enrolment(record, application_id, status=Status.SUSPECTED)
            return replace(suspected, cases=cases)
        case AdjudicatorDecided(_, case_id, by, verdict):
            verdicts = {**record.cases[case_id].verdicts, by: verdict}
            return _with_case(record, case_id, verdicts=verdicts)
        case AdjudicationEscalated(_, case_id):
            return _with_case(record, case_id, is_escalated=True)
        case DuplicateConfirmed(_, case_id, application_id):
            confirmed = _with_enrolment(record, application_id, status=Status.DUPLICATE)
            return _with_case(confirmed, case_id, is_closed=True)
        case AppealOpened(_, case_id, application_id, by):
            suspected = _with_enrolment(record, application_id, status=Status.SUSPECTED)
            return _with_case(
                suspected, case_id, is_escalated=True, is_closed=False, appealed_by=by
            )
        case DuplicateDismissed(_, case_id):
            return _with_case(record, case_id, is_closed=True)
        case BiometricsAccepted(_, application_id):
            return _with_enrolment(record, application_id, status=Status.ACCEPTED)
        case RecordRetired():
            return _retired(record, event)
        case ReleaseOrdered(_, application_id, ref):
            releases = {**record.releases, ref: Release(application_id)}
            return replace(record, releases=releases)
        case ImageReleased(_, application_id, ref):
            releases = {**record.releases, ref: Release(application_id, is_done=True)}
            return replace(record, releases=releases)
        case FaceCompared(_, ticket_id, by, matches):
            known = record.ticket(ticket_id).matched_by
            matched_by = known | {by} if matches else frozenset()
            return _with_ticket(record, ticket_id, matched_by=matched_by)
        case HolderVerified():
            return _with_ticket(record, event.ticket_id, is_verified=True, **_checked(event))
        case HolderMismatch():
            failures = record.ticket(event.ticket_id).failures + 1
            return _with_ticket(record, event.ticket_id, failures=failures, **_checked(event))
        case AdjudicationOverdue():
            return record
        case _:
            assert_never(event)


def _captured(
    record: BiometricRecord,
    event: SamplesReceived | SampleRejected | OwnRecordMissing,
) -> BiometricRecord:
    application_id = event.application_id
    match event:
        case SamplesReceived():
            return _with_enrolment(
                record,
                application_id,
                kind=event.kind,
                status=Status.SEARCHING,
                officer=event.by,
                capture_id=event.capture_id,
                face=event.samples.face,
                fingers=event.samples.fingers,
                own_matched=False,
                own_mixed_up=False,
                classes=(),
                searched={},
            )
        case SampleRejected():
            rejected = record.enrolment(application_id).rejected | {event.capture_id}
            return _with_enrolment(record, application_id, rejected=rejected)
        case OwnRecordMissing():
            return _with_enrolment(record, application_id, status=Status.AWAITED)


def _searched(record: BiometricRecord, event: DuplicateSearchCompleted) -> BiometricRecord:
    search = event.search
    return _with_enrolment(
        record,
        event.application_id,
        own_matched=search.own_matched,
        own_mixed_up=search.own_mixed_up,
        classes=search.classes,
        searched={},
    )


def _excepted(record: BiometricRecord, event: FingersExcepted) -> BiometricRecord:
    """An exception at the counter begins the tries anew: now it is two officers who look."""
    if event.instead_of in holder_check.PURPOSES or event.application_id is None:
        return _with_ticket(record, event.ticket_id, is_excepted=True, failures=0)
    return _with_enrolment(
        record,
        event.application_id,
        kind=event.kind,
        officer=event.by,
        capture_id=event.capture_id,
        face=event.face,
        fingers=(),
    )


def _retired(record: BiometricRecord, event: RecordRetired) -> BiometricRecord:
    for case_id in event.cases:
        record = _with_case(record, case_id, is_closed=True)
    ended = {event.application_id, *(record.enrolments if event.wholly else ())}
    for application_id in ended:
        record = _with_enrolment(record, application_id, status=Status.RETIRED)
    return record


def _checked(event: HolderVerified | HolderMismatch) -> dict[str, Any]:
    return {"last_check": event.check_id, "last_class": event.score_class}


def _with_enrolment(
    record: BiometricRecord, application_id: UUID, **changes: Any
) -> BiometricRecord:
    changed = replace(record.enrolment(application_id), **changes)
    return replace(record, enrolments={**record.enrolments, application_id: changed})


def _with_case(record: BiometricRecord, case_id: UUID, **changes: Any) -> BiometricRecord:
    changed = replace(record.cases[case_id], **changes)
    return replace(record, cases={**record.cases, case_id: changed})


def _with_ticket(record: BiometricRecord, ticket_id: UUID, **changes: Any) -> BiometricRecord:
    changed: TicketUse = replace(record.ticket(ticket_id), **changes)
    return replace(record, tickets={**record.tickets, ticket_id: changed})


def waits(event: Event) -> Sequence[StartWait | EndWait]:
    """A suspected duplicate waits for people, so somebody hears when they do not come."""
    match event:
        case AdjudicationRequested() | AdjudicationEscalated() | AppealOpened():
            return [StartWait(_wait(event.case_id), event.at + ADJUDICATION_PATIENCE)]
        case DuplicateConfirmed() | DuplicateDismissed():
            return [EndWait(_wait(event.case_id))]
        case RecordRetired(cases=cases):
            return [EndWait(_wait(case_id)) for case_id in cases]
        case _:
            return []


def _wait(case_id: UUID) -> str:
    return f"{_ADJUDICATION}{case_id}"


aggregate = Aggregate(
    "biometric-record",
    initial,
    decide,
    evolve,
    events=get_args(Event),
    waits=waits,
    upcasters={
        (SamplesReceived.__name__, 1): one_finger_to_many,
        (SamplesReceived.__name__, 2): fingers_with_resolution,
        (DuplicateSearchCompleted.__name__, 1): search_without_classes,
        (HolderVerified.__name__, 1): check_without_class,
        (HolderMismatch.__name__, 1): check_without_class,
    },
)
stream = aggregate.stream
