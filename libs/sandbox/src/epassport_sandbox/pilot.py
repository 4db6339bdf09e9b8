"""`make pilot CITIZENS=n`: throughput of the whole road, then invariants over all data.

Citizens walk at a stated concurrency; pictures of fingers and faces are made before the
clock starts. Extraction and 1:N search are real. Nothing is asserted about time.

`IMAGES=off` shows what is left without work on fingers: everybody's fingers are unusable, so that
a supervisor's exception stands for the search and two officers compare faces, of which there are
a few only. The services are the same and know nothing of it; cards are printed all the same.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from epassport_sandbox.citizens import Citizen, citizens
from epassport_sandbox.invariants import check_invariants, settle
from epassport_sandbox.measuring import Snapshot, costs, look, loop_ms, megabytes
from epassport_sandbox.road import Road, Walk
from epassport_sandbox.running import Session

SEED = 7
AT_ONCE = 72
FACES = 8  # without images
BATCH = 20
LANES = 6
LINGER_MS = 250
SETTINGS = {"EPASSPORT_LINGER_MS": str(LINGER_MS)}  # throughput is wanted, not the soonest answer


class _Progress:
    """Counts passports in force. half: how many are half of them."""

    def __init__(self, tell: Callable[[], None], *, half: int) -> None:
        self.is_half_way = asyncio.Event()
        self._tell = tell
        self._left = half

    def advance(self) -> None:
        self._tell()
        self._left -= 1
        if self._left == 0:
            self.is_half_way.set()


async def run_pilot(
    session: Session, count: int, advance: Callable[[], None], *, images: bool = True
) -> dict[str, Any]:
    """What `result.json` says: see the module. images: fingers are taken, compared and searched."""
    today = session.system.clock.now().date()
    people = list(islice(citizens(SEED, count, today), count))
    if not images:
        people = [_without_fingers(citizen, n % FACES) for n, citizen in enumerate(people)]
    await asyncio.to_thread(_draw_all, session.road, people)
    start = await look(session.system)
    asked_before = session.client.requests
    progress = _Progress(advance, half=(count + 1) // 2)
    halfway = asyncio.create_task(_halfway(session, progress))
    started = time.perf_counter()
    walks = await _walk_all(session.road, people, progress.advance)
    seconds = time.perf_counter() - started
    await settle(session.system)
    end = await look(session.system)
    moments = {"start": start, "half": await halfway, "end": end}
    requests = session.client.requests - asked_before
    findings = await check_invariants(session.system)
    return {
        "citizens": count,
        "at_once": AT_ONCE,
        "linger_ms": LINGER_MS,
        "images": "on" if images else "off",
        "passports": len(walks),
        "seconds": round(seconds, 1),
        "passports_per_second": round(len(walks) / seconds, 2),
        "latency_ms": {
            step: {"p50": _percentile(times, 50), "p99": _percentile(times, 99)}
            for step, times in session.road.steps.seconds.items()
        },
        "requests_per_passport": round(requests / len(walks), 1),
        **costs(start, end, passports=len(walks), seconds=seconds),
        "memory_mb": megabytes(moments),
        "loop_ms": loop_ms(moments),
        "invariants": findings.summary(),
        "invariants_hold": findings.hold,
    }


async def _walk_all(
    road: Road, people: Sequence[Citizen], advance: Callable[[], None]
) -> list[Walk]:
    """Cards of one office travel in batches, as they do in life."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def until_made(citizen: Citizen) -> Walk:
        async with limit:
            walk = await road.apply(citizen)
            await road.capture(walk)
            await road.decide(walk)
            await road.make(walk)
            return walk

    async def to_the_end(walk: Walk) -> None:
        async with limit:
            await road.hand_over(walk)
            await road.comes_into_force(walk)
            advance()

    async def wave(group: Sequence[Citizen]) -> list[Walk]:
        walks = await asyncio.gather(*(until_made(citizen) for citizen in group))
        by_office: dict[str, list[Walk]] = {}
        for walk in walks:
            by_office.setdefault(walk.office.office_id, []).append(walk)
        await asyncio.gather(*(road.bring(cards) for cards in by_office.values()))
        await asyncio.gather(*(to_the_end(walk) for walk in walks))
        return walks

    groups = [people[n : n + BATCH] for n in range(0, len(people), BATCH)]
    lanes = asyncio.Semaphore(LANES)

    async def lane(group: Sequence[Citizen]) -> list[Walk]:
        async with lanes:
            return await wave(group)

    return [walk for walks in await asyncio.gather(*map(lane, groups)) for walk in walks]


def _draw_all(road: Road, people: Sequence[Citizen]) -> None:
    """Image generation is not what is measured."""
    for citizen in people:
        road.captures.face(citizen)


def _without_fingers(citizen: Citizen, face: int) -> Citizen:
    return replace(citizen, fingers_usable=False, portrait_seed=face)


async def _halfway(session: Session, progress: _Progress) -> Snapshot:
    """Memory that only grows would show against the end."""
    await progress.is_half_way.wait()
    return await look(session.system)


def _percentile(seconds: Sequence[float], percent: int) -> float:
    if len(seconds) < 2:
        return round(seconds[0] * 1000, 1)
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return round(cuts[percent - 1] * 1000, 1)
