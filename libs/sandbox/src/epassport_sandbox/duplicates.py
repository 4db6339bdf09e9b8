"""`make biometrics-2000`: one person, once, over a whole gallery of generated persons.

Everybody is enrolled at a desk, through Kafka, by the real search; a few come a second time under
other papers, with another impression of the same finger. Two adjudicators answer every case from
the pictures alone: the generator knows each picture's finger, so they are never wrong, and a case
of two different fingers is counted as a false candidate.

Seeds are fixed: the same persons, pictures, duplicates and order of arrival at every run. Nothing
here speaks of accuracy on people.
"""

import asyncio
import base64
import hashlib
import io
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from PIL import Image

from epassport_contracts import ServiceName
from epassport_sandbox.citizens import Citizen, citizens
from epassport_sandbox.client import Client, Refused, until
from epassport_sandbox.people import ADJUDICATORS
from epassport_sandbox.road import FINGER, Road, Walk

SEED = 6
AT_ONCE = 12
SETTLES_WITHIN = timedelta(minutes=20)
CLEARED, DUPLICATE = "ready-for-decision", "duplicate-confirmed"


@dataclass(frozen=True)
class Visit:
    """Somebody at a desk. person: a number; two visits with the same one are one person's."""

    person: int
    citizen: Citizen
    impression: int


@dataclass(frozen=True)
class Case:
    """person: of the applicant. score_classes: of the candidates, as adjudicators are told."""

    person: int
    candidates: int
    score_classes: tuple[str, ...]
    same_person: bool


@dataclass
class Panel:
    """Two adjudicators at one list of cases. by_picture: which person's finger it shows."""

    client: Client
    by_picture: Mapping[str, int] = field(repr=False)
    cases: list[Case] = field(default_factory=list)

    async def sit(self) -> None:
        """Answers cases as they come, until cancelled."""
        while True:
            if not await self._answer_all():
                await asyncio.sleep(0.5)  # as somebody reloads a page

    async def _answer_all(self) -> int:
        path, answered = "/adjudications", 0
        told = await self.client.query(ServiceName.BIOMETRICS, path, ADJUDICATORS[0])
        for case in told["adjudications"]:
            answered += await self._answer(f"{path}/{case['case_id']}")
        return answered

    async def _answer(self, path: str) -> bool:
        """False where it is a case of pictures that are not ours."""
        case = await self.client.query(ServiceName.BIOMETRICS, path, ADJUDICATORS[0])
        applicant = self._person(case["applicant"])
        if applicant is None:
            return False
        others = [self._person(other) for other in case["others"]]
        same = applicant in others
        verdict = {
            "verdict": "same-person" if same else "different-persons",
            "reason_code": "ridges-agree" if same else "ridges-differ",
        }
        for adjudicator in ADJUDICATORS:
            decided = await self.client.command(
                ServiceName.BIOMETRICS, f"{path}/decisions", verdict, adjudicator
            )
        told = await self.client.query(
            ServiceName.BIOMETRICS, f"{path}/score-classes", adjudicator, after=decided.token
        )
        self.cases.append(Case(applicant, len(others), tuple(told["score_classes"]), same))
        return True

    def _person(self, side: Mapping[str, Any]) -> int | None:
        """Whose finger an adjudicator sees; there may be none."""
        shown = side["fingers"].get(FINGER)
        return None if shown is None else self.by_picture.get(_digest(base64.b64decode(shown)))


def visits(count: int, planted: int, today: date) -> list[Visit]:
    """`count` persons and `planted` more visits of some of them, shuffled as they arrive."""
    chance = random.Random(SEED)
    people = list(citizens(SEED, count + planted, today))
    first = [Visit(n, citizen, 0) for n, citizen in enumerate(people[:count])]
    again = [
        Visit(n, replace(papers, finger_seed=people[n].finger_seed), 1)
        for n, papers in zip(
            sorted(chance.sample(range(count), planted)), people[count:], strict=True
        )
    ]
    everybody = [*first, *again]
    chance.shuffle(everybody)
    return everybody


async def run_duplicates(
    road: Road, everybody: Sequence[Visit], advance: Callable[[], None]
) -> dict[str, Any]:
    """What `result.json` says. holds: of each person who came twice exactly one visit cleared,
    of everybody else all did."""
    panel = Panel(road.client, await asyncio.to_thread(_pictures, road, everybody))
    retaken = Counter[str]()
    limit, started = asyncio.Semaphore(AT_ONCE), time.perf_counter()

    async def whole(visit: Visit) -> str:
        async with limit:
            walk = await _enrol(road, visit, retaken)
            state = await _settled(road, walk)
        advance()
        return state

    sitting = asyncio.create_task(panel.sit())
    try:
        async with asyncio.TaskGroup() as arriving:
            arriving.create_task(_fail_with(sitting))
            at_the_desk = [arriving.create_task(whole(visit)) for visit in everybody]
            await asyncio.gather(*at_the_desk)
            sitting.cancel()
    finally:
        sitting.cancel()
    outcomes = [task.result() for task in at_the_desk]
    seconds = time.perf_counter() - started
    return _result(everybody, outcomes, panel.cases, retaken, seconds)


async def _fail_with(sitting: "asyncio.Task[None]") -> None:
    """A panel that broke is told at once, not after everybody's time limit."""
    try:
        await sitting
    except asyncio.CancelledError:
        if not sitting.cancelled():
            raise


def _pictures(road: Road, everybody: Sequence[Visit]) -> dict[str, int]:
    """Asked for in order before anybody comes: fingers are numbered as they are first asked for."""
    return {
        _digest(road.captures.finger(visit.citizen, impression)): visit.person
        for visit in everybody
        for impression in (0, 1)
    }


async def _enrol(road: Road, visit: Visit, retaken: Counter[str]) -> Walk:
    """A capture that the gate refuses is taken again, as at any desk."""
    walk = await road.apply(visit.citizen)
    for impression in (visit.impression, 1 - visit.impression):
        try:
            await road.enrol(walk, impression=impression)
        except Refused as refused:
            if not refused.reason.startswith("capture-"):
                raise
            retaken[refused.reason] += 1
        else:
            return walk
    raise ValueError(f"no impression of person {visit.person} passes the gate")


async def _settled(road: Road, walk: Walk) -> str:
    progress = await until(
        lambda: road.progress(walk),
        lambda answer: answer["state"] in (CLEARED, DUPLICATE),
        within=SETTLES_WITHIN,
        what=f"application {walk.application_id} to be cleared or a duplicate",
    )
    return str(progress["state"])


def _result(
    everybody: Sequence[Visit],
    outcomes: Sequence[str],
    cases: Sequence[Case],
    retaken: Mapping[str, int],
    seconds: float,
) -> dict[str, Any]:
    """Who came twice: which of the two visits was searched first is the machine's to say."""
    cleared: Counter[int] = Counter()
    for visit, outcome in zip(everybody, outcomes, strict=True):
        cleared[visit.person] += outcome == CLEARED
    times = Counter(visit.person for visit in everybody)
    twice = sorted(person for person, visits in times.items() if visits > 1)
    caught = {case.person for case in cases if case.same_person}
    missed = [person for person in twice if person not in caught or cleared[person] != 1]
    barred = [person for person in times if times[person] == 1 and cleared[person] != 1]
    return {
        "persons": len(times),
        "enrolments": len(everybody),
        "planted": len(twice),
        "found": len(twice) - len(missed),
        "missed": missed,
        "wrongly_barred": barred,
        "cases": [asdict(case) for case in cases if case.same_person],
        "other_cases": [asdict(case) for case in cases if not case.same_person],
        "captures_taken_again": dict(retaken),
        "seconds": round(seconds, 1),
        "enrolments_per_second": round(len(everybody) / seconds, 2),
        "holds": not missed and not barred,
    }


def _digest(png: bytes) -> str:
    """By its pixels: adjudicators are shown those of the capture, in a file of their own."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
        return hashlib.sha256(picture.tobytes()).hexdigest()
