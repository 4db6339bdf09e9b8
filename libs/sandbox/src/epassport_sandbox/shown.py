"""What the demo shows: its cast, what was expected of each, and the one passport it follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from epassport_credentials.verifier import Verdict
from epassport_sandbox.citizens import Citizen
from epassport_sandbox.observer import Seen
from epassport_sandbox.road import Walk

IN_FORCE = "passport in force"


@dataclass
class Actor:
    """One citizen of the cast with what is expected of the road."""

    role: str
    citizen: Citizen
    expected: str = IN_FORCE
    outcome: str = ""
    walk: Walk | None = None


@dataclass
class Facts:
    """What the run showed of its cast, and which expectations held."""

    expectations: dict[str, bool] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], int] = field(default_factory=dict)  # by role and outcome

    def expect(self, sentence: str, holds: bool) -> bool:
        self.expectations[sentence] = holds
        return holds

    @property
    def hold(self) -> bool:
        return all(self.expectations.values())

    @property
    def exit_code(self) -> int:
        return 0 if self.hold else 1


@dataclass(frozen=True)
class Refusal:
    """What a check answered after the loss, and how long after its report it did."""

    answer: Mapping[str, Any]
    milliseconds: float


@dataclass
class Followed:
    """The one passport that is followed: its codes, what checks said, what replaced it."""

    walk: Walk
    small_code: str = ""
    identity_code: str = ""
    timeline: list[Seen] = field(default_factory=list)
    offline: Verdict | None = None
    shop_saw: Mapping[str, Any] = field(default_factory=dict)
    bank_saw: Mapping[str, Any] = field(default_factory=dict)
    offline_after: Verdict | None = None
    card_refused: Refusal | None = None
    phone_refused: Refusal | None = None
    replacement: Walk | None = None
    replacement_code: str = ""
    public_events: list[Any] = field(default_factory=list)
