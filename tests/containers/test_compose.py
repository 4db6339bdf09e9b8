"""docker-compose.yml as a newcomer types it: services find each other by name, citizens arrive."""

import asyncio
import os
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest
from docker import DockerClient
from docker.models.containers import Container

from epassport_contracts import ServiceName
from epassport_sandbox.images import image_names, repository
from epassport_sandbox.ports import free_port

CITIZENS = "8"
UP_SECONDS, WALK_SECONDS, COMMAND_SECONDS = 420, 420, 120
LISTENERS = (*ServiceName, "postgres", "kafka", "identity")
CARD_WAS_LOST = 1  # what epassport-verify ends with where a document is refused


@dataclass(frozen=True)
class Project:
    """One installation of docker-compose.yml with ports, names and volumes of its own."""

    command: Sequence[str]
    name: str
    environment: Mapping[str, str]

    def run(self, *arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            cwd=repository(),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def logs(self) -> str:
        """The last lines of each container, which is gone after the test."""
        asked = ("--profile", "demo", "logs", "--no-color", "--tail", "20")
        return self.run(*asked, seconds=COMMAND_SECONDS).stdout

    def container(self, engine: DockerClient, service: str) -> Container:
        labels = {"project": self.name, "service": service}
        wanted = [f"com.docker.compose.{key}={value}" for key, value in labels.items()]
        (found,) = engine.containers.list(all=True, filters={"label": wanted})
        return found


@pytest.fixture
def project() -> Iterator[Project]:
    command = _compose()
    if command is None:
        pytest.skip("no docker-compose on this machine")
    name = f"epassport-test-{uuid.uuid4().hex[:8]}"
    ports = {f"EPASSPORT_{one.replace('-', '_').upper()}_PORT": str(free_port())
             for one in LISTENERS}  # fmt: skip
    own = {"COMPOSE_PROJECT_NAME": name, "CITIZENS": CITIZENS}
    project = Project(command, name, {**os.environ, **image_names(), **ports, **own})
    try:
        yield project
    finally:
        left = ("--profile", "demo", "down", "--volumes", "--timeout", "5")
        assert project.run(*left, seconds=COMMAND_SECONDS).returncode == 0


def _compose() -> list[str] | None:
    """Compose 1 where it is there, else the plugin of a newer engine."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return None if plugin.returncode else ["docker", "compose"]


async def test_the_demo_of_compose_issues_passports_and_ends_with_its_verdict(
    engine: DockerClient, project: Project
) -> None:
    up = ("--profile", "demo", "up", "--detach", "--no-build")
    started = await asyncio.to_thread(project.run, *up, seconds=UP_SECONDS)
    assert started.returncode == 0, f"{started.stderr}\n{project.logs()}"
    citizens = project.container(engine, "citizens")
    code = (await asyncio.to_thread(citizens.wait, timeout=WALK_SECONDS))["StatusCode"]
    told = citizens.logs().decode().splitlines()
    assert code == 0, f"{told[-30:]}\n{project.logs()}"
    held, _, wanted = told[-1].partition(" expectations held.")[0].partition(" of ")
    assert held == wanted
    assert int(wanted) > 0
    check = shlex.split(told[-2])
    assert check[0] == "docker-compose"
    checked = await asyncio.to_thread(project.run, *check[1:], seconds=COMMAND_SECONDS)
    assert checked.returncode == CARD_WAS_LOST, checked.stderr
    assert "revoked" in checked.stdout
    again = await asyncio.to_thread(
        project.run, "--profile", "demo", "run", "--rm", "--no-deps", "citizens",
        seconds=COMMAND_SECONDS,
    )  # fmt: skip
    assert again.returncode == 1
    assert "down --volumes" in " ".join(again.stdout.split())
