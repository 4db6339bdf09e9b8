"""Holder: one person's documents as a whole, and the person's right to be forgotten.

A holder begins with the first application and keeps its id for life. Erasure is ordered only
when nothing of the person is still in use: no live application, no document in force; an
order of a court or the supervisory authority goes before that. It is complete when all five
services have reported that their keys are destroyed; the stream itself holds no personal data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import get_args
from uuid import UUID

from enrollment.office import Office, OfficerId
from epassport import Aggregate, DeadlinePassed, EndWait, Refused, StartWait
from epassport_contracts import ServiceName

ALL_SERVICES = frozenset(ServiceName)
ERASURE = "erasure"
ERASURE_WITHIN = timedelta(days=7)
ACTIVATION = "activation"
ACTIVATION_WITHIN = timedelta(days=1)


class Reason(StrEnum):
    UNKNOWN = "holder-unknown"
    LIVE_APPLICATION = "holder-has-live-application"
    DOCUMENT_IN_FORCE = "holder-has-document-in-force"
    OTHER_DOCUMENT = "holder-other-document"
    ERASURE_NOT_ORDERED = "holder-erasure-not-ordered"
    ERASED = "holder-erased"


class Standing(StrEnum):
    """Of a document. Suspension ends again and is verification's alone to know."""

    HANDED_OVER = "handed-over"
    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


FINAL = frozenset({Standing.REVOKED, Standing.EXPIRED})


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
class KeysDestroyedNoted:
    at: datetime
    service: ServiceName


@dataclass(frozen=True)
class ErasureOverdue:
    """missing: the services that have not reported."""

    at: datetime
    missing: tuple[ServiceName, ...]


@dataclass(frozen=True)
class ErasureCompleted:
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
    | ErasureOrdered
    | KeysDestroyedNoted
    | ErasureOverdue
    | ErasureCompleted
)


class Erasure(StrEnum):
    NONE = "none"
    ORDERED = "ordered"
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
    last_ticket: UUID | None = None

    def is_superseded(self, document_ref: UUID) -> bool:
        """The holder has got another one after it."""
        return document_ref in self.in_hand[:-1]

    def has_document_in_force(self) -> bool:
        return any(self.standings.get(ref) not in FINAL for ref in self.in_hand)


Decided = Sequence[Event] | Refused

_NO_OFFICE = Office()


def decide(command: Command, holder: Holder | None, office: Office = _NO_OFFICE) -> Decided:
    """Tickets read the office."""
    if isinstance(command, RegisterHolder):
        if holder is not None:
            return []
        return [HolderRegistered(command.at, command.holder_id, command.application_id)]
    if holder is None:
        return Refused(Reason.UNKNOWN)
    match command:
        case NoteApplication(at, application_id):
            return [] if application_id in holder.live else [ApplicationNoted(at, application_id)]
        case NoteApplicationEnd(at, application_id):
            known = application_id in holder.live
            return [ApplicationEndNoted(at, application_id)] if known else []
        case NoteDocument(at, application_id, document_ref):
            known = document_ref in holder.in_hand
            return [] if known else [DocumentNoted(at, application_id, document_ref)]
        case NoteStanding(at, document_ref, standing):
            known = holder.standings.get(document_ref) in (standing, *FINAL)
            return [] if known else [StandingNoted(at, document_ref, standing)]
        case IssueRestoreTicket():
            return _issue_ticket(command, holder, office)
        case OrderErasure():
            return _order_erasure(command, holder)
        case NoteKeysDestroyed():
            return _note_destroyed(command, holder)
        case DeadlinePassed():
            return _overdue(command, holder)


def _issue_ticket(command: IssueRestoreTicket, holder: Holder, office: Office) -> Decided:
    if command.ticket_id == holder.last_ticket:
        return []
    if holder.erasure is not Erasure.NONE:
        return Refused(Reason.ERASED)
    if holder.standings.get(command.document_ref) is not Standing.ACTIVE:
        return Refused(Reason.OTHER_DOCUMENT)
    off_duty = office.refuses(command.by, command.station, command.at)
    if off_duty is not None:
        return Refused(off_duty)
    return [
        RestoreTicketIssued(
            command.at, command.by, command.ticket_id, command.document_ref, command.office,
            command.station, command.expires_at,
        )
    ]  # fmt: skip


def _order_erasure(command: OrderErasure, holder: Holder) -> Decided:
    if holder.erasure is not Erasure.NONE:
        return []
    if command.by_order is None:
        if holder.live:
            return Refused(Reason.LIVE_APPLICATION)
        if holder.has_document_in_force():
            return Refused(Reason.DOCUMENT_IN_FORCE)
    return [ErasureOrdered(command.at, command.by, holder.holder_id, command.by_order)]


def _note_destroyed(command: NoteKeysDestroyed, holder: Holder) -> Decided:
    match holder.erasure:
        case Erasure.NONE:
            return Refused(Reason.ERASURE_NOT_ORDERED)
        case Erasure.ORDERED:
            if command.service in holder.destroyed:
                return []
            noted = KeysDestroyedNoted(command.at, command.service)
            if holder.destroyed | {command.service} == ALL_SERVICES:
                return [noted, ErasureCompleted(command.at, holder.holder_id)]
            return [noted]
        case Erasure.COMPLETED:
            return []


def _overdue(deadline: DeadlinePassed, holder: Holder) -> Decided:
    if deadline.kind == ACTIVATION:
        return [ActivationOverdue(deadline.at)]
    missing = tuple(sorted(ALL_SERVICES - holder.destroyed))
    return [ErasureOverdue(deadline.at, missing)]


def evolve(holder: Holder | None, event: Event) -> Holder:
    if isinstance(event, HolderRegistered):
        return Holder(event.holder_id, frozenset({event.application_id}))
    assert holder is not None, "a stream begins with HolderRegistered"
    match event:
        case ApplicationNoted(_, application_id):
            return replace(holder, live=holder.live | {application_id})
        case ApplicationEndNoted(_, application_id):
            return replace(holder, live=holder.live - {application_id})
        case DocumentNoted(_, application_id, document_ref):
            in_hand = (*holder.in_hand, document_ref)
            return replace(holder, live=holder.live - {application_id}, in_hand=in_hand)
        case StandingNoted(_, document_ref, standing):
            return replace(holder, standings={**holder.standings, document_ref: standing})
        case RestoreTicketIssued(ticket_id=ticket_id):
            return replace(holder, last_ticket=ticket_id)
        case ErasureOrdered():
            return replace(holder, erasure=Erasure.ORDERED)
        case KeysDestroyedNoted(_, service):
            return replace(holder, destroyed=holder.destroyed | {service})
        case ErasureCompleted():
            return replace(holder, erasure=Erasure.COMPLETED)
        case ActivationOverdue() | ErasureOverdue():
            return holder


def waits(event: Event) -> Sequence[StartWait | EndWait]:
    match event:
        case DocumentNoted(at):
            return [StartWait(ACTIVATION, at + ACTIVATION_WITHIN)]
        case StandingNoted():
            return [EndWait(ACTIVATION)]
        case ErasureOrdered(at):
            return [StartWait(ERASURE, at + ERASURE_WITHIN)]
        case ErasureCompleted():
            return [EndWait(ERASURE)]
    return []


aggregate = Aggregate("holder", None, decide, evolve, events=get_args(Event), waits=waits)
stream = aggregate.stream
