"""Tally: counts the operations that clients ask for. Made to show what a runtime does wrong.

Each `Counted` holds the total after it, so an operation decided on a stale state shows; each
operation has a number of steps, so half a command shows; a label belongs to one operation only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import get_args
from uuid import UUID

from epassport import Aggregate, Claim, Personal, Refused, Secret


class Reason(StrEnum):
    LABEL_TAKEN = "label-taken"


@dataclass(frozen=True)
class Count:
    at: datetime
    operation: UUID
    steps: int
    label: str | None


@dataclass(frozen=True)
class Picture:
    """Of the person whom the tally is about: sealed, and sent on a topic that is not counted."""

    at: datetime
    operation: UUID
    subject: UUID


@dataclass(frozen=True)
class Check:
    """The answer of a task."""

    at: datetime
    operation: UUID


@dataclass(frozen=True)
class Counted:
    at: datetime
    operation: UUID
    total: int
    label: str | None = None


@dataclass(frozen=True)
class Pictured:
    at: datetime
    operation: UUID
    image: Secret[bytes]


@dataclass(frozen=True)
class Checked:
    at: datetime
    operation: UUID


Command = Count | Picture | Check
Event = Counted | Pictured | Checked


def decide(command: Command, total: int) -> Sequence[Event | Claim] | Refused:
    match command:
        case Count(at, operation, steps, label):
            claim = [Claim("label", label.encode(), Reason.LABEL_TAKEN)] if label else []
            counted = [Counted(at, operation, total + n + 1, label) for n in range(steps)]
            return [*counted, *claim]
        case Picture(at, operation, subject):
            return [Pictured(at, operation, Personal(subject, "portrait", operation.bytes))]
        case Check(at, operation):
            return [Checked(at, operation)]


def evolve(total: int, event: Event) -> int:
    match event:
        case Counted():
            return event.total
        case Pictured() | Checked():
            return total


tally = Aggregate("tally", 0, decide, evolve, events=get_args(Event))
