"""One service's container is replaced by another image while citizens are on their way."""

import asyncio
import os
from collections.abc import Iterator
from datetime import timedelta

import pytest
from docker import DockerClient
from docker.models.images import Image

from epassport_contracts import ServiceName
from epassport_sandbox.citizens import Citizen
from epassport_sandbox.images import image_names, variable_of
from epassport_sandbox.road import Road
from epassport_sandbox.running import Session
from tests.containers.patience import patient_road

UPGRADED = ServiceName.ENROLLMENT
CITIZENS = 4


@pytest.fixture
def next_image(engine: DockerClient, images: dict[ServiceName, Image]) -> Iterator[str]:
    """The same service under another id, as a next build would be."""
    name = "epassport/enrollment:next"
    made = engine.containers.create(images[UPGRADED])
    try:
        made.commit("epassport/enrollment", "next", changes="LABEL org.epassport.next=yes")
    finally:
        made.remove()
    assert engine.images.get(name).id != images[UPGRADED].id
    variable = variable_of(UPGRADED)
    before = os.environ.get(variable)
    os.environ[variable] = name
    assert image_names()[variable] == name
    yield name
    os.environ.pop(variable)
    if before is not None:
        os.environ[variable] = before


async def test_who_is_on_the_way_arrives_while_a_service_is_replaced(
    epassport: Session, newcomers: Iterator[Citizen], engine: DockerClient, next_image: str
) -> None:
    system = epassport.system
    async with patient_road(epassport) as road:
        walking = [asyncio.create_task(_whole(road, next(newcomers))) for _ in range(CITIZENS)]
        await _somebody_has_applied(walking, road)
        await system.processes.children[UPGRADED].stop(grace=timedelta(seconds=30))
        await system.start(UPGRADED)
        running = engine.containers.list(filters={"label": f"org.epassport.part={UPGRADED}"})
        assert [one.attrs["Config"]["Image"] for one in running] == [next_image]
        await asyncio.gather(*walking)


async def _whole(road: Road, citizen: Citizen) -> None:
    walk = await road.whole(citizen)
    assert walk.document_ref is not None


async def _somebody_has_applied(walking: "list[asyncio.Task[None]]", road: Road) -> None:
    async with asyncio.timeout(60):
        while not road.steps.seconds:
            assert not any(task.done() for task in walking)
            await asyncio.sleep(0.05)
