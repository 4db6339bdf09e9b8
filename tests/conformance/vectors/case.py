"""One vector: what arrives, and what each stage says of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from epassport_credentials.errors import InvalidCredential
from tests.conformance.vectors.world import NOW

Inputs = Mapping[str, str | int | list[str] | dict[str, str] | None]
Step = tuple[str, Callable[[Any], object]]
Stages = list[list[str]]

OK = "ok"


@dataclass(frozen=True)
class Case:
    """stages: name and result of each, in order; the first that is not "ok" ends them, but for
    the verdict of an offline check, which is always given."""

    name: str
    inputs: Inputs
    stages: Stages
    now: datetime = field(default=NOW)

    def written(self) -> dict[str, object]:
        return {
            "name": self.name,
            "now": int(self.now.timestamp()),
            "inputs": dict(self.inputs),
            "stages": self.stages,
        }


def passed(*names: str) -> Stages:
    return [[name, OK] for name in names]


def until(names: tuple[str, ...], failing: str, reason: str) -> Stages:
    return [*passed(*names[: names.index(failing)]), [failing, reason]]


def through(value: object, steps: Iterable[Step]) -> Stages:
    """Each step gets what the one before it returned."""
    stages: Stages = []
    for name, step in steps:
        try:
            value = step(value)
        except InvalidCredential as refusal:
            return [*stages, [name, refusal.reason.value]]
        stages.append([name, OK])
    return stages
