"""The decision: who may approve, what must be there, and how an application ends."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from counter import (
    ACCEPTED,
    APPROVED,
    AT_OFFICE,
    COUNTER,
    HANDED_OVER,
    HOLDER,
    IDENTITY,
    LATER,
    NOON,
    NUMBER,
    NUMBER_DIGEST,
    OPERATOR,
    PERSON_DIGEST,
    REF,
    REGION,
    REPLACING,
    SUBMITTED,
    SUPERVISOR,
)

from enrollment import application
from enrollment.application import PATIENCE, Wait, waits
from enrollment.application_commands import (
    ApproveApplication,
    NoteBiometrics,
    NoteDuplicate,
    Reason,
    RejectApplication,
    RejectionReason,
    RequestInformation,
    SupplyInformation,
    WithdrawApplication,
)
from enrollment.application_events import (
    ApplicationApproved,
    ApplicationRejected,
    ApplicationWithdrawn,
    BiometricsNoted,
    BiometricsOverdue,
    CardLost,
    CardOverdue,
    CardUncollected,
    DecisionOverdue,
    DuplicateNoted,
    InformationOverdue,
    InformationRequested,
    InformationSupplied,
)
from epassport import Claim, DeadlinePassed, EndWait, Give, Personal, Refused, Release, StartWait
from epassport.testing import Specification
from epassport_contracts.events.enrollment import ApplicationKind

given = Specification(application.aggregate).given

DUPLICATE = DuplicateNoted(NOON)
REJECTED = ApplicationRejected(
    NOON, SUPERVISOR, HOLDER, None, False, RejectionReason.PAPERS_NOT_VALID
)
WITHDRAWN = ApplicationWithdrawn(NOON, OPERATOR, HOLDER, None, False)
PAPER = "birth-certificate"
ASKED = InformationRequested(NOON, SUPERVISOR, PAPER)
GIVEN = InformationSupplied(NOON, OPERATOR, PAPER, complete=True)

APPROVE = ApproveApplication(LATER, SUPERVISOR, REF, NUMBER, NUMBER_DIGEST)
REJECT = RejectApplication(LATER, SUPERVISOR, RejectionReason.PAPERS_NOT_VALID, PERSON_DIGEST)
WITHDRAW = WithdrawApplication(LATER, OPERATOR, PERSON_DIGEST)
SUPPLY = SupplyInformation(LATER, COUNTER, PAPER)
REQUEST = RequestInformation(LATER, SUPERVISOR, PAPER)

RELEASE_LIVE = Release("live-application", PERSON_DIGEST)
RELEASE_PERSON = Release("holder-person", PERSON_DIGEST)
RELEASE_REPLACEMENT = Release("live-replacement", HOLDER.bytes)
QUOTA_BACK = Give(f"rollout/{REGION}", 1)

ENDS = [
    ((SUBMITTED, REJECTED), Reason.REJECTED),
    ((SUBMITTED, WITHDRAWN), Reason.WITHDRAWN),
    ((SUBMITTED, ACCEPTED, APPROVED, AT_OFFICE, HANDED_OVER), Reason.HANDED_OVER),
]


@pytest.mark.parametrize(
    "command",
    [NoteBiometrics(LATER, False), APPROVE, REJECT, WITHDRAW, REQUEST, SUPPLY],
    ids=lambda command: type(command).__name__,
)
def test_what_was_never_submitted_is_unknown(command: Any) -> None:
    given().when(command).then_refused(Reason.UNKNOWN)


def test_accepted_biometrics_are_noted_once() -> None:
    fact = BiometricsNoted(LATER, by_exception=True)
    given(SUBMITTED).when(NoteBiometrics(LATER, by_exception=True)).then(fact)
    given(SUBMITTED, fact).when(NoteBiometrics(LATER, by_exception=True)).then_nothing()


def test_a_confirmed_duplicate_is_noted_and_rejects_nothing_by_itself() -> None:
    given(SUBMITTED).when(NoteDuplicate(LATER)).then(DuplicateNoted(LATER))
    given(SUBMITTED, DUPLICATE).when(NoteDuplicate(LATER)).then_nothing()
    given(SUBMITTED, ACCEPTED).when(NoteDuplicate(LATER)).then_nothing()


def test_who_wins_an_appeal_against_a_duplicate_is_approved() -> None:
    accepted = BiometricsNoted(LATER, by_exception=False)
    given(SUBMITTED, DUPLICATE).when(NoteBiometrics(LATER, by_exception=False)).then(accepted)
    given(SUBMITTED, DUPLICATE).when(APPROVE).then_refused(Reason.DUPLICATE_PERSON)
    decision = application.decide(APPROVE, given(SUBMITTED, DUPLICATE, accepted).state)
    assert not isinstance(decision, Refused)


@pytest.mark.parametrize(("life", "reason"), ENDS[:2])
def test_biometrics_come_too_late_for_an_ended_application(life: Any, reason: Reason) -> None:
    given(*life).when(NoteBiometrics(LATER, False)).then_refused(reason)


def test_biometrics_said_again_after_approval_change_nothing() -> None:
    given(SUBMITTED, ACCEPTED, APPROVED).when(NoteBiometrics(LATER, False)).then_nothing()


def test_an_approval_claims_its_number_and_copies_the_sealed_identity() -> None:
    given(SUBMITTED, ACCEPTED).when(APPROVE).then(
        ApplicationApproved(
            at=LATER,
            by=SUPERVISOR,
            holder_id=HOLDER,
            kind=ApplicationKind.FIRST,
            region=REGION,
            office=SUBMITTED.office,
            document_ref=REF,
            document_number=Personal(HOLDER, "document-number", NUMBER),
            predecessor=None,
            identity=IDENTITY,
            wishes=None,
            valid_until=date(2036, 11, 23),
        ),
        Claim("document-number", NUMBER_DIGEST, Reason.DOCUMENT_NUMBER_TAKEN, HOLDER),
    )


def test_a_document_approved_on_29_february_ends_on_the_28th() -> None:
    leap_day = replace(APPROVE, at=NOON.replace(year=2028, month=2, day=29))
    decided = application.decide(leap_day, given(SUBMITTED, ACCEPTED).state)
    assert isinstance(decided, list)
    assert decided[0].valid_until == date(2038, 2, 28)


def test_approving_twice_issues_one_document() -> None:
    given(SUBMITTED, ACCEPTED, APPROVED).when(APPROVE).then_nothing()


def test_another_approval_is_told_so_and_not_given_a_reference_of_its_own() -> None:
    other = replace(APPROVE, document_ref=UUID(int=9))
    given(SUBMITTED, ACCEPTED, APPROVED).when(other).then_refused(Reason.ALREADY_APPROVED)


def test_nothing_is_approved_without_biometrics() -> None:
    given(SUBMITTED).when(APPROVE).then_refused(Reason.BIOMETRICS_MISSING)


def test_a_confirmed_duplicate_is_never_approved() -> None:
    given(SUBMITTED, DUPLICATE).when(APPROVE).then_refused(Reason.DUPLICATE_PERSON)


def test_nothing_is_approved_while_something_is_missing() -> None:
    given(SUBMITTED, ACCEPTED, ASKED).when(APPROVE).then_refused(Reason.INFORMATION_MISSING)
    given(SUBMITTED, ACCEPTED, ASKED, GIVEN).when(replace(APPROVE, by=COUNTER)).then_events(
        replace(APPROVED, at=LATER, by=COUNTER, document_number=Personal(
            HOLDER, "document-number", NUMBER))
    )  # fmt: skip


def test_who_took_part_does_not_approve() -> None:
    own = replace(APPROVE, by=OPERATOR)
    given(SUBMITTED, ACCEPTED).when(own).then_refused(Reason.FOUR_EYES)
    supplied = replace(GIVEN, by=SUPERVISOR)
    given(SUBMITTED, ACCEPTED, ASKED, supplied).when(APPROVE).then_refused(Reason.FOUR_EYES)


SAID_TWICE = [
    (APPROVE, Reason.HANDED_OVER),
    (REJECT, Reason.REJECTED),
    (WITHDRAW, Reason.WITHDRAWN),
]


@pytest.mark.parametrize("command", [APPROVE, REQUEST, SUPPLY, WITHDRAW, REJECT])
@pytest.mark.parametrize(("life", "reason"), ENDS)
def test_an_end_is_final(command: Any, life: Any, reason: Reason) -> None:
    if (command, reason) in SAID_TWICE:
        given(*life).when(command).then_nothing()
    else:
        given(*life).when(command).then_refused(reason)


def test_information_is_asked_for_by_its_code_and_once() -> None:
    given(SUBMITTED).when(REQUEST).then(InformationRequested(LATER, SUPERVISOR, PAPER))
    given(SUBMITTED, ASKED).when(REQUEST).then_nothing()
    given(SUBMITTED, ACCEPTED, APPROVED).when(REQUEST).then_refused(Reason.ALREADY_APPROVED)


def test_what_was_supplied_may_be_asked_for_again() -> None:
    given(SUBMITTED, ASKED, GIVEN).when(REQUEST).then(
        InformationRequested(LATER, SUPERVISOR, PAPER)
    )


def test_only_what_was_asked_for_is_supplied() -> None:
    given(SUBMITTED).when(SUPPLY).then_refused(Reason.INFORMATION_NOT_REQUESTED)
    given(SUBMITTED, ASKED).when(SUPPLY).then(InformationSupplied(LATER, COUNTER, PAPER, True))
    given(SUBMITTED, ASKED, GIVEN).when(SUPPLY).then_nothing()
    given(SUBMITTED, ACCEPTED, APPROVED).when(SUPPLY).then_refused(Reason.ALREADY_APPROVED)


def test_the_first_of_two_papers_does_not_complete_an_application() -> None:
    second = InformationRequested(NOON, SUPERVISOR, "inn")
    given(SUBMITTED, ASKED, second).when(SUPPLY).then(
        InformationSupplied(LATER, COUNTER, PAPER, complete=False)
    )


def test_a_rejection_frees_person_and_quota() -> None:
    fact = replace(REJECTED, at=LATER)
    given(SUBMITTED).when(REJECT).then(fact, RELEASE_LIVE, RELEASE_PERSON, QUOTA_BACK)
    given(SUBMITTED, REJECTED).when(REJECT).then_nothing()


def test_a_rejected_replacement_leaves_the_holder_another_document() -> None:
    fact = replace(REJECTED, at=LATER, has_other_document=True)
    given(REPLACING).when(REJECT).then(fact, RELEASE_LIVE, RELEASE_REPLACEMENT, QUOTA_BACK)


def test_after_approval_the_rejection_names_the_document_that_ends() -> None:
    given(SUBMITTED, ACCEPTED, APPROVED).when(REJECT).then_events(
        replace(REJECTED, at=LATER, document_ref=REF)
    )


def test_only_a_confirmed_duplicate_is_rejected_as_one() -> None:
    command = replace(REJECT, reason=RejectionReason.DUPLICATE_PERSON)
    given(SUBMITTED, ACCEPTED).when(command).then_refused(Reason.NO_DUPLICATE_CONFIRMED)
    given(SUBMITTED, DUPLICATE).when(command).then_events(
        replace(REJECTED, at=LATER, reason=RejectionReason.DUPLICATE_PERSON)
    )


def test_a_withdrawal_frees_person_and_quota() -> None:
    fact = replace(WITHDRAWN, at=LATER)
    given(SUBMITTED).when(WITHDRAW).then(fact, RELEASE_LIVE, RELEASE_PERSON, QUOTA_BACK)
    given(SUBMITTED, WITHDRAWN).when(WITHDRAW).then_nothing()
    given(SUBMITTED, ACCEPTED, APPROVED).when(WITHDRAW).then_events(
        replace(WITHDRAWN, at=LATER, document_ref=REF)
    )


def test_of_an_erased_person_there_is_no_digest_left_to_release() -> None:
    given(SUBMITTED).when(replace(WITHDRAW, person_digest=None)).then(
        replace(WITHDRAWN, at=LATER), QUOTA_BACK
    )


@pytest.mark.parametrize(
    ("wait", "life", "fact"),
    [
        (Wait.BIOMETRICS, (SUBMITTED,), BiometricsOverdue(LATER)),
        (Wait.INFORMATION, (SUBMITTED, ASKED), InformationOverdue(LATER)),
        (Wait.DECISION, (SUBMITTED, ACCEPTED), DecisionOverdue(LATER)),
        (Wait.CARD, (SUBMITTED, ACCEPTED, APPROVED), CardOverdue(LATER)),
        (Wait.COLLECTION, (SUBMITTED, ACCEPTED, APPROVED, AT_OFFICE), CardUncollected(LATER)),
    ],
)
def test_a_passed_deadline_is_a_fact_and_ends_nothing(wait: Wait, life: Any, fact: Any) -> None:
    given(*life).when(DeadlinePassed(wait, 1, LATER)).then(fact)
    assert given(*life, fact).state == given(*life).state


def test_a_supervisor_is_not_late_while_the_applicant_is_waited_for() -> None:
    deadline = DeadlinePassed(Wait.DECISION, 1, LATER)
    given(SUBMITTED, ACCEPTED, ASKED).when(deadline).then_nothing()
    given(SUBMITTED, ASKED, GIVEN).when(deadline).then_nothing()


def test_every_wait_starts_with_its_cause_and_ends_with_its_answer() -> None:
    def start(wait: Wait) -> StartWait:
        return StartWait(wait, NOON + PATIENCE[wait])

    lost = CardLost(NOON, REF)
    assert waits(SUBMITTED) == [start(Wait.BIOMETRICS)]
    assert waits(ACCEPTED) == [EndWait(Wait.BIOMETRICS), start(Wait.DECISION)]
    assert waits(DUPLICATE) == [EndWait(Wait.BIOMETRICS), start(Wait.DECISION)]
    assert waits(ASKED) == [EndWait(Wait.DECISION), start(Wait.INFORMATION)]
    assert waits(GIVEN) == [EndWait(Wait.INFORMATION), start(Wait.DECISION)]
    assert waits(replace(GIVEN, complete=False)) == []
    assert waits(APPROVED) == [EndWait(Wait.DECISION), start(Wait.CARD)]
    assert waits(AT_OFFICE) == [EndWait(Wait.CARD), start(Wait.COLLECTION)]
    assert waits(lost) == [start(Wait.CARD)]
    assert waits(HANDED_OVER) == [EndWait(Wait.COLLECTION)]
    assert waits(REJECTED) == waits(WITHDRAWN) == [EndWait(wait) for wait in Wait]
    assert waits(BiometricsOverdue(NOON)) == []
    assert PATIENCE[Wait.INFORMATION] == timedelta(days=30)
