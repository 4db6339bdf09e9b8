"""Tally: counts the operations that clients ask for. Made to show what a runtime does wrong.

Each `Counted` holds the total after it, so an operation decided on a stale state shows; each
operation has a number of steps, so half a command shows; a label belongs to one operation only. A
labelled count starts a wait anew; its deadline says for which one it was, so that one which came
twice, never, or for a wait that had ended shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import get_args
from uuid import UUID

from epassport import (
    Aggregate,
    Claim,
    DeadlinePassed,
    EndWait,
    Personal,
    Refused,
    Secret,
    StartWait,
)

REMINDER = "reminder"
WAITS_FOR = timedelta(seconds=1)


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


@dataclass(frozen=True)
class Reminded:
    """since: version of the labelled count whose wait was over. operation: of the last one."""

    at: datetime
    operation: UUID
    since: int


@dataclass(frozen=True)
class Tally:
    total: int = 0
    labelled: UUID | None = None


Command = Count | Picture | Check | DeadlinePassed
Event = Counted | Pictured | Checked | Reminded


def decide(command: Command, tally: Tally) -> Sequence[Event | Claim] | Refused:
    match command:
        case Count(at, operation, steps, label):
            claim = [Claim("label", label.encode(), Reason.LABEL_TAKEN)] if label else []
            counted = [Counted(at, operation, tally.total + n + 1, label) for n in range(steps)]
            return [*counted, *claim]
        case DeadlinePassed(_, since, at):
            return [Reminded(at, tally.labelled, since)] if tally.labelled else []
        case Picture(at, operation, subject):
            return [Pictured(at, operation, Personal(subject, "portrait", operation.bytes))]
        case Check(at, operation):
            return [Checked(at, operation)]


def evolve(tally: Tally, event: Event) -> Tally:
    match event:
        case Counted(_, operation, total, label):
            return Tally(total, operation if label else tally.labelled)
        case Pictured() | Checked() | Reminded():
            return tally


def waits(event: Event) -> Sequence[StartWait | EndWait]:
    match event:
        case Counted(at, _, _, label) if label:
            return [StartWait(REMINDER, at + WAITS_FOR)]
        case Reminded():
            return [EndWait(REMINDER)]
    return []


tally = Aggregate("tally", Tally(), decide, evolve, events=get_args(Event), waits=waits)
