"""Any life of a lot of blanks: received is always used and spoiled and in stock."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from aggregate_life import LIVES, AggregateLife, is_caught
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from card_personalization.blank_lot import (
    BlankLot,
    BlankOf,
    BlankSpoiled,
    BlanksReceived,
    BlankUsed,
    NoteSpoiled,
    NoteUsed,
    Reason,
    ReceiveBlanks,
    aggregate,
    capacity_of,
)

LOT = "lot-1"
blanks = st.builds(BlankOf, st.integers(1, 4).map(lambda n: UUID(int=n)), st.integers(1, 2))


class BlankLotLife(AggregateLife):
    aggregate = aggregate

    @rule(count=st.sampled_from([1, 3, 5]))
    def receive(self, count: int) -> None:
        first = not self.of(BlanksReceived)
        refusal = self.send(ReceiveBlanks(self.now, LOT, count))
        assert refusal is None or not first

    @rule(blank=blanks)
    def use(self, blank: BlankOf) -> None:
        known = blank in self.state.used | self.state.spoiled
        left = self.state.in_stock
        refusal = self.send(NoteUsed(self.now, blank))
        assert (refusal is None) == (known or left > 0)

    @rule(blank=blanks)
    def spoil(self, blank: BlankOf) -> None:
        used = blank in {fact.blank for fact in self.of(BlankUsed)}
        refusal = self.send(NoteSpoiled(self.now, blank))
        assert refusal == (None if used else Reason.UNKNOWN_BLANK)

    @invariant()
    def received_is_used_and_spoiled_and_in_stock(self) -> None:
        """Counted from the facts, not from the state that decides."""
        received = sum(fact.count for fact in self.of(BlanksReceived))
        spoiled = {fact.blank for fact in self.of(BlankSpoiled)}
        used = {fact.blank for fact in self.of(BlankUsed)} - spoiled
        assert (self.state.used, self.state.spoiled) == (used, spoiled)
        assert self.state.in_stock == received - len(used) - len(spoiled)
        assert self.state.in_stock >= 0

    @invariant()
    def each_blank_is_used_once_and_spoiled_once(self) -> None:
        for kind in (BlankUsed, BlankSpoiled):
            named = [fact.blank for fact in self.of(kind)]
            assert len(named) == len(set(named))

    @invariant()
    def what_may_be_taken_is_what_was_received_once(self) -> None:
        assert self.capacities[capacity_of(LOT)] == self.state.received


BlankLotLife.TestCase.settings = LIVES
test_any_life_of_a_lot_of_blanks = BlankLotLife.TestCase


def _used_without_end(lot: BlankLot) -> BlankLot:
    return replace(lot, received=99)


def _spoiled_is_forgotten(lot: BlankLot) -> BlankLot:
    return replace(lot, spoiled=frozenset())


def _never_received(lot: BlankLot) -> BlankLot:
    return replace(lot, received=0)


@pytest.mark.parametrize(
    ("command_type", "sees"),
    [
        (NoteUsed, _used_without_end),
        (NoteUsed, _spoiled_is_forgotten),
        (ReceiveBlanks, _never_received),
    ],
    ids=["empty", "used-again", "received-again"],
)
def test_a_lot_without_one_of_these_rules_is_found_out(
    command_type: type, sees: Callable[[BlankLot], BlankLot]
) -> None:
    def decide(command: Any, lot: BlankLot) -> Any:
        return aggregate.decide(command, sees(lot) if isinstance(command, command_type) else lot)

    assert is_caught(BlankLotLife, replace(aggregate, decide=decide))


def test_a_lot_whose_spoiled_blanks_come_back_is_found_out() -> None:
    def evolve(lot: BlankLot, event: Any) -> BlankLot:
        after: BlankLot = aggregate.evolve(lot, event)
        return _spoiled_is_forgotten(after) if isinstance(event, BlankSpoiled) else after

    assert is_caught(BlankLotLife, replace(aggregate, evolve=evolve))
