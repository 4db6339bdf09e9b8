"""Holder: one person's documents as a whole, and the person's right to be forgotten.

A holder begins with the first application and keeps its id for life. Erasure is ordered only
when nothing of the person is still in use: no live application, no document in force; an
order of a court or the supervisory authority goes before that. When that has been so for as long
as law asks, the stream says so, and a person orders: a clock that jumped must not destroy keys.
Erasure is complete when all five services have reported that their keys are destroyed and the last
backup that could bring one back has expired. The stream itself holds no personal data.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import get_args

from enrollment.holder_commands import (
    Command,
    IssueRestoreTicket,
    NoteApplication,
    NoteApplicationEnd,
    NoteDocument,
    NoteKeysDestroyed,
    NoteStanding,
    OrderErasure,
    Reason,
    RegisterHolder,
)
from enrollment.holder_events import (
    FINAL,
    ActivationOverdue,
    ApplicationEndNoted,
    ApplicationNoted,
    DocumentNoted,
    Erasure,
    ErasureCompleted,
    ErasureOrdered,
    ErasureOverdue,
    Event,
    Holder,
    HolderRegistered,
    KeysDestroyedEverywhere,
    KeysDestroyedNoted,
    RestoreTicketIssued,
    RetentionBegan,
    RetentionEnded,
    Standing,
    StandingNoted,
)
from enrollment.office import Office
from epassport import Aggregate, DeadlinePassed, EndWait, Refused, StartWait
from epassport_contracts import ServiceName

ALL_SERVICES = frozenset(ServiceName)
ERASURE = "erasure"
ERASURE_WITHIN = timedelta(days=7)
ACTIVATION = "activation"
ACTIVATION_WITHIN = timedelta(days=1)
RETENTION = "retention"
# Law sets it; until a country says otherwise, as long as an issued document can still be contested.
RETENTION_LASTS = timedelta(days=5 * 365)
BACKUPS = "backups"
BACKUPS_LIVE = timedelta(days=30)  # of keyrings and of the key topic, at most

Decided = Sequence[Event] | Refused

_NO_OFFICE = Office()

initial: Holder | None = None


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
            return _and_retention(
                [ApplicationEndNoted(at, application_id)] if known else [], holder
            )
        case NoteDocument(at, application_id, document_ref):
            known = document_ref in holder.in_hand
            return [] if known else [DocumentNoted(at, application_id, document_ref)]
        case NoteStanding(at, document_ref, standing):
            known = holder.standings.get(document_ref) in (standing, *FINAL)
            return _and_retention(
                [] if known else [StandingNoted(at, document_ref, standing)], holder
            )
        case IssueRestoreTicket():
            return _issue_ticket(command, holder, office)
        case OrderErasure():
            return _order_erasure(command, holder)
        case NoteKeysDestroyed():
            return _note_destroyed(command, holder)
        case DeadlinePassed():
            return _deadline(command, holder)


def _and_retention(facts: Sequence[Event], holder: Holder) -> Sequence[Event]:
    """What ends the last thing that a person's data is needed for begins the retention."""
    after = holder
    for fact in facts:
        after = evolve(after, fact)
    ends = facts and after.erasure is Erasure.NONE and not after.is_in_retention
    return [*facts, RetentionBegan(facts[-1].at)] if ends and not after.is_needed else facts


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
        if holder.has_document_in_force:
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
                return [noted, KeysDestroyedEverywhere(command.at)]
            return [noted]
        case Erasure.KEYS_DESTROYED | Erasure.COMPLETED:
            return []


def _deadline(deadline: DeadlinePassed, holder: Holder) -> Decided:
    if deadline.kind == ACTIVATION:
        return [ActivationOverdue(deadline.at)]
    if deadline.kind == RETENTION:
        return [RetentionEnded(deadline.at)]
    if deadline.kind == BACKUPS:
        return [ErasureCompleted(deadline.at, holder.holder_id)]
    missing = tuple(sorted(ALL_SERVICES - holder.destroyed))
    return [ErasureOverdue(deadline.at, missing)]


def evolve(holder: Holder | None, event: Event) -> Holder:
    if isinstance(event, HolderRegistered):
        return Holder(event.holder_id, frozenset({event.application_id}))
    assert holder is not None, "a stream begins with HolderRegistered"
    match event:
        case ApplicationNoted(_, application_id):
            live = holder.live | {application_id}
            return replace(holder, live=live, is_in_retention=False)
        case ApplicationEndNoted(_, application_id):
            return replace(holder, live=holder.live - {application_id})
        case DocumentNoted(_, application_id, document_ref):
            in_hand = (*holder.in_hand, document_ref)
            return replace(holder, live=holder.live - {application_id}, in_hand=in_hand)
        case StandingNoted(_, document_ref, standing):
            return replace(holder, standings={**holder.standings, document_ref: standing})
        case RestoreTicketIssued(ticket_id=ticket_id):
            return replace(holder, last_ticket=ticket_id)
        case RetentionBegan():
            return replace(holder, is_in_retention=True)
        case ErasureOrdered():
            return replace(holder, erasure=Erasure.ORDERED)
        case KeysDestroyedNoted(_, service):
            return replace(holder, destroyed=holder.destroyed | {service})
        case KeysDestroyedEverywhere():
            return replace(holder, erasure=Erasure.KEYS_DESTROYED)
        case ErasureCompleted():
            return replace(holder, erasure=Erasure.COMPLETED)
        case ActivationOverdue() | RetentionEnded() | ErasureOverdue():
            return holder


def waits(event: Event) -> Sequence[StartWait | EndWait]:
    match event:
        case DocumentNoted(at):
            return [StartWait(ACTIVATION, at + ACTIVATION_WITHIN)]
        case StandingNoted():
            return [EndWait(ACTIVATION)]
        case RetentionBegan(at):
            return [StartWait(RETENTION, at + RETENTION_LASTS)]
        case ApplicationNoted():
            return [EndWait(RETENTION)]
        case ErasureOrdered(at):
            return [EndWait(RETENTION), StartWait(ERASURE, at + ERASURE_WITHIN)]
        case KeysDestroyedEverywhere(at):
            return [EndWait(ERASURE), StartWait(BACKUPS, at + BACKUPS_LIVE)]
        case RetentionEnded():
            return [EndWait(RETENTION)]
        case ErasureCompleted():
            return [EndWait(BACKUPS)]
    return []


aggregate = Aggregate("holder", initial, decide, evolve, events=get_args(Event), waits=waits)
stream = aggregate.stream
