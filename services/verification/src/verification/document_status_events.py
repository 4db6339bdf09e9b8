"""What happened to a DocumentStatus, and its state."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from epassport_contracts.events.verification import StatusReason


@dataclass(frozen=True)
class DocumentExpected:
    at: datetime
    application_id: UUID
    holder_id: UUID
    region: str
    valid_until: date
    predecessor: UUID | None


@dataclass(frozen=True)
class RegistrationDelayed:
    """No index by now: it was drawn by two documents at once. It is drawn again."""

    at: datetime


@dataclass(frozen=True)
class DocumentRegistered:
    at: datetime
    application_id: UUID
    holder_id: UUID
    status_list_uri: str
    status_index: int


@dataclass(frozen=True)
class SuspensionNoted:
    """Heard before the card's activation was."""

    at: datetime
    reason: StatusReason


@dataclass(frozen=True)
class DocumentActivated:
    at: datetime
    holder_id: UUID
    valid_until: date


@dataclass(frozen=True)
class DocumentSuspended:
    at: datetime
    holder_id: UUID
    reason: StatusReason


@dataclass(frozen=True)
class DocumentRestored:
    """check_id: None where it was restored by order."""

    at: datetime
    holder_id: UUID
    check_id: UUID | None


@dataclass(frozen=True)
class DocumentRevoked:
    """was_in_force: the public heard of this document, so it hears of its end."""

    at: datetime
    holder_id: UUID
    reason: StatusReason
    superseded_by: UUID | None
    was_in_force: bool


@dataclass(frozen=True)
class DocumentExpired:
    at: datetime
    holder_id: UUID


Event = (
    DocumentExpected
    | RegistrationDelayed
    | DocumentRegistered
    | SuspensionNoted
    | DocumentActivated
    | DocumentSuspended
    | DocumentRestored
    | DocumentRevoked
    | DocumentExpired
)


class Standing(StrEnum):
    ABSENT = "absent"
    EXPECTED = "expected"
    REGISTERED = "registered"
    VALID = "valid"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Document:
    """suspended_for: also, before activation, what will suspend it at once."""

    standing: Standing = Standing.ABSENT
    since: datetime | None = None
    holder_id: UUID | None = None
    approval: DocumentExpected | None = None
    suspended_for: frozenset[StatusReason] = frozenset()
    used_checks: frozenset[UUID] = frozenset()

    @property
    def region(self) -> str | None:
        return None if self.approval is None else self.approval.region
