"""The service alone, from samples to a verified holder, with the real engine."""

import asyncio
import base64
import io
import os
import signal
from uuid import uuid4

import pytest
from PIL import Image
from seen_again import let_through, own_events

from biometrics import record
from biometrics.context import begin_working
from biometrics.engine.port import EngineUnavailable
from biometrics.record_commands import Reason
from biometrics.score_class import ScoreClass
from conftest import Bureau, Person, at_work, now
from epassport import keyring_stream
from epassport.actor import Role, service_actor
from epassport.commands import Accepted, Envelope
from epassport.events import Origin
from epassport_contracts.desk import TicketPurpose
from epassport_sandbox.fingerprints import blank, png
from epassport_sandbox.ports import free_port

OFFICER = "hand-over-officer"


async def test_a_person_is_enrolled_and_recognised_at_the_counter(bureau: Bureau) -> None:
    person = await bureau.enrol(bureau.person())
    (accepted,) = await bureau.sent("BiometricsAccepted", person)
    assert accepted["by_exception"] is False
    await bureau.approve(person)
    images = await bureau.sent("ImageReleased", person, 3)
    assert [(image["image_kind"], image["purpose"]) for image in images] == [
        ("right-index", "chip"),
        ("face", "portrait"),
        ("face", "chip"),  # last: with it a card has all that it is made from
    ]
    assert {image["document_ref"] for image in images} == {str(person.document)}
    keys = await bureau.sent("SubjectKey", person, 2)
    assert {key["recipient"] for key in keys} == {"card-personalization", "cloud-profile"}
    ticket_id = uuid4()
    ticket = bureau.ticket(person, OFFICER, TicketPurpose.HAND_OVER, ticket_id=ticket_id)
    answer = (await bureau.check(ticket, person.finger)).json()
    assert (answer["result"], answer["tries_left"]) == ("verified", 3)
    (basis,) = await bureau.rows(
        "SELECT metadata #>> '{actor,basis}' FROM events"
        " WHERE stream_id = $1 AND type = 'HolderVerified'",
        record.stream(person.holder),
    )
    assert basis[0] == f"ticket/{ticket_id}"
    assert answer["score_class"] in (ScoreClass.CLEAR, ScoreClass.STRONG)
    assert "score" not in answer
    (verified,) = await bureau.sent("HolderVerified", person)
    assert verified["check_id"] == answer["check_id"]
    again = await bureau.check(ticket, person.finger)
    assert again.json()["reason"] == "biometrics-ticket-used"


async def test_a_second_name_for_the_same_finger_is_confirmed_by_two_people(
    bureau: Bureau,
) -> None:
    first = await bureau.enrol(bureau.person())
    second = Person(first.finger)
    await bureau.bring(second, n=1)
    await bureau.status(second, "suspected")
    case_id = await bureau.case(second)
    shown = await bureau.get(f"/adjudications/{case_id}", Role.ADJUDICATOR)
    (other,) = shown["others"]
    for side, n in ((shown["applicant"], 1), (other, 0)):
        with Image.open(io.BytesIO(base64.b64decode(side["fingers"]["right-index"]))) as finger:
            assert finger.tobytes() == bureau.fingers.image(first.finger, n).tobytes()
        assert base64.b64decode(side["face"]) == bureau.portrait
    decision = {"verdict": "same-person", "reason_code": "same-ridges"}
    path = f"/adjudications/{case_id}/decisions"
    for who in ("adjudicator-1", "adjudicator-2"):
        assert str(case_id) in await bureau.open_cases(who)
        early = await bureau.asked(f"/adjudications/{case_id}/score-classes", who)
        assert (early.status_code, early.json()["reason"]) == (409, Reason.ANSWER_FIRST)
        answer = await bureau.post(path, decision, Role.ADJUDICATOR, who=who)
        assert answer.status_code == 200, answer.text
    await bureau.status(second, "duplicate")
    classes = f"/adjudications/{case_id}/score-classes"
    told = await bureau.get(classes, Role.ADJUDICATOR, who="adjudicator-2")
    assert told["score_classes"] == [ScoreClass.STRONG]
    (confirmed,) = await bureau.sent("DuplicateConfirmed", second)
    assert confirmed["application_id"] == str(second.application)
    assert str(case_id) not in await bureau.open_cases("adjudicator-3")
    looked = "SELECT FROM openings WHERE reason = 'adjudication' AND subject = $1"
    assert len(await bureau.rows(looked, first.holder)) == 1


async def test_of_two_captures_of_one_person_at_once_only_the_earlier_passes(
    bureau: Bureau,
) -> None:
    finger = bureau.person().finger
    twins = [Person(finger), Person(finger), Person(finger)]
    await asyncio.gather(*(bureau.bring(twin, n % 2) for n, twin in enumerate(twins)))
    statuses = [await bureau.status(twin, "accepted", "suspected") for twin in twins]
    assert sorted(statuses) == ["accepted", "suspected", "suspected"]


async def test_who_was_rejected_is_not_searched_against(bureau: Bureau) -> None:
    first = await bureau.enrol(bureau.person())
    before = await bureau.get("/gallery", Role.SUPERVISOR)
    assert before["engine"] == "sourceafis-3.18.1-java"
    await bureau.reject(first)
    await bureau.status(first, "retired")
    await bureau.enrol(Person(first.finger))
    assert await bureau.get("/gallery", Role.SUPERVISOR) == before


async def test_a_bad_capture_is_refused_with_its_fault_and_recorded_once(bureau: Bureau) -> None:
    person = bureau.person()
    body = bureau.samples(person)
    body["fingers"][0]["image"] = base64.b64encode(png(blank())).decode()
    for _ in range(2):
        answer = await bureau.post("/samples", body, Role.OPERATOR, key="same")
        assert (answer.status_code, answer.json()["reason"]) == (409, "capture-blank")
    assert await bureau.events(person) == ["SampleRejected"]
    body = bureau.samples(person)
    body["face"] = base64.b64encode(b"no picture").decode()
    answer = await bureau.post("/samples", body, Role.OPERATOR)
    assert answer.json()["reason"] == "face-not-a-jpeg"
    assert await bureau.blobs(person) == 0
    await bureau.enrol(person)


async def test_refused_samples_leave_no_blobs(bureau: Bureau) -> None:
    person = bureau.person()
    await bureau.bring(person)
    assert await bureau.blobs(person) == 3
    answer = await bureau.post("/samples", bureau.samples(person), Role.OPERATOR)
    assert answer.json()["reason"] == "biometrics-samples-already-there"
    assert await bureau.blobs(person) == 3


async def test_a_ticket_that_enrollment_did_not_sign_is_refused(bureau: Bureau) -> None:
    person = bureau.person()
    body = bureau.samples(person)
    answer = await bureau.post("/samples", {**body, "ticket": "a.b.c"}, Role.OPERATOR)
    assert (answer.status_code, answer.json()["reason"]) == (409, "ticket-malformed")
    expired = bureau.ticket(person, "operator", expires_at=now())
    answer = await bureau.post("/samples", {**body, "ticket": expired}, Role.OPERATOR)
    assert answer.json()["reason"] == "ticket-expired"


async def test_after_three_wrong_fingers_a_supervisor_lets_two_officers_look(
    bureau: Bureau,
) -> None:
    person = await bureau.enrol(bureau.person())
    ticket = bureau.ticket(person, OFFICER, TicketPurpose.HAND_OVER)
    other = bureau.person()
    for left in (2, 1, 0):
        answer = (await bureau.check(ticket, other.finger)).json()
        assert (answer["result"], answer["tries_left"]) == ("mismatch", left)
        assert answer["score_class"] == ScoreClass.BELOW
    answer = (await bureau.check(ticket, person.finger)).json()
    assert answer["reason"] == "biometrics-tries-exhausted"
    face = base64.b64encode(bureau.portrait).decode()
    exception = {"ticket": ticket, "face": face, "reason_code": "worn-fingers"}
    answer_ = await bureau.post("/exceptions", exception, Role.SUPERVISOR)
    assert answer_.status_code == 200, answer_.text
    results = []
    for who in (OFFICER, "hand-over-officer-2"):
        match = {"ticket": ticket, "verdict": "match"}
        role = Role.HAND_OVER_OFFICER
        results.append((await bureau.post("/face-verifications", match, role, who=who)).json())
    assert [each["result"] for each in results] == ["awaiting-second-officer", "verified"]
    (verified,) = await bureau.sent("HolderVerified", person)
    assert verified["method"] == "faces-by-two-officers"


async def test_unusable_fingers_are_accepted_by_a_supervisors_exception(bureau: Bureau) -> None:
    person = bureau.person()
    body = {
        "ticket": bureau.ticket(person, "operator"),
        "face": base64.b64encode(bureau.portrait).decode(),
        "reason_code": "worn-fingers",
    }
    answer = await bureau.post("/exceptions", body, Role.SUPERVISOR)
    assert answer.status_code == 200, answer.text
    await bureau.status(person, "accepted")
    await bureau.approve(person)
    images = await bureau.sent("ImageReleased", person, 2)
    assert {image["image_kind"] for image in images} == {"face"}


async def test_after_erasure_nothing_of_the_person_is_left_to_search_or_open(
    bureau: Bureau,
) -> None:
    before = (await bureau.get("/gallery", Role.SUPERVISOR))["size"]
    person = await bureau.enrol(bureau.person())
    command = keyring_stream.DestroyKeys(person.holder, now())
    origin = Origin(service_actor("biometrics"), uuid4())
    envelope = Envelope(keyring_stream.stream(person.holder), command, origin)
    (outcome,) = await bureau.opened.group.execute([envelope])
    assert isinstance(outcome, Accepted)
    assert await bureau.blobs(person) == 0
    answer = await bureau.post("/samples", bureau.samples(person), Role.OPERATOR)
    assert (answer.status_code, answer.json()["reason"]) == (410, "erased")
    await bureau.gallery_size(before)
    assert await bureau.opened.app.gallery.size() == before  # in the engine's memory too
    await bureau.enrol(Person(person.finger))


async def test_a_second_process_fills_its_gallery_from_the_sealed_templates(
    bureau: Bureau,
) -> None:
    known = await bureau.enrol(bureau.person())
    settings = bureau.settings.model_copy(update={"http_port": free_port()})
    async with at_work(settings) as second:
        (ready,) = begin_working(second.app).values()
        with pytest.raises(EngineUnavailable):
            await ready()  # not before the gallery is complete
        await second.app.gallery.begin()
        await ready()
        probes = [Person(known.finger) for _ in range(3)]
        for probe in probes:
            await bureau.bring(probe, n=1)
        for probe in probes:
            await bureau.status(probe, "suspected")


async def test_a_lost_engine_is_filled_again_and_misses_nobody(bureau: Bureau) -> None:
    known = await bureau.enrol(bureau.person())
    engine = bureau.opened.app.gallery.engine_pid
    assert engine is not None
    os.kill(engine, signal.SIGKILL)
    second = Person(known.finger)
    await bureau.bring(second, n=1)
    assert await bureau.status(second, "accepted", "suspected") == "suspected"
    assert bureau.opened.app.gallery.engine_pid != engine


async def test_an_event_that_a_read_model_has_seen_changes_nothing_when_it_comes_again(
    bureau: Bureau,
) -> None:
    first = await bureau.enrol(bureau.person())
    second = Person(first.finger)
    await bureau.bring(second, n=1)
    await bureau.status(second, "suspected")
    await bureau.reject(second)
    await bureau.status(second, "retired")
    opened = bureau.opened
    events = await own_events(opened.essentials.database, opened.catalog.codec)
    both = {str(first.holder), str(second.holder)}
    theirs = [event for event in events if event.stream_key in both]
    for model in opened.service.read_models:
        assert await let_through(opened.essentials.database, model, theirs) == []
