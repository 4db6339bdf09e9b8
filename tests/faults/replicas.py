"""Processes of the two services, started again whenever they end, as a platform does it."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp

from epassport_sandbox.processes import Child

RESTART_SECONDS = 0.5
LOOK_SECONDS = 0.2
PROBE_SECONDS = 2.0
GRACE = timedelta(seconds=5)


@dataclass(frozen=True)
class Role:
    """What one process does. `sender.relay` is the sender's `relay`, of which there are two."""

    service: str
    command: str

    def __str__(self) -> str:
        return f"{self.service}.{self.command}"


@dataclass
class Replica:
    """One process and those that come after it. ends: exit codes of all but the last."""

    role: Role
    number: int
    environment: Mapping[str, str]
    log: Path
    ready_url: str
    ends: list[int] = field(default_factory=list)
    added: dict[str, str] = field(default_factory=dict)
    down: asyncio.Event = field(default_factory=asyncio.Event)
    _child: Child | None = None
    _keeping: "asyncio.Task[None] | None" = None

    @property
    def name(self) -> str:
        return f"{self.role}-{self.number}"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.running else None

    def start(self) -> None:
        self.down.set()  # set: may run
        self._keeping = asyncio.create_task(self._keep(), name=f"keeping {self.name}")

    async def stop(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        if self._child is not None:
            self.signal(signal.SIGCONT)
            await self._child.stop(grace=GRACE)

    def signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                self._child.kill(number)

    def hold_down(self) -> None:
        """Do not start it again before `let_up`."""
        self.down.clear()

    def let_up(self) -> None:
        self.down.set()

    async def start_anew(self, http: aiohttp.ClientSession, added: Mapping[str, str]) -> None:
        """With this beside its environment; returns when it is ready."""
        before = len(self.ends)
        self.added = dict(added)
        self.signal(signal.SIGTERM)
        while len(self.ends) == before or not await self.is_ready(http):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(LOOK_SECONDS)

    async def is_ready(self, http: aiohttp.ClientSession) -> bool:
        bound = aiohttp.ClientTimeout(total=PROBE_SECONDS)
        try:
            async with http.get(self.ready_url, timeout=bound) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def _keep(self) -> None:
        while True:
            await self.down.wait()
            self._child = await Child.start(
                self.name,
                [sys.executable, "-m", f"tests.faults.{self.role.service}", self.role.command],
                log=self.log,
                environment={**os.environ, **self.environment, **self.added},
            )
            self.ends.append(await self._child.wait())
            await asyncio.sleep(RESTART_SECONDS)
