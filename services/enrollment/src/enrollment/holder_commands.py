"""What may be asked of a Holder, and why it may be refused."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from enrollment.holder_events import Standing
from enrollment.office import OfficerId
from epassport import DeadlinePassed
from epassport_contracts import ServiceName


class Reason(StrEnum):
    UNKNOWN = "holder-unknown"
    LIVE_APPLICATION = "holder-has-live-application"
    DOCUMENT_IN_FORCE = "holder-has-document-in-force"
    OTHER_DOCUMENT = "holder-other-document"
    ERASURE_NOT_ORDERED = "holder-erasure-not-ordered"
    ERASED = "holder-erased"


@dataclass(frozen=True)
class RegisterHolder:
    at: datetime
    holder_id: UUID
    application_id: UUID


@dataclass(frozen=True)
class NoteApplication:
    at: datetime
    application_id: UUID


@dataclass(frozen=True)
class NoteApplicationEnd:
    at: datetime
    application_id: UUID


@dataclass(frozen=True)
class NoteDocument:
    """The holder has this document in hand; its application has ended well."""

    at: datetime
    application_id: UUID
    document_ref: UUID


@dataclass(frozen=True)
class NoteStanding:
    at: datetime
    document_ref: UUID
    standing: Standing


@dataclass(frozen=True)
class IssueRestoreTicket:
    """The holder came in person to lift a suspension."""

    at: datetime
    by: OfficerId
    ticket_id: UUID
    document_ref: UUID
    office: str
    station: str
    expires_at: datetime


@dataclass(frozen=True)
class OrderErasure:
    """by_order: reference of the court or authority whose order goes before everything."""

    at: datetime
    by: OfficerId
    by_order: str | None


@dataclass(frozen=True)
class NoteKeysDestroyed:
    at: datetime
    service: ServiceName


Command = (
    RegisterHolder
    | NoteApplication
    | NoteApplicationEnd
    | NoteDocument
    | NoteStanding
    | IssueRestoreTicket
    | OrderErasure
    | NoteKeysDestroyed
    | DeadlinePassed
)
