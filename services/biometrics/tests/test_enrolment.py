"""Samples taken, searched, or excepted from searching."""

from dataclasses import replace

import pytest
from enrolled import (
    ACCEPTED,
    APPLICATION,
    BY_EXCEPTION,
    CAPTURE,
    ENROL,
    LATER,
    NEXT_APPLICATION,
    NEXT_CAPTURE,
    NOON,
    OPERATOR,
    OTHER_HOLDER,
    REPLACE,
    SAMPLES,
    SECOND,
    SUPERVISOR,
    SUSPECTED,
    conclude,
    excepted,
    given,
    received,
    requested,
    search,
    searched,
)

from biometrics.engine.quality import CaptureFault
from biometrics.record_commands import ExceptFingers, Reason, ReceiveSamples, RejectSample
from biometrics.record_events import (
    BiometricsAccepted,
    DuplicateConfirmed,
    Event,
    OwnRecordMissing,
    RecordRetired,
    SampleRejected,
)
from epassport_contracts.desk import TicketPurpose
from epassport_contracts.events.enrollment import ApplicationKind

RECEIVE = ReceiveSamples(NOON, OPERATOR, ENROL, CAPTURE, SAMPLES)
REJECT = RejectSample(NOON, OPERATOR, ENROL, NEXT_CAPTURE, CaptureFault.BLANK)
REJECTED = SampleRejected(NOON, OPERATOR, APPLICATION, NEXT_CAPTURE, CaptureFault.BLANK)
EXCEPT = ExceptFingers(NOON, SUPERVISOR, ENROL, CAPTURE, "face", "worn-fingers")
RETIRED = RecordRetired(LATER, APPLICATION, wholly=True, cases=())


def test_samples_come_under_the_ticket_of_the_officer_who_brings_them() -> None:
    given().when(RECEIVE).then(received())
    stranger = replace(RECEIVE, by=SECOND)
    given().when(stranger).then_refused(Reason.TICKET_OF_OTHER_OFFICER)


def test_samples_brought_twice_are_received_once() -> None:
    given(received()).when(RECEIVE).then_nothing()


@pytest.mark.parametrize("life", [[received()], SUSPECTED, ACCEPTED, BY_EXCEPTION])
def test_a_second_capture_is_refused_while_the_first_stands(life: list[Event]) -> None:
    again = replace(RECEIVE, capture_id=NEXT_CAPTURE)
    given(*life).when(again).then_refused(Reason.SAMPLES_ALREADY_THERE)


def test_a_ticket_for_the_counter_does_not_enrol() -> None:
    counter = ENROL.model_copy(update={"purpose": TicketPurpose.HAND_OVER})
    for command in (RECEIVE, REJECT):
        other = replace(command, ticket=counter)
        given().when(other).then_refused(Reason.TICKET_OF_OTHER_PURPOSE)
    nameless = ENROL.model_copy(update={"application_id": None})
    refused = Reason.TICKET_OF_OTHER_PURPOSE
    given().when(replace(RECEIVE, ticket=nameless)).then_refused(refused)
    given().when(replace(EXCEPT, ticket=nameless)).then_refused(refused)


@pytest.mark.parametrize("kind", [ApplicationKind.RENEW, ApplicationKind.NAME_CHANGE])
def test_kinds_that_are_not_yet_open_are_refused(kind: ApplicationKind) -> None:
    ticket = ENROL.model_copy(update={"kind": kind})
    for command in (RECEIVE, REJECT, EXCEPT):
        given().when(replace(command, ticket=ticket)).then_refused(Reason.KIND_NOT_YET_OPEN)


def test_a_bad_capture_is_recorded_once_and_may_be_taken_again() -> None:
    given().when(REJECT).then(REJECTED)
    given(REJECTED).when(REJECT).then_nothing()
    given(REJECTED).when(RECEIVE).then(received())


def test_a_bad_capture_is_not_recorded_for_others_or_when_samples_are_there() -> None:
    stranger = replace(REJECT, by=SECOND)
    given().when(stranger).then_refused(Reason.TICKET_OF_OTHER_OFFICER)
    given(received()).when(REJECT).then_refused(Reason.SAMPLES_ALREADY_THERE)


def test_who_is_found_nowhere_is_accepted() -> None:
    accepted = BiometricsAccepted(LATER, APPLICATION, by_exception=False)
    given(received()).when(conclude(search())).then(searched(search()), accepted)


def test_who_is_found_under_another_holder_waits_for_people() -> None:
    found = search(OTHER_HOLDER)
    given(received()).when(conclude(found)).then(searched(found), requested(OTHER_HOLDER))


def test_a_search_told_twice_is_concluded_once() -> None:
    for life in (ACCEPTED, SUSPECTED):
        given(*life).when(conclude(search())).then_nothing()


def test_a_search_of_another_capture_is_refused() -> None:
    other = replace(conclude(search()), capture_id=NEXT_CAPTURE)
    given(received()).when(other).then_refused(Reason.UNKNOWN_CAPTURE)
    given().when(conclude(search())).then_refused(Reason.UNKNOWN_CAPTURE)


def test_a_replacement_needs_the_own_record_and_nobody_elses() -> None:
    begun = received(ApplicationKind.REPLACE)
    own = search(own_matched=True)
    accepted = BiometricsAccepted(LATER, APPLICATION, by_exception=False)
    given(begun).when(conclude(own)).then(searched(own), accepted)
    both = search(OTHER_HOLDER, own_matched=True)
    given(begun).when(conclude(both)).then(searched(both), requested(OTHER_HOLDER))


def test_a_replacement_whose_own_record_does_not_match_is_captured_again() -> None:
    begun = received(ApplicationKind.REPLACE)
    missing = OwnRecordMissing(LATER, APPLICATION, CAPTURE)
    given(begun).when(conclude(search())).then(searched(search()), missing)
    life = [begun, searched(search()), missing]
    again = replace(RECEIVE, ticket=REPLACE, capture_id=NEXT_CAPTURE)
    given(*life).when(again).then(received(ApplicationKind.REPLACE, capture_id=NEXT_CAPTURE))
    given(*life).when(conclude(search())).then_nothing()


def test_a_replacement_with_hands_mixed_up_says_so_and_is_captured_again() -> None:
    begun = received(ApplicationKind.REPLACE)
    crossed = search(own_mixed_up=True)
    missing = OwnRecordMissing(LATER, APPLICATION, CAPTURE, mixed_up=True)
    given(begun).when(conclude(crossed)).then(searched(crossed), missing)


def test_a_supervisors_exception_stands_for_the_search() -> None:
    accepted = BiometricsAccepted(NOON, APPLICATION, by_exception=True)
    given().when(EXCEPT).then(excepted(), accepted)
    given(REJECTED).when(EXCEPT).then(excepted(), accepted)
    given(*BY_EXCEPTION).when(EXCEPT).then_nothing()


def test_who_holds_the_ticket_makes_no_exception() -> None:
    given().when(replace(EXCEPT, by=OPERATOR)).then_refused(Reason.FOUR_EYES)


def test_no_exception_goes_past_a_search() -> None:
    confirmed = DuplicateConfirmed(LATER, NEXT_CAPTURE, APPLICATION)
    other = replace(EXCEPT, capture_id=NEXT_CAPTURE)
    for life in ([received()], SUSPECTED, ACCEPTED):
        given(*life).when(other).then_refused(Reason.SAMPLES_ALREADY_THERE)
    life = [*SUSPECTED, replace(confirmed, case_id=requested().case_id)]
    given(*life).when(other).then_refused(Reason.SAMPLES_ALREADY_THERE)


def test_nothing_is_taken_for_an_application_that_has_ended() -> None:
    given(RETIRED).when(RECEIVE).then_refused(Reason.RETIRED)
    given(RETIRED).when(REJECT).then_refused(Reason.RETIRED)
    given(RETIRED).when(EXCEPT).then_refused(Reason.RETIRED)
    given(received(), RETIRED).when(conclude(search())).then_refused(Reason.RETIRED)


def test_two_applications_of_a_holder_are_two_enrolments() -> None:
    next_ticket = REPLACE.model_copy(update={"application_id": NEXT_APPLICATION})
    command = replace(RECEIVE, ticket=next_ticket, capture_id=NEXT_CAPTURE)
    expected = received(ApplicationKind.REPLACE, NEXT_APPLICATION, NEXT_CAPTURE)
    given(*ACCEPTED).when(command).then(expected)
