"""From the packing table to the holder's hand, and what others hear of it."""

from typing import Any
from uuid import UUID

import pytest
from card_lives import (
    ACCEPTED,
    ACTIVE,
    ALLOCATED,
    APPLICATION,
    AT,
    BATCH,
    CHIP_FILES,
    COMPLETE,
    DISPATCHED,
    HOLDER,
    INSPECTOR,
    LATER,
    LOST,
    OFFICE,
    OFFICER,
    OPEN_BATCH,
    OTHER,
    OVERDUE,
    PACKED,
    PACKER,
    PREPARED,
    RECEIVED,
    RETURNED,
    WRITTEN,
)

from card_personalization import batch, card
from card_personalization.batch import MAX_CARDS, BatchClosed, BatchOpened, CardNoted
from card_personalization.card_commands import (
    ActivateCard,
    AllocateBlank,
    DispatchCard,
    OfficerId,
    PackCard,
    Reason,
    ReceiveCard,
    RecordChip,
    ReportLostInTransit,
    ReturnCard,
)
from card_personalization.card_events import (
    CardActivated,
    CardDispatched,
    CardLostInTransit,
    CardPacked,
    CardReceived,
    CardReturned,
    Event,
)
from epassport.testing import Specification

given = Specification(card.aggregate).given


FULL = range(MAX_CARDS)


def test_an_accepted_card_is_packed_once_by_somebody_else() -> None:
    packing = PackCard(LATER, PACKER, BATCH)
    given(*ACCEPTED).reading(OPEN_BATCH).when(packing).then(CardPacked(LATER, PACKER, BATCH))
    given(*PACKED).reading(OPEN_BATCH).when(packing).then_nothing()


def test_the_inspector_of_a_card_may_not_pack_it() -> None:
    packing = PackCard(AT, INSPECTOR, BATCH)
    given(*ACCEPTED).reading(OPEN_BATCH).when(packing).then_refused(Reason.FOUR_EYES)


def test_the_same_subject_of_another_issuer_is_another_person() -> None:
    namesake = OfficerId("https://other", INSPECTOR.subject)
    packing = PackCard(AT, namesake, BATCH)
    given(*ACCEPTED).reading(OPEN_BATCH).when(packing).then(CardPacked(AT, namesake, BATCH))


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], Reason.BATCH_UNKNOWN),
        ([BatchOpened(AT, "office-2")], Reason.BATCH_OF_OTHER_OFFICE),
        ([BatchOpened(AT, OFFICE), BatchClosed(AT)], Reason.BATCH_CLOSED),
        (
            [
                BatchOpened(AT, OFFICE),
                *(CardNoted(AT, UUID(int=n), None) for n in range(MAX_CARDS)),
            ],
            Reason.BATCH_FULL,
        ),
    ],
)
def test_a_card_is_packed_only_into_an_open_batch_of_its_office(
    events: list[Any], reason: Reason
) -> None:
    there = batch.aggregate.state_after(events)
    packing = PackCard(AT, PACKER, BATCH)
    given(*ACCEPTED).reading(there).when(packing).then_refused(reason)


@pytest.mark.parametrize("life", [COMPLETE, PREPARED, ALLOCATED, WRITTEN])
def test_only_an_accepted_card_is_packed(life: list[Event]) -> None:
    packing = PackCard(AT, PACKER, BATCH)
    given(*life).reading(OPEN_BATCH).when(packing).then_refused(Reason.NOT_ACCEPTED)


def test_a_packed_card_is_in_one_batch() -> None:
    packing = PackCard(AT, PACKER, OTHER)
    given(*PACKED).reading(OPEN_BATCH).when(packing).then_refused(Reason.ALREADY_PACKED)


def test_a_packed_card_leaves_with_its_batch_once() -> None:
    leaving = DispatchCard(LATER, BATCH, "courier-7")
    given(*PACKED).when(leaving).then(CardDispatched(LATER, BATCH, "courier-7"))
    given(*DISPATCHED).when(leaving).then_nothing()
    given(*ACCEPTED).when(leaving).then_refused(Reason.NOT_PACKED)
    given(*PACKED).when(DispatchCard(AT, OTHER, "c")).then_refused(Reason.NOT_PACKED)


def test_the_office_of_the_order_confirms_the_card_once() -> None:
    arriving = ReceiveCard(LATER, OFFICER, OFFICE)
    received = CardReceived(LATER, APPLICATION, HOLDER, OFFICE, by=OFFICER)
    given(*DISPATCHED).when(arriving).then(received)
    given(*RECEIVED).when(arriving).then_nothing()
    given(*ACTIVE).when(arriving).then_nothing()


@pytest.mark.parametrize("office", ["office-2", None])
def test_another_office_neither_receives_nor_returns_the_card(office: str | None) -> None:
    given(*DISPATCHED).when(ReceiveCard(AT, OFFICER, office)).then_refused(Reason.OTHER_OFFICE)
    given(*OVERDUE).when(ReturnCard(AT, OFFICER, office)).then_refused(Reason.OTHER_OFFICE)


@pytest.mark.parametrize(
    ("life", "reason"),
    [
        (COMPLETE, Reason.NOT_DISPATCHED),
        (PACKED, Reason.NOT_DISPATCHED),
        (LOST, Reason.LOST),
        (RETURNED, Reason.RETURNED),
    ],
)
def test_only_a_card_on_its_way_is_received(life: list[Event], reason: Reason) -> None:
    given(*life).when(ReceiveCard(AT, OFFICER, OFFICE)).then_refused(reason)


def test_a_card_on_its_way_can_be_lost_once() -> None:
    lost = CardLostInTransit(LATER, APPLICATION, HOLDER, OFFICE, by=OFFICER)
    given(*DISPATCHED).when(ReportLostInTransit(LATER, OFFICER)).then(lost)
    given(*LOST).when(ReportLostInTransit(LATER, OFFICER)).then_nothing()
    report = ReportLostInTransit(AT, OFFICER)
    given(*PACKED).when(report).then_refused(Reason.NOT_DISPATCHED)
    for life in (RECEIVED, RETURNED, ACTIVE):
        given(*life).when(report).then_refused(Reason.ALREADY_RECEIVED)


def test_a_card_lost_in_transit_is_never_made_again() -> None:
    given(*LOST).when(AllocateBlank(AT, "lot-1")).then_nothing()
    given(*LOST).when(RecordChip(AT, CHIP_FILES, None)).then_nothing()


def test_an_uncollected_card_goes_back_once() -> None:
    sending = ReturnCard(LATER, OFFICER, OFFICE)
    given(*OVERDUE).when(sending).then(CardReturned(LATER, APPLICATION, HOLDER, OFFICE, by=OFFICER))
    given(*RETURNED).when(sending).then_nothing()
    given(*RECEIVED).when(sending).then_refused(Reason.NOT_OVERDUE)
    given(*DISPATCHED).when(sending).then_refused(Reason.NOT_RECEIVED)
    given(*ACTIVE).when(sending).then_refused(Reason.ACTIVE)


def test_a_received_card_comes_into_force_once_and_names_its_predecessor() -> None:
    active = CardActivated(LATER, APPLICATION, HOLDER, OFFICE, predecessor=OTHER)
    given(*RECEIVED).when(ActivateCard(LATER, OTHER)).then(active)
    given(*ACTIVE).when(ActivateCard(LATER, OTHER)).then_nothing()


@pytest.mark.parametrize("life", [COMPLETE, WRITTEN, DISPATCHED, RETURNED, LOST])
def test_only_a_received_card_comes_into_force(life: list[Event]) -> None:
    given(*life).when(ActivateCard(AT, None)).then_refused(Reason.NOT_RECEIVED)
