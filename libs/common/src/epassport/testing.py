"""given(...).when(...).then(...): the rules of an aggregate as sentences, without a database.

    given = Specification(aggregate).given

    def test_revoking_twice_records_it_once() -> None:
        given(*LIFE).when(RevokeDocument(EVENING)).then_nothing()

Events given with `Personal` fields are sealed by a test seal first, as the store would.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from epassport.access import Anyone
from epassport.decider import Aggregate, Claim, Give, Refused, Release, Take
from epassport.http import Routes
from epassport.personal import Personal
from epassport_contracts import Sealed
from epassport_contracts.fields import encode_field

T = TypeVar("T")


def test_seal(secret: Personal[T]) -> Sealed[T]:
    """An envelope that seals nothing: its ciphertext is the plaintext. For tests alone."""
    return Sealed(
        subject=secret.subject,
        purpose=secret.purpose,
        generation=0,
        field=secret.field,
        nonce=bytes(12),
        ct=encode_field(secret.field, secret.value),
    )


test_seal.__test__ = False  # type: ignore[attr-defined]


def sealed_event(event: Any) -> Any:
    """The event as `evolve` sees it: every `Personal` under the test seal."""
    if not is_dataclass(event) or isinstance(event, type):
        return event
    changes = {
        item.name: test_seal(value)
        for item in fields(event)
        if isinstance(value := getattr(event, item.name), Personal)
    }
    return replace(event, **changes) if changes else event


def rights_of(routes: Iterable[Routes]) -> dict[str, set[str]]:
    """Role -> operations: the access tables read from the other side. `anyone` needs no token."""
    found: dict[str, set[str]] = {}
    for row in (row for module in routes for row in module.rows()):
        roles = ["anyone"] if isinstance(row.allowed, Anyone) else row.allowed
        for role in roles:
            found.setdefault(role, set()).add(row.operation)
    return found


@dataclass(frozen=True)
class Specification:
    aggregate: Aggregate

    def given(self, *events: Any) -> "Given":
        return Given(self.aggregate, tuple(sealed_event(event) for event in events))

    def state_after(self, events: Sequence[Any], commands: Sequence[Any]) -> Any:
        """The state when each command is decided in turn; refusals change nothing."""
        state = self.given(*events).state
        for command in commands:
            decision = self.aggregate.decide(command, state)
            if not isinstance(decision, Refused):
                for item in decision:
                    if isinstance(item, self.aggregate.events):
                        state = self.aggregate.evolve(state, sealed_event(item))
        return state


@dataclass(frozen=True)
class Given:
    aggregate: Aggregate
    events: tuple[Any, ...]
    others: tuple[Any, ...] = ()

    def reading(self, *states: Any) -> "Given":
        """States of other streams that the command reads."""
        return replace(self, others=states)

    @property
    def state(self) -> Any:
        return self.aggregate.state_after(self.events)

    def when(self, command: Any) -> "Then":
        return Then(self.aggregate.decide(command, self.state, *self.others))


@dataclass(frozen=True)
class Then:
    decision: Any

    def then(self, *expected: Any) -> None:
        """Events, claims and capacities, whole and in order."""
        assert list(self._decided()) == list(expected), self.decision

    def then_events(self, *expected: Any) -> None:
        """The events alone, whole and in order; claims and capacities are looked at elsewhere."""
        beside = (Claim, Release, Take, Give)
        events = [item for item in self._decided() if not isinstance(item, beside)]
        assert events == list(expected), self.decision

    def then_nothing(self) -> None:
        assert list(self._decided()) == [], self.decision

    def then_refused(self, reason: str) -> None:
        assert self.decision == Refused(reason), self.decision

    def _decided(self) -> Sequence[Any]:
        assert not isinstance(self.decision, Refused), self.decision
        decided: Sequence[Any] = self.decision
        return decided
