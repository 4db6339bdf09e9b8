"""Any life of a stream: whatever is asked of it, in whatever order, as group and timer run it."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from epassport.decider import (
    Aggregate,
    Claim,
    DeadlinePassed,
    EndWait,
    Give,
    Refused,
    Release,
    StartWait,
    Take,
)
from epassport.testing import sealed_event

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # a Monday, noon in Moscow
LIVES = settings(max_examples=200, stateful_step_count=30, deadline=None)


class AggregateLife(RuleBasedStateMachine):
    """One stream with its waits, claims and capacities.

    says_more: commands that may say something new each time they are sent
    """

    aggregate: ClassVar[Aggregate]
    says_more: ClassVar[tuple[type, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.state: Any = self.aggregate.initial
        self.events: list[Any] = []
        self.waits: dict[str, datetime] = {}
        self.claims: set[tuple[str, bytes]] = set()
        self.capacities: Counter[str] = Counter()
        self.now = START

    def send(self, command: Any, *others: Any) -> str | None:
        """The refusal, or None where it was accepted. What was accepted is not said twice."""
        decision = self.aggregate.decide(command, self.state, *others)
        if isinstance(decision, Refused):
            return decision.reason
        short = next((t for t in decision if isinstance(t, Take) and self._is_short(t)), None)
        if short is not None:
            return short.refusal
        for item in decision:
            self._apply(item)
        if decision and not isinstance(command, (DeadlinePassed, *self.says_more)):
            again = self.aggregate.decide(command, self.state, *others)
            assert isinstance(again, Refused) or not list(again), f"said twice: {command}"
        return None

    def would_do(self, command: Any, *others: Any) -> bool:
        """Whether something new would happen; nothing does."""
        decision = self.aggregate.decide(command, self.state, *others)
        return not isinstance(decision, Refused) and bool(list(decision))

    def _is_short(self, take: Take) -> bool:
        return self.capacities[take.kind] < take.n

    def _apply(self, item: Any) -> None:
        match item:
            case Take(kind, n):
                self.capacities[kind] -= n
            case Give(kind, n):
                self.capacities[kind] += n
            case Claim(kind, digest):
                self.claims.add((kind, digest))
            case Release(kind, digest):
                self.claims.discard((kind, digest))
            case _:
                self._record(item)

    def _record(self, fact: Any) -> None:
        fact = sealed_event(fact)
        assert isinstance(fact, self.aggregate.events)
        self.state = self.aggregate.evolve(self.state, fact)
        self.events.append(fact)
        for wait in self.aggregate.waits(fact):
            match wait:
                case StartWait(kind, due_at):
                    self.waits[kind] = due_at
                case EndWait(kind):
                    self.waits.pop(kind, None)

    def of(self, *kinds: type) -> list[Any]:
        """The events of these kinds so far."""
        return [fact for fact in self.events if isinstance(fact, kinds)]

    @rule(hours=st.sampled_from([0, 1, 30, 24 * 15, 24 * 70]))
    def time_passes(self, hours: int) -> None:
        """Deadlines in the order in which they are due; the group takes each out as it is sent."""
        self.now += timedelta(hours=hours)
        for kind, due_at in sorted(self.waits.items(), key=lambda item: item[1]):
            if due_at <= self.now and self.waits.get(kind) == due_at:
                del self.waits[kind]
                assert self.send(DeadlinePassed(kind, 1, self.now)) is None


def is_caught(life: type[AggregateLife], broken: Aggregate) -> bool:
    """Whether one of the lives fails where the aggregate lacks a rule: what they never come to
    is not proved by them."""
    planted = type(f"Broken{life.__name__}", (life,), {"aggregate": broken})
    first = settings(LIVES, phases=[Phase.generate], report_multiple_bugs=False, database=None)
    try:
        run_state_machine_as_test(planted, settings=first)
    except AssertionError:
        return True
    return False
