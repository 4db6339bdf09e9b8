"""PostgreSQL, Kafka and the services as containers, on this machine's own loopback.

They use the host's network, so an address is the same inside and outside and nothing is reachable
from elsewhere. A container sees of the file system what its environment names, read-only; its root
is read-only; it runs as a numeric user without capabilities. All of them carry a label by which
they are removed: at the end, when this process dies (`container_reaper`), and by the next run.
"""

import asyncio
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from epassport_contracts import ServiceName
from epassport_sandbox.container_process import ContainerProcess
from epassport_sandbox.errors import first_of_ours
from epassport_sandbox.images import (
    KAFKA,
    POSTGRES,
    SOURCES_LABEL,
    image_names,
    sources_digest,
    variable_of,
)
from epassport_sandbox.kafka import Kafka, broker_not_ready, environment_of_broker
from epassport_sandbox.ports import HOST, free_port
from epassport_sandbox.postgres import FORGETFUL, SETTINGS, Postgres, server_not_ready
from epassport_sandbox.processes import Child, Supervisor
from epassport_sandbox.scratch import scratch_folder

RUN_LABEL = "org.epassport.run"
OWNER_LABEL = "org.epassport.owner"
PART_LABEL = "org.epassport.part"
SERVICE_USER = 10001
START = timedelta(seconds=120)
OF_THE_IMAGE = {
    "EPASSPORT_ENGINE_LIBS": "/opt/sourceafis/libs",
    "EPASSPORT_ENGINE_CLASSES": "/opt/sourceafis/classes",
}

# Its image may not be there; what it would do for us the reaper and the labels do.
testcontainers_config.ryuk_disabled = True


def why_no_containers() -> str | None:
    """None where an engine answers and has images made from these sources; else what is missing."""
    try:
        engine = docker.from_env(timeout=20)
    except DockerException:
        return "no container engine answers"
    try:
        names, sources = image_names(), sources_digest()
        for variable in (POSTGRES, KAFKA, *map(variable_of, ServiceName)):
            image = engine.images.get(names[variable])
            made_from = image.labels.get(SOURCES_LABEL)
            if made_from is not None and made_from != sources:
                return f"{names[variable]} was made from other sources: make images"
    except ImageNotFound:
        return f"there is no image {names[variable]}: make images"
    finally:
        engine.close()
    return None


class Run:
    """What all containers of one run have in common; removes them when this process is gone."""

    def __init__(self) -> None:
        self.labels = {RUN_LABEL: uuid.uuid4().hex, OWNER_LABEL: owner_of(os.getpid())}
        self._reaper: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._reaper = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "epassport_sandbox.container_reaper"),
            f"{RUN_LABEL}={self.labels[RUN_LABEL]}",
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal is not for it
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closing its input is what our death would do."""
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            await self._reaper.wait()


def owner_of(pid: int) -> str:
    """A process id with its start in clock ticks: ids are used again."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return f"{pid}:{fields[19]}"


async def start_container(
    name: str,
    image: str,
    command: Sequence[str],
    *,
    run: Run,
    log: Path,
    environment: Mapping[str, str],
    mounts: Mapping[Path, str] | None = None,
    entrypoint: Sequence[str] | None = None,
    confined: bool = True,
    keep: bool = False,
) -> tuple[DockerContainer, Child]:
    """mounts: paths of this machine, seen at the same place, with "ro" or "rw"."""
    container = DockerContainer(image)
    options: dict[str, Any] = {
        "network": "host",
        "labels": {**run.labels, PART_LABEL: name},
        "entrypoint": list(entrypoint) if entrypoint else None,
    }
    container.with_kwargs(**options, **(confinement() if confined else {}))
    if confined:
        container.with_tmpfs_mount("/tmp")  # noqa: S108 - the container's own, in memory
    container.with_command(list(command))
    container.with_envs(**environment)
    for path, mode in (mounts or {}).items():
        container.with_volume_mapping(str(path), str(path), mode)
    await asyncio.to_thread(container.start)
    process = ContainerProcess(container.get_wrapped_container(), log, keep=keep)
    return container, Child(name, log, process, leads_session=False)


def confinement() -> dict[str, Any]:
    """What a service needs nothing of, it does not get."""
    return {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "user": service_account(),
    }


def service_account() -> str:
    """The images' own user where we may give files away, else ourselves."""
    if os.geteuid() == 0:
        return f"{SERVICE_USER}:{SERVICE_USER}"
    return f"{os.geteuid()}:{os.getegid()}"


class ContainerServer:
    """PostgreSQL or Kafka: a container that may be killed and started again with its files."""

    def __init__(self, container: DockerContainer, child: Child) -> None:
        self._container = container
        self.child = child

    async def start_again(self) -> None:
        """After its end; ready when the caller's probe says so."""
        wrapped = self._container.get_wrapped_container()
        await asyncio.to_thread(wrapped.start)
        process = ContainerProcess(wrapped, self.child.log, keep=True)
        self.child = Child(self.child.name, self.child.log, process, leads_session=False)


class ContainerStack:
    """Real servers in containers, removed when the block is left or this process dies.

    folder: takes logs. durable: fsync is on; off is for tests that do not pull the plug.
    """

    postgres: Postgres
    kafka: Kafka
    postgres_server: ContainerServer
    kafka_server: ContainerServer

    def __init__(self, folder: Path | None = None, *, durable: bool = True) -> None:
        self._folder = folder
        self._durable = durable
        self._names = image_names()
        self._run = Run()
        self.labels = self._run.labels
        self._cleanup = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as cleanup:
            self._folder = self._folder or cleanup.enter_context(scratch_folder())
            await cleanup.enter_async_context(self._run)
            try:
                async with asyncio.TaskGroup() as starting:
                    starting.create_task(self._start_postgres(self._folder / "postgres.log"))
                    starting.create_task(self._start_kafka(self._folder / "kafka.log"))
            except ExceptionGroup as errors:
                raise first_of_ours(errors) from None
            self._cleanup = cleanup.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._cleanup.aclose()

    def supervisor(self, logs: Path) -> Supervisor:
        return ContainerSupervisor(logs, self._run)

    async def _start_postgres(self, log: Path) -> None:
        port, password = free_port(), uuid.uuid4().hex
        unfit = ("unix_socket_directories", "log_line_prefix")  # the image has its own
        settings = {**SETTINGS, **({} if self._durable else FORGETFUL), "port": str(port)}
        options = [part for name, value in settings.items() if name not in unfit
                   for part in ("-c", f"{name}={value}")]  # fmt: skip
        environment = {
            "POSTGRES_USER": "epassport",
            "POSTGRES_PASSWORD": password,
            "POSTGRES_DB": "postgres",
            "POSTGRES_INITDB_ARGS": "--locale=C --encoding=UTF8",
        }
        container, child = await start_container(
            "postgres", self._names[POSTGRES], ["postgres", *options],
            run=self._run, log=log, environment=environment, confined=False, keep=True,
        )  # fmt: skip
        self.postgres_server = ContainerServer(container, child)
        self.postgres = Postgres(f"postgresql://epassport:{password}@{HOST}:{port}/postgres")
        await child.until_ready(lambda: server_not_ready(self.postgres), within=START)

    async def _start_kafka(self, log: Path) -> None:
        port = free_port()
        environment = environment_of_broker(
            port, free_port(but_not=port), data="/var/lib/kafka/data"
        )
        container, child = await start_container(
            "kafka", self._names[KAFKA], [],
            run=self._run, log=log, environment=environment, confined=False, keep=True,
        )  # fmt: skip
        self.kafka_server = ContainerServer(container, child)
        self.kafka = Kafka(f"{HOST}:{port}")
        await child.until_ready(lambda: broker_not_ready(self.kafka, port), within=START)


class ContainerSupervisor(Supervisor):
    """The services' images in place of their modules."""

    def __init__(self, logs: Path, run: Run) -> None:
        super().__init__(logs)
        self._run_of_all = run

    async def _run(
        self, name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> Child:
        package = module.partition(".")[0]
        values = {**environment, "EPASSPORT_HTTP_HOST": HOST, "EPASSPORT_HEALTH_HOST": HOST}
        values.update({key: path for key, path in OF_THE_IMAGE.items() if key in environment})
        _, child = await start_container(
            name,
            image_names()[variable_of(package)],
            arguments,
            run=self._run_of_all,
            log=self._logs / f"{name}.log",
            environment=values,
            mounts=mounts_for(arguments, environment),
            entrypoint=["python", "-m", module],
        )
        return child


def mounts_for(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[Path, str]:
    """Files that the environment names, read-only; folders that the command names, to write to.

    The clock's file is replaced at each move, which a mount of the file alone would not show.
    """
    mounts: dict[Path, str] = {}
    for name, value in environment.items():
        path = Path(value.removeprefix("file:"))
        if name not in OF_THE_IMAGE and path.is_absolute() and path.exists():
            mounts[path.parent if name == "EPASSPORT_CLOCK_FILE" else path] = "ro"
    mounts.update({Path(one): "rw" for one in arguments if one.startswith("/")})
    if os.geteuid() == 0:
        for path in mounts:
            _give_away(path)
    return mounts


def _give_away(path: Path) -> None:
    for one in (path, *path.rglob("*")) if path.is_dir() else (path,):
        os.chown(one, SERVICE_USER, SERVICE_USER)
