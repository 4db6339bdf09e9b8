"""Stock balances, whatever happens to cards."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import given as for_all
from hypothesis import strategies as st

from card_personalization import blank_lot, card, reactions
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
)
from card_personalization.card_commands import (
    AcceptQuality,
    AllocateBlank,
    BlockCard,
    BlockCause,
    OfficerId,
    RecordChip,
    RejectQuality,
)
from card_personalization.card_events import (
    BlankAllocated,
    Card,
    CardSpoiled,
    ChipDataPrepared,
)
from epassport import Give, Recorded, Refused, Take
from epassport.actor import service_actor
from epassport.events import Origin
from epassport.testing import Specification

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
FIRST, SECOND = BlankOf(UUID(int=1), 1), BlankOf(UUID(int=1), 2)
INSPECTOR = OfficerId("https://id", "inspector")

given = Specification(blank_lot.aggregate).given


def test_a_lot_is_received_once_and_fills_its_capacity() -> None:
    receive = ReceiveBlanks(AT, "lot-1", 3)
    given().when(receive).then(BlanksReceived(AT, 3), Give("blanks/lot-1", 3))
    given(BlanksReceived(AT, 3)).when(receive).then_nothing()


def test_a_lot_is_not_received_again_with_another_count() -> None:
    again = ReceiveBlanks(AT, "lot-1", 4)
    given(BlanksReceived(AT, 3)).when(again).then_refused(Reason.ALREADY_RECEIVED)


def test_a_used_blank_is_counted_once() -> None:
    given(BlanksReceived(AT, 3)).when(NoteUsed(AT, FIRST)).then(BlankUsed(AT, FIRST))
    used = given(BlanksReceived(AT, 3), BlankUsed(AT, FIRST))
    used.when(NoteUsed(AT, FIRST)).then_nothing()
    used.when(NoteUsed(AT, SECOND)).then(BlankUsed(AT, SECOND))


def test_no_more_blanks_are_used_than_were_received() -> None:
    given().when(NoteUsed(AT, FIRST)).then_refused(Reason.UNKNOWN)
    full = given(BlanksReceived(AT, 1), BlankUsed(AT, FIRST))
    full.when(NoteUsed(AT, SECOND)).then_refused(Reason.EMPTY)


def test_a_spoiled_blank_is_spoiled_once_and_used_no_more() -> None:
    used = given(BlanksReceived(AT, 3), BlankUsed(AT, FIRST))
    used.when(NoteSpoiled(AT, FIRST)).then(BlankSpoiled(AT, FIRST))
    spoiled = given(BlanksReceived(AT, 3), BlankUsed(AT, FIRST), BlankSpoiled(AT, FIRST))
    assert spoiled.state == BlankLot(3, frozenset(), frozenset({FIRST}))
    spoiled.when(NoteSpoiled(AT, FIRST)).then_nothing()
    spoiled.when(NoteUsed(AT, FIRST)).then_nothing()


def test_only_a_used_blank_is_spoiled() -> None:
    given(BlanksReceived(AT, 3)).when(NoteSpoiled(AT, FIRST)).then_refused(Reason.UNKNOWN_BLANK)


@dataclass
class Bureau:
    """Cards and one lot, joined as the group and the reactions join them."""

    left: int
    lot: BlankLot
    cards: dict[UUID, Card] = field(default_factory=dict)
    allocated: int = 0
    spoiled: int = 0

    def send(self, ref: UUID, command: Any) -> None:
        state = self.cards.setdefault(ref, Card())
        decided = card.decide(command, state)
        if isinstance(decided, Refused):
            return
        taken = sum(item.n for item in decided if isinstance(item, Take))
        if taken > self.left:
            return
        self.left -= taken
        for event in decided:
            if not isinstance(event, Take):
                self.cards[ref] = card.evolve(self.cards[ref], event)
                self.react(ref, event)

    def react(self, ref: UUID, event: Any) -> None:
        origin = Origin(service_actor("test"), ref)
        recorded = Recorded(event, card.stream(ref), 1, 0, 1, ref, origin, AT)
        sends = []
        if isinstance(event, BlankAllocated):
            self.allocated += 1
            sends = reactions.note_used(recorded)
        elif isinstance(event, CardSpoiled):
            self.spoiled += 1
            sends = reactions.note_spoiled(recorded)
        for send in sends:
            assert send.stream == "blank-lot/lot-1"
            decided = blank_lot.decide(send.command, self.lot)
            assert not isinstance(decided, Refused)
            for fact in decided:
                assert not isinstance(fact, Give)
                self.lot = blank_lot.evolve(self.lot, fact)


STEPS: list[Any] = [
    AllocateBlank(AT, "lot-1"),
    RecordChip(AT, {}, None),
    RecordChip(AT, {}, "wrong-signature"),
    AcceptQuality(AT, INSPECTOR),
    RejectQuality(AT, INSPECTOR, "scratched"),
    BlockCard(AT, BlockCause.APPLICATION_REJECTED),
]


@for_all(
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(STEPS)), max_size=60),
)
def test_received_is_always_used_and_spoiled_and_in_stock(
    count: int, sequence: list[tuple[int, Any]]
) -> None:
    bureau = Bureau(count, blank_lot.evolve(BlankLot(), BlanksReceived(AT, count)))
    for number in (1, 2, 3):
        bureau.cards[UUID(int=number)] = card.evolve(Card(), ChipDataPrepared(AT, {}))
    for number, command in sequence:
        bureau.send(UUID(int=number), command)
        lot = bureau.lot
        assert count == len(lot.used) + len(lot.spoiled) + lot.in_stock
        assert lot.in_stock == bureau.left >= 0
        assert len(lot.spoiled) == bureau.spoiled
        assert len(lot.used) == bureau.allocated - bureau.spoiled
