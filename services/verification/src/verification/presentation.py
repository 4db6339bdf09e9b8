"""Presentation: one check of one code by one relying party, and its outcome of three.

verified   the code holds, the document is valid, the party may ask what it asks
refused    with a reason, also when the party asked too much
undecided  nothing is wrong with what was shown, but something needed is not known: never good

The verdict is decided on the document's own stream, not on a read table: a status change that
this service has stored is never missed. What the code said of the holder is not kept.

Who asked about a known holder is for the holder alone: sealed to the holder's `access` key, and
nowhere beside (docs/decisions/0023-who-asked-is-sealed-to-the-holder.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import get_args
from uuid import UUID

from epassport import Aggregate, Personal, Secret
from epassport_contracts.fields import Asked
from epassport_credentials.errors import Reason as Fault
from verification.document_status_events import Document, Standing
from verification.relying_party import RelyingParty


class Reason(StrEnum):
    """Beside these: a relying party's refusals, and the faults of codes and documents that
    offline verifiers name too (`epassport_credentials.errors`)."""

    REPLAYED = "presentation-replayed"
    DEVICE_UNBOUND = "presentation-device-unbound"
    KEY_UNKNOWN = "presentation-key-unknown"
    DOCUMENT_UNKNOWN = "presentation-document-unknown"
    STATUS_HELD = "presentation-status-held"
    CHECKING_PAUSED = "checking-paused"
    REPLAY_UNKNOWN = "presentation-replay-unknown"


class Form(StrEnum):
    CARD = "card-qr"
    IDENTITY = "identity-qr"
    MOBILE = "mobile-qr"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Shown:
    """What the code turned out to be.

    document_ref: None where the code does not hold, or its phone key was never heard of
    """

    form: Form
    document_ref: UUID | None = None
    fault: Fault | None = None
    is_replayed: bool = False
    is_unbound: bool = False


@dataclass(frozen=True)
class CheckPresentation:
    """held_since: an event that concerns this document has come and could not be applied.

    paused: since when checking is paused, by region
    """

    at: datetime
    relying_party: str
    purpose: str
    claims: tuple[str, ...]
    shown: Shown
    held_since: datetime | None = None
    paused: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class PresentationVerified:
    """asked: None where the holder's key was not there; the verdict waits for no key."""

    at: datetime
    form: Form
    document_ref: UUID
    holder_id: UUID
    asked: Secret[Asked] | None


@dataclass(frozen=True)
class PresentationRefused:
    at: datetime
    form: Form
    document_ref: UUID
    holder_id: UUID
    asked: Secret[Asked] | None
    reason: str


@dataclass(frozen=True)
class PresentationUndecided:
    """since: the moment whose knowledge is the last that can be relied on."""

    at: datetime
    form: Form
    document_ref: UUID
    holder_id: UUID
    asked: Secret[Asked] | None
    reason: str
    since: datetime


@dataclass(frozen=True)
class CodeRefused:
    """Nobody's document: who asked is nobody's personal data either."""

    at: datetime
    form: Form
    asked: Asked
    reason: str


@dataclass(frozen=True)
class CodeUndecided:
    """A code that holds, of a document or phone that was never heard of."""

    at: datetime
    form: Form
    asked: Asked
    reason: str
    since: datetime


Event = (
    PresentationVerified | PresentationRefused | PresentationUndecided | CodeRefused | CodeUndecided
)
Presentation = Event | None  # its state is its one event

initial: Presentation = None

_NEVER_HEARD_OF = Document()


@dataclass(frozen=True)
class _Undecided:
    reason: Reason
    since: datetime


def decide(
    command: CheckPresentation,
    presentation: Presentation,
    party: RelyingParty,
    document: Document = _NEVER_HEARD_OF,
) -> Sequence[Event]:
    if presentation is not None:
        return []
    asked = Asked(
        relying_party=command.relying_party,
        name=party.name,
        purpose=command.purpose,
        claims=command.claims,
    )
    objection = _objection(command, party, document)
    if command.shown.document_ref is None or document.holder_id is None:
        return [_of_nobody(command, asked, objection)]
    secret = Personal(document.holder_id, "asked", asked, required=False)
    shown = (command.shown.form, command.shown.document_ref, document.holder_id, secret)
    match objection:
        case _Undecided(reason, since):
            return [PresentationUndecided(command.at, *shown, reason, since)]
        case str(reason):
            return [PresentationRefused(command.at, *shown, reason)]
        case None:
            return [PresentationVerified(command.at, *shown)]


def _of_nobody(
    command: CheckPresentation, asked: Asked, objection: str | _Undecided | None
) -> CodeRefused | CodeUndecided:
    """The reference of a document that nobody heard of is not kept beside who asked: its
    holder may become known later."""
    match objection:
        case _Undecided(reason, since):
            return CodeUndecided(command.at, command.shown.form, asked, reason, since)
        case str(reason):
            return CodeRefused(command.at, command.shown.form, asked, reason)
        case None:
            raise AssertionError("only a known document of a known holder is verified")


def _objection(
    command: CheckPresentation, party: RelyingParty, document: Document
) -> str | _Undecided | None:
    """The first thing that speaks against a good verdict: the question, the code, the document."""
    shown = command.shown
    refusal = party.refusal(command.purpose, command.claims) or shown.fault
    if refusal is not None:
        return refusal
    if shown.is_replayed:
        return Reason.REPLAYED
    if shown.is_unbound:
        return Reason.DEVICE_UNBOUND
    if shown.document_ref is None:
        return _Undecided(Reason.KEY_UNKNOWN, command.at)
    return _objection_to_document(command, document)


def _objection_to_document(
    command: CheckPresentation, document: Document
) -> str | _Undecided | None:
    """What cannot change any more is said even while later events are held."""
    match document.standing:
        case Standing.REVOKED:
            return Fault.REVOKED
        case Standing.EXPIRED:
            return Fault.EXPIRED
        case Standing.ABSENT:
            return _Undecided(Reason.DOCUMENT_UNKNOWN, command.at)
    if command.held_since is not None:
        return _Undecided(Reason.STATUS_HELD, command.held_since)
    paused_since = command.paused.get(document.region or "")
    if paused_since is not None:
        return _Undecided(Reason.CHECKING_PAUSED, paused_since)
    match document.standing:
        case Standing.EXPECTED | Standing.REGISTERED:
            return Fault.NOT_IN_FORCE
        case Standing.SUSPENDED:
            return Fault.SUSPENDED
        case Standing.VALID:
            return None


def evolve(_presentation: Presentation, event: Event) -> Presentation:
    return event


aggregate = Aggregate("presentation", initial, decide, evolve, events=get_args(Event))
stream = aggregate.stream
