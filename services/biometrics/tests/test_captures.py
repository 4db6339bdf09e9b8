"""Several fingers, several captures of one, and what is wrong with them together."""

import base64
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from biometrics.engine.positions import FingerPosition
from biometrics.holder_check import MAX_TRIES
from biometrics.http import SamplesBody, check_fingers
from biometrics.record_commands import Reason
from conftest import Bureau, Person
from epassport.actor import Role
from epassport.opening import InRecord, open_in_task
from epassport.problems import Problem
from epassport_contracts import ServiceName
from epassport_contracts.desk import TicketPurpose
from epassport_contracts.events.enrollment import ApplicationKind
from epassport_contracts.sealed import Sealed
from epassport_credentials.finger import wsq_size
from epassport_sandbox.fingerprints import blank, png

OFFICER = "hand-over-officer"


def at(bureau: Bureau, position: str, finger: int, n: int = 0) -> dict[str, Any]:
    return {**bureau.finger(finger, n), "position": position}


def of_pixels(position: str, pixels: Any) -> dict[str, Any]:
    image = base64.b64encode(png(pixels)).decode()
    return {"position": position, "image": image, "dpi": 500}


def body(bureau: Bureau, person: Person, *fingers: Mapping[str, Any], **more: Any) -> Any:
    return {**bureau.samples(person), "fingers": list(fingers), **more}


async def test_of_two_enrolled_fingers_either_one_finds_a_duplicate(bureau: Bureau) -> None:
    known, spare, alias, stranger = (bureau.person() for _ in range(4))
    both = (at(bureau, "right-index", known.finger), at(bureau, "left-index", spare.finger))
    await bureau.brought(known, body(bureau, known, *both))
    assert await bureau.status(known, "accepted", "suspected") == "accepted"
    again = at(bureau, "right-index", alias.finger), at(bureau, "left-index", spare.finger, 1)
    await bureau.brought(alias, body(bureau, alias, *again))
    assert await bureau.status(alias, "accepted", "suspected") == "suspected"
    third = at(bureau, "left-index", alias.finger, 1)
    await bureau.brought(stranger, body(bureau, stranger, third))
    assert await bureau.status(stranger, "accepted", "suspected") == "suspected"


async def test_of_several_captures_of_a_finger_the_best_is_kept(bureau: Bureau) -> None:
    person = bureau.person()
    good = bureau.fingers.image(person.finger)
    small = good.copy()
    small[:, :120] = 244
    captures = [of_pixels("right-index", each) for each in (small, good, blank())]
    await bureau.brought(person, body(bureau, person, *captures))
    await bureau.status(person, "accepted")
    await bureau.approve(person)
    images = await bureau.sent("ImageReleased", person, 3)
    assert [(image["image_kind"], image["media_type"]) for image in images] == [
        ("right-index", "image/x-wsq"),
        ("face", "image/jpeg"),
        ("face", "image/jpeg"),
    ]
    told = await bureau.get(f"/records/{person.holder}", Role.OPERATOR)
    (enrolment,) = told["enrolments"]
    assert enrolment["gate"].startswith("epassport-1")
    only_small = body(bureau, other := bureau.person(), of_pixels("right-index", small))
    await bureau.brought(other, only_small)
    await bureau.status(other, "suspected")
    worse = (await bureau.get(f"/records/{other.holder}", Role.OPERATOR))["enrolments"][0]
    assert enrolment["qualities"]["right-index"] > worse["qualities"]["right-index"]


async def test_a_finer_capture_reaches_the_chip_at_500_pixels_an_inch(bureau: Bureau) -> None:
    person = bureau.person()
    capture = Image.fromarray(bureau.fingers.image(person.finger))
    finer = np.asarray(capture.resize((800, 960), Image.Resampling.BICUBIC))
    finger = {**of_pixels("right-index", finer), "dpi": 1000}
    await bureau.brought(person, body(bureau, person, finger))
    await bureau.status(person, "accepted")
    await bureau.approve(person)
    released = (await bureau.sent("ImageReleased", person, 3))[0]["image"]
    essentials = bureau.opened.essentials
    (octets,) = await open_in_task(
        essentials.database,
        essentials.keyring,
        [InRecord(person.holder, "chip-image", Sealed.model_validate(released))],
        service=ServiceName.BIOMETRICS,
        reason="test",
        correlation_id=uuid4(),
    )
    assert wsq_size(octets) == (400, 480)


async def test_one_finger_in_two_slots_is_told(bureau: Bureau) -> None:
    person = bureau.person()
    fingers = (at(bureau, "right-index", person.finger), at(bureau, "left-index", person.finger, 1))
    answer = await bureau.post("/samples", body(bureau, person, *fingers), Role.OPERATOR)
    assert (answer.status_code, answer.json()["reason"]) == (409, "capture-same-finger-twice")
    assert await bureau.events(person) == ["SampleRejected"]
    assert await bureau.blobs(person) == 0


async def test_a_finger_none_of_whose_captures_passes_is_told_with_the_last_fault(
    bureau: Bureau,
) -> None:
    person = bureau.person()
    inverted = np.asarray(255 - bureau.fingers.image(person.finger), dtype=np.uint8)
    captures = [of_pixels("right-index", each) for each in (blank(), inverted)]
    answer = await bureau.post("/samples", body(bureau, person, *captures), Role.OPERATOR)
    assert answer.json()["reason"] == "capture-inverted"


async def test_missing_fingers_are_recorded_and_cannot_also_be_there(bureau: Bureau) -> None:
    person = bureau.person()
    finger = at(bureau, "right-index", person.finger)
    gone = [{"position": "left-index", "reason_code": "amputated"}]
    both = body(bureau, person, finger, at(bureau, "left-index", 0), missing=gone)
    answer = await bureau.post("/samples", both, Role.OPERATOR)
    assert answer.json()["reason"] == Reason.FINGERS_CONTRADICT
    await bureau.brought(person, body(bureau, person, finger, missing=gone))
    await bureau.status(person, "accepted")
    told = await bureau.get(f"/records/{person.holder}", Role.OPERATOR)
    assert told["enrolments"][0]["missing"] == ["left-index"]


async def test_who_brings_fewer_fingers_than_required_says_which_are_missing() -> None:
    """A supervisor sees which; that all are missing is an exception, not a capture."""
    finger = {"position": "right-index", "image": "", "dpi": 500}
    body = {"ticket": "", "fingers": [finger], "face": ""}
    with pytest.raises(Problem) as refused:
        check_fingers(SamplesBody.model_validate(body), 2)
    assert refused.value.reason == Reason.TOO_FEW_FINGERS
    missing = [{"position": "left-index", "reason_code": "amputated"}]
    check_fingers(SamplesBody.model_validate({**body, "missing": missing}), 2)


@pytest.mark.parametrize("position", ["right-toe", "", "right-index ", 2])
async def test_a_finger_nobody_has_is_no_valid_body(bureau: Bureau, position: Any) -> None:
    person = bureau.person()
    strange = body(bureau, person, at(bureau, position, person.finger))
    answer = await bureau.post("/samples", strange, Role.OPERATOR)
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid-body")


async def test_a_replacement_is_for_the_enrolled_fingers_in_their_own_slots(
    bureau: Bureau,
) -> None:
    known, spare = bureau.person(), bureau.person()
    right, left = FingerPosition.RIGHT_INDEX, FingerPosition.LEFT_INDEX
    first = (at(bureau, right, known.finger), at(bureau, left, spare.finger))
    await bureau.brought(known, body(bureau, known, *first))
    await bureau.status(known, "accepted")
    again = Person(known.finger, known.holder)
    crossed = (at(bureau, left, known.finger, 1), at(bureau, right, spare.finger, 1))
    ticket = bureau.ticket(again, "operator", kind=ApplicationKind.REPLACE)
    await bureau.brought(again, body(bureau, again, *crossed, ticket=ticket))
    await bureau.status(again, "awaited")
    ticket = bureau.ticket(again, "operator", kind=ApplicationKind.REPLACE)
    straight = (at(bureau, right, known.finger, 1), at(bureau, left, spare.finger, 1))
    await bureau.brought(again, body(bureau, again, *straight, ticket=ticket))
    assert await bureau.status(again, "accepted", "suspected") == "accepted"


async def test_at_the_counter_the_other_hand_costs_no_try(bureau: Bureau) -> None:
    known, spare = bureau.person(), bureau.person()
    fingers = (at(bureau, "right-index", known.finger), at(bureau, "left-index", spare.finger))
    await bureau.brought(known, body(bureau, known, *fingers))
    await bureau.status(known, "accepted")
    ticket = bureau.ticket(known, OFFICER, TicketPurpose.HAND_OVER)
    answer = await bureau.check(ticket, spare.finger)
    assert (answer.status_code, answer.json()["reason"]) == (409, "capture-other-hand")
    answer = await bureau.check(ticket, known.finger)
    assert (answer.json()["result"], answer.json()["tries_left"]) == ("verified", 3)


async def test_a_ticket_that_is_good_for_no_comparison_tells_nothing_of_the_other_hand(
    bureau: Bureau,
) -> None:
    known, spare, other = (bureau.person() for _ in range(3))
    fingers = (at(bureau, "right-index", known.finger), at(bureau, "left-index", spare.finger))
    await bureau.brought(known, body(bureau, known, *fingers))
    await bureau.status(known, "accepted")
    ticket = bureau.ticket(known, OFFICER, TicketPurpose.HAND_OVER)
    answer = await bureau.check(ticket, spare.finger, who="hand-over-officer-2")
    assert answer.json()["reason"] == Reason.TICKET_OF_OTHER_OFFICER
    for _ in range(MAX_TRIES):
        await bureau.check(ticket, other.finger)
    opened = "SELECT FROM openings WHERE reason = 'check-for-hand-over' AND subject = $1"
    before = await bureau.rows(opened, known.holder)
    answer = await bureau.check(ticket, spare.finger)
    assert answer.json()["reason"] == Reason.TRIES_EXHAUSTED
    assert await bureau.rows(opened, known.holder) == before
