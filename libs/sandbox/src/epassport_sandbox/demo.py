"""`make demo`: real passports from the desk to a checked code, watched by a newcomer.

A cast of citizens goes down the road, some of whom must be refused; one passport is then
followed to its end: checked offline and by phone, lost, refused, replaced. Every fact
that is printed is an expectation; the run succeeds only when all of them held.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

from epassport_contracts.events.enrollment import ApplicationKind
from epassport_credentials.errors import Reason
from epassport_credentials.verifier import Verdict, verify_offline
from epassport_sandbox import story
from epassport_sandbox.citizens import citizens, special_cast
from epassport_sandbox.client import Refused, until
from epassport_sandbox.country import AGE_CHECK, IDENTIFICATION
from epassport_sandbox.errors import SandboxError
from epassport_sandbox.observer import Seen, read_topics
from epassport_sandbox.people import AGENCY, BANK_CLERK, CARD_INSPECTOR, SHOP_CLERK
from epassport_sandbox.road import CARDS, PROFILE, VERIFICATION, Phone, Walk
from epassport_sandbox.running import Session
from epassport_sandbox.shown import IN_FORCE, Actor, Facts, Followed, Refusal

AT_ONCE = 4
SEED = 2026
DUPLICATE = "refused: duplicate-person"


def cast(session: Session, count: int, troupe: int = 0) -> list[Actor]:
    """Six whose road is told in advance, and ordinary citizens up to `count`."""
    today = session.system.clock.now().date()
    special = special_cast(today, troupe=troupe)
    named = [
        Actor("from another region", special.outside_pilot, "refused: application-region-not-open"),
        Actor("eleven years old", special.under_fourteen, "refused: application-under-fourteen"),
        Actor("67, without a phone", special.elder_without_phone),
        Actor("fingers cannot be read", special.unusable_fingers),
        Actor("applies for the first time", special.applies_first),
        Actor("applies again under another name", special.applies_again, DUPLICATE),
    ]
    people = citizens(SEED + troupe, max(count, len(named)), today)
    ordinary = islice(people, max(count - len(named), 1))
    return [*(Actor("citizen", citizen) for citizen in ordinary), *named]


async def walk_all(session: Session, actors: list[Actor], advance: Any) -> None:
    """Several at once; who applies again waits until the first application is in the gallery."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(actor: Actor) -> None:
        async with limit:
            await _walk(session, actor)
            advance()

    again = [actor for actor in actors if actor.expected == DUPLICATE]
    async with asyncio.TaskGroup() as group:
        for actor in actors:
            if actor not in again:
                group.create_task(one(actor))
    for actor in again:
        await one(actor)


async def _walk(session: Session, actor: Actor) -> None:
    road = session.road
    try:
        if actor.expected == DUPLICATE:
            actor.walk = await road.apply(actor.citizen)
            await road.enrol(actor.walk, impression=1)
            await road.adjudicate("same-person")
            await road.reaches(actor.walk, "duplicate-confirmed")
            await road.reject(actor.walk, "duplicate-person")
            progress = await road.reaches(actor.walk, "rejected")
            actor.outcome = DUPLICATE if progress["state"] == "rejected" else progress["state"]
        else:
            actor.walk = await road.whole(actor.citizen)
            actor.outcome = IN_FORCE
    except Refused as refused:
        actor.outcome = f"refused: {refused.reason}"


async def follow(session: Session, walk: Walk, facts: Facts, say: Any) -> Followed:
    """The second half: one passport checked, lost, refused, replaced."""
    followed = Followed(walk)
    codes = await _codes(session, walk)
    followed.small_code, followed.identity_code = codes["small"], codes["identity"]
    say("checking the card offline and the phone online")
    phone = await _check_good(session, followed, facts)
    say("the card and the phone are lost")
    await _lose(session, followed, phone, facts)
    say("the replacement goes down the same road")
    await _replace(session, followed, facts)
    followed.timeline = await timeline(session, walk)
    facts.expect("the passport's timeline names all five services", _services(followed) == 5)
    return followed


async def _codes(session: Session, walk: Walk) -> Mapping[str, str]:
    codes: Mapping[str, str] = await session.client.query(
        CARDS, f"/cards/{walk.ref}/codes", CARD_INSPECTOR
    )
    return codes


async def _check_good(session: Session, followed: Followed, facts: Facts) -> Phone:
    followed.offline = await _offline_when(
        session, followed.small_code, lambda verdict: verdict.outcome == "good"
    )
    facts.expect("offline, the card is good", followed.offline.outcome == "good")
    road, walk = session.road, followed.walk
    phone = await road.bind_phone(walk, n=3)
    code, followed.shop_saw = await road.first_age_check(phone, 0)
    facts.expect("by phone, the shop sees that the person is over 18",
                 followed.shop_saw["outcome"] == "good"
                 and followed.shop_saw["claims"] == {"over-18": True})  # fmt: skip
    replayed = await road.age_check(code)
    facts.expect("the same phone code a second time is refused",
                 replayed["reason"] == "presentation-replayed")  # fmt: skip
    greedy = await road.check(SHOP_CLERK, AGE_CHECK, ["over-18", "surname"], followed.small_code)
    facts.expect("a shop that asks for the name as well is refused",
                 greedy["reason"] == "presentation-over-asking")  # fmt: skip
    followed.bank_saw = await road.check(
        BANK_CLERK, IDENTIFICATION, ["surname", "given-name"], followed.identity_code
    )
    facts.expect("the bank sees the name it registered for",
                 followed.bank_saw["claims"].get("surname") == walk.citizen.surname)  # fmt: skip
    return phone


async def _lose(session: Session, followed: Followed, phone: Phone, facts: Facts) -> None:
    """From the report to the first refusal of the card, asked again and again, then the phone's:
    each of its codes is good once, so that it is asked only when it must be refused."""
    road, walk = session.road, followed.walk
    started = time.perf_counter()
    await session.client.command(
        PROFILE, f"/profiles/{walk.holder_id}/loss", {"document_ref": str(walk.ref)}, walk.person
    )

    async def card() -> Mapping[str, Any]:
        return await road.age_check(followed.small_code)

    refused = await until(
        card, lambda answer: answer["outcome"] == "refused", what="the lost card to be refused"
    )
    followed.card_refused = Refusal(refused, (time.perf_counter() - started) * 1000)
    facts.expect("online, the lost card is refused as suspended",
                 refused["reason"] == Reason.SUSPENDED)  # fmt: skip
    by_phone = await road.age_check(phone.code(1, session.system.clock.now()))
    followed.phone_refused = Refusal(by_phone, (time.perf_counter() - started) * 1000)
    facts.expect("the lost phone's code is refused as suspended",
                 by_phone["reason"] == Reason.SUSPENDED)  # fmt: skip
    followed.offline_after = await _offline_when(
        session, followed.small_code, lambda verdict: verdict.outcome == "refused"
    )
    facts.expect("offline with a new pack, the lost card is refused",
                 followed.offline_after.outcome == "refused")  # fmt: skip


async def _replace(session: Session, followed: Followed, facts: Facts) -> None:
    road, walk = session.road, followed.walk
    profile = await session.client.query(PROFILE, f"/profiles/{walk.holder_id}", walk.person)
    number = profile["documents"][-1]["document_number"]
    new = await road.apply(walk.citizen, kind=ApplicationKind.REPLACE, replaces=number)
    facts.expect("the replacement belongs to the same holder", new.holder_id == walk.holder_id)
    await road.enrol(new, impression=1)
    await road.decide(new)
    await road.make(new, spoil_first=True)
    await road.bring([new])
    await road.hand_over(new, impression=0)
    await road.comes_into_force(new)
    followed.replacement, followed.replacement_code = new, (await _codes(session, new))["small"]
    old = await until(
        lambda: session.client.query(
            VERIFICATION, f"/documents/{walk.ref}", walk.office.supervisor
        ),
        lambda answer: answer["status"] == "revoked",
        what="the predecessor to be revoked",
    )
    facts.expect("the predecessor is revoked for good", old["status"] == "revoked")
    followed.public_events = await _public_events(session, walk, new)
    statuses = [event["data"]["status"] for event in followed.public_events]
    facts.expect("an agency saw valid, suspended, revoked and the new valid",
                 statuses == ["valid", "suspended", "revoked", "valid"]
                 or statuses == ["valid", "suspended", "valid", "revoked"])  # fmt: skip


async def _public_events(session: Session, *walks: Walk) -> list[Any]:
    """Everything public about these documents, in order, as an agency reads it."""
    refs = {str(walk.ref) for walk in walks}
    found: list[Any] = []
    after: str | None = None
    while True:
        page = await session.client.query(VERIFICATION, "/events", AGENCY, after=after)
        found += [event for event in page["events"] if event["data"]["document_ref"] in refs]
        if not page["events"]:
            return found
        after = page["next"]


async def _offline_when(session: Session, code: str, holds: Any) -> Verdict:
    """Ask with newer and newer packs: a list is signed anew every few seconds at most."""

    async def verdict() -> Verdict:
        pack = await session.offline_pack()
        return verify_offline(code, pack, now=session.system.clock.now())

    return await until(verdict, holds, within=timedelta(seconds=30), what="the offline verdict")


async def timeline(session: Session, walk: Walk) -> list[Seen]:
    """Every contract event that concerns one application, holder or document, by time."""
    names = (str(walk.application_id), str(walk.holder_id), str(walk.ref))
    seen = await read_topics(session.system.stack.kafka.bootstrap)
    internal = [record for record in seen if record.topic.startswith("internal.")]
    return sorted(
        (record for record in internal if record.mentions(*names)),
        key=lambda record: record.written_at_ms,
    )


def _services(followed: Followed) -> int:
    return len({record.service for record in followed.timeline})


async def perform(
    session: Session,
    count: int,
    folder: Path,
    console: Console,
    *,
    verify: str | None = None,
    troupe: int = 0,
) -> tuple[Facts, Followed]:
    """The whole demo on a running system; what it showed is printed and written to `folder`.

    troupe: other people than those of another one, where that has walked before.
    Raises SandboxError where nobody got a passport whose life could be followed.
    """
    facts = Facts()
    actors = cast(session, count, troupe)
    with story.progress(console, "citizens on the road", len(actors)) as advance:
        await walk_all(session, actors, advance)
    for actor in actors:
        told = (actor.role, actor.outcome)
        facts.outcomes[told] = facts.outcomes.get(told, 0) + 1
        if actor.role != "citizen" or actor.outcome != actor.expected:
            facts.expect(f"{actor.role}: {actor.expected}", actor.outcome == actor.expected)
    story.outcomes(console, facts)
    chosen = next((a.walk for a in actors if a.outcome == IN_FORCE and a.walk is not None), None)
    if chosen is None:
        raise SandboxError(
            "nobody's passport is in force. Where these people have walked before, everything has"
            " to be forgotten first: docker-compose --profile demo down --volumes"
        )
    followed = await follow(session, chosen, facts, lambda text: console.print(f"[dim]· {text}"))
    story.tell(console, session, followed)
    files = await story.fetch_files(session, followed)
    summary = json.dumps(story.summary(session, followed, facts), indent=2, ensure_ascii=False)
    story.write_files(folder, {**files, "summary.json": summary.encode()})
    story.verdict(console, facts, folder, verify or story.own_verify())
    return facts, followed
