"""Echo: everything that was heard of one tally, noted as often as it was applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from epassport import Aggregate


class What(StrEnum):
    COUNT = "count"
    PICTURE = "picture"


@dataclass(frozen=True)
class Echo:
    at: datetime
    operation: UUID
    what: What


@dataclass(frozen=True)
class Echoed:
    at: datetime
    operation: UUID
    what: What


def decide(command: Echo, _heard: int) -> Sequence[Echoed]:
    """Asked twice, noted twice: whoever applies a record again is seen."""
    return [Echoed(command.at, command.operation, command.what)]


def evolve(heard: int, _event: Echoed) -> int:
    return heard + 1


echo = Aggregate("echo", 0, decide, evolve, events=(Echoed,))
