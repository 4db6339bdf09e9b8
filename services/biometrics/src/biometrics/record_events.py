"""What happened to a BiometricRecord, and its state: digests and ids, images never in the clear.

A holder has one record; every application that brought samples is one enrolment in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from biometrics.engine.positions import FingerPosition
from biometrics.record_commands import FingerSample, Officer, Samples, Search, Verdict
from biometrics.score_class import ScoreClass
from epassport import Secret
from epassport_contracts.desk import TicketPurpose
from epassport_contracts.events.biometrics import CheckPurpose, ComparisonMethod, ReleasedImage
from epassport_contracts.events.enrollment import ApplicationKind


@dataclass(frozen=True)
class SamplesReceived:
    at: datetime
    by: Officer
    application_id: UUID
    kind: ApplicationKind
    office: str
    station: str
    capture_id: UUID
    samples: Samples

    SCHEMA_VERSION: ClassVar[int] = 3


def one_finger_to_many(tree: dict[str, Any]) -> dict[str, Any]:
    """SamplesReceived 1 to 2: the first captures were of the right index finger."""
    old = tree["samples"]
    finger = {
        "position": FingerPosition.RIGHT_INDEX.value,
        "image": old["finger"],
        "template": old["template"],
        "quality": None,
    }
    samples = {
        "face": old["face"],
        "fingers": [finger],
        "engine": old["engine"],
        "missing": [],
        "gate": None,
    }
    return {**tree, "samples": samples}


def fingers_with_resolution(tree: dict[str, Any]) -> dict[str, Any]:
    """SamplesReceived 2 to 3: what the engine scales to was taken for the captures' own."""
    fingers = [{**finger, "dpi": 500} for finger in tree["samples"]["fingers"]]
    return {**tree, "samples": {**tree["samples"], "fingers": fingers}}


@dataclass(frozen=True)
class SampleRejected:
    at: datetime
    by: Officer
    application_id: UUID
    capture_id: UUID
    reason: str


@dataclass(frozen=True)
class FingersExcepted:
    """instead_of: enrol, what 1:N would have said; otherwise 1:1 under this ticket."""

    at: datetime
    by: Officer
    ticket_id: UUID
    instead_of: TicketPurpose
    application_id: UUID | None
    kind: ApplicationKind | None
    capture_id: UUID
    face: str
    reason_code: str


@dataclass(frozen=True)
class DuplicateSearchCompleted:
    at: datetime
    application_id: UUID
    capture_id: UUID
    search: Search

    SCHEMA_VERSION: ClassVar[int] = 2


def search_without_classes(tree: dict[str, Any]) -> dict[str, Any]:
    """DuplicateSearchCompleted 1 to 2: nobody kept how far the scores were over the threshold."""
    return {**tree, "search": {**tree["search"], "classes": []}}


@dataclass(frozen=True)
class ShardSearched:
    """One of several parts of the gallery; all of them together are a search."""

    at: datetime
    application_id: UUID
    capture_id: UUID
    shard: int
    search: Search


@dataclass(frozen=True)
class OwnRecordMissing:
    """The fingers are not those enrolled before: captured again, or excepted by a supervisor.
    mixed_up: they are, with left and right exchanged."""

    at: datetime
    application_id: UUID
    capture_id: UUID
    mixed_up: bool = False


@dataclass(frozen=True)
class AdjudicationRequested:
    at: datetime
    case_id: UUID
    application_id: UUID
    against: tuple[UUID, ...]


@dataclass(frozen=True)
class AdjudicatorDecided:
    at: datetime
    case_id: UUID
    by: Officer
    verdict: Verdict
    reason_code: str


@dataclass(frozen=True)
class AdjudicationEscalated:
    at: datetime
    case_id: UUID


@dataclass(frozen=True)
class AdjudicationOverdue:
    at: datetime
    case_id: UUID


@dataclass(frozen=True)
class DuplicateConfirmed:
    at: datetime
    case_id: UUID
    application_id: UUID


@dataclass(frozen=True)
class DuplicateDismissed:
    at: datetime
    case_id: UUID
    application_id: UUID


@dataclass(frozen=True)
class AppealOpened:
    """A confirmed duplicate is looked at again, by somebody who has taken no part."""

    at: datetime
    case_id: UUID
    application_id: UUID
    by: Officer
    reason_code: str


@dataclass(frozen=True)
class BiometricsAccepted:
    at: datetime
    application_id: UUID
    by_exception: bool


@dataclass(frozen=True)
class RecordRetired:
    """wholly: every enrolment of the holder leaves the gallery. cases: end unanswered."""

    at: datetime
    application_id: UUID
    wholly: bool
    cases: tuple[UUID, ...]


@dataclass(frozen=True)
class ReleaseOrdered:
    at: datetime
    application_id: UUID
    document_ref: UUID


@dataclass(frozen=True)
class ImageReleased:
    """The one event that carries an image, sealed for those who make and keep the document."""

    at: datetime
    application_id: UUID
    document_ref: UUID
    image_kind: ReleasedImage
    media_type: str
    image: Secret[bytes]


@dataclass(frozen=True)
class FaceCompared:
    at: datetime
    ticket_id: UUID
    by: Officer
    matches: bool


@dataclass(frozen=True)
class _HolderChecked:
    """officer, office, station: of the ticket. score_class: of fingers."""

    at: datetime
    check_id: UUID
    ticket_id: UUID
    purpose: CheckPurpose
    method: ComparisonMethod
    application_id: UUID | None
    document_ref: UUID | None
    officer: str
    office: str
    station: str
    score_class: ScoreClass | None = None

    SCHEMA_VERSION: ClassVar[int] = 2


@dataclass(frozen=True)
class HolderVerified(_HolderChecked):
    pass


@dataclass(frozen=True)
class HolderMismatch(_HolderChecked):
    pass


def check_without_class(tree: dict[str, Any]) -> dict[str, Any]:
    """HolderVerified and HolderMismatch 1 to 2, as with searches."""
    return {**tree, "score_class": None}


Event = (
    SamplesReceived
    | SampleRejected
    | FingersExcepted
    | ShardSearched
    | DuplicateSearchCompleted
    | OwnRecordMissing
    | AdjudicationRequested
    | AdjudicatorDecided
    | AdjudicationEscalated
    | AdjudicationOverdue
    | DuplicateConfirmed
    | DuplicateDismissed
    | AppealOpened
    | BiometricsAccepted
    | RecordRetired
    | ReleaseOrdered
    | ImageReleased
    | FaceCompared
    | HolderVerified
    | HolderMismatch
)


class Status(StrEnum):
    """Of one enrolment."""

    AWAITED = "awaited"
    SEARCHING = "searching"
    SUSPECTED = "suspected"
    DUPLICATE = "duplicate"
    ACCEPTED = "accepted"
    RETIRED = "retired"


@dataclass(frozen=True)
class Enrolment:
    """officer: who took the samples or the exception. fingers: none by exception. classes: of
    those whom the search found, in its order. searched: parts of the gallery, while others are
    still awaited."""

    application_id: UUID
    kind: ApplicationKind | None = None
    status: Status = Status.AWAITED
    officer: Officer | None = None
    capture_id: UUID | None = None
    face: str | None = None
    fingers: tuple[FingerSample, ...] = ()
    own_matched: bool = False
    own_mixed_up: bool = False
    classes: tuple[ScoreClass, ...] = ()
    searched: Mapping[int, Search] = field(default_factory=dict)
    rejected: frozenset[UUID] = frozenset()

    def finger(self, position: FingerPosition) -> FingerSample | None:
        return next((each for each in self.fingers if each.position is position), None)


@dataclass(frozen=True)
class Case:
    """verdicts: of all who answered, in the order they came. appealed_by: who recorded the
    appeal. classes: of those whom the applicant is compared with."""

    application_id: UUID
    classes: tuple[ScoreClass, ...] = ()
    verdicts: Mapping[Officer, Verdict] = field(default_factory=dict)
    is_escalated: bool = False
    is_closed: bool = False
    appealed_by: Officer | None = None

    @property
    def was_appealed(self) -> bool:
        """This happens once."""
        return self.appealed_by is not None


@dataclass(frozen=True)
class TicketUse:
    """What was done at a counter under one ticket. matched_by: officers who knew the face."""

    failures: int = 0
    is_verified: bool = False
    is_excepted: bool = False
    matched_by: frozenset[Officer] = frozenset()
    last_check: UUID | None = None
    last_class: ScoreClass | None = None


@dataclass(frozen=True)
class Release:
    application_id: UUID
    is_done: bool = False


@dataclass(frozen=True)
class BiometricRecord:
    """enrolments in the order in which their applications were first heard of."""

    enrolments: Mapping[UUID, Enrolment] = field(default_factory=dict)
    cases: Mapping[UUID, Case] = field(default_factory=dict)
    tickets: Mapping[UUID, TicketUse] = field(default_factory=dict)
    releases: Mapping[UUID, Release] = field(default_factory=dict)

    def enrolment(self, application_id: UUID) -> Enrolment:
        return self.enrolments.get(application_id, Enrolment(application_id))

    def ticket(self, ticket_id: UUID) -> TicketUse:
        return self.tickets.get(ticket_id, TicketUse())

    def reference(self, application_id: UUID | None) -> Enrolment | None:
        """What a person at the counter is compared with: the enrolment of the document's own
        application; where the ticket names none, the holder's latest accepted one."""
        if application_id is not None:
            own = self.enrolment(application_id)
            return own if own.status is Status.ACCEPTED else None
        accepted = [e for e in self.enrolments.values() if e.status is Status.ACCEPTED]
        return accepted[-1] if accepted else None
