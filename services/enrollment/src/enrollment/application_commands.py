"""What an Application is told, and the closed list of reasons for which it refuses.

The rules are in `application`, `admission` and `handover`. Personal data enters here in
plaintext and leaves in events, sealed.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from enrollment.office import OfficerId
from epassport import DeadlinePassed
from epassport_contracts.desk import TicketPurpose
from epassport_contracts.events.biometrics import ComparisonMethod
from epassport_contracts.events.enrollment import ApplicationKind
from epassport_contracts.fields import Identity, Representative, Wishes
from epassport_contracts.sealed import Base64Bytes


class Reason(StrEnum):
    UNKNOWN = "application-unknown"
    # It may not begin.
    KIND_NOT_YET_OPEN = "application-kind-not-yet-open"
    REGION_NOT_OPEN = "application-region-not-open"
    APPLYING_PAUSED = "application-applying-paused"
    QUOTA_USED_UP = "application-quota-used-up"
    CHALLENGE_UNKNOWN = "application-challenge-unknown"
    CHALLENGE_EXPIRED = "application-challenge-expired"
    CHALLENGE_USED = "application-challenge-used"
    PRESENCE_NOT_SIGNED = "application-presence-not-signed"
    CONSENT_MISSING = "application-consent-missing"
    WARNING_NOT_READ = "application-warning-not-read"
    UNDER_FOURTEEN = "application-under-fourteen"
    REPRESENTATIVE_MISSING = "application-representative-missing"
    IDENTITY_PAPER_MISSING = "application-identity-paper-missing"
    PAPER_PASSPORT_MISSING = "application-paper-passport-missing"
    PASSPORT_LINES_MISSING = "application-passport-lines-missing"
    PASSPORT_LINES_WRONG = "application-passport-lines-wrong"
    PASSPORT_LINES_DIFFER = "application-passport-lines-differ"
    NAME_NOT_TRANSLITERABLE = "application-name-not-transliterable"
    NAME_TOO_LONG = "application-name-too-long"
    WISH_WITHOUT_CONSENT = "application-wish-without-consent"
    SNILS_WRONG = "application-snils-wrong"
    INN_WRONG = "application-inn-wrong"
    DRIVING_LICENCE_WRONG = "application-driving-licence-wrong"
    PREDECESSOR_UNKNOWN = "application-predecessor-unknown"
    PREDECESSOR_NOT_HANDED_OVER = "application-predecessor-not-handed-over"
    PREDECESSOR_SUPERSEDED = "application-predecessor-superseded"
    LIVE_APPLICATION = "application-person-has-live-application"
    ALREADY_HAS_PASSPORT = "application-person-already-has-passport"
    # It may not go on so.
    BIOMETRICS_MISSING = "application-biometrics-missing"
    BIOMETRICS_ALREADY_THERE = "application-biometrics-already-there"
    DUPLICATE_PERSON = "application-duplicate-person"
    NO_DUPLICATE_CONFIRMED = "application-no-duplicate-confirmed"
    INFORMATION_MISSING = "application-information-missing"
    INFORMATION_NOT_REQUESTED = "application-information-not-requested"
    FOUR_EYES = "application-four-eyes"
    NOT_APPROVED = "application-not-approved"
    ALREADY_APPROVED = "application-already-approved"
    DOCUMENT_NUMBER_TAKEN = "application-document-number-taken"
    OTHER_DOCUMENT = "application-other-document"
    CARD_NOT_AT_OFFICE = "application-card-not-at-office"
    HAND_OVER_PAUSED = "application-hand-over-paused"
    HOLDER_NOT_CHECKED = "application-holder-not-checked"
    HOLDER_MISMATCH = "application-holder-mismatch"
    CHECK_OF_OTHER_DESK = "application-check-of-other-desk"
    CHECK_EXPIRED = "application-check-expired"
    # It has ended.
    HANDED_OVER = "application-handed-over"
    REJECTED = "application-rejected"
    WITHDRAWN = "application-withdrawn"


PassportLines = tuple[str, str]  # the zone of the paper passport, 44 characters each


class Consent(StrEnum):
    PROCESSING = "processing"
    BIOMETRICS = "biometrics"
    SNILS = "snils"
    INN = "inn"
    DRIVING_LICENCE = "driving-licence"


class RejectionReason(StrEnum):
    DUPLICATE_PERSON = "duplicate-person"
    IDENTITY_NOT_CONFIRMED = "identity-not-confirmed"
    PAPERS_NOT_VALID = "papers-not-valid"
    INFORMATION_NOT_SUPPLIED = "information-not-supplied"
    BIOMETRICS_NOT_TAKEN = "biometrics-not-taken"


@dataclass(frozen=True)
class Presence:
    """The officer's signature (raw r || s) over `desk.presence_record`: this person was here."""

    challenge: str
    at: datetime
    signature: Base64Bytes


@dataclass(frozen=True)
class Predecessor:
    """The document to be replaced, as its number led to it."""

    holder_id: UUID
    document_ref: UUID
    handed_over: bool
    superseded: bool


@dataclass(frozen=True)
class SubmitApplication:
    """challenge_drawn_at: None where the challenge is not one of ours for this station.

    person_digest: keyed digest of the identity paper, for claims alone.
    passport_lines: as read from the paper; they are compared and not kept.
    """

    at: datetime
    by: OfficerId
    holder_id: UUID
    kind: ApplicationKind
    region: str
    office: str
    station: str
    identity: Identity = field(repr=False)
    wishes: Wishes | None = field(repr=False)
    representative: Representative | None = field(repr=False)
    consents: frozenset[Consent]
    warning_read: bool
    presence: Presence
    challenge_drawn_at: datetime | None
    person_digest: bytes = field(repr=False)
    predecessor: Predecessor | None
    passport_lines: PassportLines | None = field(default=None, repr=False)


@dataclass(frozen=True)
class NoteBiometrics:
    at: datetime
    by_exception: bool


@dataclass(frozen=True)
class NoteDuplicate:
    at: datetime


@dataclass(frozen=True)
class RequestInformation:
    """what: a code of the paper or fact that is missing, never its text."""

    at: datetime
    by: OfficerId
    what: str


@dataclass(frozen=True)
class SupplyInformation:
    at: datetime
    by: OfficerId
    what: str


@dataclass(frozen=True)
class ApproveApplication:
    """document_ref and document_number: as drawn; number_digest: keyed, for its claim alone."""

    at: datetime
    by: OfficerId
    document_ref: UUID
    document_number: str = field(repr=False)
    number_digest: bytes = field(repr=False)


@dataclass(frozen=True)
class RejectApplication:
    """person_digest: as claimed at submission; None once the person is erased."""

    at: datetime
    by: OfficerId
    reason: RejectionReason
    person_digest: bytes | None = field(repr=False)


@dataclass(frozen=True)
class WithdrawApplication:
    at: datetime
    by: OfficerId
    person_digest: bytes | None = field(repr=False)


@dataclass(frozen=True)
class NoteCardAtOffice:
    at: datetime
    document_ref: UUID
    office: str


@dataclass(frozen=True)
class NoteCardGone:
    at: datetime
    document_ref: UUID


@dataclass(frozen=True)
class NoteCardLost:
    at: datetime
    document_ref: UUID


@dataclass(frozen=True)
class ReassignDocument:
    at: datetime
    document_ref: UUID
    document_number: str = field(repr=False)
    number_digest: bytes = field(repr=False)


@dataclass(frozen=True)
class IssueTicket:
    at: datetime
    by: OfficerId
    ticket_id: UUID
    purpose: TicketPurpose
    station: str
    expires_at: datetime


@dataclass(frozen=True)
class HolderCheck:
    """One 1:1 comparison at the counter. officer: the subject that the ticket named."""

    check_id: UUID
    at: datetime
    verified: bool
    method: ComparisonMethod
    document_ref: UUID | None
    officer: str
    office: str
    station: str


@dataclass(frozen=True)
class NoteHolderCheck:
    at: datetime
    check: HolderCheck


@dataclass(frozen=True)
class HandOver:
    at: datetime
    by: OfficerId
    station: str
    person_digest: bytes | None = field(repr=False)


Command = (
    SubmitApplication
    | NoteBiometrics
    | NoteDuplicate
    | RequestInformation
    | SupplyInformation
    | ApproveApplication
    | RejectApplication
    | WithdrawApplication
    | NoteCardAtOffice
    | NoteCardGone
    | NoteCardLost
    | ReassignDocument
    | IssueTicket
    | NoteHolderCheck
    | HandOver
    | DeadlinePassed
)
