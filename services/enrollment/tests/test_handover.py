"""The card on its way and the counter: tickets, comparisons, hand-over, a lost card."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from counter import (
    ACCEPTED,
    APPROVED,
    AT_OFFICE,
    CHECK,
    CHECKED,
    COUNTER,
    DESK,
    HANDED_OVER,
    HOLDER,
    LATER,
    NEW_REF,
    NOON,
    NUMBER,
    NUMBER_DIGEST,
    OFFICE,
    OPEN,
    OPERATOR,
    PERSON_DIGEST,
    REASSIGNED,
    REF,
    STATION,
    STRANGER,
    SUBMITTED,
    paused,
)

from enrollment import application, office
from enrollment.application_commands import (
    HandOver,
    IssueTicket,
    NoteCardAtOffice,
    NoteCardGone,
    NoteCardLost,
    NoteHolderCheck,
    Reason,
    ReassignDocument,
)
from enrollment.application_events import (
    ApplicationWithdrawn,
    CardAtOffice,
    CardGone,
    CardLost,
    DuplicateNoted,
    HolderCheckNoted,
    TicketIssued,
)
from epassport import Claim, Personal, Release
from epassport.testing import Specification
from epassport_contracts.desk import TicketPurpose
from epassport_contracts.events.enrollment import PausedStep

given = Specification(application.aggregate).given

ISSUED = (SUBMITTED, ACCEPTED, APPROVED)
HERE = (*ISSUED, AT_OFFICE)
READY = (*HERE, CHECKED)
LOST = CardLost(NOON, REF)
WITHDRAWN = ApplicationWithdrawn(NOON, OPERATOR, HOLDER, REF, False)
ENDS = [
    ((*ISSUED, WITHDRAWN), Reason.WITHDRAWN),
    ((*READY, HANDED_OVER), Reason.HANDED_OVER),
]

HAND_OVER = HandOver(LATER, COUNTER, STATION, PERSON_DIGEST)
REASSIGN = ReassignDocument(LATER, NEW_REF, NUMBER, NUMBER_DIGEST)
TICKET_ID = UUID(int=0x71C)
ENROL = IssueTicket(
    LATER, OPERATOR, TICKET_ID, TicketPurpose.ENROL, STATION, LATER + timedelta(minutes=10)
)
COLLECT = replace(ENROL, by=COUNTER, purpose=TicketPurpose.HAND_OVER)


def checked(**changes: Any) -> HolderCheckNoted:
    return HolderCheckNoted(NOON, replace(CHECK, **changes))


def ticket_of(command: IssueTicket) -> TicketIssued:
    return TicketIssued(
        command.at, command.by, command.ticket_id, command.purpose, command.station,
        command.expires_at,
    )  # fmt: skip


def test_the_card_goes_to_who_was_compared_and_the_person_may_apply_again() -> None:
    given(*READY).reading(OPEN, DESK).when(HAND_OVER).then(
        HANDED_OVER, Release("live-application", PERSON_DIGEST)
    )


def test_handing_over_twice_records_it_once() -> None:
    given(*READY, HANDED_OVER).reading(OPEN, DESK).when(HAND_OVER).then_nothing()


def test_what_was_not_approved_is_not_handed_over() -> None:
    given(SUBMITTED).reading(OPEN, DESK).when(HAND_OVER).then_refused(Reason.NOT_APPROVED)


def test_a_withdrawn_application_is_not_handed_over() -> None:
    given(*READY, WITHDRAWN).reading(OPEN, DESK).when(HAND_OVER).then_refused(Reason.WITHDRAWN)


def test_a_paused_counter_hands_nothing_over() -> None:
    stopped = paused(PausedStep.HAND_OVER)
    given(*READY).reading(stopped, DESK).when(HAND_OVER).then_refused(Reason.HAND_OVER_PAUSED)


def test_only_a_registered_officer_hands_over() -> None:
    given(*READY).reading(OPEN, DESK).when(replace(HAND_OVER, by=STRANGER)).then_refused(
        office.Reason.OFFICER_NOT_REGISTERED
    )


@pytest.mark.parametrize(
    "life",
    [
        ISSUED,
        (*ISSUED, CardAtOffice(NOON, REF, "office-mow-2")),
        (*HERE, CardGone(NOON, REF)),
        (*HERE, LOST),
    ],
)
def test_the_card_must_be_at_this_office(life: Any) -> None:
    given(*life).reading(OPEN, DESK).when(HAND_OVER).then_refused(Reason.CARD_NOT_AT_OFFICE)


def test_nobody_gets_a_card_without_a_comparison_for_it() -> None:
    given(*HERE).reading(OPEN, DESK).when(HAND_OVER).then_refused(Reason.HOLDER_NOT_CHECKED)
    other = checked(document_ref=NEW_REF)
    given(*HERE, other).reading(OPEN, DESK).when(HAND_OVER).then_refused(Reason.HOLDER_NOT_CHECKED)


def test_a_comparison_does_not_outlive_a_move_of_the_card() -> None:
    life = (*READY, CardGone(NOON, REF), AT_OFFICE)
    given(*life).reading(OPEN, DESK).when(HAND_OVER).then_refused(Reason.HOLDER_NOT_CHECKED)


def test_the_latest_comparison_counts() -> None:
    mismatch = checked(check_id=UUID(int=1), verified=False)
    given(*READY, mismatch).reading(OPEN, DESK).when(HAND_OVER).then_refused(Reason.HOLDER_MISMATCH)
    given(*HERE, mismatch, CHECKED).reading(OPEN, DESK).when(HAND_OVER).then_events(HANDED_OVER)


@pytest.mark.parametrize(
    "elsewhere",
    [{"officer": "hand-over-officer-2"}, {"station": "station-2"}, {"office": "office-mow-2"}],
)
def test_a_comparison_of_another_desk_does_not_count(elsewhere: dict[str, str]) -> None:
    given(*HERE, checked(**elsewhere)).reading(OPEN, DESK).when(HAND_OVER).then_refused(
        Reason.CHECK_OF_OTHER_DESK
    )


def test_a_comparison_is_good_for_half_an_hour() -> None:
    last = replace(HAND_OVER, at=NOON + timedelta(minutes=30))
    given(*READY).reading(OPEN, DESK).when(last).then_events(replace(HANDED_OVER, at=last.at))
    late = replace(HAND_OVER, at=NOON + timedelta(minutes=30, seconds=1))
    given(*READY).reading(OPEN, DESK).when(late).then_refused(Reason.CHECK_EXPIRED)


def test_a_comparison_is_noted_once() -> None:
    given(*HERE).when(NoteHolderCheck(NOON, CHECK)).then(CHECKED)
    given(*READY).when(NoteHolderCheck(NOON, CHECK)).then_nothing()
    given(SUBMITTED).when(NoteHolderCheck(NOON, CHECK)).then_refused(Reason.NOT_APPROVED)


@pytest.mark.parametrize(
    "command",
    [
        NoteHolderCheck(NOON, CHECK),
        NoteCardAtOffice(LATER, REF, OFFICE),
        REASSIGN,
        COLLECT,
    ],
)
@pytest.mark.parametrize(("life", "reason"), ENDS)
def test_an_ended_application_notes_nothing_more(command: Any, life: Any, reason: Reason) -> None:
    given(*life).when(command).then_refused(reason)


@pytest.mark.parametrize(
    ("command", "fact"),
    [
        (NoteCardAtOffice(LATER, REF, OFFICE), CardAtOffice(LATER, REF, OFFICE)),
        (NoteCardGone(LATER, REF), CardGone(LATER, REF)),
        (NoteCardLost(LATER, REF), CardLost(LATER, REF)),
    ],
)
def test_where_the_card_is_is_noted_once(command: Any, fact: Any) -> None:
    given(*ISSUED).when(command).then(fact)
    given(*ISSUED, fact).when(command).then_nothing()
    given(SUBMITTED).when(command).then_refused(Reason.NOT_APPROVED)


def test_a_card_of_another_reference_is_not_this_ones() -> None:
    given(*ISSUED).when(NoteCardLost(LATER, NEW_REF)).then_refused(Reason.OTHER_DOCUMENT)


def test_a_lost_card_goes_on_under_a_new_reference_and_number() -> None:
    number = Personal(HOLDER, "document-number", NUMBER)
    given(*ISSUED, LOST).when(REASSIGN).then(
        replace(REASSIGNED, at=LATER, document_number=number),
        Claim("document-number", NUMBER_DIGEST, Reason.DOCUMENT_NUMBER_TAKEN, HOLDER),
    )


def test_a_second_candidate_is_not_used() -> None:
    given(*ISSUED, LOST, REASSIGNED).when(replace(REASSIGN, document_ref=REF)).then_nothing()
    given(*ISSUED).when(REASSIGN).then_nothing()
    given(SUBMITTED).when(REASSIGN).then_refused(Reason.NOT_APPROVED)


def test_after_reassignment_the_old_card_is_another_document() -> None:
    life = (*ISSUED, LOST, REASSIGNED)
    given(*life).when(NoteCardAtOffice(LATER, REF, OFFICE)).then_refused(Reason.OTHER_DOCUMENT)
    given(*life).when(NoteCardAtOffice(LATER, NEW_REF, OFFICE)).then(
        CardAtOffice(LATER, NEW_REF, OFFICE)
    )


def test_a_ticket_for_the_captures_comes_before_biometrics() -> None:
    fact = ticket_of(ENROL)
    given(SUBMITTED).reading(OPEN, DESK).when(ENROL).then(fact)
    given(SUBMITTED, fact).reading(OPEN, DESK).when(ENROL).then_nothing()
    given(SUBMITTED, ACCEPTED).reading(OPEN, DESK).when(ENROL).then_refused(
        Reason.BIOMETRICS_ALREADY_THERE
    )
    duplicate = DuplicateNoted(NOON)
    given(SUBMITTED, duplicate).reading(OPEN, DESK).when(ENROL).then(fact)
    given(*ISSUED).reading(OPEN, DESK).when(ENROL).then_refused(Reason.ALREADY_APPROVED)


def test_a_ticket_for_the_comparison_needs_the_card_here() -> None:
    given(*HERE).reading(OPEN, DESK).when(COLLECT).then(ticket_of(COLLECT))
    given(*ISSUED).reading(OPEN, DESK).when(COLLECT).then_refused(Reason.CARD_NOT_AT_OFFICE)
    given(SUBMITTED).reading(OPEN, DESK).when(COLLECT).then_refused(Reason.NOT_APPROVED)


def test_a_ticket_is_given_at_a_registered_station() -> None:
    elsewhere = replace(ENROL, station="station-9")
    given(SUBMITTED).reading(OPEN, DESK).when(elsewhere).then_refused(
        office.Reason.STATION_NOT_REGISTERED
    )
