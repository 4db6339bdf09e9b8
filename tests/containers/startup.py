"""`python -m tests.containers.startup`: how large each image is and how soon its service is ready.

Kafka and PostgreSQL run, topics and schema are there, the four other services are idle; a service's
container is started anew and asked until `/readyz` says yes. A Python loop before each start tells
what the machine has to give. Printed as the README's table; exit 1 where the median of a service's
starts, or its image, is over the stated bound.
"""

import statistics
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import docker

from epassport_contracts import ServiceName
from epassport_sandbox.containers import ContainerStack
from epassport_sandbox.images import image_names, variable_of
from epassport_sandbox.system import System, open_system
from tests.containers.bounds import LARGEST_MEGABYTES, MEGABYTE, READY_SECONDS
from tests.containers.folder import run_in_folder

STARTS = 3
GRACE = timedelta(seconds=30)
LOOP = 20_000_000
HEAD = """\
| image | MB | ready after, median | worst | CPU until then | the loop |
| --- | --- | --- | --- | --- | --- |"""


@dataclass(frozen=True)
class Measured:
    """starts: seconds from the order to start the container until it is ready, each time.
    cpu: what its container had used by then. loops: seconds of the loop before each start."""

    service: ServiceName
    megabytes: float
    starts: list[float]
    cpu: list[float]
    loops: list[float]

    @property
    def holds(self) -> bool:
        small = self.megabytes <= LARGEST_MEGABYTES[self.service]
        return small and statistics.median(self.starts) <= READY_SECONDS

    def row(self) -> str:
        seconds = [
            statistics.median(self.starts),
            max(self.starts),
            statistics.median(self.cpu),
            statistics.median(self.loops),
        ]
        told = " | ".join(f"{each:.1f} s" for each in seconds)
        return f"| {self.service} | {self.megabytes:.0f} | {told} |"


async def measure(system: System, service: ServiceName) -> Measured:
    with closing(docker.from_env()) as engine:
        image = engine.images.get(image_names()[variable_of(service)])
    measured = Measured(service, image.attrs["Size"] / MEGABYTE, [], [], [])
    for _ in range(STARTS):
        measured.loops.append(loop_seconds())
        measured.starts.append(await seconds_to_ready(system, service))
        measured.cpu.append(system.processes.children[service].cpu_seconds())
    return measured


def loop_seconds() -> float:
    """What the machine has to give at this moment."""
    started, total = time.perf_counter(), 0
    for number in range(LOOP):
        total += number * number
    return time.perf_counter() - started


async def seconds_to_ready(system: System, service: ServiceName) -> float:
    """Of a service that runs and is stopped first."""
    await system.processes.children[service].stop(grace=GRACE)
    started = time.perf_counter()
    await system.start(service)
    return time.perf_counter() - started


async def run(folder: Path) -> int:
    async with ContainerStack(folder) as stack, open_system(stack, folder / "system") as system:
        print(HEAD)
        measured = []
        for service in ServiceName:
            measured.append(await measure(system, service))
            print(measured[-1].row(), flush=True)
    largest = ", ".join(f"{name} {size} MB" for name, size in LARGEST_MEGABYTES.items())
    print(f"{STARTS} starts each; bounds: {READY_SECONDS:g} s; {largest}")
    return 0 if all(one.holds for one in measured) else 1


if __name__ == "__main__":
    sys.exit(run_in_folder("startup-containers", run))
