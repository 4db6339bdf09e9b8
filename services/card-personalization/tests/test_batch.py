"""A batch goes one way: opened, closed, dispatched."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from card_personalization import batch
from card_personalization.batch import (
    BatchClosed,
    BatchDispatched,
    BatchOpened,
    CardNoted,
    CloseBatch,
    DispatchBatch,
    NoteCard,
    OpenBatch,
    Reason,
)
from epassport.testing import Specification

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
A, B = UUID(int=1), UUID(int=2)
OPENED = BatchOpened(AT, "office-1")
CLOSED: list[Any] = [OPENED, CardNoted(AT, A, None), BatchClosed(AT)]
DISPATCHED: list[Any] = [*CLOSED, BatchDispatched(AT, "courier-7", (A,))]

given = Specification(batch.aggregate).given


def test_a_batch_is_opened_once_for_one_office() -> None:
    given().when(OpenBatch(AT, "office-1")).then(OPENED)
    given(OPENED).when(OpenBatch(AT, "office-1")).then_nothing()
    given(OPENED).when(OpenBatch(AT, "office-2")).then_refused(Reason.ALREADY_OPENED)


def test_a_card_is_noted_once() -> None:
    given(OPENED).when(NoteCard(AT, A)).then(CardNoted(AT, A, None))
    given(*CLOSED).when(NoteCard(AT, A)).then_nothing()


def test_a_card_packed_before_the_batch_was_closed_is_still_noted() -> None:
    given(*CLOSED).when(NoteCard(AT, B)).then(CardNoted(AT, B, None))


def test_a_card_noted_after_the_dispatch_left_with_the_same_courier() -> None:
    given(*DISPATCHED).when(NoteCard(AT, B)).then(CardNoted(AT, B, "courier-7"))


def test_a_batch_is_closed_once() -> None:
    given(OPENED).when(CloseBatch(AT)).then(BatchClosed(AT))
    for life in (CLOSED, DISPATCHED):
        given(*life).when(CloseBatch(AT)).then_nothing()


def test_a_closed_batch_leaves_once_and_names_its_cards() -> None:
    leaving = DispatchBatch(AT, "courier-7")
    given(*CLOSED).when(leaving).then(BatchDispatched(AT, "courier-7", (A,)))
    given(*DISPATCHED).when(leaving).then_nothing()
    other = DispatchBatch(AT, "courier-8")
    given(*DISPATCHED).when(other).then_refused(Reason.ALREADY_DISPATCHED)


def test_a_full_batch_leaves_in_events_of_a_hundred_cards() -> None:
    cards = [UUID(int=n) for n in range(201)]
    noted = [CardNoted(AT, card, None) for card in cards]
    leaving = DispatchBatch(AT, "courier-7")
    given(OPENED, *noted, BatchClosed(AT)).when(leaving).then(
        *(BatchDispatched(AT, "courier-7", tuple(cards[n : n + 100])) for n in (0, 100, 200))
    )
    given(OPENED, BatchClosed(AT)).when(leaving).then(BatchDispatched(AT, "courier-7", ()))


def test_an_open_batch_does_not_leave() -> None:
    given(OPENED).when(DispatchBatch(AT, "courier-7")).then_refused(Reason.NOT_CLOSED)


@pytest.mark.parametrize("command", [NoteCard(AT, A), CloseBatch(AT), DispatchBatch(AT, "c")])
def test_nothing_is_done_with_a_batch_that_nobody_opened(command: Any) -> None:
    given().when(command).then_refused(Reason.UNKNOWN)
