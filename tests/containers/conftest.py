"""Only where containers are asked for: `make test-containers`."""

import os

import docker
import pytest
from docker import DockerClient
from docker.models.images import Image

from epassport_contracts import ServiceName
from epassport_sandbox.images import image_names, variable_of
from epassport_sandbox.stack import STACK_VARIABLE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    not_asked = pytest.mark.skipif(
        os.environ.get(STACK_VARIABLE) != "containers",
        reason=f"{STACK_VARIABLE}=containers is not asked for",
    )
    for item in items:
        if "tests/containers" in str(item.path):
            item.add_marker(not_asked)


@pytest.fixture(scope="session")
def engine() -> DockerClient:
    return docker.from_env(timeout=60)


@pytest.fixture(scope="session")
def images(engine: DockerClient) -> dict[ServiceName, Image]:
    names = image_names()
    return {service: engine.images.get(names[variable_of(service)]) for service in ServiceName}
