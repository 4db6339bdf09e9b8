"""Records leave the gallery; images leave for a document. And no reason is without a test."""

from dataclasses import replace

from enrolled import (
    ACCEPTED,
    APPLICATION,
    CASE,
    HOLDER,
    LATER,
    NEXT_APPLICATION,
    NEXT_CAPTURE,
    REF,
    SUSPECTED,
    given,
    received,
)

from biometrics.record_commands import (
    Image,
    OrderRelease,
    Reason,
    ReleaseImages,
    RetireRecord,
)
from biometrics.record_events import (
    BiometricsAccepted,
    DuplicateConfirmed,
    Event,
    ImageReleased,
    RecordRetired,
    ReleaseOrdered,
    Status,
)
from epassport import Personal
from epassport_contracts import DataPurpose
from epassport_contracts.events.biometrics import ReleasedImage
from epassport_contracts.events.enrollment import ApplicationKind

RETIRE = RetireRecord(LATER, APPLICATION, has_other_document=False)
RETIRED = RecordRetired(LATER, APPLICATION, wholly=True, cases=())
ORDER, ORDERED = OrderRelease(LATER, APPLICATION, REF), ReleaseOrdered(LATER, APPLICATION, REF)
FACE, FINGER = ReleasedImage.FACE, ReleasedImage.RIGHT_INDEX
RELEASE = ReleaseImages(
    LATER,
    HOLDER,
    REF,
    (
        Image(FACE, DataPurpose.CHIP, "image/jpeg", b"face"),
        Image(FACE, DataPurpose.PORTRAIT, "image/jpeg", b"face"),
        Image(FINGER, DataPurpose.CHIP, "image/x-wsq", b"finger"),
    ),
)


def released(image_kind: ReleasedImage, field: str, octets: bytes, media: str) -> ImageReleased:
    image = Personal(HOLDER, field, octets)
    return ImageReleased(LATER, APPLICATION, REF, image_kind, media, image)


RELEASED = [
    released(FACE, "chip-image", b"face", "image/jpeg"),
    released(FACE, "portrait", b"face", "image/jpeg"),
    released(FINGER, "chip-image", b"finger", "image/x-wsq"),
]
SECOND_ENROLMENT: list[Event] = [
    *ACCEPTED,
    received(ApplicationKind.REPLACE, NEXT_APPLICATION, NEXT_CAPTURE),
    BiometricsAccepted(LATER, NEXT_APPLICATION, by_exception=False),
]


def test_an_ended_application_takes_the_record_out_once() -> None:
    given(*ACCEPTED).when(RETIRE).then(RETIRED)
    given(*ACCEPTED, RETIRED).when(RETIRE).then_nothing()


def test_an_application_that_ends_before_its_capture_is_remembered() -> None:
    given().when(RETIRE).then(RETIRED)


def test_a_case_under_way_ends_with_the_application() -> None:
    given(*SUSPECTED).when(RETIRE).then(replace(RETIRED, cases=(CASE,)))
    decided = DuplicateConfirmed(LATER, CASE, APPLICATION)
    given(*SUSPECTED, decided).when(RETIRE).then(RETIRED)


def test_a_holder_with_another_document_keeps_the_other_enrolment() -> None:
    command = RetireRecord(LATER, NEXT_APPLICATION, has_other_document=True)
    retired = RecordRetired(LATER, NEXT_APPLICATION, wholly=False, cases=())
    given(*SECOND_ENROLMENT).when(command).then(retired)
    state = given(*SECOND_ENROLMENT, retired).state
    assert state.enrolment(APPLICATION).status is Status.ACCEPTED
    assert state.enrolment(NEXT_APPLICATION).status is Status.RETIRED


def test_a_holder_without_another_document_keeps_none() -> None:
    retired = RecordRetired(LATER, NEXT_APPLICATION, wholly=True, cases=())
    state = given(*SECOND_ENROLMENT, retired).state
    assert {e.status for e in state.enrolments.values()} == {Status.RETIRED}


def test_images_are_ordered_once_for_each_document() -> None:
    given(*ACCEPTED).when(ORDER).then(ORDERED)
    given(*ACCEPTED, ORDERED).when(ORDER).then_nothing()
    second = replace(ORDER, document_ref=NEXT_CAPTURE)
    expected = replace(ORDERED, document_ref=NEXT_CAPTURE)
    given(*ACCEPTED, ORDERED, *RELEASED).when(second).then(expected)


def test_no_images_are_ordered_of_samples_that_were_not_accepted() -> None:
    for life in ([], [received()], SUSPECTED):
        given(*life).when(ORDER).then_refused(Reason.NOT_ACCEPTED)
    given(*ACCEPTED, RETIRED).when(ORDER).then_refused(Reason.RETIRED)


def test_each_image_leaves_under_the_key_of_its_purpose() -> None:
    given(*ACCEPTED, ORDERED).when(RELEASE).then(*RELEASED)


def test_images_are_released_once() -> None:
    given(*ACCEPTED, ORDERED, *RELEASED).when(RELEASE).then_nothing()


def test_images_that_nobody_ordered_do_not_leave() -> None:
    given(*ACCEPTED).when(RELEASE).then_refused(Reason.RELEASE_NOT_ORDERED)


def test_images_of_a_retired_record_do_not_leave() -> None:
    given(*ACCEPTED, ORDERED, RETIRED).when(RELEASE).then_refused(Reason.RETIRED)
