"""Rollout: from which day a region takes part, with how many passports, and what is stopped.

One stream per region (ISO 3166-2). The quota is a capacity: opening gives it, every
application takes one, a rejected or withdrawn one gives it back. A pause stops new work of
one step at once; what has begun goes on. Nothing here looks at age or person.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import get_args

from epassport import Aggregate, Give, Refused
from epassport_contracts.events.enrollment import PausedStep


class Reason(StrEnum):
    NOT_OPENED = "rollout-not-opened"
    ALREADY_OPENED = "rollout-already-opened"


@dataclass(frozen=True)
class OpenRollout:
    at: datetime
    region: str
    opens_on: date
    quota: int


@dataclass(frozen=True)
class PauseRollout:
    at: datetime
    step: PausedStep
    reason: str


@dataclass(frozen=True)
class ResumeRollout:
    at: datetime
    step: PausedStep


@dataclass(frozen=True)
class RolloutOpened:
    at: datetime
    opens_on: date
    quota: int


@dataclass(frozen=True)
class RolloutPaused:
    at: datetime
    step: PausedStep
    reason: str


@dataclass(frozen=True)
class RolloutResumed:
    at: datetime
    step: PausedStep


@dataclass(frozen=True)
class Rollout:
    """opens_on is None for a region that nobody has opened."""

    opens_on: date | None = None
    quota: int = 0
    paused: frozenset[PausedStep] = frozenset()

    def is_open_on(self, day: date) -> bool:
        return self.opens_on is not None and self.opens_on <= day

    def is_paused(self, step: PausedStep) -> bool:
        return step in self.paused


Command = OpenRollout | PauseRollout | ResumeRollout
Event = RolloutOpened | RolloutPaused | RolloutResumed

initial = Rollout()


def quota_of(region: str) -> str:
    """The capacity that holds what is left of a region's quota."""
    return f"rollout/{region}"


def decide(command: Command, rollout: Rollout) -> list[Event | Give] | Refused:
    match command:
        case OpenRollout(at, region, opens_on, quota):
            if rollout.opens_on is None:
                return [RolloutOpened(at, opens_on, quota), Give(quota_of(region), quota)]
            if (rollout.opens_on, rollout.quota) == (opens_on, quota):
                return []
            return Refused(Reason.ALREADY_OPENED)
        case PauseRollout(at, step, reason):
            if rollout.opens_on is None:
                return Refused(Reason.NOT_OPENED)
            return [] if rollout.is_paused(step) else [RolloutPaused(at, step, reason)]
        case ResumeRollout(at, step):
            if rollout.opens_on is None:
                return Refused(Reason.NOT_OPENED)
            return [RolloutResumed(at, step)] if rollout.is_paused(step) else []


def evolve(rollout: Rollout, event: Event) -> Rollout:
    match event:
        case RolloutOpened(_, opens_on, quota):
            return replace(rollout, opens_on=opens_on, quota=quota)
        case RolloutPaused(_, step, _):
            return replace(rollout, paused=rollout.paused | {step})
        case RolloutResumed(_, step):
            return replace(rollout, paused=rollout.paused - {step})


aggregate = Aggregate("rollout", initial, decide, evolve, events=get_args(Event))
stream = aggregate.stream
