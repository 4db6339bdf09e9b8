"""PostgreSQL and Kafka for a run: given ones where the environment names them, else containers
where an engine answers and has images made from these sources, else processes of our own.

`python -m epassport_sandbox.stack [FOLDER]` starts them, prints their addresses in the form in
which other runs take them from the environment, and stays until Ctrl-C or SIGTERM.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from epassport_sandbox.errors import SandboxError, StackUnavailable, first_of_ours
from epassport_sandbox.kafka import EmbeddedKafka, Kafka
from epassport_sandbox.postgres import EmbeddedPostgres, Postgres, may_enter, server_account
from epassport_sandbox.processes import Supervisor
from epassport_sandbox.scratch import scratch_folder

POSTGRES_VARIABLE = "EPASSPORT_TEST_POSTGRES"
KAFKA_VARIABLE = "EPASSPORT_TEST_KAFKA"
STACK_VARIABLE = "EPASSPORT_TEST_STACK"


class Stack(Protocol):
    """What every kind of stack offers."""

    @property
    def postgres(self) -> Postgres: ...

    @property
    def kafka(self) -> Kafka: ...

    def supervisor(self, logs: Path) -> Supervisor:
        """Runs the services in the same way as the servers."""
        ...


class GivenStack:
    """Servers that somebody else runs."""

    def __init__(self, superuser_dsn: str, bootstrap: str) -> None:
        self.postgres = Postgres(superuser_dsn)
        self.kafka = Kafka(bootstrap)

    def supervisor(self, logs: Path) -> Supervisor:
        return Supervisor(logs)


class EmbeddedStack:
    """Real servers as child processes, gone when the block is left or this process dies.

    folder: takes data and logs, which stay there and are used again by the next stack in it;
        without one, a temporary folder that is removed. When root runs this below a folder that
        only root may enter, PostgreSQL's user could not get there: then only the logs stay.
    durable: fsync is on; off is for tests that do not pull the plug.

    Entering it raises StackUnavailable when the machine lacks something, ChildFailed when a
    server does not come up.
    """

    postgres: Postgres
    kafka: Kafka
    postgres_server: EmbeddedPostgres
    kafka_server: EmbeddedKafka

    def __init__(self, folder: Path | None = None, *, durable: bool = True) -> None:
        self._folder = folder
        self._durable = durable
        self._cleanup = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as cleanup:
            scratch = cleanup.enter_context(scratch_folder())
            logs = (self._folder or scratch).resolve()
            logs.mkdir(parents=True, exist_ok=True)
            home = logs if may_enter(server_account(), logs) else scratch
            self.postgres_server = EmbeddedPostgres(
                home / "postgres", scratch, log=logs / "postgres.log", durable=self._durable
            )
            cleanup.push_async_callback(self.postgres_server.stop)
            self.kafka_server = EmbeddedKafka(home / "kafka", log=logs / "kafka.log")
            cleanup.push_async_callback(self.kafka_server.stop)
            await self._start_both()
            self._cleanup = cleanup.pop_all()
        return self

    def supervisor(self, logs: Path) -> Supervisor:
        return Supervisor(logs)

    async def _start_both(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                postgres = group.create_task(self.postgres_server.start())
                kafka = group.create_task(self.kafka_server.start())
        except ExceptionGroup as errors:
            raise first_of_ours(errors) from None
        self.postgres, self.kafka = postgres.result(), kafka.result()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._cleanup.aclose()


@asynccontextmanager
async def open_stack(
    folder: Path | None = None,
    *,
    durable: bool = True,
    announce: Callable[[str], None] = print,
) -> AsyncIterator[Stack]:
    """The first of: the addresses given in the environment; containers; an embedded stack.

    announce: told in one line which stack is used, and why no containers.
    Raises StackUnavailable when just one of the two addresses is given, or when containers are
    asked for by EPASSPORT_TEST_STACK and cannot be had.
    """
    given = _given()
    if given is not None:
        version = await given.postgres.version()
        announce(f"stack: PostgreSQL {version} and Kafka as given ({given.kafka.bootstrap})")
        yield given
        return
    how = "fsync on" if durable else "fsync off"
    missing = await asyncio.to_thread(_why_no_containers)
    if missing is None:
        from epassport_sandbox.containers import ContainerStack

        async with ContainerStack(folder, durable=durable) as containers:
            version = await containers.postgres.version()
            announce(f"stack: containers, PostgreSQL {version}, {how}")
            yield containers
        return
    async with EmbeddedStack(folder, durable=durable) as stack:
        versions = (await stack.postgres.version(), stack.kafka_server.version)
        announce("stack: embedded PostgreSQL {} and Apache Kafka {}, {}".format(*versions, how))
        announce(f"       nothing is shown of the container images: {missing}")
        yield stack


def _given() -> GivenStack | None:
    dsn, bootstrap = os.environ.get(POSTGRES_VARIABLE), os.environ.get(KAFKA_VARIABLE)
    if (dsn is None) != (bootstrap is None):
        raise StackUnavailable(f"give both {POSTGRES_VARIABLE} and {KAFKA_VARIABLE}, or neither")
    return None if dsn is None or bootstrap is None else GivenStack(dsn, bootstrap)


def _why_no_containers() -> str | None:
    """None where containers are to be used. Raises StackUnavailable where they must and cannot."""
    wanted = os.environ.get(STACK_VARIABLE)
    if wanted not in (None, "containers", "embedded"):
        raise StackUnavailable(f"{STACK_VARIABLE} is containers or embedded, not {wanted}")
    if wanted == "embedded":
        return "make test-containers asks for them"
    if find_spec("testcontainers") is None:
        missing: str | None = "testcontainers is not installed"
    else:
        from epassport_sandbox.containers import why_no_containers

        missing = why_no_containers()
    if wanted == "containers" and missing is not None:
        raise StackUnavailable(f"{STACK_VARIABLE}=containers, but {missing}")
    return missing


@contextmanager
def cancelled_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the current task as Ctrl-C does: by cancelling it, so that it cleans up."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("there is no task to cancel")
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def _run(folder: Path | None) -> None:
    with cancelled_by_sigterm():
        async with open_stack(folder, announce=lambda line: print(line, file=sys.stderr)) as stack:
            print(f"export {POSTGRES_VARIABLE}={stack.postgres.superuser_dsn}")
            print(f"export {KAFKA_VARIABLE}={stack.kafka.bootstrap}", flush=True)
            await asyncio.Event().wait()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        try:
            asyncio.run(_run(folder))
        except SandboxError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
