"""The person at the counter: fingers, tries, and faces under an exception."""

from dataclasses import replace
from uuid import UUID

import pytest
from enrolled import (
    ACCEPTED,
    APPLICATION,
    AT_COUNTER,
    BESIDE,
    BY_EXCEPTION,
    CAPTURE,
    CHECK,
    COUNTER,
    ENROL,
    INDEX,
    LATER,
    NEXT_APPLICATION,
    NEXT_CAPTURE,
    NOON,
    RESTORE,
    SUPERVISOR,
    SUSPECTED,
    checked,
    excepted,
    given,
    received,
)

from biometrics.engine.positions import FingerPosition
from biometrics.holder_check import MAX_TRIES
from biometrics.record_commands import (
    CheckFinger,
    ConfirmFace,
    ExceptFingers,
    Officer,
    Reason,
)
from biometrics.record_events import (
    BiometricsAccepted,
    Event,
    FaceCompared,
    HolderMismatch,
    HolderVerified,
    RecordRetired,
)
from epassport_contracts.events.biometrics import ComparisonMethod
from epassport_contracts.events.enrollment import ApplicationKind

FACES = ComparisonMethod.FACES_BY_TWO_OFFICERS
FINGER = CheckFinger(LATER, AT_COUNTER, COUNTER, CHECK, INDEX, CAPTURE, matches=True)
WRONG_FINGER = replace(FINGER, matches=False)
VERIFIED, MISMATCH = checked(HolderVerified), checked(HolderMismatch)
TRIED: list[Event] = [checked(HolderMismatch, check_id=UUID(int=100 + n)) for n in range(MAX_TRIES)]
EXCEPT = ExceptFingers(NOON, SUPERVISOR, COUNTER, CAPTURE, "face", "worn-fingers")


def face(by: Officer, *, matches: bool = True, check_id: UUID = CHECK) -> ConfirmFace:
    return ConfirmFace(LATER, by, COUNTER, check_id, matches)


def compared(by: Officer, *, matches: bool = True) -> FaceCompared:
    return FaceCompared(LATER, COUNTER.ticket_id, by, matches)


def test_the_enrolled_finger_verifies_its_holder() -> None:
    given(*ACCEPTED).when(FINGER).then(VERIFIED)


def test_another_finger_is_a_mismatch() -> None:
    given(*ACCEPTED).when(WRONG_FINGER).then(MISMATCH)


def test_a_finger_that_was_not_enrolled_verifies_nobody() -> None:
    other = replace(FINGER, position=FingerPosition.LEFT_INDEX)
    given(*ACCEPTED).when(other).then_refused(Reason.FINGER_NOT_ENROLLED)


def test_a_check_said_twice_is_recorded_once() -> None:
    given(*ACCEPTED, VERIFIED).when(FINGER).then_nothing()
    given(*ACCEPTED, MISMATCH).when(WRONG_FINGER).then_nothing()


def test_a_ticket_serves_one_verified_result() -> None:
    again = replace(FINGER, check_id=NEXT_CAPTURE)
    given(*ACCEPTED, VERIFIED).when(again).then_refused(Reason.TICKET_USED)
    given(*ACCEPTED, VERIFIED).when(face(BESIDE, check_id=NEXT_CAPTURE)).then_refused(
        Reason.TICKET_USED
    )
    given(*ACCEPTED, VERIFIED).when(EXCEPT).then_refused(Reason.TICKET_USED)


def test_the_third_try_is_the_last_under_a_ticket() -> None:
    given(*ACCEPTED, *TRIED[:2]).when(FINGER).then(VERIFIED)
    given(*ACCEPTED, *TRIED).when(FINGER).then_refused(Reason.TRIES_EXHAUSTED)
    new_ticket = COUNTER.model_copy(update={"ticket_id": UUID(int=22)})
    expected = checked(HolderVerified, new_ticket)
    given(*ACCEPTED, *TRIED).when(replace(FINGER, ticket=new_ticket)).then(expected)


def test_only_who_holds_the_ticket_compares_fingers() -> None:
    stranger = replace(FINGER, by=BESIDE)
    given(*ACCEPTED).when(stranger).then_refused(Reason.TICKET_OF_OTHER_OFFICER)


def test_an_enrol_ticket_verifies_nobody() -> None:
    command = replace(FINGER, ticket=ENROL.model_copy(update={"officer": "hand-over"}))
    given(*ACCEPTED).when(command).then_refused(Reason.TICKET_OF_OTHER_PURPOSE)


def test_who_was_not_accepted_cannot_be_verified() -> None:
    retired = RecordRetired(LATER, APPLICATION, wholly=True, cases=())
    for life in ([], [received()], SUSPECTED, [*ACCEPTED, retired]):
        given(*life).when(FINGER).then_refused(Reason.NOT_ENROLLED)
        given(*life).when(face(AT_COUNTER)).then_refused(Reason.NOT_ENROLLED)
        given(*life).when(EXCEPT).then_refused(Reason.NOT_ENROLLED)


def test_a_comparison_with_another_capture_than_the_enrolled_one_counts_for_nothing() -> None:
    for compared_with in (NEXT_CAPTURE, None):
        command = replace(FINGER, capture_id=compared_with)
        given(*ACCEPTED).when(command).then_refused(Reason.REFERENCE_CHANGED)


def test_excepted_fingers_are_not_compared() -> None:
    given(*BY_EXCEPTION).when(FINGER).then_refused(Reason.FINGERS_EXCEPTED)


def test_without_an_application_the_latest_accepted_enrolment_counts() -> None:
    restore = replace(FINGER, ticket=RESTORE)
    given(*ACCEPTED).when(restore).then(checked(HolderVerified, RESTORE))
    later: list[Event] = [
        *ACCEPTED,
        received(ApplicationKind.REPLACE, NEXT_APPLICATION, NEXT_CAPTURE),
    ]
    given(*later).when(restore).then(checked(HolderVerified, RESTORE))
    accepted = BiometricsAccepted(LATER, NEXT_APPLICATION, by_exception=False)
    given(*later, accepted).when(restore).then_refused(Reason.REFERENCE_CHANGED)


def test_faces_are_compared_only_under_an_exception() -> None:
    given(*ACCEPTED).when(face(AT_COUNTER)).then_refused(Reason.NO_EXCEPTION)


@pytest.mark.parametrize(("first", "second"), [(AT_COUNTER, BESIDE), (BESIDE, AT_COUNTER)])
def test_two_officers_who_know_the_face_verify_the_holder(first: Officer, second: Officer) -> None:
    given(*BY_EXCEPTION).when(face(first)).then(compared(first))
    expected = [compared(second), checked(HolderVerified, method=FACES)]
    given(*BY_EXCEPTION, compared(first)).when(face(second)).then(*expected)


def test_one_officer_who_says_it_twice_is_one_officer() -> None:
    life = [*BY_EXCEPTION, compared(AT_COUNTER)]
    given(*life).when(face(AT_COUNTER)).then_nothing()


def test_one_of_the_two_holds_the_ticket() -> None:
    life = [*BY_EXCEPTION, compared(BESIDE)]
    given(*life).when(face(SUPERVISOR)).then(compared(SUPERVISOR))


def test_a_face_that_does_not_match_is_a_mismatch_and_begins_anew() -> None:
    no = face(BESIDE, matches=False)
    mismatch = checked(HolderMismatch, method=FACES)
    life = [*BY_EXCEPTION, compared(AT_COUNTER)]
    given(*life).when(no).then(compared(BESIDE, matches=False), mismatch)
    failed = [*life, compared(BESIDE, matches=False), mismatch]
    given(*failed).when(no).then_nothing()
    given(*failed).when(face(BESIDE, check_id=NEXT_CAPTURE)).then(compared(BESIDE))


def test_faces_have_three_tries_too() -> None:
    given(*BY_EXCEPTION, *TRIED).when(face(AT_COUNTER)).then_refused(Reason.TRIES_EXHAUSTED)


def test_a_supervisor_opens_faces_where_fingers_fail_for_this_ticket() -> None:
    exception = excepted(COUNTER)
    given(*ACCEPTED, *TRIED).when(EXCEPT).then(exception)
    life = [*ACCEPTED, *TRIED, exception]
    given(*life).when(EXCEPT).then_nothing()
    given(*life).when(face(AT_COUNTER)).then(compared(AT_COUNTER))
    other = COUNTER.model_copy(update={"ticket_id": UUID(int=22)})
    refused = replace(face(AT_COUNTER), ticket=other)
    given(*life).when(refused).then_refused(Reason.NO_EXCEPTION)


def test_who_holds_the_ticket_makes_no_exception_at_the_counter() -> None:
    given(*ACCEPTED).when(replace(EXCEPT, by=AT_COUNTER)).then_refused(Reason.FOUR_EYES)
