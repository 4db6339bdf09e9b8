"""A small aggregate for the runtime's own tests: a shelf that boxes are put on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args
from uuid import UUID

from epassport import (
    Aggregate,
    Claim,
    DeadlinePassed,
    EndWait,
    Give,
    Personal,
    Refused,
    Release,
    Secret,
    StartWait,
    Take,
    sealed,
)


@dataclass(frozen=True)
class PutBox:
    at: datetime
    label: str | None = None
    room: int = 0
    owner: UUID | None = None
    owner_required: bool = True


@dataclass(frozen=True)
class AddRoom:
    at: datetime
    n: int


@dataclass(frozen=True)
class TakeBoxes:
    at: datetime
    label: str | None = None


@dataclass(frozen=True)
class Relabel:
    """Asks for everything that a command can ask for beside its events."""

    at: datetime
    old: str
    new: str
    colour: str
    room: int = 0
    frees: int = 0


@dataclass(frozen=True)
class BoxPut:
    at: datetime
    owner: Secret[str] | None = None


@dataclass(frozen=True)
class RoomAdded:
    at: datetime
    n: int


@dataclass(frozen=True)
class BoxesTaken:
    at: datetime


@dataclass(frozen=True)
class Relabelled:
    at: datetime


@dataclass(frozen=True)
class ShelfForgotten:
    at: datetime


@dataclass(frozen=True)
class Shelf:
    boxes: int = 0
    owners: tuple[Any, ...] = ()


Event = BoxPut | RoomAdded | BoxesTaken | Relabelled | ShelfForgotten
FULL = "shelf-full"
LABEL_TAKEN = "shelf-label-taken"
COLOUR_TAKEN = "shelf-colour-taken"
NO_ROOM = "shelf-no-room"
LIMIT = 3


def decide(command: Any, shelf: Shelf, *others: Shelf) -> Sequence[Any] | Refused:
    match command:
        case PutBox(at, label, room, owner, required):
            if shelf.boxes + sum(other.boxes for other in others) >= LIMIT:
                return Refused(FULL)
            number = "900123456"
            secret = owner and Personal(owner, "document-number", number, required=required)
            return [
                BoxPut(at, secret),
                *([Claim("label", label.encode(), LABEL_TAKEN)] if label else []),
                *([Take("room", room, NO_ROOM)] if room else []),
            ]
        case AddRoom(at, n):
            return [RoomAdded(at, n), Give("room", n)]
        case TakeBoxes(at, label):
            release = [Release("label", label.encode())] if label else []
            return [BoxesTaken(at), *release] if shelf.boxes else []
        case Relabel(at, old, new, colour, room, frees):
            return [
                Relabelled(at),
                Release("label", old.encode()),
                Claim("colour", colour.encode(), COLOUR_TAKEN),
                Claim("label", new.encode(), LABEL_TAKEN),
                *([Take("room", room, NO_ROOM)] if room else []),
                *([Give("wall", frees)] if frees else []),
            ]
        case DeadlinePassed(_, _, at):
            return [ShelfForgotten(at)] if shelf.boxes else []
    raise AssertionError(command)


def evolve(shelf: Shelf, event: Event) -> Shelf:
    match event:
        case BoxPut(_, owner):
            owners = shelf.owners if owner is None else (*shelf.owners, sealed(owner))
            return Shelf(shelf.boxes + 1, owners)
        case BoxesTaken():
            return Shelf()
        case RoomAdded() | Relabelled() | ShelfForgotten():
            return shelf


def waits(event: Event) -> Sequence[StartWait | EndWait]:
    match event:
        case BoxPut(at):
            return [StartWait("forgotten", at + timedelta(hours=1))]
        case BoxesTaken() | ShelfForgotten():
            return [EndWait("forgotten")]
    return []


shelf = Aggregate("shelf", Shelf(), decide, evolve, events=get_args(Event), waits=waits)
