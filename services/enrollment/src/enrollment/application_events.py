"""What happened to an Application, and its state: facts as stored, personal data sealed.

Events that are published carry all that their contract event needs, because a publication
sees the event alone; sealed values are copied from event to event, never sealed anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from enrollment.application_commands import (
    Consent,
    HolderCheck,
    Presence,
    Reason,
    RejectionReason,
)
from enrollment.office import OfficerId
from epassport import Secret
from epassport_contracts import Sealed
from epassport_contracts.desk import TicketPurpose
from epassport_contracts.events.enrollment import ApplicationKind
from epassport_contracts.fields import Identity, Representative, Wishes


@dataclass(frozen=True)
class ApplicationSubmitted:
    at: datetime
    by: OfficerId
    holder_id: UUID
    kind: ApplicationKind
    region: str
    office: str
    station: str
    identity: Secret[Identity]
    wishes: Secret[Wishes] | None
    representative: Secret[Representative] | None
    consents: tuple[Consent, ...]
    warning_read: bool
    presence: Presence
    predecessor: UUID | None


@dataclass(frozen=True)
class BiometricsNoted:
    at: datetime
    by_exception: bool


@dataclass(frozen=True)
class DuplicateNoted:
    at: datetime


@dataclass(frozen=True)
class BiometricsOverdue:
    at: datetime


@dataclass(frozen=True)
class InformationRequested:
    at: datetime
    by: OfficerId
    what: str


@dataclass(frozen=True)
class InformationSupplied:
    """complete: nothing else is missing any more."""

    at: datetime
    by: OfficerId
    what: str
    complete: bool


@dataclass(frozen=True)
class InformationOverdue:
    at: datetime


@dataclass(frozen=True)
class DecisionOverdue:
    at: datetime


@dataclass(frozen=True)
class _Issued:
    at: datetime
    holder_id: UUID
    kind: ApplicationKind
    region: str
    office: str
    document_ref: UUID
    document_number: Secret[str]
    predecessor: UUID | None
    identity: Secret[Identity]
    wishes: Secret[Wishes] | None
    valid_until: date


@dataclass(frozen=True)
class ApplicationApproved(_Issued):
    by: OfficerId


@dataclass(frozen=True)
class DocumentReassigned(_Issued):
    lost_document_ref: UUID


@dataclass(frozen=True)
class ApplicationRejected:
    """has_other_document: the holder's record stays in the gallery for it."""

    at: datetime
    by: OfficerId
    holder_id: UUID
    document_ref: UUID | None
    has_other_document: bool
    reason: RejectionReason


@dataclass(frozen=True)
class ApplicationWithdrawn:
    at: datetime
    by: OfficerId
    holder_id: UUID
    document_ref: UUID | None
    has_other_document: bool


@dataclass(frozen=True)
class CardAtOffice:
    at: datetime
    document_ref: UUID
    office: str


@dataclass(frozen=True)
class CardGone:
    at: datetime
    document_ref: UUID


@dataclass(frozen=True)
class CardLost:
    at: datetime
    document_ref: UUID


@dataclass(frozen=True)
class CardOverdue:
    at: datetime


@dataclass(frozen=True)
class CardUncollected:
    at: datetime


@dataclass(frozen=True)
class TicketIssued:
    at: datetime
    by: OfficerId
    ticket_id: UUID
    purpose: TicketPurpose
    station: str
    expires_at: datetime


@dataclass(frozen=True)
class HolderCheckNoted:
    at: datetime
    check: HolderCheck


@dataclass(frozen=True)
class HandoverCompleted:
    at: datetime
    by: OfficerId
    station: str
    check_id: UUID
    holder_id: UUID
    kind: ApplicationKind
    office: str
    document_ref: UUID
    document_number: Secret[str]
    predecessor: UUID | None
    identity: Secret[Identity]
    valid_until: date


Event = (
    ApplicationSubmitted
    | BiometricsNoted
    | DuplicateNoted
    | BiometricsOverdue
    | InformationRequested
    | InformationSupplied
    | InformationOverdue
    | DecisionOverdue
    | ApplicationApproved
    | ApplicationRejected
    | ApplicationWithdrawn
    | DocumentReassigned
    | CardAtOffice
    | CardGone
    | CardLost
    | CardOverdue
    | CardUncollected
    | TicketIssued
    | HolderCheckNoted
    | HandoverCompleted
)


class Status(StrEnum):
    SUBMITTED = "submitted"
    APPROVED = "approved"
    HANDED_OVER = "handed-over"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


ENDED: Mapping[Status, Reason] = {
    Status.HANDED_OVER: Reason.HANDED_OVER,
    Status.REJECTED: Reason.REJECTED,
    Status.WITHDRAWN: Reason.WITHDRAWN,
}


class Biometrics(StrEnum):
    AWAITED = "awaited"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"


class Card(StrEnum):
    UNDER_WAY = "under-way"
    AT_OFFICE = "at-office"
    GONE = "gone"
    LOST = "lost"


@dataclass(frozen=True)
class Document:
    """at: the office that has confirmed the card. valid_until outlives a lost card."""

    ref: UUID
    number: Sealed[str]
    valid_until: date
    card: Card = Card.UNDER_WAY
    card_at: str | None = None


@dataclass(frozen=True)
class Application:
    """taken_part: officers who may not approve.

    missing, supplied: codes of what the applicant was asked for. check: the latest one.
    """

    status: Status
    holder_id: UUID
    kind: ApplicationKind
    region: str
    office: str
    identity: Sealed[Identity]
    wishes: Sealed[Wishes] | None
    predecessor: UUID | None
    taken_part: frozenset[OfficerId]
    biometrics: Biometrics = Biometrics.AWAITED
    missing: frozenset[str] = frozenset()
    supplied: frozenset[str] = frozenset()
    document: Document | None = None
    check: HolderCheck | None = None
    last_ticket: UUID | None = None
