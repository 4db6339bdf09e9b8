"""The road of a passport through five services, and everybody who must be refused on it."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from epassport.actor import Role
from epassport_contracts import ServiceName
from epassport_contracts.events.enrollment import ApplicationKind
from epassport_credentials.verifier import verify_offline
from epassport_sandbox.citizens import Citizen
from epassport_sandbox.client import Refused, until
from epassport_sandbox.country import AGE_CHECK, IDENTIFICATION
from epassport_sandbox.demo import timeline
from epassport_sandbox.people import AGENCY, BANK_CLERK, CARD_INSPECTOR, SHOP_CLERK, DemoPerson
from epassport_sandbox.road import CARDS, ENROLLMENT, PROFILE, VERIFICATION, Walk
from epassport_sandbox.running import Session


async def test_the_engine_of_the_counters_starts_before_the_one_that_searches(
    epassport: Session,
) -> None:
    engine, searching = ("all", "engine_worker_ready"), ("work", "started")

    async def told() -> list[tuple[str, str]]:
        log = epassport.system.processes.children[ServiceName.BIOMETRICS].log.read_text()
        lines = [
            json.loads(line) for line in log.rpartition("\n")[0].splitlines() if line[:1] == "{"
        ]
        return [(line["process"], line["event"]) for line in lines]

    events = await until(told, lambda each: searching in each, what="the search to start")
    assert events.index(engine) < events.index(searching)


async def test_five_services_issue_a_passport_that_is_checked_lost_and_replaced(
    epassport: Session, cast: Any
) -> None:
    road, walk = epassport.road, cast.followed
    codes = await epassport.client.query(CARDS, f"/cards/{walk.ref}/codes", CARD_INSPECTOR)
    await _offline_says(epassport, codes["small"], "good")
    phone = await road.bind_phone(walk, n=2)

    code, seen = await road.first_age_check(phone, 0)
    assert (seen["outcome"], seen["claims"]) == ("good", {"over-18": True})
    replayed = await road.age_check(code)
    assert replayed["reason"] == "presentation-replayed"

    await epassport.client.command(
        PROFILE, f"/profiles/{walk.holder_id}/loss", {"document_ref": str(walk.ref)}, walk.person
    )
    await until(
        lambda: road.age_check(codes["small"]),
        lambda answer: answer["outcome"] == "refused" and "suspended" in answer["reason"],
        what="the lost card to be refused online",
    )
    by_phone = await road.age_check(phone.code(1, epassport.system.clock.now()))
    assert by_phone["outcome"] == "refused"
    await _offline_says(epassport, codes["small"], "refused")

    new = await _replace(epassport, walk)
    assert new.holder_id == walk.holder_id
    assert new.ref != walk.ref
    await until(
        lambda: _standing(epassport, walk),
        lambda status: status == "revoked",
        what="the predecessor to be revoked",
    )
    assert await _standing(epassport, new) == "valid"
    statuses = await _public_statuses(epassport, {str(walk.ref), str(new.ref)})
    assert sorted(statuses) == ["revoked", "suspended", "valid", "valid"]
    assert statuses[:2] == ["valid", "suspended"]
    services = {record.service for record in await timeline(epassport, walk)}
    assert services == {
        "enrollment", "biometrics", "card-personalization", "cloud-profile", "verification",
    }  # fmt: skip


async def test_a_bank_sees_the_claims_it_registered_for_and_no_others(
    epassport: Session, cast: Any
) -> None:
    walk = cast.elder
    codes = await epassport.client.query(CARDS, f"/cards/{walk.ref}/codes", CARD_INSPECTOR)
    seen = await epassport.road.check(
        BANK_CLERK, IDENTIFICATION, ["surname", "given-name"], codes["identity"]
    )
    citizen = walk.citizen
    assert seen["claims"] == {"surname": citizen.surname, "given-name": citizen.given_name}


async def test_a_shop_that_asks_for_the_name_as_well_is_refused_and_the_holder_reads_it(
    epassport: Session, cast: Any
) -> None:
    walk = cast.elder
    codes = await epassport.client.query(CARDS, f"/cards/{walk.ref}/codes", CARD_INSPECTOR)
    greedy = await epassport.road.check(
        SHOP_CLERK, AGE_CHECK, ["over-18", "surname"], codes["small"]
    )
    assert (greedy["outcome"], greedy["reason"]) == ("refused", "presentation-over-asking")
    assert not greedy["claims"]
    await until(
        lambda: epassport.client.query(
            PROFILE, f"/profiles/{walk.holder_id}/access-log", walk.person
        ),
        lambda log: any(
            row["refused_because"] == "presentation-over-asking" for row in log["asked"]
        ),
        what="the holder to read who asked for too much",
    )


async def test_who_lives_outside_the_pilot_regions_is_refused(cast: Any) -> None:
    assert cast.outside == "application-region-not-open"


async def test_who_is_under_fourteen_is_refused(cast: Any) -> None:
    assert cast.child == "application-under-fourteen"


async def test_who_has_no_phone_gets_a_passport(epassport: Session, cast: Any) -> None:
    assert await _standing(epassport, cast.elder) == "valid"


async def test_with_unusable_fingers_an_exception_and_two_officers_lead_to_a_passport(
    epassport: Session, cast: Any
) -> None:
    assert await _standing(epassport, cast.unusable) == "valid"


async def test_a_person_who_applies_again_under_another_name_is_found_and_rejected(
    epassport: Session, cast: Any
) -> None:
    road = epassport.road
    await road.adjudicate("same-person")
    await road.reaches(cast.again, "duplicate-confirmed")
    with pytest.raises(Refused) as refused:
        await _approve(epassport, cast.again, cast.again.office.supervisor)
    assert refused.value.reason == "application-duplicate-person"
    await road.reject(cast.again, "duplicate-person")
    await road.reaches(cast.again, "rejected")
    assert await _standing(epassport, cast.first) == "valid"


async def test_an_operator_cannot_approve_what_the_same_person_submitted(
    epassport: Session, newcomers: Iterator[Citizen]
) -> None:
    """The role alone would let a supervisor approve; the person is the one who submitted."""
    road = epassport.road
    walk = await road.apply(next(newcomers))
    await road.enrol(walk)
    await road.reaches(walk, "ready-for-decision")
    operator = replace(walk.office.operator, roles=(Role.OPERATOR, Role.SUPERVISOR))
    with pytest.raises(Refused) as refused:
        await _approve(epassport, walk, operator)
    assert refused.value.reason == "application-four-eyes"


async def test_the_same_application_sent_twice_at_once_is_one_with_the_same_answer(
    epassport: Session, newcomers: Iterator[Citizen]
) -> None:
    office, body = await epassport.road.application(next(newcomers))

    async def send() -> Any:
        return await epassport.client.command(
            ENROLLMENT, "/applications", body, office.operator, key="sent-twice-at-once"
        )

    answers = await asyncio.gather(*(send() for _ in range(4)))
    assert len({tuple(sorted(answer.content.items())) for answer in answers}) == 1
    holder = f"/holders/{answers[0]['holder_id']}"
    held = await until(  # the holder is registered by a reaction, after the answer
        lambda: epassport.client.query(ENROLLMENT, holder, office.operator),
        lambda _answer: True,
        what="the holder to be registered",
    )
    assert held["documents"] == []


async def _approve(session: Session, walk: Walk, person: DemoPerson) -> None:
    path = f"/applications/{walk.application_id}/approve"
    await session.client.command(ENROLLMENT, path, {}, person)


async def _replace(session: Session, walk: Walk) -> Walk:
    road = session.road
    profile = await session.client.query(PROFILE, f"/profiles/{walk.holder_id}", walk.person)
    number = profile["documents"][-1]["document_number"]
    new = await road.apply(walk.citizen, kind=ApplicationKind.REPLACE, replaces=number)
    await road.enrol(new, impression=1)
    await road.decide(new)
    await road.make(new, spoil_first=True)
    await road.bring([new])
    await road.hand_over(new, impression=0)
    await road.comes_into_force(new)
    return new


async def _standing(session: Session, walk: Walk) -> str:
    path = f"/documents/{walk.ref}"
    answer = await session.client.query(VERIFICATION, path, walk.office.supervisor)
    return str(answer["status"])


async def _offline_says(session: Session, code: str, outcome: str) -> None:
    """A pack is signed anew every few seconds at most."""

    async def verdict() -> str:
        pack = await session.offline_pack()
        return verify_offline(code, pack, now=session.system.clock.now()).outcome

    await until(verdict, lambda seen: seen == outcome, what=f"the card to be {outcome} offline")


async def _public_statuses(session: Session, refs: set[str]) -> list[str]:
    found: list[str] = []
    after: str | None = None
    while True:
        page = await session.client.query(VERIFICATION, "/events", AGENCY, after=after)
        found += [
            event["data"]["status"]
            for event in page["events"]
            if event["data"]["document_ref"] in refs
        ]
        if not page["events"]:
            return found
        after = page["next"]
