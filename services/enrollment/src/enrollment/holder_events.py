"""What happened to a Holder, and its state; no personal data is among it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from enrollment.office import OfficerId
from epassport_contracts import ServiceName


class Standing(StrEnum):
    """Of a document. Suspension ends again and is verification's alone to know."""

    HANDED_OVER = "handed-over"
    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


FINAL = frozenset({Standing.REVOKED, Standing.EXPIRED})


@dataclass(frozen=True)
class HolderRegistered:
    at: datetime
    holder_id: UUID
    application_id: UUID


@dataclass(frozen=True)
class ApplicationNoted:
    at: datetime
    application_id: UUID


@dataclass(frozen=True)
class ApplicationEndNoted:
    at: datetime
    application_id: UUID


@dataclass(frozen=True)
class DocumentNoted:
    at: datetime
    application_id: UUID
    document_ref: UUID


@dataclass(frozen=True)
class StandingNoted:
    at: datetime
    document_ref: UUID
    standing: Standing


@dataclass(frozen=True)
class ActivationOverdue:
    at: datetime


@dataclass(frozen=True)
class RestoreTicketIssued:
    at: datetime
    by: OfficerId
    ticket_id: UUID
    document_ref: UUID
    office: str
    station: str
    expires_at: datetime


@dataclass(frozen=True)
class ErasureOrdered:
    at: datetime
    by: OfficerId
    holder_id: UUID
    by_order: str | None


@dataclass(frozen=True)
class RetentionBegan:
    """No live application and no document in force is left of this person."""

    at: datetime


@dataclass(frozen=True)
class RetentionEnded:
    """Nothing obliges anybody to keep this person's data any longer."""

    at: datetime


@dataclass(frozen=True)
class KeysDestroyedNoted:
    at: datetime
    service: ServiceName


@dataclass(frozen=True)
class ErasureOverdue:
    """missing: the services that have not reported."""

    at: datetime
    missing: tuple[ServiceName, ...]


@dataclass(frozen=True)
class KeysDestroyedEverywhere:
    """All five services have reported; backups made before may still hold the keys."""

    at: datetime


@dataclass(frozen=True)
class ErasureCompleted:
    """The last backup that held a key of this person has expired."""

    at: datetime
    holder_id: UUID


Event = (
    HolderRegistered
    | ApplicationNoted
    | ApplicationEndNoted
    | DocumentNoted
    | StandingNoted
    | ActivationOverdue
    | RestoreTicketIssued
    | RetentionBegan
    | RetentionEnded
    | ErasureOrdered
    | KeysDestroyedNoted
    | KeysDestroyedEverywhere
    | ErasureOverdue
    | ErasureCompleted
)


class Erasure(StrEnum):
    NONE = "none"
    ORDERED = "ordered"
    KEYS_DESTROYED = "keys-destroyed"
    COMPLETED = "completed"


@dataclass(frozen=True)
class Holder:
    """in_hand: documents in the order the holder got them; standings may be heard earlier."""

    holder_id: UUID
    live: frozenset[UUID]
    in_hand: tuple[UUID, ...] = ()
    standings: Mapping[UUID, Standing] = field(default_factory=dict)
    erasure: Erasure = Erasure.NONE
    destroyed: frozenset[ServiceName] = frozenset()
    is_in_retention: bool = False
    last_ticket: UUID | None = None

    def is_superseded(self, document_ref: UUID) -> bool:
        """The holder has got another one after it."""
        return document_ref in self.in_hand[:-1]

    @property
    def has_document_in_force(self) -> bool:
        return any(self.standings.get(ref) not in FINAL for ref in self.in_hand)

    @property
    def is_needed(self) -> bool:
        """Something of this person is under way or in force."""
        return bool(self.live) or self.has_document_in_force
