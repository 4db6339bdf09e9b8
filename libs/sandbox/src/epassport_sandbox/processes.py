"""Child processes that are watched, can be killed, and never outlive the one that started them.

Each child has its own session, so that Ctrl-C in a terminal reaches only the parent, which then
stops its children in order; and it dies with the parent's thread, also after kill -9 (launch.py).
Start children in a thread that lives as long as they should: the event loop's.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import httpx
import psutil

from epassport_sandbox.errors import ChildFailed

LAUNCHER = Path(__file__).with_name("launch.py")
POLL_SECONDS = 0.05
TAIL_LINES = 20
TAIL_BYTES = 16_384
REQUEST_SECONDS = 2.0


class Process(Protocol):
    """What a child is made of: a process of the operating system, or a container."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    def send_signal(self, signal: int, /) -> None: ...


Probe = Callable[[], Awaitable[str | None]]
"""Asks a starting child; the answer is None when it is ready, else what is still missing."""


@dataclass(frozen=True)
class Account:
    """The operating system's user and group that a child runs as."""

    user: int
    group: int

    @classmethod
    def own(cls) -> "Account":
        return cls(os.geteuid(), os.getegid())


class Child:
    """One running command; its output goes to `log`."""

    def __init__(self, name: str, log: Path, process: Process, *, leads_session: bool) -> None:
        """leads_session: what it starts ends with it only if its whole session is killed"""
        self.name = name
        self._leads_session = leads_session
        self.log = log
        self.expected_to_end = False
        self._process = process
        self._cpu_seconds = 0.0
        self._end = asyncio.create_task(process.wait(), name=f"end of {name}")

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
        when_orphaned: signal.Signals = signal.SIGKILL,
    ) -> "Child":
        """environment: the whole of it; the parent's when not given."""
        account = account or Account.own()
        wish = [str(n) for n in (os.getpid(), when_orphaned, account.user, account.group)]
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(LAUNCHER), *wish, *command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        return cls(name, log, process, leads_session=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """Its exit code; cancelling the wait leaves the child alone."""
        await asyncio.wait({self._end})
        return self._end.result()

    def when_ended(self, tell: Callable[["Child"], None]) -> None:
        self._end.add_done_callback(lambda _: tell(self))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal on purpose: an end that follows is no failure."""
        self.cpu_seconds()
        if number not in (signal.SIGSTOP, signal.SIGCONT):
            self.expected_to_end = True
        self._process.send_signal(number)

    async def stop(
        self,
        number: signal.Signals = signal.SIGTERM,
        *,
        grace: timedelta = timedelta(seconds=10),
    ) -> None:
        """Ask it to end; kill whatever is left of its session after `grace`."""
        if self.running:
            self.kill(number)
        await asyncio.wait({self._end}, timeout=grace.total_seconds())
        if self.running:
            self._process.send_signal(signal.SIGKILL)
        if self._leads_session:
            with contextlib.suppress(ProcessLookupError):  # nothing is left, as it should be
                os.killpg(self.pid, signal.SIGKILL)
        await self.wait()

    def cpu_seconds(self) -> float:
        """User and system time of it and its children; the last known figure once it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended; the last figure stands
            self._cpu_seconds = sum(map(cpu_seconds, self.family()))
        return self._cpu_seconds

    def family(self) -> list[psutil.Process]:
        """It and its children and theirs. Raises psutil.NoSuchProcess once it has ended."""
        top = psutil.Process(self.pid)
        return [top, *top.children(recursive=True)]

    def tail(self) -> str:
        with self.log.open("rb") as lines:
            lines.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            return "\n".join(lines.read().decode(errors="replace").splitlines()[-TAIL_LINES:])

    async def until_ready(self, probe: Probe, *, within: timedelta) -> None:
        """Raises ChildFailed when the child ends first or the time is over."""
        clock = asyncio.get_running_loop()
        deadline = clock.time() + within.total_seconds()
        while (missing := await probe()) is not None:
            if not self.running:
                raise self.failure()
            if clock.time() > deadline:
                seconds = f"{within.total_seconds():g} s"
                raise ChildFailed(
                    f"{self.name} is not ready after {seconds}: {missing}\n{self.tail()}"
                )
            await asyncio.wait({self._end}, timeout=POLL_SECONDS)

    def failure(self) -> ChildFailed:
        code = self._process.returncode
        return ChildFailed(f"{self.name} ended with code {code}; end of {self.log}:\n{self.tail()}")


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


class Supervisor:
    """Python modules as child processes, stopped together."""

    def __init__(self, logs: Path, *, grace: timedelta = timedelta(seconds=10)) -> None:
        self.children: dict[str, Child] = {}
        self._logs = logs
        self._grace = grace
        self._failed: asyncio.Queue[Child] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(
        self,
        name: str,
        module: str,
        *arguments: str,
        environment: Mapping[str, str],
        ready_url: str | None = None,
        within: timedelta = timedelta(seconds=60),
    ) -> Child:
        """Run `python -m module arguments` and wait until `ready_url` answers 2xx.

        environment: added to the parent's. A name may be used again once its child has ended.
        Raises ChildFailed, with the tail of the log, when it ends early or takes too long.
        """
        if name in self.children and self.children[name].running:
            raise ChildFailed(f"{name} is running already")
        child = await self._run(name, module, arguments, environment)
        self.children[name] = child
        if ready_url is not None:
            async with httpx.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False) as client:
                await child.until_ready(lambda: _not_ready(client, ready_url), within=within)
        child.when_ended(self._note_end)
        return child

    async def _run(
        self, name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> Child:
        return await Child.start(
            name,
            [sys.executable, "-m", module, *arguments],
            log=self._logs / f"{name}.log",
            environment={**os.environ, **environment},
            when_orphaned=signal.SIGTERM,  # it has children of its own to stop
        )

    async def watch(self) -> None:
        """Wait until a child ends that nobody killed or stopped, and raise its ChildFailed."""
        raise (await self._failed.get()).failure()

    async def stop(self) -> None:
        """End all: SIGTERM to each, SIGKILL to what is left of it after the grace period."""
        async with asyncio.TaskGroup() as group:
            for child in self.children.values():
                group.create_task(child.stop(grace=self._grace))

    def _note_end(self, child: Child) -> None:
        if not child.expected_to_end:
            self._failed.put_nowait(child)


async def _not_ready(client: httpx.AsyncClient, url: str) -> str | None:
    try:
        answer = await client.get(url)
    except httpx.TransportError as error:
        return f"{url}: {type(error).__name__}"
    return None if answer.is_success else f"{url}: {answer.status_code} {answer.text[:300]}"
