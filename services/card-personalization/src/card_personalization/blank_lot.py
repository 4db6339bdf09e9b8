"""BlankLot: the card stock of one delivery. One stream per lot.

- received = used + spoiled + in stock, always. A blank whose card was rejected counts as
  spoiled, not as used.
- What is left is also the capacity `blanks/<lot>`, of which every allocation takes one: the
  capacity lets nobody have a blank that is not there, the stream keeps the account.
- A lot is a box that somebody can carry. Its stream is read whole for every blank, which a
  larger lot would make slow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never, get_args
from uuid import UUID

from epassport import Aggregate, Give, Refused

MAX_BLANKS = 1_000
CAPACITY = "blanks/"


class Reason(StrEnum):
    UNKNOWN = "blank-lot-unknown"
    ALREADY_RECEIVED = "blank-lot-already-received"
    EMPTY = "blank-lot-empty"
    UNKNOWN_BLANK = "blank-lot-blank-not-used"


@dataclass(frozen=True)
class BlankOf:
    """One blank by what became of it: the card it went to, and which of its blanks it was."""

    document_ref: UUID
    number: int


@dataclass(frozen=True)
class ReceiveBlanks:
    at: datetime
    lot_id: str
    count: int


@dataclass(frozen=True)
class NoteUsed:
    at: datetime
    blank: BlankOf


@dataclass(frozen=True)
class NoteSpoiled:
    at: datetime
    blank: BlankOf


@dataclass(frozen=True)
class BlanksReceived:
    at: datetime
    count: int


@dataclass(frozen=True)
class BlankUsed:
    at: datetime
    blank: BlankOf


@dataclass(frozen=True)
class BlankSpoiled:
    at: datetime
    blank: BlankOf


Command = ReceiveBlanks | NoteUsed | NoteSpoiled
Event = BlanksReceived | BlankUsed | BlankSpoiled


@dataclass(frozen=True)
class BlankLot:
    """received is 0 for a lot that nobody has received."""

    received: int = 0
    used: frozenset[BlankOf] = frozenset()
    spoiled: frozenset[BlankOf] = frozenset()

    @property
    def in_stock(self) -> int:
        return self.received - len(self.used) - len(self.spoiled)


initial = BlankLot()


def decide(command: Command, lot: BlankLot) -> Sequence[Event | Give] | Refused:
    match command:
        case ReceiveBlanks(at, lot_id, count):
            if lot.received:
                return [] if lot.received == count else Refused(Reason.ALREADY_RECEIVED)
            return [BlanksReceived(at, count), Give(capacity_of(lot_id), count)]
        case NoteUsed(at, blank):
            if blank in lot.used | lot.spoiled:
                return []
            if not lot.in_stock:
                return Refused(Reason.EMPTY if lot.received else Reason.UNKNOWN)
            return [BlankUsed(at, blank)]
        case NoteSpoiled(at, blank):
            if blank in lot.spoiled:
                return []
            known = blank in lot.used
            return [BlankSpoiled(at, blank)] if known else Refused(Reason.UNKNOWN_BLANK)
        case _:
            assert_never(command)


def evolve(lot: BlankLot, event: Event) -> BlankLot:
    match event:
        case BlanksReceived(_, count):
            return replace(lot, received=count)
        case BlankUsed(_, blank):
            return replace(lot, used=lot.used | {blank})
        case BlankSpoiled(_, blank):
            return replace(lot, used=lot.used - {blank}, spoiled=lot.spoiled | {blank})
        case _:
            assert_never(event)


def capacity_of(lot_id: str) -> str:
    return f"{CAPACITY}{lot_id}"


aggregate = Aggregate("blank-lot", initial, decide, evolve, events=get_args(Event))
stream = aggregate.stream
