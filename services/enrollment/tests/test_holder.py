"""A person's documents as a whole, and the right to be forgotten."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from counter import (
    APPLICATION,
    COUNTER,
    DESK,
    HOLDER,
    LATER,
    NEW_REF,
    NOON,
    OFFICE,
    OPERATOR,
    REF,
    STATION,
)

from enrollment import holder, office
from enrollment.holder import ACTIVATION, BACKUPS, ERASURE, RETENTION, RETENTION_LASTS, waits
from enrollment.holder_commands import (
    IssueRestoreTicket,
    NoteApplication,
    NoteApplicationEnd,
    NoteDocument,
    NoteKeysDestroyed,
    NoteStanding,
    OrderErasure,
    Reason,
    RegisterHolder,
)
from enrollment.holder_events import (
    ActivationOverdue,
    ApplicationEndNoted,
    ApplicationNoted,
    DocumentNoted,
    ErasureCompleted,
    ErasureOrdered,
    ErasureOverdue,
    HolderRegistered,
    KeysDestroyedEverywhere,
    KeysDestroyedNoted,
    RestoreTicketIssued,
    RetentionBegan,
    RetentionEnded,
    Standing,
    StandingNoted,
)
from epassport import DeadlinePassed, EndWait, StartWait
from epassport.testing import Specification
from epassport_contracts import ServiceName

given = Specification(holder.aggregate).given

SECOND = UUID(int=0xA2)
REGISTERED = HolderRegistered(NOON, HOLDER, APPLICATION)
DOCUMENT = DocumentNoted(NOON, APPLICATION, REF)
ACTIVE = StandingNoted(NOON, REF, Standing.ACTIVE)
REVOKED = StandingNoted(NOON, REF, Standing.REVOKED)
ENDED = ApplicationEndNoted(NOON, APPLICATION)
LEFT = (REGISTERED, DOCUMENT, ACTIVE, REVOKED, RetentionBegan(NOON))
ORDERED = ErasureOrdered(NOON, OPERATOR, HOLDER, None)
ORDER = OrderErasure(LATER, OPERATOR, None)
REPORTS = [KeysDestroyedNoted(NOON, service) for service in ServiceName]
RESTORE = IssueRestoreTicket(
    LATER, COUNTER, UUID(int=7), REF, OFFICE, STATION, LATER + timedelta(minutes=10)
)


def test_a_holder_begins_with_the_first_application() -> None:
    given().when(RegisterHolder(NOON, HOLDER, APPLICATION)).then(REGISTERED)
    given(REGISTERED).when(RegisterHolder(NOON, HOLDER, APPLICATION)).then_nothing()


@pytest.mark.parametrize(
    "command",
    [ORDER, RESTORE, NoteApplication(NOON, SECOND), NoteStanding(NOON, REF, Standing.ACTIVE)],
)
def test_nobody_else_is_known(command: Any) -> None:
    given().when(command).then_refused(Reason.UNKNOWN)


def test_what_concerns_a_holder_is_noted_once() -> None:
    for command, fact in (
        (NoteApplication(NOON, SECOND), ApplicationNoted(NOON, SECOND)),
        (NoteDocument(NOON, APPLICATION, REF), DOCUMENT),
        (NoteStanding(NOON, REF, Standing.ACTIVE), ACTIVE),
    ):
        given(REGISTERED).when(command).then(fact)
        given(REGISTERED, fact).when(command).then_nothing()


def test_a_final_standing_stays() -> None:
    given(*LEFT).when(NoteStanding(LATER, REF, Standing.ACTIVE)).then_nothing()
    given(*LEFT).when(NoteStanding(LATER, REF, Standing.EXPIRED)).then_nothing()


def test_a_document_is_superseded_by_the_next_one_in_hand() -> None:
    state: Any = given(REGISTERED, DOCUMENT, DocumentNoted(NOON, SECOND, NEW_REF)).state
    assert state.is_superseded(REF)
    assert not state.is_superseded(NEW_REF)


def test_who_has_left_is_erased_on_order_once() -> None:
    given(*LEFT).when(ORDER).then(replace(ORDERED, at=LATER))
    given(*LEFT, ORDERED).when(ORDER).then_nothing()
    given(REGISTERED, ENDED).when(ORDER).then(replace(ORDERED, at=LATER))


def test_a_live_application_keeps_its_person() -> None:
    given(REGISTERED).when(ORDER).then_refused(Reason.LIVE_APPLICATION)


@pytest.mark.parametrize("life", [(REGISTERED, DOCUMENT), (REGISTERED, DOCUMENT, ACTIVE)])
def test_a_document_in_force_keeps_its_person(life: Any) -> None:
    given(*life).when(ORDER).then_refused(Reason.DOCUMENT_IN_FORCE)


def test_the_order_of_a_court_goes_before_everything() -> None:
    forced = replace(ORDER, by_order="court-2026-17")
    for life in ((REGISTERED,), (REGISTERED, DOCUMENT, ACTIVE)):
        given(*life).when(forced).then(replace(ORDERED, at=LATER, by_order="court-2026-17"))


def test_the_end_of_the_last_thing_under_way_or_in_force_begins_the_retention() -> None:
    ends = NoteApplicationEnd(LATER, APPLICATION)
    given(REGISTERED).when(ends).then(
        ApplicationEndNoted(LATER, APPLICATION), RetentionBegan(LATER)
    )
    given(REGISTERED, ENDED, RetentionBegan(NOON)).when(ends).then_nothing()
    revoked = NoteStanding(LATER, REF, Standing.REVOKED)
    fact = StandingNoted(LATER, REF, Standing.REVOKED)
    given(REGISTERED, DOCUMENT, ACTIVE).when(revoked).then(fact, RetentionBegan(LATER))
    replacing = (REGISTERED, DOCUMENT, ACTIVE, ApplicationNoted(NOON, SECOND))
    given(*replacing).when(revoked).then(fact)
    given(*replacing, DocumentNoted(NOON, SECOND, NEW_REF)).when(revoked).then(fact)


def test_after_an_erasure_was_ordered_no_retention_begins() -> None:
    life = (REGISTERED, DOCUMENT, ACTIVE, replace(ORDERED, by_order="court-2026-17"))
    given(*life).when(NoteStanding(LATER, REF, Standing.REVOKED)).then(
        StandingNoted(LATER, REF, Standing.REVOKED)
    )


def test_who_applies_again_begins_the_retention_anew() -> None:
    again = (*LEFT, ApplicationNoted(NOON, SECOND))
    given(*again).when(NoteApplicationEnd(LATER, SECOND)).then(
        ApplicationEndNoted(LATER, SECOND), RetentionBegan(LATER)
    )


def test_the_end_of_the_retention_is_told_and_destroys_nothing() -> None:
    given(*LEFT).when(DeadlinePassed(RETENTION, 5, LATER)).then(RetentionEnded(LATER))
    given(*LEFT, RetentionEnded(NOON)).when(ORDER).then(replace(ORDERED, at=LATER))


def test_keys_are_destroyed_everywhere_when_all_five_have_reported() -> None:
    life = (*LEFT, ORDERED, *REPORTS[:-1])
    last = NoteKeysDestroyed(LATER, list(ServiceName)[-1])
    given(*LEFT, ORDERED).when(NoteKeysDestroyed(NOON, ServiceName.ENROLLMENT)).then(REPORTS[0])
    given(*life).when(last).then(
        KeysDestroyedNoted(LATER, last.service), KeysDestroyedEverywhere(LATER)
    )


def test_erasure_is_complete_when_the_last_backup_has_expired() -> None:
    life = (*LEFT, ORDERED, *REPORTS, KeysDestroyedEverywhere(NOON))
    given(*life).when(DeadlinePassed(BACKUPS, 12, LATER)).then(ErasureCompleted(LATER, HOLDER))


def test_a_report_said_twice_counts_once() -> None:
    again = NoteKeysDestroyed(LATER, ServiceName.ENROLLMENT)
    given(*LEFT, ORDERED, REPORTS[0]).when(again).then_nothing()
    everywhere = (*LEFT, ORDERED, *REPORTS, KeysDestroyedEverywhere(NOON))
    given(*everywhere).when(again).then_nothing()
    given(*everywhere, ErasureCompleted(NOON, HOLDER)).when(again).then_nothing()


def test_nobody_destroys_keys_without_an_order() -> None:
    given(*LEFT).when(NoteKeysDestroyed(LATER, ServiceName.BIOMETRICS)).then_refused(
        Reason.ERASURE_NOT_ORDERED
    )


def test_an_overdue_erasure_names_who_has_not_reported() -> None:
    missing = tuple(sorted(set(ServiceName) - {REPORTS[0].service}))
    given(*LEFT, ORDERED, REPORTS[0]).when(DeadlinePassed(ERASURE, 5, LATER)).then(
        ErasureOverdue(LATER, missing)
    )


def test_an_activation_that_does_not_come_is_noticed() -> None:
    given(REGISTERED, DOCUMENT).when(DeadlinePassed(ACTIVATION, 2, LATER)).then(
        ActivationOverdue(LATER)
    )


def test_a_ticket_to_restore_needs_the_holders_own_document_in_force() -> None:
    fact = RestoreTicketIssued(
        RESTORE.at, RESTORE.by, RESTORE.ticket_id, REF, OFFICE, STATION, RESTORE.expires_at
    )
    life = (REGISTERED, DOCUMENT, ACTIVE)
    given(*life).reading(DESK).when(RESTORE).then(fact)
    given(*life, fact).reading(DESK).when(RESTORE).then_nothing()
    other = replace(RESTORE, document_ref=NEW_REF)
    given(*life).reading(DESK).when(other).then_refused(Reason.OTHER_DOCUMENT)
    given(*LEFT).reading(DESK).when(RESTORE).then_refused(Reason.OTHER_DOCUMENT)
    given(*life, ORDERED).reading(DESK).when(RESTORE).then_refused(Reason.ERASED)
    given(*life).reading(DESK).when(replace(RESTORE, station="x")).then_refused(
        office.Reason.STATION_NOT_REGISTERED
    )


def test_waits_start_with_their_cause_and_end_with_their_answer() -> None:
    assert waits(DOCUMENT) == [StartWait(ACTIVATION, NOON + timedelta(days=1))]
    assert waits(ACTIVE) == [EndWait(ACTIVATION)]
    assert waits(RetentionBegan(NOON)) == [StartWait(RETENTION, NOON + RETENTION_LASTS)]
    assert waits(ApplicationNoted(NOON, SECOND)) == [EndWait(RETENTION)]
    assert waits(ORDERED) == [
        EndWait(RETENTION),
        StartWait(ERASURE, NOON + timedelta(days=7)),
    ]
    assert waits(KeysDestroyedEverywhere(NOON)) == [
        EndWait(ERASURE),
        StartWait(BACKUPS, NOON + timedelta(days=30)),
    ]
    assert waits(RetentionEnded(NOON)) == [EndWait(RETENTION)]
    assert waits(ErasureCompleted(NOON, HOLDER)) == [EndWait(BACKUPS)]
    assert waits(REGISTERED) == []
