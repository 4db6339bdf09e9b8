"""Services that are killed in the middle of somebody's road; and what must hold after all of it.

Last of all files: the invariants are checked over everything that the other tests did.
"""

import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import asyncpg
import psutil
import pytest

from epassport_contracts import ServiceName
from epassport_sandbox.citizens import Citizen
from epassport_sandbox.client import TookTooLong
from epassport_sandbox.invariants import DELIVERY, check_invariants, settle
from epassport_sandbox.running import Session
from epassport_sandbox.system import System


async def test_a_road_goes_on_after_its_services_were_killed(
    epassport: Session, newcomers: Iterator[Citizen]
) -> None:
    """card-personalization while the card is being made, cloud-profile at the hand-over."""
    road, system = epassport.road, epassport.system
    walk = await road.apply(next(newcomers))
    await road.enrol(walk)
    await road.decide(walk)
    await _kill(system, ServiceName.CARD_PERSONALIZATION)
    await system.start(ServiceName.CARD_PERSONALIZATION)
    await road.make(walk)
    await road.bring([walk])
    await road.hand_over(walk)
    await _kill(system, ServiceName.CLOUD_PROFILE)
    await system.start(ServiceName.CLOUD_PROFILE)
    await road.comes_into_force(walk)


async def test_after_everything_the_invariants_hold_over_all_data(
    epassport: Session, put_by_hand: set[tuple[str, int, int]]
) -> None:
    await settle(epassport.system)
    findings = await check_invariants(epassport.system, put_by_hand=frozenset(put_by_hand))
    assert findings.counts["records on topics"] > 0
    assert findings.hold, json.dumps(findings.summary(), indent=2)


async def test_a_stream_that_is_lost_as_a_whole_is_found_where_it_was_lost(
    epassport: Session, put_by_hand: set[tuple[str, int, int]]
) -> None:
    """One of which nothing was sent, and one of which a consumer has applied nothing."""
    system = epassport.system
    applications = "internal.enrollment.application.v1"
    cards = "internal.card-personalization.card.v1"
    unsent = f"application/{uuid4()}"
    async with _connected(system, ServiceName.ENROLLMENT) as enrollment:
        await enrollment.execute("INSERT INTO streams (stream_id, sequence) VALUES ($1, 2)", unsent)
    async with _connected(system, ServiceName.VERIFICATION) as verification:
        unheard, last = await verification.fetchrow(
            "DELETE FROM consumer_sequences WHERE consumer = 'reactions' AND topic = $1"
            " AND key = (SELECT min(key) FROM consumer_sequences WHERE topic = $1)"
            " RETURNING key, sequence",
            cards,
        )
    with pytest.raises(TookTooLong) as moving:
        await settle(system, within=timedelta(seconds=1))
    assert f"verification on {cards}" in str(moving.value)
    assert f"verification on {applications}" in str(moving.value)
    findings = await check_invariants(system, put_by_hand=frozenset(put_by_hand))
    assert set(findings.violations[DELIVERY]) == {
        f"{applications} {unsent}: [], written 2",
        *(
            f"{service} reactions {applications} {unsent}: applied 0 of 2"
            for service in set(ServiceName) - {ServiceName.ENROLLMENT}
        ),
        f"verification reactions {cards} {unheard}: applied 0 of {last}",
    }


@asynccontextmanager
async def _connected(
    system: System, service: ServiceName
) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(system.dsn(service))
    try:
        yield connection
    finally:
        await connection.close()


async def _kill(system: System, service: ServiceName) -> None:
    """kill -9 of the service alone: its workers must end with it by themselves."""
    child = system.processes.children[service]
    family = psutil.Process(child.pid).children(recursive=True)
    child.kill(signal.SIGKILL)
    await child.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
