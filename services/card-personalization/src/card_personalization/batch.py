"""Batch: cards that travel to one office together. One stream per batch.

- Opened for an office, closed when packing ends, dispatched with a courier; nothing goes back.
- Which cards are in it the cards themselves say (CardPacked); the batch notes them, so that
  its dispatch can name every one, a hundred in an event. A card whose packing is heard of
  only after the dispatch left with it too: packing ended before the batch was closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never, get_args
from uuid import UUID

from epassport import Aggregate, Refused

MAX_CARDS = 500  # then packing ends; cards packed in the same moment still travel with it
CARDS_AN_EVENT = 100  # each is sent a command, and a group of those holds a hundred


class Reason(StrEnum):
    UNKNOWN = "batch-unknown"
    ALREADY_OPENED = "batch-already-opened"
    NOT_CLOSED = "batch-not-closed"
    ALREADY_DISPATCHED = "batch-already-dispatched"


class Status(StrEnum):
    ABSENT = "absent"
    OPEN = "open"
    CLOSED = "closed"
    DISPATCHED = "dispatched"


@dataclass(frozen=True)
class OpenBatch:
    at: datetime
    office: str


@dataclass(frozen=True)
class NoteCard:
    at: datetime
    document_ref: UUID


@dataclass(frozen=True)
class CloseBatch:
    at: datetime


@dataclass(frozen=True)
class DispatchBatch:
    at: datetime
    courier: str


@dataclass(frozen=True)
class BatchOpened:
    at: datetime
    office: str


@dataclass(frozen=True)
class CardNoted:
    """courier: with whom the batch had left already; None while it is at the bureau."""

    at: datetime
    document_ref: UUID
    courier: str | None


@dataclass(frozen=True)
class BatchClosed:
    at: datetime


@dataclass(frozen=True)
class BatchDispatched:
    at: datetime
    courier: str
    cards: tuple[UUID, ...]


Command = OpenBatch | NoteCard | CloseBatch | DispatchBatch
Event = BatchOpened | CardNoted | BatchClosed | BatchDispatched


@dataclass(frozen=True)
class Batch:
    status: Status = Status.ABSENT
    office: str | None = None
    cards: tuple[UUID, ...] = ()
    courier: str | None = None


initial = Batch()


def decide(command: Command, batch: Batch) -> Sequence[Event] | Refused:
    match command:
        case OpenBatch(at, office):
            if batch.status is Status.ABSENT:
                return [BatchOpened(at, office)]
            return [] if batch.office == office else Refused(Reason.ALREADY_OPENED)
        case NoteCard(at, document_ref):
            if batch.status is Status.ABSENT:
                return Refused(Reason.UNKNOWN)
            known = document_ref in batch.cards
            return [] if known else [CardNoted(at, document_ref, batch.courier)]
        case CloseBatch(at):
            return _close(at, batch)
        case DispatchBatch():
            return _dispatch(command, batch)
        case _:
            assert_never(command)


def _close(at: datetime, batch: Batch) -> Sequence[Event] | Refused:
    match batch.status:
        case Status.ABSENT:
            return Refused(Reason.UNKNOWN)
        case Status.OPEN:
            return [BatchClosed(at)]
        case Status.CLOSED | Status.DISPATCHED:
            return []


def _dispatch(command: DispatchBatch, batch: Batch) -> Sequence[Event] | Refused:
    match batch.status:
        case Status.ABSENT:
            return Refused(Reason.UNKNOWN)
        case Status.OPEN:
            return Refused(Reason.NOT_CLOSED)
        case Status.CLOSED:
            return [
                BatchDispatched(command.at, command.courier, batch.cards[n : n + CARDS_AN_EVENT])
                for n in range(0, max(1, len(batch.cards)), CARDS_AN_EVENT)
            ]
        case Status.DISPATCHED:
            same = batch.courier == command.courier
            return [] if same else Refused(Reason.ALREADY_DISPATCHED)


def evolve(batch: Batch, event: Event) -> Batch:
    match event:
        case BatchOpened(_, office):
            return replace(batch, status=Status.OPEN, office=office)
        case CardNoted(_, document_ref):
            return replace(batch, cards=(*batch.cards, document_ref))
        case BatchClosed():
            return replace(batch, status=Status.CLOSED)
        case BatchDispatched(_, courier):
            return replace(batch, status=Status.DISPATCHED, courier=courier)
        case _:
            assert_never(event)


aggregate = Aggregate("batch", initial, decide, evolve, events=get_args(Event))
stream = aggregate.stream
