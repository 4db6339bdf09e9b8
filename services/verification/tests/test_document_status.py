"""Every command meets every standing; revocation is final; a loss suspends at once."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from epassport.decider import DeadlinePassed, EndWait, StartWait
from epassport.testing import Specification
from epassport_contracts.events.verification import StatusReason
from verification.document_status import (
    LOSS_WITHDRAWAL_TIME,
    REGISTRATION_TIME,
    Wait,
    aggregate,
    index_claim,
    waits,
)
from verification.document_status_commands import (
    ActivateDocument,
    Command,
    ExpectDocument,
    LiftSuspension,
    Reason,
    RegisterDocument,
    RestoreDocument,
    RevokeDocument,
    SuspendDocument,
)
from verification.document_status_events import (
    DocumentActivated,
    DocumentExpected,
    DocumentExpired,
    DocumentRegistered,
    DocumentRestored,
    DocumentRevoked,
    DocumentSuspended,
    Event,
    RegistrationDelayed,
    SuspensionNoted,
)

HOLDER, STRANGER = UUID(int=1), UUID(int=2)
APPLICATION, CHECK, SECOND_CHECK = UUID(int=3), UUID(int=4), UUID(int=5)
OLD, NEW = UUID(int=6), UUID(int=7)
MORNING = datetime(2026, 11, 22, 9, tzinfo=UTC)
NOON, EVENING = MORNING + timedelta(hours=3), MORNING + timedelta(hours=9)
LAST_DAY = date(2036, 11, 21)
LIST = "https://status.example/v1/status-lists/1"

EXPECTED: list[Event] = [DocumentExpected(MORNING, APPLICATION, HOLDER, "RU-MOW", LAST_DAY, None)]
REGISTERED = [*EXPECTED, DocumentRegistered(MORNING, APPLICATION, HOLDER, LIST, 70_001)]
VALID = [*REGISTERED, DocumentActivated(MORNING, HOLDER, LAST_DAY)]
LOST = [*VALID, DocumentSuspended(NOON, HOLDER, StatusReason.LOSS_REPORTED)]
ORDERED = [*VALID, DocumentSuspended(NOON, HOLDER, StatusReason.ORDERED)]
REVOKED = [
    *VALID,
    DocumentRevoked(NOON, HOLDER, StatusReason.LOSS_CONFIRMED, None, was_in_force=True),
]
EXPIRED = [*VALID, DocumentExpired(NOON, HOLDER)]

expect = ExpectDocument(MORNING, APPLICATION, HOLDER, "RU-MOW", LAST_DAY, None)
register = RegisterDocument(NOON, LIST, 70_001)
activate = ActivateDocument(EVENING)
report_loss = SuspendDocument(EVENING, StatusReason.LOSS_REPORTED)
order = SuspendDocument(EVENING, StatusReason.ORDERED)
restore = RestoreDocument(EVENING, HOLDER, CHECK)
lift = LiftSuspension(EVENING)
revoke = RevokeDocument(EVENING, StatusReason.ORDERED, HOLDER)

given = Specification(aggregate).given


def test_an_approval_is_noted_once() -> None:
    given().when(expect).then(*EXPECTED)
    for life in (EXPECTED, REGISTERED, VALID, LOST, EXPIRED):
        given(*life).when(expect).then_nothing()


def test_a_document_gets_the_drawn_index_and_claims_it() -> None:
    registered = DocumentRegistered(NOON, APPLICATION, HOLDER, LIST, 70_001)
    given(*EXPECTED).when(register).then(registered, index_claim(LIST, 70_001))
    assert index_claim(LIST, 70_001).refusal == Reason.INDEX_TAKEN
    assert index_claim(LIST, 70_001).digest != index_claim(LIST, 70_002).digest


def test_a_second_index_changes_nothing() -> None:
    for life in (REGISTERED, VALID, LOST, EXPIRED):
        given(*life).when(RegisterDocument(EVENING, LIST, 5)).then_nothing()


def test_an_index_is_given_only_to_an_expected_document() -> None:
    given().when(register).then_refused(Reason.NOT_EXPECTED)


def test_a_registration_that_is_overdue_is_recorded_and_waited_for_again() -> None:
    passed = DeadlinePassed(Wait.REGISTRATION, 1, NOON)
    given(*EXPECTED).when(passed).then(RegistrationDelayed(NOON))
    again = [StartWait(Wait.REGISTRATION, NOON + REGISTRATION_TIME)]
    assert waits(RegistrationDelayed(NOON)) == again


def test_a_registered_document_is_activated_once() -> None:
    given(*REGISTERED).when(activate).then(DocumentActivated(EVENING, HOLDER, LAST_DAY))
    given(*VALID).when(activate).then_nothing()
    given(*LOST).when(activate).then_nothing()


def test_a_document_without_an_index_is_not_activated() -> None:
    given().when(activate).then_refused(Reason.NOT_REGISTERED)
    given(*EXPECTED).when(activate).then_refused(Reason.NOT_REGISTERED)


def test_a_reported_loss_suspends_once() -> None:
    suspended = DocumentSuspended(EVENING, HOLDER, StatusReason.LOSS_REPORTED)
    given(*VALID).when(report_loss).then(suspended)
    given(*LOST).when(report_loss).then_nothing()


def test_an_unregistered_document_is_not_suspended() -> None:
    given().when(report_loss).then_refused(Reason.NOT_REGISTERED)
    given(*EXPECTED).when(report_loss).then_refused(Reason.NOT_REGISTERED)


def test_a_loss_heard_before_activation_takes_effect_with_it() -> None:
    noted = SuspensionNoted(EVENING, StatusReason.LOSS_REPORTED)
    given(*REGISTERED).when(report_loss).then(noted)
    given(*REGISTERED, noted).when(report_loss).then_nothing()
    given(*REGISTERED, noted).when(activate).then(
        DocumentActivated(EVENING, HOLDER, LAST_DAY),
        DocumentSuspended(EVENING, HOLDER, StatusReason.LOSS_REPORTED),
    )


def test_the_holder_in_person_lifts_a_loss_and_twice_changes_nothing() -> None:
    restored = DocumentRestored(EVENING, HOLDER, CHECK)
    given(*LOST).when(restore).then(restored)
    given(*LOST, restored).when(restore).then_nothing()


@pytest.mark.parametrize("life", [[], EXPECTED, REGISTERED, VALID])
def test_what_is_not_suspended_is_not_restored(life: list[Event]) -> None:
    given(*life).when(restore).then_refused(Reason.NOT_SUSPENDED)
    given(*life).when(lift).then_refused(Reason.NOT_SUSPENDED)


def test_a_check_made_before_the_loss_lifts_nothing() -> None:
    early = RestoreDocument(NOON - timedelta(seconds=1), HOLDER, CHECK)
    given(*LOST).when(early).then_refused(Reason.NOT_SUSPENDED)


def test_a_check_lifts_one_loss_only() -> None:
    life = [
        *LOST,
        DocumentRestored(NOON, HOLDER, CHECK),
        DocumentSuspended(NOON, HOLDER, StatusReason.LOSS_REPORTED),
    ]
    given(*life).when(restore).then_refused(Reason.CHECK_ALREADY_USED)
    other = RestoreDocument(EVENING, HOLDER, SECOND_CHECK)
    given(*life).when(other).then(DocumentRestored(EVENING, HOLDER, SECOND_CHECK))


def test_somebody_else_in_person_lifts_nothing() -> None:
    theirs = RestoreDocument(EVENING, STRANGER, CHECK)
    given(*LOST).when(theirs).then_refused(Reason.OTHER_HOLDER)


def test_an_order_is_lifted_by_order_not_by_the_holder() -> None:
    given(*ORDERED).when(restore).then_refused(Reason.SUSPENDED_BY_ORDER)
    given(*LOST, *ORDERED[-1:]).when(restore).then_refused(Reason.SUSPENDED_BY_ORDER)
    given(*ORDERED).when(lift).then(DocumentRestored(EVENING, HOLDER, None))


def test_a_loss_of_a_document_suspended_by_order_is_recorded_too() -> None:
    suspended = DocumentSuspended(EVENING, HOLDER, StatusReason.LOSS_REPORTED)
    given(*ORDERED).when(report_loss).then(suspended)
    given(*ORDERED).when(order).then_nothing()


@pytest.mark.parametrize(
    ("life", "was_in_force"),
    [
        ([], False),
        (EXPECTED, False),
        (REGISTERED, False),
        (VALID, True),
        (LOST, True),
        (EXPIRED, True),
    ],
)
def test_revocation_is_accepted_in_every_standing(life: list[Event], was_in_force: bool) -> None:
    given(*life).when(revoke).then(
        DocumentRevoked(EVENING, HOLDER, StatusReason.ORDERED, None, was_in_force)
    )


def test_revoking_twice_records_it_once() -> None:
    given(*REVOKED).when(revoke).then_nothing()


def test_the_predecessor_names_what_supersedes_it() -> None:
    superseded = RevokeDocument(EVENING, StatusReason.SUPERSEDED, HOLDER, superseded_by=NEW)
    given(*VALID).when(superseded).then(
        DocumentRevoked(EVENING, HOLDER, StatusReason.SUPERSEDED, NEW, was_in_force=True)
    )


def test_a_document_nobody_heard_of_is_not_revoked_without_its_holder() -> None:
    unknown = RevokeDocument(EVENING, StatusReason.ORDERED)
    given().when(unknown).then_refused(Reason.UNKNOWN)


@pytest.mark.parametrize("command", [expect, register, activate, report_loss, order, restore, lift])
def test_nothing_leads_out_of_revoked(command: Command) -> None:
    given(*REVOKED).when(command).then_refused(Reason.REVOKED_IS_FINAL)


@pytest.mark.parametrize("command", [activate, report_loss, order, restore, lift])
def test_an_expired_document_stays_expired(command: Command) -> None:
    given(*EXPIRED).when(command).then_refused(Reason.EXPIRED)


def test_a_loss_that_nobody_withdraws_revokes() -> None:
    assert waits(DocumentSuspended(NOON, HOLDER, StatusReason.LOSS_REPORTED)) == [
        StartWait(Wait.LOSS_WITHDRAWAL, NOON + LOSS_WITHDRAWAL_TIME)
    ]
    assert timedelta(days=30) == LOSS_WITHDRAWAL_TIME
    reason = StatusReason.LOSS_NOT_WITHDRAWN_IN_TIME
    given(*LOST).when(DeadlinePassed(Wait.LOSS_WITHDRAWAL, 4, EVENING)).then(
        DocumentRevoked(EVENING, HOLDER, reason, None, was_in_force=True)
    )


def test_an_order_waits_for_nobody() -> None:
    assert waits(DocumentSuspended(NOON, HOLDER, StatusReason.ORDERED)) == []


def test_a_document_expires_when_its_last_day_has_ended() -> None:
    assert waits(DocumentActivated(MORNING, HOLDER, LAST_DAY)) == [
        StartWait(Wait.EXPIRY, datetime(2036, 11, 22, tzinfo=UTC))
    ]
    passed = DeadlinePassed(Wait.EXPIRY, 3, EVENING)
    given(*VALID).when(passed).then(DocumentExpired(EVENING, HOLDER))
    given(*LOST).when(passed).then(DocumentExpired(EVENING, HOLDER))


def test_waits_end_with_what_was_waited_for() -> None:
    assert waits(REGISTERED[-1]) == [EndWait(Wait.REGISTRATION)]
    assert waits(DocumentRestored(NOON, HOLDER, CHECK)) == [EndWait(Wait.LOSS_WITHDRAWAL)]
    every = [EndWait(kind) for kind in Wait]
    assert waits(REVOKED[-1]) == every
    assert waits(EXPIRED[-1]) == every
