"""`make pilot CITIZENS=n`: throughput of the whole road, then invariants over all data.

Citizens walk at a stated concurrency; pictures of fingers and faces are made before the
clock starts. Extraction and 1:N search are real. Nothing is asserted about time.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from epassport_sandbox.citizens import Citizen, citizens
from epassport_sandbox.invariants import check_invariants, settle
from epassport_sandbox.road import Road, Walk
from epassport_sandbox.running import Session
from epassport_sandbox.stack import EmbeddedStack

SEED = 7
AT_ONCE = 48
BATCH = 20
LANES = 5


async def run_pilot(session: Session, count: int, advance: Callable[[], None]) -> dict[str, Any]:
    """What `result.json` says: see the module."""
    today = session.system.clock.now().date()
    people = list(islice(citizens(SEED, count, today), count))
    await asyncio.to_thread(_draw_all, session.road, people)
    cpu_before = _cpu(session)
    started = time.perf_counter()
    walks = await _walk_all(session.road, people, advance)
    seconds = time.perf_counter() - started
    await settle(session.system)
    cpu_after = _cpu(session)
    findings = await check_invariants(session.system)
    return {
        "citizens": count,
        "passports": len(walks),
        "seconds": round(seconds, 1),
        "passports_per_second": round(len(walks) / seconds, 2),
        "latency_ms": {
            step: {"p50": _percentile(times, 50), "p99": _percentile(times, 99)}
            for step, times in session.road.steps.seconds.items()
        },
        "cpu_seconds": {
            name: round(cpu_after[name] - cpu_before.get(name, 0.0), 1) for name in cpu_after
        },
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
            await road.enrol(walk)
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


def _cpu(session: Session) -> dict[str, float]:
    """CPU seconds so far: each service with its worker processes, the servers, the driver."""
    used = {
        name: child.cpu_seconds()
        for name, child in session.system.processes.children.items()
        if child.running
    }
    if isinstance(stack := session.system.stack, EmbeddedStack):
        used["postgres"] = stack.postgres_server.child.cpu_seconds()
        used["kafka"] = stack.kafka_server.child.cpu_seconds()
    return used | {"the people (this process)": time.process_time()}


def _percentile(seconds: Sequence[float], percent: int) -> float:
    if len(seconds) < 2:
        return round(seconds[0] * 1000, 1)
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return round(cuts[percent - 1] * 1000, 1)
