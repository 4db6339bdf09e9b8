"""What a Card may be asked, and why it refuses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from epassport import Actor, DeadlinePassed
from epassport_contracts import Sealed
from epassport_contracts.fields import Identity, Wishes

# Names of files, each with the digests of the sealed blobs that hold its parts in order.
Files = Mapping[str, tuple[str, ...]]


class Reason(StrEnum):
    ALREADY_ORDERED = "card-already-ordered"
    INDEX_ALREADY_ASSIGNED = "card-index-already-assigned"
    IMAGE_ALREADY_STORED = "card-image-already-stored"
    NOT_COMPLETE = "card-not-complete"
    NOT_PREPARED = "card-not-prepared"
    LOT_EMPTY = "card-lot-empty"
    NO_BLANK = "card-no-blank"
    NOT_WRITTEN = "card-not-written"
    READ_BACK_FAILED = "card-read-back-failed"
    ALREADY_ACCEPTED = "card-already-accepted"
    NOT_ACCEPTED = "card-not-accepted"
    FOUR_EYES = "card-inspector-may-not-pack"
    BATCH_UNKNOWN = "card-batch-unknown"
    BATCH_CLOSED = "card-batch-closed"
    BATCH_FULL = "card-batch-full"
    BATCH_OF_OTHER_OFFICE = "card-batch-of-other-office"
    ALREADY_PACKED = "card-already-packed"
    NOT_PACKED = "card-not-packed"
    NOT_DISPATCHED = "card-not-dispatched"
    OTHER_OFFICE = "card-of-other-office"
    ALREADY_RECEIVED = "card-already-received"
    NOT_RECEIVED = "card-not-received"
    NOT_OVERDUE = "card-collection-not-overdue"
    LOST = "card-lost-in-transit"
    RETURNED = "card-returned"
    ACTIVE = "card-active"
    BLOCKED = "card-blocked"


class BlockCause(StrEnum):
    """Why a card may not be made or used any more."""

    DOCUMENT_REVOKED = "document-revoked"
    DOCUMENT_EXPIRED = "document-expired"
    APPLICATION_REJECTED = "application-rejected"
    APPLICATION_WITHDRAWN = "application-withdrawn"
    HOLDER_ERASED = "holder-erased"


@dataclass(frozen=True)
class OfficerId:
    """Who an officer is: issuer and subject together, as in every token."""

    issuer: str
    subject: str

    @classmethod
    def of(cls, actor: Actor) -> "OfficerId":
        return cls(actor.issuer, actor.subject)


@dataclass(frozen=True)
class OrderCard:
    """From ApplicationApproved or DocumentReassigned, sealed as received."""

    at: datetime
    application_id: UUID
    holder_id: UUID
    region: str
    office: str
    document_number: Sealed[str]
    identity: Sealed[Identity]
    wishes: Sealed[Wishes] | None
    valid_until: date


@dataclass(frozen=True)
class AssignIndex:
    at: datetime
    status_list_uri: str
    status_index: int


@dataclass(frozen=True)
class StoreImage:
    """The face for chip and print; digest names the blob that was kept beside."""

    at: datetime
    digest: str


@dataclass(frozen=True)
class StoreFinger:
    """The right index finger for the chip, released before the face."""

    at: datetime
    digest: str


@dataclass(frozen=True)
class RecordChipData:
    """What the task made before a blank is touched."""

    at: datetime
    files: Files


@dataclass(frozen=True)
class AllocateBlank:
    at: datetime
    lot_id: str


@dataclass(frozen=True)
class NoteBlanksMissing:
    """Sent after every allocation: says something only where none succeeded."""

    at: datetime


@dataclass(frozen=True)
class RecordChip:
    """What was written, and what the bench found as it read the locked chip back.

    fault: the reason code of the failed check; None where all held
    """

    at: datetime
    files: Files
    fault: str | None


@dataclass(frozen=True)
class AcceptQuality:
    at: datetime
    by: OfficerId


@dataclass(frozen=True)
class RejectQuality:
    at: datetime
    by: OfficerId
    reason: str


@dataclass(frozen=True)
class PackCard:
    """Reads the batch."""

    at: datetime
    by: OfficerId
    batch_id: UUID


@dataclass(frozen=True)
class DispatchCard:
    at: datetime
    batch_id: UUID
    courier: str


@dataclass(frozen=True)
class ReceiveCard:
    at: datetime
    by: OfficerId
    office: str | None


@dataclass(frozen=True)
class ReportLostInTransit:
    at: datetime
    by: OfficerId


@dataclass(frozen=True)
class ReturnCard:
    at: datetime
    by: OfficerId
    office: str | None


@dataclass(frozen=True)
class ActivateCard:
    at: datetime
    predecessor: UUID | None


@dataclass(frozen=True)
class BlockCard:
    at: datetime
    cause: BlockCause


Command = (
    OrderCard
    | AssignIndex
    | StoreImage
    | StoreFinger
    | RecordChipData
    | AllocateBlank
    | NoteBlanksMissing
    | RecordChip
    | AcceptQuality
    | RejectQuality
    | PackCard
    | DispatchCard
    | ReceiveCard
    | ReportLostInTransit
    | ReturnCard
    | ActivateCard
    | BlockCard
    | DeadlinePassed
)
