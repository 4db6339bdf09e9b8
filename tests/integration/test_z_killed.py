"""Services that are killed in the middle of somebody's road; and what must hold after all of it.

Last of all files: the invariants are checked over everything that the other tests did.
"""

import json
import signal
from collections.abc import Iterator

import psutil

from epassport_contracts import ServiceName
from epassport_sandbox.citizens import Citizen
from epassport_sandbox.invariants import check_invariants, settle
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
    epassport: Session, put_by_hand: set[str]
) -> None:
    await settle(epassport.system)
    findings = await check_invariants(epassport.system, put_by_hand=frozenset(put_by_hand))
    assert findings.counts["records on topics"] > 0
    assert findings.hold, json.dumps(findings.summary(), indent=2)


async def _kill(system: System, service: ServiceName) -> None:
    """kill -9 of the service alone: its workers must end with it by themselves."""
    child = system.processes.children[service]
    family = psutil.Process(child.pid).children(recursive=True)
    child.kill(signal.SIGKILL)
    await child.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
