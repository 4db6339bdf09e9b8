"""What a DocumentStatus may be asked, and why it refuses."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from epassport import DeadlinePassed
from epassport_contracts.events.verification import StatusReason


class Reason(StrEnum):
    UNKNOWN = "document-unknown"
    NOT_EXPECTED = "document-not-expected"
    NOT_REGISTERED = "document-not-registered"
    INDEX_TAKEN = "document-status-index-taken"
    NOT_SUSPENDED = "document-not-suspended"
    SUSPENDED_BY_ORDER = "document-suspended-by-order"
    OTHER_HOLDER = "document-of-another-holder"
    CHECK_ALREADY_USED = "document-check-already-used"
    REVOKED_IS_FINAL = "document-revoked-is-final"
    EXPIRED = "document-expired"


@dataclass(frozen=True)
class ExpectDocument:
    """An approval named this document."""

    at: datetime
    application_id: UUID
    holder_id: UUID
    region: str
    valid_until: date
    predecessor: UUID | None


@dataclass(frozen=True)
class RegisterDocument:
    """Give it the entry `status_index` of the list at `status_list_uri`."""

    at: datetime
    status_list_uri: str
    status_index: int


@dataclass(frozen=True)
class ActivateDocument:
    at: datetime


@dataclass(frozen=True)
class SuspendDocument:
    at: datetime
    reason: StatusReason


@dataclass(frozen=True)
class RestoreDocument:
    """The holder in person, recognised by check `check_id` at the moment `at`."""

    at: datetime
    holder_id: UUID
    check_id: UUID


@dataclass(frozen=True)
class LiftSuspension:
    """By order, whatever the suspension was for."""

    at: datetime


@dataclass(frozen=True)
class RevokeDocument:
    """holder_id: needed where the document was never heard of."""

    at: datetime
    reason: StatusReason
    holder_id: UUID | None = None
    superseded_by: UUID | None = None


Command = (
    ExpectDocument
    | RegisterDocument
    | ActivateDocument
    | SuspendDocument
    | RestoreDocument
    | LiftSuspension
    | RevokeDocument
    | DeadlinePassed
)
