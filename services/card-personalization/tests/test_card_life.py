"""Any life of a card: made once for its order, by four eyes, never after it was lost or blocked."""

from dataclasses import replace
from typing import Any

import pytest
from aggregate_life import LIVES, AggregateLife, is_caught
from card_lives import BATCH, INDEX, INSPECTOR, OFFICE, ORDER, OTHER, PACKER, PREPARED_FILES
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from card_personalization import batch
from card_personalization.batch import BatchOpened
from card_personalization.blank_lot import capacity_of
from card_personalization.card import Wait, aggregate
from card_personalization.card_commands import (
    AcceptQuality,
    ActivateCard,
    AllocateBlank,
    BlockCard,
    BlockCause,
    DispatchCard,
    NoteBlanksMissing,
    OfficerId,
    PackCard,
    Reason,
    ReceiveCard,
    RecordChip,
    RecordChipData,
    RejectQuality,
    ReportLostInTransit,
    ReturnCard,
    StoreImage,
)
from card_personalization.card_events import (
    BlankAllocated,
    Card,
    CardActivated,
    CardBlocked,
    CardDispatched,
    CardLostInTransit,
    CardOrdered,
    CardPacked,
    CardReceived,
    CardReturned,
    CardSpoiled,
    ChipDataPrepared,
    ChipReadBack,
    ChipWritten,
    CollectionOverdue,
    ImageStored,
    IndexAssigned,
    QualityAccepted,
    Status,
)

BLANKS = 3
LOT = "lot-1"
OPENED = batch.aggregate.state_after([BatchOpened(ORDER.at, OFFICE)])
officers = st.sampled_from([INSPECTOR, PACKER])
offices = st.sampled_from([OFFICE, OFFICE, "office-2"])


class CardLife(AggregateLife):
    aggregate = aggregate
    says_more = (NoteBlanksMissing, AllocateBlank, RecordChip, RejectQuality)

    @initialize(steps=st.integers(0, 11))
    def begin(self, steps: int) -> None:
        """Some way along the good road: by chance alone nothing ever gets far."""
        self.capacities[capacity_of(LOT)] = BLANKS
        road: list[tuple[Any, ...]] = [
            (ORDER,),
            (INDEX,),
            (StoreImage(self.now, "ab" * 32),),
            (RecordChipData(self.now, PREPARED_FILES),),
            (AllocateBlank(self.now, LOT),),
            (RecordChip(self.now, {"DG15": ("k1",)}, None),),
            (AcceptQuality(self.now, INSPECTOR),),
            (PackCard(self.now, PACKER, BATCH), OPENED),
            (DispatchCard(self.now, BATCH, "courier-7"),),
            (ReceiveCard(self.now, PACKER, OFFICE),),
            (ActivateCard(self.now, None),),
        ]
        for step in road[:steps]:
            assert self.send(*step) is None

    @rule()
    def order(self) -> None:
        self.send(ORDER)

    @rule()
    def assign(self) -> None:
        self.send(INDEX)

    @rule(digest=st.sampled_from(["ab" * 32, "cd" * 32]))
    def store(self, digest: str) -> None:
        self.send(StoreImage(self.now, digest))

    @rule()
    def prepare(self) -> None:
        self.send(RecordChipData(self.now, PREPARED_FILES))

    @rule()
    def allocate(self) -> None:
        before = len(self.events)
        refusal = self.send(AllocateBlank(self.now, LOT))
        if refusal == Reason.LOT_EMPTY:
            assert self.capacities[capacity_of(LOT)] == 0
            assert len(self.events) == before

    @rule()
    def miss(self) -> None:
        self.send(NoteBlanksMissing(self.now))

    @rule(fault=st.sampled_from([None, None, "wrong-signature"]))
    def write(self, fault: str | None) -> None:
        self.send(RecordChip(self.now, {"DG15": ("k1",)}, fault))

    @rule(by=officers)
    def accept(self, by: OfficerId) -> None:
        self.send(AcceptQuality(self.now, by))

    @rule(by=officers)
    def reject(self, by: OfficerId) -> None:
        self.send(RejectQuality(self.now, by, "scratched"))

    @rule(by=officers, batch_id=st.sampled_from([BATCH, OTHER]))
    def pack(self, by: OfficerId, batch_id: Any) -> None:
        self.send(PackCard(self.now, by, batch_id), OPENED)

    @rule()
    def dispatch(self) -> None:
        self.send(DispatchCard(self.now, BATCH, "courier-7"))

    @rule(by=officers, office=offices)
    def receive(self, by: OfficerId, office: str) -> None:
        self.send(ReceiveCard(self.now, by, office))

    @rule(by=officers)
    def lose(self, by: OfficerId) -> None:
        self.send(ReportLostInTransit(self.now, by))

    @rule(by=officers, office=offices)
    def send_back(self, by: OfficerId, office: str) -> None:
        self.send(ReturnCard(self.now, by, office))

    @rule()
    def activate(self) -> None:
        self.send(ActivateCard(self.now, None))

    @rule(cause=st.sampled_from(BlockCause), often=st.integers(0, 9))
    def block(self, cause: BlockCause, often: int) -> None:
        """Seldom, or no card would live long enough to be lost."""
        if often == 0:
            self.send(BlockCard(self.now, cause))

    @invariant()
    def each_part_and_each_end_comes_once(self) -> None:
        once = (CardOrdered, IndexAssigned, ImageStored, ChipDataPrepared, QualityAccepted)
        ends = (CardPacked, CardDispatched, CardReceived, CardActivated, CardBlocked)
        for kind in (*once, *ends, CardReturned, CardLostInTransit):
            assert len(self.of(kind)) <= 1, kind.__name__

    @invariant()
    def blanks_balance(self) -> None:
        """One taken from the lot for each allocated, the next only when the last was spoiled."""
        allocated, spoiled = self.of(BlankAllocated), self.of(CardSpoiled)
        assert [fact.blank for fact in allocated] == list(range(1, len(allocated) + 1))
        assert BLANKS - self.capacities[capacity_of(LOT)] == len(allocated)
        assert 0 <= len(allocated) - len(spoiled) <= 1
        assert len(self.of(ChipWritten)) <= len(allocated)

    @invariant()
    def only_a_good_card_is_accepted(self) -> None:
        """It is tried wherever a life has come to: by chance the wrong moment seldom is."""
        read_back = self.of(ChipReadBack)
        if self.would_do(AcceptQuality(self.now, INSPECTOR)):
            assert read_back[-1].fault is None
            assert len(read_back) == len(self.of(CardSpoiled)) + 1, "rejected and not made again"

    @invariant()
    def an_accepted_card_is_packed_by_somebody_else(self) -> None:
        for officer in (INSPECTOR, PACKER):
            if self.would_do(PackCard(self.now, officer, BATCH), OPENED):
                (accepted,) = self.of(QualityAccepted)
                assert accepted.by != officer

    @invariant()
    def nothing_is_prepared_without_order_index_and_face(self) -> None:
        if self.would_do(RecordChipData(self.now, PREPARED_FILES)):
            assert [len(self.of(k)) for k in (CardOrdered, IndexAssigned, ImageStored)] == [1, 1, 1]

    @invariant()
    def a_lost_or_blocked_card_is_never_made_or_handed_over(self) -> None:
        if not self.of(CardLostInTransit, CardBlocked):
            return
        for wrong in (
            AllocateBlank(self.now, LOT),
            RecordChip(self.now, {"DG15": ("k1",)}, None),
            AcceptQuality(self.now, INSPECTOR),
            DispatchCard(self.now, BATCH, "courier-7"),
            ReceiveCard(self.now, PACKER, OFFICE),
            ReturnCard(self.now, PACKER, OFFICE),
            ActivateCard(self.now, None),
        ):
            assert not self.would_do(wrong), wrong
        assert not self.would_do(PackCard(self.now, PACKER, BATCH), OPENED)

    @invariant()
    def only_a_received_card_is_activated_or_sent_back(self) -> None:
        is_here = bool(self.of(CardReceived)) and not self.of(CardActivated, CardReturned)
        if self.would_do(ActivateCard(self.now, None)):
            assert is_here
        if self.would_do(ReturnCard(self.now, PACKER, OFFICE)):
            assert is_here
            assert self.of(CollectionOverdue)

    @invariant()
    def what_is_blocked_waits_for_nothing(self) -> None:
        if self.state.status is Status.BLOCKED:
            assert self.waits == {}

    @invariant()
    def every_wait_on_somebody_else_has_its_deadline_or_has_passed_it(self) -> None:
        waits = {Status.DISPATCHED: Wait.TRANSIT, Status.RECEIVED: Wait.COLLECTION}
        wait = waits.get(self.state.status)
        overdue = [fact for fact in self.events if type(fact).__name__.endswith("Overdue")]
        if wait is not None and not overdue:
            assert wait in self.waits


CardLife.TestCase.settings = LIVES
test_any_life_of_a_card = CardLife.TestCase


@pytest.mark.parametrize(
    "blind_to", [{"inspector": None}, {"fault": None}, {"is_overdue_for_collection": True}], ids=str
)
def test_a_card_without_one_of_these_rules_is_found_out(blind_to: dict[str, Any]) -> None:
    def decide(command: Any, card: Card, *others: Any) -> Any:
        return aggregate.decide(command, replace(card, **blind_to), *others)

    assert is_caught(CardLife, replace(aggregate, decide=decide))
