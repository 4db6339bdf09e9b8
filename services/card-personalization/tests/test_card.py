"""The card's rules as sentences: given what happened, when a command comes, then ..."""

from datetime import timedelta
from typing import Any, get_args

import pytest
from card_lives import (
    ABOUT,
    ACCEPTED,
    ACTIVE,
    ALLOCATED,
    ASSIGNED,
    AT,
    BATCH,
    BLOCKED,
    CHIP_FILES,
    COMPLETE,
    DISPATCHED,
    FAULTY,
    FINGER,
    FINGER_STORED,
    IMAGE,
    INDEX,
    INSPECTOR,
    LATER,
    LIVES,
    LOST,
    OFFICE,
    OFFICER,
    ORDER,
    ORDERED,
    OTHER,
    PACKED,
    PACKER,
    PREPARED,
    PREPARED_FILES,
    RECEIVED,
    RETURNED,
    STORED,
    WRITTEN,
)
from hypothesis import given as for_all
from hypothesis import strategies as st

from card_personalization import card
from card_personalization.card import FIRST_LOOK, LONGEST_LOOK, PATIENCE, Wait, waits
from card_personalization.card_commands import (
    AcceptQuality,
    ActivateCard,
    AllocateBlank,
    AssignIndex,
    BlockCard,
    BlockCause,
    Command,
    DispatchCard,
    NoteBlanksMissing,
    OrderCard,
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
    BlanksMissing,
    BlanksSoughtAgain,
    CardBlocked,
    CardDispatched,
    CardReceived,
    CardSpoiled,
    ChipDataPrepared,
    ChipReadBack,
    ChipWritten,
    CollectionOverdue,
    DispatchOverdue,
    Event,
    InspectionOverdue,
    MakingOverdue,
    PreparationOverdue,
    QualityAccepted,
    QualityRejected,
    Status,
    TransitOverdue,
)
from epassport import DeadlinePassed, EndWait, StartWait, Take
from epassport.testing import Specification

specification = Specification(card.aggregate)
given = specification.given


def test_the_lives_of_these_tests_reach_every_status() -> None:
    assert {given(*life).state.status for life in LIVES.values()} == set(Status)
    assert all(given(*life).state.status is status for status, life in LIVES.items())


@pytest.mark.parametrize("known", [[], [ASSIGNED], [STORED], [ASSIGNED, STORED]])
def test_an_order_may_come_before_or_after_the_other_parts(known: list[Event]) -> None:
    given(*known).when(ORDER).then(ORDERED)


@pytest.mark.parametrize("known", [[], [ORDERED], [STORED], [ORDERED, STORED]])
def test_an_index_may_come_before_or_after_the_other_parts(known: list[Event]) -> None:
    given(*known).when(INDEX).then(ASSIGNED)


@pytest.mark.parametrize("known", [[], [ORDERED], [ASSIGNED], [ORDERED, ASSIGNED]])
def test_a_face_may_come_before_or_after_the_other_parts(known: list[Event]) -> None:
    given(*known).when(IMAGE).then(STORED)


@pytest.mark.parametrize("part", [ORDER, INDEX, IMAGE])
@pytest.mark.parametrize("status", list(Status))
def test_a_part_heard_of_twice_is_recorded_once(part: Command, status: Status) -> None:
    given(*LIVES[status]).when(part).then_nothing()


@pytest.mark.parametrize("known", [[], [ORDERED], [ORDERED, ASSIGNED]])
def test_a_finger_is_stored_once_before_the_chip_is_prepared(known: list[Event]) -> None:
    given(*known).when(FINGER).then(FINGER_STORED)
    given(*known, FINGER_STORED).when(FINGER).then_nothing()
    assert card.aggregate.state_after([]).finger is None


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PREPARING])
def test_a_finger_that_comes_after_the_chip_was_prepared_changes_nothing(status: Status) -> None:
    if status is Status.BLOCKED:
        given(*LIVES[status]).when(FINGER).then_refused(Reason.BLOCKED)
    else:
        given(*LIVES[status]).when(FINGER).then_nothing()


def test_a_card_is_complete_without_a_finger() -> None:
    given(*COMPLETE).when(RecordChipData(LATER, PREPARED_FILES)).then(
        ChipDataPrepared(LATER, PREPARED_FILES)
    )


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (OrderCard(**{**vars(ORDER), "application_id": OTHER}), Reason.ALREADY_ORDERED),
        (AssignIndex(AT, "https://status/1", 43), Reason.INDEX_ALREADY_ASSIGNED),
        (StoreImage(AT, "cd" * 32), Reason.IMAGE_ALREADY_STORED),
    ],
)
def test_another_part_in_the_place_of_a_known_one_is_refused(part: Any, reason: Reason) -> None:
    given(*COMPLETE).when(part).then_refused(reason)


@pytest.mark.parametrize("part", [ORDER, INDEX, IMAGE, FINGER])
def test_a_card_blocked_before_its_parts_came_takes_none(part: Command) -> None:
    blocked = CardBlocked(AT, BlockCause.DOCUMENT_REVOKED)
    given(blocked).when(part).then_refused(Reason.BLOCKED)


@pytest.mark.parametrize("missing", COMPLETE)
def test_nothing_is_prepared_while_a_part_is_missing(missing: Event) -> None:
    known = [part for part in COMPLETE if part is not missing]
    given(*known).when(RecordChipData(AT, PREPARED_FILES)).then_refused(Reason.NOT_COMPLETE)


def test_prepared_data_is_recorded_once() -> None:
    given(*COMPLETE).when(RecordChipData(LATER, PREPARED_FILES)).then(
        ChipDataPrepared(LATER, PREPARED_FILES)
    )
    given(*PREPARED).when(RecordChipData(LATER, {"DG1": ("else",)})).then_nothing()


def test_a_prepared_card_takes_one_blank_of_a_lot_that_has_one() -> None:
    given(*PREPARED).when(AllocateBlank(LATER, "lot-2")).then(
        BlankAllocated(LATER, "lot-2", 1), Take("blanks/lot-2", 1, Reason.LOT_EMPTY)
    )
    given(*ALLOCATED).when(AllocateBlank(LATER, "lot-2")).then_nothing()


def test_no_blank_is_spent_before_the_data_is_prepared() -> None:
    given(*COMPLETE).when(AllocateBlank(AT, "lot-1")).then_refused(Reason.NOT_PREPARED)
    given(*COMPLETE).when(RecordChip(AT, CHIP_FILES, None)).then_refused(Reason.NOT_PREPARED)


def test_missing_blanks_are_noted_only_where_none_was_allocated() -> None:
    look = BlanksMissing(AT, AT + FIRST_LOOK)
    given(*PREPARED).when(NoteBlanksMissing(AT)).then(look)
    given(*ALLOCATED).when(NoteBlanksMissing(AT)).then_nothing()


def test_searches_in_vain_become_rarer_but_never_end() -> None:
    missing = BlanksMissing(AT, AT)
    decided = given(*PREPARED, missing, missing).when(NoteBlanksMissing(AT))
    decided.then(BlanksMissing(AT, AT + 4 * FIRST_LOOK))
    given(*PREPARED, *[missing] * 99).when(NoteBlanksMissing(AT)).then(
        BlanksMissing(AT, AT + LONGEST_LOOK)
    )


def test_a_search_is_repeated_when_its_time_has_come() -> None:
    due = DeadlinePassed(Wait.BLANKS, 5, LATER)
    given(*PREPARED, BlanksMissing(AT, AT)).when(due).then(BlanksSoughtAgain(LATER))


def test_a_chip_is_recorded_once_with_what_its_read_back_found() -> None:
    for fault in (None, "wrong-signature"):
        given(*ALLOCATED).when(RecordChip(LATER, CHIP_FILES, fault)).then(
            ChipWritten(LATER, CHIP_FILES), ChipReadBack(LATER, fault)
        )
    given(*WRITTEN).when(RecordChip(LATER, {}, None)).then_nothing()
    given(*PREPARED).when(RecordChip(LATER, {}, None)).then_refused(Reason.NO_BLANK)


def test_an_inspector_accepts_a_written_card_once() -> None:
    given(*WRITTEN).when(AcceptQuality(LATER, INSPECTOR)).then(QualityAccepted(LATER, INSPECTOR))
    given(*ACCEPTED).when(AcceptQuality(LATER, INSPECTOR)).then_nothing()


def test_a_card_that_failed_its_read_back_can_only_be_rejected() -> None:
    given(*FAULTY).when(AcceptQuality(AT, INSPECTOR)).then_refused(Reason.READ_BACK_FAILED)
    rejected = QualityRejected(AT, INSPECTOR, "chip")
    given(*FAULTY).when(RejectQuality(AT, INSPECTOR, "chip")).then(
        rejected, CardSpoiled(AT, "lot-1", 1)
    )


@pytest.mark.parametrize("life", [COMPLETE, PREPARED, ALLOCATED])
def test_what_is_not_written_is_not_inspected(life: list[Event]) -> None:
    given(*life).when(AcceptQuality(AT, INSPECTOR)).then_refused(Reason.NOT_WRITTEN)
    given(*life).when(RejectQuality(AT, INSPECTOR, "x")).then_refused(Reason.NOT_WRITTEN)


@pytest.mark.parametrize("life", [ACCEPTED, PACKED, DISPATCHED, RECEIVED, RETURNED, LOST, ACTIVE])
def test_what_was_accepted_is_not_rejected_afterwards(life: list[Event]) -> None:
    given(*life).when(RejectQuality(AT, INSPECTOR, "x")).then_refused(Reason.ALREADY_ACCEPTED)


def test_a_spoiled_card_is_remade_from_the_same_data_on_the_next_blank() -> None:
    spoiled = given(*WRITTEN, QualityRejected(AT, INSPECTOR, "x"), CardSpoiled(AT, "lot-1", 1))
    assert spoiled.state.status is Status.PREPARED
    assert spoiled.state.order == given(*WRITTEN).state.order
    assert (spoiled.state.index, spoiled.state.files["front"]) == (
        ("https://status/1", 42),
        ("f1", "f2"),
    )
    spoiled.when(AllocateBlank(AT, "lot-2")).then(
        BlankAllocated(AT, "lot-2", 2), Take("blanks/lot-2", 1, Reason.LOT_EMPTY)
    )


@pytest.mark.parametrize("status", list(Status))
def test_a_card_is_blocked_wherever_it_is_but_given_up_ones_stay_as_they_are(
    status: Status,
) -> None:
    decided = given(*LIVES[status]).when(BlockCard(AT, BlockCause.DOCUMENT_EXPIRED))
    if status in (Status.BLOCKED, Status.LOST):
        decided.then_nothing()
    else:
        decided.then(CardBlocked(AT, BlockCause.DOCUMENT_EXPIRED))


COMMANDS: list[Any] = [
    RecordChipData(AT, PREPARED_FILES),
    AllocateBlank(AT, "lot-1"),
    NoteBlanksMissing(AT),
    RecordChip(AT, CHIP_FILES, None),
    AcceptQuality(AT, INSPECTOR),
    RejectQuality(AT, INSPECTOR, "x"),
    PackCard(AT, PACKER, BATCH),
    DispatchCard(AT, BATCH, "courier-7"),
    ReceiveCard(AT, OFFICER, OFFICE),
    ReportLostInTransit(AT, OFFICER),
    ReturnCard(AT, OFFICER, OFFICE),
    ActivateCard(AT, None),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_nothing_is_done_to_a_blocked_card(command: Any) -> None:
    given(*BLOCKED).when(command).then_refused(Reason.BLOCKED)


@for_all(st.lists(st.sampled_from([*COMMANDS, ORDER, INDEX, IMAGE, FINGER])))
def test_no_sequence_of_commands_leads_out_of_blocked(sequence: list[Any]) -> None:
    assert specification.state_after(BLOCKED, sequence).status is Status.BLOCKED


@pytest.mark.parametrize(
    ("wait", "fact"),
    [
        (Wait.PREPARATION, PreparationOverdue(LATER)),
        (Wait.MAKING, MakingOverdue(LATER)),
        (Wait.INSPECTION, InspectionOverdue(LATER)),
        (Wait.DISPATCH, DispatchOverdue(LATER)),
        (Wait.TRANSIT, TransitOverdue(LATER)),
        (Wait.COLLECTION, CollectionOverdue(LATER)),
    ],
)
def test_a_deadline_that_passes_is_a_fact(wait: Wait, fact: Event) -> None:
    given(*COMPLETE).when(DeadlinePassed(wait, 1, LATER)).then(fact)


def test_a_card_is_waited_for_ten_days_on_its_way_and_sixty_at_its_office() -> None:
    assert waits(CardDispatched(AT, BATCH, "c")) == [
        EndWait(Wait.DISPATCH),
        StartWait(Wait.TRANSIT, AT + timedelta(days=10)),
    ]
    assert waits(CardReceived(*ABOUT, by=OFFICER)) == [
        EndWait(Wait.TRANSIT),
        StartWait(Wait.COLLECTION, AT + timedelta(days=60)),
    ]


@pytest.mark.parametrize("end", [ACTIVE, RETURNED, LOST, BLOCKED], ids=str)
def test_every_wait_that_was_started_has_ended_at_an_end(end: list[Event]) -> None:
    open_waits: set[str] = set()
    for event in end:
        for wait in waits(event):
            (open_waits.add if isinstance(wait, StartWait) else open_waits.discard)(wait.kind)
    assert not open_waits


def test_every_wait_but_the_search_for_blanks_has_its_patience() -> None:
    assert set(PATIENCE) == set(Wait) - {Wait.BLANKS}


def test_every_command_but_blocking_and_deadlines_is_tried_on_a_blocked_card() -> None:
    tried = {type(command) for command in [*COMMANDS, ORDER, INDEX, IMAGE, FINGER]}
    assert tried | {BlockCard, DeadlinePassed} == set(get_args(Command))
