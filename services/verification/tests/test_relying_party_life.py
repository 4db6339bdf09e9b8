"""Any life of a relying party: nobody is ever told more than was registered for the purpose."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aggregate_life import LIVES, AggregateLife, is_caught
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from verification.relying_party import (
    ClaimName,
    PurposeRegistered,
    Reason,
    RegisterPurpose,
    RegisterRelyingParty,
    RelyingParty,
    RelyingPartyRegistered,
    aggregate,
)

PURPOSES = ["sale-of-alcohol", "hotel", "museum"]
names = st.sampled_from(["Shop", "Hotel"])
purposes = st.sampled_from(PURPOSES)
claims = st.frozensets(st.sampled_from(ClaimName), max_size=3)


class RelyingPartyLife(AggregateLife):
    aggregate = aggregate

    @initialize()
    def begin(self) -> None:
        self.registered: dict[str, Any] = {}

    @rule(name=names)
    def register(self, name: str) -> None:
        refusal = self.send(RegisterRelyingParty(self.now, name))
        assert (refusal is None) == (self.state.name == name)

    @rule(purpose=purposes, asked=claims, basis=st.sampled_from(["law-1", "law-2"]))
    def register_purpose(self, purpose: str, asked: frozenset[ClaimName], basis: str) -> None:
        refusal = self.send(RegisterPurpose(self.now, purpose, asked, basis))
        if self.state.name is None:
            assert refusal == Reason.NOT_REGISTERED
        elif refusal is None:
            self.registered.setdefault(purpose, (asked, basis))
            assert self.registered[purpose] == (asked, basis)

    @rule(purpose=purposes, asked=claims)
    def ask(self, purpose: str, asked: frozenset[ClaimName]) -> None:
        """The claims asked for, against those that were registered first."""
        allowed = self.state.refusal(purpose, asked) is None
        known, _ = self.registered.get(purpose, (None, None))
        assert allowed == (known is not None and asked <= known)

    @invariant()
    def it_has_one_name_for_good(self) -> None:
        assert len(self.of(RelyingPartyRegistered)) <= 1
        assert not self.of(PurposeRegistered) or isinstance(self.events[0], RelyingPartyRegistered)

    @invariant()
    def a_purpose_is_registered_once(self) -> None:
        named = [fact.purpose for fact in self.of(PurposeRegistered)]
        assert len(named) == len(set(named))


RelyingPartyLife.TestCase.settings = LIVES
test_any_life_of_a_relying_party = RelyingPartyLife.TestCase


def _no_purpose_yet(party: RelyingParty) -> RelyingParty:
    return replace(party, purposes={})


def _anybody(party: RelyingParty) -> RelyingParty:
    return replace(party, name=party.name or "Shop")


def _nobody_yet(party: RelyingParty) -> RelyingParty:
    return replace(party, name=None)


@pytest.mark.parametrize(
    ("command_type", "sees"),
    [
        (RegisterPurpose, _no_purpose_yet),
        (RegisterPurpose, _anybody),
        (RegisterRelyingParty, _nobody_yet),
    ],
    ids=["another-purpose", "unregistered", "another-name"],
)
def test_a_relying_party_without_one_of_these_rules_is_found_out(
    command_type: type, sees: Callable[[RelyingParty], RelyingParty]
) -> None:
    def decide(command: Any, party: RelyingParty) -> Any:
        seen = sees(party) if isinstance(command, command_type) else party
        return aggregate.decide(command, seen)

    assert is_caught(RelyingPartyLife, replace(aggregate, decide=decide))


def test_a_purpose_that_grows_is_found_out() -> None:
    def evolve(party: RelyingParty, event: Any) -> RelyingParty:
        if isinstance(event, PurposeRegistered):
            event = replace(event, claims=tuple(ClaimName))
        after: RelyingParty = aggregate.evolve(party, event)
        return after

    assert is_caught(RelyingPartyLife, replace(aggregate, evolve=evolve))
