"""What the simulated services decide: as little as shows a lost, doubled or reordered event.

A ledger notes amounts up to a limit; every event holds the total after it. The other service
keeps a copy of each ledger, of whatever it hears: what it hears twice, it writes twice.
"""

from dataclasses import dataclass

from epassport.decider import Aggregate, Refused

LIMIT = 24


@dataclass(frozen=True)
class Note:
    amount: int


@dataclass(frozen=True)
class Noted:
    """total: of the ledger with this amount; it rises with every event of the stream."""

    amount: int
    total: int


def _decide(command: Note, total: int) -> list[Noted] | Refused:
    if total + command.amount > LIMIT:
        return Refused("ledger-full")
    return [Noted(command.amount, total + command.amount)]


def _evolve(_total: int, event: Noted) -> int:
    return event.total


ledger = Aggregate("ledger", 0, _decide, _evolve, (Noted,))


@dataclass(frozen=True)
class Follow:
    total: int


@dataclass(frozen=True)
class Followed:
    total: int


def _follow(command: Follow, _heard: int) -> list[Followed]:
    return [Followed(command.total)]


copy = Aggregate("copy", 0, _follow, lambda heard, _event: heard + 1, (Followed,))
