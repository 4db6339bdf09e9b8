"""One running epassport for all tests here, and the people who walk its road at the same time."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import httpx
import pytest
import pytest_asyncio

from epassport_sandbox.citizens import Citizen, special_cast
from epassport_sandbox.client import Refused
from epassport_sandbox.road import Walk
from epassport_sandbox.running import Session

SURNAME, GIVEN_NAME = "Златопёрскоеугодьев", "Еликонидаафанасий"


@dataclass(frozen=True)
class Cast:
    """Where everybody's road has led; refusals are reason codes."""

    followed: Walk
    canary: Walk
    elder: Walk
    unusable: Walk
    first: Walk
    again: Walk
    outside: str
    child: str


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cast(epassport: Session, newcomers: Iterator[Citizen]) -> Cast:
    """Seven roads at once, then the person who applies again under another name."""
    road, special = epassport.road, special_cast(epassport.system.clock.now().date())
    async with asyncio.TaskGroup() as walking:
        followed, canary, elder, unusable, first = (
            walking.create_task(road.whole(citizen))
            for citizen in (
                next(newcomers),
                replace(next(newcomers), surname=SURNAME, given_name=GIVEN_NAME),
                special.elder_without_phone,
                special.unusable_fingers,
                special.applies_first,
            )
        )
        outside = walking.create_task(_refusal(epassport, special.outside_pilot))
        child = walking.create_task(_refusal(epassport, special.under_fourteen))
    again = await road.apply(special.applies_again)
    await road.enrol(again, impression=1)
    return Cast(
        followed=followed.result(),
        canary=canary.result(),
        elder=elder.result(),
        unusable=unusable.result(),
        first=first.result(),
        again=again,
        outside=outside.result(),
        child=child.result(),
    )


async def _refusal(session: Session, citizen: Citizen) -> str:
    with pytest.raises(Refused) as refused:
        await session.road.apply(citizen)
    return refused.value.reason


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """For requests that no well-behaved client would send."""
    # A service closes what is idle for 5 s; a request sent at that moment would be lost.
    limits = httpx.Limits(keepalive_expiry=2)
    async with httpx.AsyncClient(timeout=30, trust_env=False, limits=limits) as client:
        yield client


@pytest.fixture(scope="session")
def put_by_hand() -> set[tuple[str, int, int]]:
    """Topic, partition and offset of records that tests put there themselves."""
    return set()
