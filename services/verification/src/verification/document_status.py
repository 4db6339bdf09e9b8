"""DocumentStatus: whether one issued document may be relied on.

    expected -> registered -> valid <-> suspended -> revoked or expired

- Revocation is final and accepted in every state: an offline verifier may already have acted
  on it and would not hear a correction.
- Nobody relies on a document before its card is handed over (activation).
- A suspension heard before activation is kept and takes effect with it.
- The holder in person lifts a reported loss, never an order; one check lifts once.
- A loss that nobody withdraws within 30 days revokes.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import assert_never, get_args
from uuid import UUID

from epassport import Aggregate, Claim, DeadlinePassed, EndWait, Refused, StartWait
from epassport_contracts.events.verification import StatusReason
from verification.document_status_commands import (
    ActivateDocument,
    Command,
    ExpectDocument,
    LiftSuspension,
    Reason,
    RegisterDocument,
    RestoreDocument,
    RevokeDocument,
    SuspendDocument,
)
from verification.document_status_events import (
    Document,
    DocumentActivated,
    DocumentExpected,
    DocumentExpired,
    DocumentRegistered,
    DocumentRestored,
    DocumentRevoked,
    DocumentSuspended,
    Event,
    RegistrationDelayed,
    Standing,
    SuspensionNoted,
)

REGISTRATION_TIME = timedelta(minutes=5)
LOSS_WITHDRAWAL_TIME = timedelta(days=30)


class Wait(StrEnum):
    REGISTRATION = "registration"
    LOSS_WITHDRAWAL = "loss-withdrawal"
    EXPIRY = "expiry"


Decision = Sequence[Event | Claim] | Refused


initial = Document()


def decide(command: Command, document: Document) -> Decision:
    match command:
        case ExpectDocument():
            return _expect(command, document)
        case RegisterDocument():
            return _register(command, document)
        case ActivateDocument(at):
            return _activate(at, document)
        case SuspendDocument():
            return _suspend(command, document)
        case RestoreDocument():
            return _restore(command, document)
        case LiftSuspension(at):
            return _lift(at, document)
        case RevokeDocument():
            return _revoke(command, document)
        case DeadlinePassed(kind, _, at):
            return _deadline(Wait(kind), at, document)


def _expect(command: ExpectDocument, document: Document) -> Decision:
    match document.standing:
        case Standing.ABSENT:
            return [
                DocumentExpected(
                    command.at,
                    command.application_id,
                    command.holder_id,
                    command.region,
                    command.valid_until,
                    command.predecessor,
                )
            ]
        case Standing.REVOKED:
            return Refused(Reason.REVOKED_IS_FINAL)
        case (
            Standing.EXPECTED
            | Standing.REGISTERED
            | Standing.VALID
            | Standing.SUSPENDED
            | Standing.EXPIRED
        ):
            return []


def _register(command: RegisterDocument, document: Document) -> Decision:
    match document.standing:
        case Standing.ABSENT:
            return Refused(Reason.NOT_EXPECTED)
        case Standing.EXPECTED:
            approval = _approval(document)
            return [
                DocumentRegistered(
                    command.at,
                    approval.application_id,
                    approval.holder_id,
                    command.status_list_uri,
                    command.status_index,
                ),
                index_claim(command.status_list_uri, command.status_index),
            ]
        case Standing.REVOKED:
            return Refused(Reason.REVOKED_IS_FINAL)
        case Standing.REGISTERED | Standing.VALID | Standing.SUSPENDED | Standing.EXPIRED:
            return []


def index_claim(status_list_uri: str, status_index: int) -> Claim:
    """Never released: the entry of an ended document must go on saying so."""
    return Claim("status-index", f"{status_list_uri}#{status_index}".encode(), Reason.INDEX_TAKEN)


def _activate(at: datetime, document: Document) -> Decision:
    match document.standing:
        case Standing.ABSENT | Standing.EXPECTED:
            return Refused(Reason.NOT_REGISTERED)
        case Standing.REGISTERED:
            holder_id = _holder(document)
            return [
                DocumentActivated(at, holder_id, _approval(document).valid_until),
                *(
                    DocumentSuspended(at, holder_id, reason)
                    for reason in sorted(document.suspended_for)
                ),
            ]
        case Standing.VALID | Standing.SUSPENDED:
            return []
        case Standing.REVOKED:
            return Refused(Reason.REVOKED_IS_FINAL)
        case Standing.EXPIRED:
            return Refused(Reason.EXPIRED)


def _suspend(command: SuspendDocument, document: Document) -> Decision:
    is_known = command.reason in document.suspended_for
    match document.standing:
        case Standing.ABSENT | Standing.EXPECTED:
            return Refused(Reason.NOT_REGISTERED)
        case Standing.REGISTERED:
            return [] if is_known else [SuspensionNoted(command.at, command.reason)]
        case Standing.VALID | Standing.SUSPENDED:
            suspended = DocumentSuspended(command.at, _holder(document), command.reason)
            return [] if is_known else [suspended]
        case Standing.REVOKED:
            return Refused(Reason.REVOKED_IS_FINAL)
        case Standing.EXPIRED:
            return Refused(Reason.EXPIRED)


def _restore(command: RestoreDocument, document: Document) -> Decision:
    is_used = command.check_id in document.used_checks
    match document.standing:
        case Standing.ABSENT | Standing.EXPECTED | Standing.REGISTERED:
            return Refused(Reason.NOT_SUSPENDED)
        case Standing.VALID:
            return [] if is_used else Refused(Reason.NOT_SUSPENDED)
        case Standing.SUSPENDED:
            if command.holder_id != document.holder_id:
                return Refused(Reason.OTHER_HOLDER)
            if is_used:
                return Refused(Reason.CHECK_ALREADY_USED)
            if document.since is not None and command.at < document.since:
                return Refused(Reason.NOT_SUSPENDED)  # when the holder stood at the counter
            if StatusReason.ORDERED in document.suspended_for:
                return Refused(Reason.SUSPENDED_BY_ORDER)
            return [DocumentRestored(command.at, _holder(document), command.check_id)]
        case Standing.REVOKED:
            return Refused(Reason.REVOKED_IS_FINAL)
        case Standing.EXPIRED:
            return Refused(Reason.EXPIRED)


def _lift(at: datetime, document: Document) -> Decision:
    match document.standing:
        case Standing.ABSENT | Standing.EXPECTED | Standing.REGISTERED | Standing.VALID:
            return Refused(Reason.NOT_SUSPENDED)
        case Standing.SUSPENDED:
            return [DocumentRestored(at, _holder(document), None)]
        case Standing.REVOKED:
            return Refused(Reason.REVOKED_IS_FINAL)
        case Standing.EXPIRED:
            return Refused(Reason.EXPIRED)


def _revoke(command: RevokeDocument, document: Document) -> Decision:
    match document.standing:
        case Standing.ABSENT:
            holder_id, was_in_force = command.holder_id, False
        case Standing.EXPECTED | Standing.REGISTERED:
            holder_id, was_in_force = document.holder_id, False
        case Standing.VALID | Standing.SUSPENDED | Standing.EXPIRED:
            holder_id, was_in_force = document.holder_id, True
        case Standing.REVOKED:
            return []
    if holder_id is None:
        return Refused(Reason.UNKNOWN)
    return [
        DocumentRevoked(command.at, holder_id, command.reason, command.superseded_by, was_in_force)
    ]


def _deadline(kind: Wait, at: datetime, document: Document) -> Decision:
    """The wait is still open: the group drops the deadlines of waits that ended."""
    match kind:
        case Wait.REGISTRATION:
            return [RegistrationDelayed(at)]
        case Wait.LOSS_WITHDRAWAL:
            reason = StatusReason.LOSS_NOT_WITHDRAWN_IN_TIME
            return [DocumentRevoked(at, _holder(document), reason, None, was_in_force=True)]
        case Wait.EXPIRY:
            return [DocumentExpired(at, _holder(document))]


def evolve(document: Document, event: Event) -> Document:
    match event:
        case DocumentExpected(at=at, holder_id=holder_id):
            return Document(Standing.EXPECTED, at, holder_id, event)
        case RegistrationDelayed():
            return document
        case DocumentRegistered(at=at):
            return replace(document, standing=Standing.REGISTERED, since=at)
        case SuspensionNoted(reason=reason):
            return replace(document, suspended_for=document.suspended_for | {reason})
        case DocumentActivated(at=at):
            return replace(document, standing=Standing.VALID, since=at, suspended_for=frozenset())
        case DocumentSuspended(at=at, reason=reason):
            reasons = document.suspended_for | {reason}
            return replace(document, standing=Standing.SUSPENDED, since=at, suspended_for=reasons)
        case DocumentRestored(at=at, check_id=check_id):
            used = document.used_checks | ({check_id} if check_id is not None else set())
            return replace(
                document,
                standing=Standing.VALID,
                since=at,
                suspended_for=frozenset(),
                used_checks=used,
            )
        case DocumentRevoked(at=at, holder_id=holder_id):
            return replace(document, standing=Standing.REVOKED, since=at, holder_id=holder_id)
        case DocumentExpired(at=at):
            return replace(document, standing=Standing.EXPIRED, since=at)
    assert_never(event)


def waits(event: Event) -> Sequence[StartWait | EndWait]:
    match event:
        case DocumentExpected(at=at) | RegistrationDelayed(at=at):
            return [StartWait(Wait.REGISTRATION, at + REGISTRATION_TIME)]
        case DocumentRegistered():
            return [EndWait(Wait.REGISTRATION)]
        case DocumentActivated(valid_until=valid_until):
            return [StartWait(Wait.EXPIRY, end_of(valid_until))]
        case DocumentSuspended(at=at, reason=StatusReason.LOSS_REPORTED):
            return [StartWait(Wait.LOSS_WITHDRAWAL, at + LOSS_WITHDRAWAL_TIME)]
        case DocumentRestored():
            return [EndWait(Wait.LOSS_WITHDRAWAL)]
        case DocumentRevoked() | DocumentExpired():
            return [EndWait(kind) for kind in Wait]
        case SuspensionNoted() | DocumentSuspended():
            return []


def end_of(last_day: date) -> datetime:
    """Midnight UTC after it: by then the day has ended in every region of the country."""
    return datetime.combine(last_day + timedelta(days=1), time(), UTC)


def _holder(document: Document) -> UUID:
    if document.holder_id is None:
        raise AssertionError("a document in force has a holder")
    return document.holder_id


def _approval(document: Document) -> DocumentExpected:
    if document.approval is None:
        raise AssertionError("a document is expected before it is registered")
    return document.approval


aggregate = Aggregate(
    "document-status", initial, decide, evolve, events=get_args(Event), waits=waits
)
stream = aggregate.stream
