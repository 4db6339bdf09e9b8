"""What a BiometricRecord is told, and the closed list of reasons for which it refuses.

Images and templates enter as digests of sealed blobs; only what is released to a document
comes in plaintext, and leaves in events, sealed.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from biometrics.engine.positions import FingerPosition
from biometrics.score_class import ScoreClass
from epassport import Actor, DeadlinePassed
from epassport_contracts import DataPurpose
from epassport_contracts.desk import Ticket
from epassport_contracts.events.biometrics import ReleasedImage


class Reason(StrEnum):
    # The ticket is not for this.
    TICKET_OF_OTHER_PURPOSE = "biometrics-ticket-of-other-purpose"
    TICKET_OF_OTHER_OFFICER = "biometrics-ticket-of-other-officer"
    TICKET_USED = "biometrics-ticket-used"
    KIND_NOT_YET_OPEN = "biometrics-kind-not-yet-open"
    TOO_FEW_FINGERS = "biometrics-too-few-fingers"
    FINGERS_CONTRADICT = "biometrics-fingers-contradict"
    # The enrolment does not stand so.
    SAMPLES_ALREADY_THERE = "biometrics-samples-already-there"
    UNKNOWN_CAPTURE = "biometrics-unknown-capture"
    RETIRED = "biometrics-record-retired"
    FOUR_EYES = "biometrics-four-eyes"
    NOT_ACCEPTED = "biometrics-not-accepted"
    RELEASE_NOT_ORDERED = "biometrics-release-not-ordered"
    # The case is not for this answer.
    UNKNOWN_CASE = "biometrics-unknown-case"
    CASE_CLOSED = "biometrics-case-closed"
    CASE_NOT_ESCALATED = "biometrics-case-not-escalated"
    CASE_ESCALATED = "biometrics-case-escalated"
    ALREADY_ANSWERED = "biometrics-already-answered"
    ANSWER_FIRST = "biometrics-answer-first"
    NO_DUPLICATE = "biometrics-no-duplicate-confirmed"
    APPEALED_BEFORE = "biometrics-appealed-before"
    # The person at the counter cannot be compared so.
    NOT_ENROLLED = "biometrics-not-enrolled"
    FINGERS_EXCEPTED = "biometrics-fingers-excepted"
    FINGER_NOT_ENROLLED = "biometrics-finger-not-enrolled"
    NO_EXCEPTION = "biometrics-no-exception"
    REFERENCE_OF_OTHER_ENGINE = "biometrics-reference-of-other-engine"
    REFERENCE_CHANGED = "biometrics-reference-changed"
    TRIES_EXHAUSTED = "biometrics-tries-exhausted"


class Verdict(StrEnum):
    SAME_PERSON = "same-person"
    DIFFERENT_PERSONS = "different-persons"


@dataclass(frozen=True)
class Officer:
    """Four eyes compares issuer and subject together."""

    issuer: str
    subject: str

    @classmethod
    def of(cls, actor: Actor) -> "Officer":
        return cls(actor.issuer, actor.subject)


@dataclass(frozen=True)
class FingerSample:
    """Digests of the sealed blobs of one finger. quality: 0 to 100 by the capture's gate; dpi: of
    the image."""

    position: FingerPosition
    image: str
    template: str
    quality: int | None = None
    dpi: int = 500


@dataclass(frozen=True)
class MissingFinger:
    """Not there or not usable: said by the operator, counted by supervisors."""

    position: FingerPosition
    reason_code: str


@dataclass(frozen=True)
class Samples:
    """face: digest of its sealed blob. engine: which made the templates. gate: which judged
    the captures; None: before gates were named."""

    face: str
    fingers: tuple[FingerSample, ...]
    engine: str
    missing: tuple[MissingFinger, ...] = ()
    gate: str | None = None


@dataclass(frozen=True)
class ReceiveSamples:
    at: datetime
    by: Officer
    ticket: Ticket
    capture_id: UUID
    samples: Samples


@dataclass(frozen=True)
class RejectSample:
    """reason: what the gate found, one of its own closed lists."""

    at: datetime
    by: Officer
    ticket: Ticket
    capture_id: UUID
    reason: str


@dataclass(frozen=True)
class ExceptFingers:
    """A supervisor takes it on: at enrolment instead of 1:N, at the counter instead of 1:1."""

    at: datetime
    by: Officer
    ticket: Ticket
    capture_id: UUID
    face: str
    reason_code: str


@dataclass(frozen=True)
class Search:
    """What 1:N found. others: holders, the likeliest first, never the own one. own_mixed_up: the
    own record matched with left and right exchanged. compared: what the filter let through.
    classes: of the others, in their order; none were kept by the first searches."""

    others: tuple[UUID, ...]
    own_matched: bool
    gallery_size: int
    engine: str
    threshold: float
    fused: float | None = None
    own_mixed_up: bool = False
    compared: int | None = None
    classes: tuple[ScoreClass, ...] = ()


@dataclass(frozen=True)
class Shard:
    """A part of the gallery that one process holds and searches. of: how many parts there are."""

    index: int = 0
    of: int = 1

    def holds(self, capture_id: UUID) -> bool:
        """Every capture is in one part; ids are random, so parts are of even size."""
        return capture_id.int % self.of == self.index


WHOLE = Shard()


@dataclass(frozen=True)
class ConcludeSearch:
    """case_id: for the case that a suspicion would open. shard: what was searched."""

    at: datetime
    application_id: UUID
    capture_id: UUID
    search: Search
    case_id: UUID
    shard: Shard = WHOLE


@dataclass(frozen=True)
class Adjudicate:
    """What the token lets the person be: adjudicator, supervisor, or both."""

    at: datetime
    case_id: UUID
    by: Officer
    is_adjudicator: bool
    is_supervisor: bool
    verdict: Verdict
    reason_code: str


@dataclass(frozen=True)
class Appeal:
    """The applicant says that it is not so; a supervisor records it, and another decides."""

    at: datetime
    case_id: UUID
    by: Officer
    reason_code: str


@dataclass(frozen=True)
class RetireRecord:
    """From the end of an application; has_other_document keeps the holder's other enrolments."""

    at: datetime
    application_id: UUID
    has_other_document: bool


@dataclass(frozen=True)
class OrderRelease:
    at: datetime
    application_id: UUID
    document_ref: UUID


@dataclass(frozen=True)
class Image:
    """purpose: `chip` or `portrait`, the key under which it leaves."""

    image_kind: ReleasedImage
    purpose: DataPurpose
    media_type: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True)
class ReleaseImages:
    at: datetime
    holder_id: UUID
    document_ref: UUID
    images: tuple[Image, ...]


@dataclass(frozen=True)
class CheckFinger:
    """capture_id: of the enrolment that was compared with; None where there was none, and then
    there is no score_class either."""

    at: datetime
    by: Officer
    ticket: Ticket
    check_id: UUID
    position: FingerPosition
    capture_id: UUID | None
    matches: bool
    score_class: ScoreClass | None = None


@dataclass(frozen=True)
class ConfirmFace:
    at: datetime
    by: Officer
    ticket: Ticket
    check_id: UUID
    matches: bool


Command = (
    ReceiveSamples
    | RejectSample
    | ExceptFingers
    | ConcludeSearch
    | Adjudicate
    | Appeal
    | RetireRecord
    | OrderRelease
    | ReleaseImages
    | CheckFinger
    | ConfirmFace
    | DeadlinePassed
)
