"""Two people decide, and a third where they disagree."""

from dataclasses import replace
from datetime import timedelta

import pytest
from enrolled import (
    APPLICATION,
    CAPTURE,
    CASE,
    FIRST,
    LATER,
    NEXT_CAPTURE,
    NEXT_SUPERVISOR,
    OPERATOR,
    OTHER_HOLDER,
    SECOND,
    SUPERVISOR,
    SUSPECTED,
    THIRD,
    answered,
    given,
    received,
    requested,
    search,
    searched,
)

from biometrics.record import ADJUDICATION_PATIENCE, aggregate
from biometrics.record_commands import Adjudicate, Appeal, Officer, Reason, Verdict
from biometrics.record_events import (
    AdjudicationEscalated,
    AdjudicationOverdue,
    AppealOpened,
    BiometricsAccepted,
    DuplicateConfirmed,
    DuplicateDismissed,
    Event,
    OwnRecordMissing,
    RecordRetired,
)
from epassport import DeadlinePassed, EndWait, StartWait
from epassport_contracts.events.enrollment import ApplicationKind

SAME, DIFFERENT = Verdict.SAME_PERSON, Verdict.DIFFERENT_PERSONS
CONFIRMED = DuplicateConfirmed(LATER, CASE, APPLICATION)
DISMISSED = DuplicateDismissed(LATER, CASE, APPLICATION)
ACCEPTED = BiometricsAccepted(LATER, APPLICATION, by_exception=False)
ESCALATED = AdjudicationEscalated(LATER, CASE)
SPLIT: list[Event] = [*SUSPECTED, answered(FIRST, SAME), answered(SECOND, DIFFERENT), ESCALATED]
WAIT = f"adjudication/{CASE}"


def says(by: Officer, verdict: Verdict) -> Adjudicate:
    is_supervisor = by in (SUPERVISOR, NEXT_SUPERVISOR)
    return Adjudicate(LATER, CASE, by, not is_supervisor, is_supervisor, verdict, "ridges")


def test_one_answer_decides_nothing() -> None:
    given(*SUSPECTED).when(says(FIRST, SAME)).then(answered(FIRST, SAME))


def test_two_who_see_the_same_person_confirm_the_duplicate() -> None:
    life = [*SUSPECTED, answered(FIRST, SAME)]
    given(*life).when(says(SECOND, SAME)).then(answered(SECOND, SAME), CONFIRMED)


def test_two_who_see_different_persons_accept_the_samples() -> None:
    life = [*SUSPECTED, answered(FIRST, DIFFERENT)]
    command = says(SECOND, DIFFERENT)
    given(*life).when(command).then(answered(SECOND, DIFFERENT), DISMISSED, ACCEPTED)


def test_a_dismissed_suspicion_does_not_stand_for_the_own_record() -> None:
    begun = received(ApplicationKind.REPLACE)
    first = answered(FIRST, DIFFERENT)
    alien = search(OTHER_HOLDER)
    missing = OwnRecordMissing(LATER, APPLICATION, CAPTURE)
    life: list[Event] = [begun, searched(alien), requested(OTHER_HOLDER), first]
    expected = [answered(SECOND, DIFFERENT), DISMISSED]
    given(*life).when(says(SECOND, DIFFERENT)).then(*expected, missing)
    both = search(OTHER_HOLDER, own_matched=True)
    life = [begun, searched(both), requested(OTHER_HOLDER), first]
    given(*life).when(says(SECOND, DIFFERENT)).then(*expected, ACCEPTED)


def test_an_answer_said_twice_is_recorded_once_and_cannot_be_changed() -> None:
    life = [*SUSPECTED, answered(FIRST, SAME)]
    given(*life).when(says(FIRST, SAME)).then_nothing()
    given(*life).when(says(FIRST, DIFFERENT)).then_refused(Reason.ALREADY_ANSWERED)


def test_the_same_name_from_another_issuer_is_another_person() -> None:
    life = [*SUSPECTED, answered(FIRST, SAME)]
    namesake = Officer("https://elsewhere.test", FIRST.subject)
    given(*life).when(says(namesake, SAME)).then(answered(namesake, SAME), CONFIRMED)


def test_who_took_the_samples_does_not_judge_them() -> None:
    given(*SUSPECTED).when(says(OPERATOR, SAME)).then_refused(Reason.FOUR_EYES)


def test_two_who_disagree_leave_it_to_a_supervisor() -> None:
    life = [*SUSPECTED, answered(FIRST, SAME)]
    given(*life).when(says(SECOND, DIFFERENT)).then(answered(SECOND, DIFFERENT), ESCALATED)


@pytest.mark.parametrize(
    ("verdict", "then"), [(SAME, [CONFIRMED]), (DIFFERENT, [DISMISSED, ACCEPTED])]
)
def test_a_supervisor_alone_decides_an_escalated_case(verdict: Verdict, then: list[Event]) -> None:
    given(*SPLIT).when(says(SUPERVISOR, verdict)).then(answered(SUPERVISOR, verdict), *then)


def test_a_supervisor_decides_no_case_that_is_not_escalated() -> None:
    given(*SUSPECTED).when(says(SUPERVISOR, SAME)).then_refused(Reason.CASE_NOT_ESCALATED)


def test_an_escalated_case_is_for_no_third_adjudicator() -> None:
    given(*SPLIT).when(says(THIRD, SAME)).then_refused(Reason.CASE_ESCALATED)


def test_who_has_answered_does_not_decide_again_as_a_supervisor() -> None:
    promoted = replace(says(FIRST, SAME), is_supervisor=True)
    given(*SPLIT).when(promoted).then_refused(Reason.FOUR_EYES)


def test_a_decided_case_stays_decided() -> None:
    life = [*SUSPECTED, answered(FIRST, SAME), answered(SECOND, SAME), CONFIRMED]
    given(*life).when(says(THIRD, DIFFERENT)).then_refused(Reason.CASE_CLOSED)
    given(*life).when(says(SECOND, SAME)).then_nothing()


def test_a_case_ends_with_its_application() -> None:
    retired = RecordRetired(LATER, APPLICATION, wholly=True, cases=(CASE,))
    given(*SUSPECTED, retired).when(says(FIRST, SAME)).then_refused(Reason.CASE_CLOSED)


def test_an_unknown_case_is_refused() -> None:
    unknown = replace(says(FIRST, SAME), case_id=NEXT_CAPTURE)
    given(*SUSPECTED).when(unknown).then_refused(Reason.UNKNOWN_CASE)


def test_a_case_that_nobody_answers_becomes_overdue() -> None:
    passed = DeadlinePassed(WAIT, 3, LATER)
    given(*SUSPECTED).when(passed).then(AdjudicationOverdue(LATER, CASE))
    given(*SUSPECTED, AdjudicationOverdue(LATER, CASE)).when(says(FIRST, SAME)).then(
        answered(FIRST, SAME)
    )


def test_each_who_is_waited_for_has_three_days() -> None:
    assert timedelta(days=3) == ADJUDICATION_PATIENCE
    started = [StartWait(WAIT, LATER + ADJUDICATION_PATIENCE)]
    assert aggregate.waits(requested(OTHER_HOLDER)) == started
    assert aggregate.waits(ESCALATED) == started
    assert aggregate.waits(answered(FIRST, SAME)) == []
    ended = [EndWait(WAIT)]
    retired = RecordRetired(LATER, APPLICATION, wholly=False, cases=(CASE,))
    assert [aggregate.waits(event) for event in (CONFIRMED, DISMISSED, retired)] == [ended] * 3


CONFIRMED_LIFE: list[Event] = [
    *SUSPECTED,
    answered(FIRST, SAME),
    answered(SECOND, SAME),
    CONFIRMED,
]
APPEAL = Appeal(LATER, CASE, SUPERVISOR, "twin-brother")
APPEALED = AppealOpened(LATER, CASE, APPLICATION, SUPERVISOR, "twin-brother")


def test_a_confirmed_duplicate_is_appealed_once() -> None:
    given(*CONFIRMED_LIFE).when(APPEAL).then(APPEALED)
    given(*CONFIRMED_LIFE, APPEALED).when(APPEAL).then_nothing()
    again = [*CONFIRMED_LIFE, APPEALED, answered(THIRD, SAME), CONFIRMED]
    given(*again).when(APPEAL).then_refused(Reason.APPEALED_BEFORE)


def test_what_is_not_confirmed_is_not_appealed() -> None:
    given(*SUSPECTED).when(APPEAL).then_refused(Reason.NO_DUPLICATE)
    given().when(APPEAL).then_refused(Reason.UNKNOWN_CASE)
    dismissed = [*SPLIT, answered(SUPERVISOR, DIFFERENT), DISMISSED, ACCEPTED]
    given(*dismissed).when(APPEAL).then_refused(Reason.NO_DUPLICATE)


def test_who_was_rejected_applies_again_instead_of_appealing() -> None:
    retired = RecordRetired(LATER, APPLICATION, wholly=True, cases=())
    given(*CONFIRMED_LIFE, retired).when(APPEAL).then_refused(Reason.RETIRED)


@pytest.mark.parametrize(
    ("verdict", "then"), [(SAME, [CONFIRMED]), (DIFFERENT, [DISMISSED, ACCEPTED])]
)
def test_an_appeal_is_decided_by_a_supervisor_who_has_taken_no_part(
    verdict: Verdict, then: list[Event]
) -> None:
    life = [*CONFIRMED_LIFE, APPEALED]
    by = NEXT_SUPERVISOR
    given(*life).when(says(by, verdict)).then(answered(by, verdict), *then)
    promoted = replace(says(FIRST, verdict), is_supervisor=True)
    given(*life).when(promoted).then_refused(Reason.FOUR_EYES)
    given(*life).when(says(THIRD, verdict)).then_refused(Reason.CASE_ESCALATED)


@pytest.mark.parametrize("verdict", Verdict)
def test_who_recorded_an_appeal_does_not_decide_it(verdict: Verdict) -> None:
    life = [*CONFIRMED_LIFE, APPEALED]
    given(*life).when(says(SUPERVISOR, verdict)).then_refused(Reason.FOUR_EYES)
    namesake = Officer("https://elsewhere.test", SUPERVISOR.subject)
    decided = replace(says(namesake, SAME), is_supervisor=True)
    given(*life).when(decided).then(answered(namesake, SAME), CONFIRMED)


def test_who_decided_a_case_may_record_its_appeal_and_decides_no_more() -> None:
    life = [*SPLIT, answered(SUPERVISOR, SAME), CONFIRMED]
    given(*life).when(APPEAL).then(APPEALED)
    given(*life, APPEALED).when(says(SUPERVISOR, DIFFERENT)).then_refused(Reason.FOUR_EYES)


def test_an_appeal_that_waits_too_long_is_overdue() -> None:
    (wait,) = aggregate.waits(APPEALED)
    assert isinstance(wait, StartWait)
    assert wait.due_at == LATER + ADJUDICATION_PATIENCE
