"""Carries out a schedule: every blow at its time, and everything healed at the end."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
from collections.abc import Awaitable, Sequence
from pathlib import Path

import psutil

from epassport.operations import Place
from epassport_sandbox.processes import Child
from tests.faults.cluster import Cluster
from tests.faults.crossing import cross
from tests.faults.forgery import discard, hold, poison, reorder, repeat
from tests.faults.load import Load
from tests.faults.observe import Mark
from tests.faults.replicas import Replica
from tests.faults.schedule import (
    Act,
    Blow,
    Clock,
    Cross,
    Disk,
    Hold,
    Kill,
    Network,
    Pause,
    Poison,
    Reorder,
    Repeat,
    Restart,
    Schedule,
)

FAKETIME = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"),
)
INJECTED = "(INJECTED)"  # strace's mark
JUMP_SECONDS = 1.2
UP_AGAIN_SECONDS = 30.0
DISCARD_SECONDS = 90.0  # until what holds a stream has been read, in which lag may take as long


def why_not(acts: Sequence[Act]) -> str | None:
    """What this machine lacks for them; None where it can do them all."""
    if any(isinstance(act, Disk) for act in acts):
        if shutil.which("strace") is None:
            return "strace is not installed"
        if not _may_trace():
            return "this process may not trace others (ptrace)"
    if any(isinstance(act, Clock) for act in acts) and _faketime() is None:
        return "libfaketime is not installed"
    return None


class Nemesis:
    """missed: blows that hit nobody; then the round has shown nothing."""

    def __init__(self, cluster: Cluster, load: Load, since: Mark, seed: str) -> None:
        self._cluster = cluster
        self._load = load
        self._since = since
        self._random = random.Random(seed)
        self._struck: list[Replica] = []
        self._held: list[Place] = []
        self.missed: list[str] = []

    async def carry_out(self, schedule: Schedule) -> None:
        """Returns when all blows are over; whatever they did is healed, also where one failed."""
        try:
            async with asyncio.TaskGroup() as blows:
                for blow in schedule.blows:
                    blows.create_task(self._at(blow))
        finally:
            await self._heal()

    async def _at(self, blow: Blow) -> None:
        await asyncio.sleep(blow.at)
        await self._strike(blow.act)

    def _strike(self, act: Act) -> Awaitable[None]:
        match act:
            case Kill():
                return self._kill(act)
            case Pause():
                return self._pause(act)
            case Network():
                return self._network(act)
            case Restart():
                return self._restart(act)
            case Disk():
                return self._disk(act)
            case Clock():
                return self._clock(act)
            case Repeat(share):
                repeated = repeat(self._cluster, self._since.offsets, share, self._random)
                return self._forge(repeated, "no record was there to be repeated")
            case Reorder(seconds):
                reordered = reorder(self._cluster, seconds, self._random)
                return self._forge(reordered, "no two records were there to be put out of order")
            case Poison(records):
                return poison(self._cluster, records, self._random)
            case Hold(pick):
                return self._hold(pick)
            case Cross(times):
                return self._cross(times)

    async def _kill(self, act: Kill) -> None:
        if (victim := self._victim(act)) is None:
            return
        victim.hold_down()
        victim.signal(signal.SIGKILL)
        await asyncio.sleep(act.down_seconds)
        victim.let_up()
        self._struck.remove(victim)

    async def _pause(self, act: Pause) -> None:
        if (victim := self._victim(act)) is None:
            return
        victim.signal(signal.SIGSTOP)
        await asyncio.sleep(act.seconds)
        victim.signal(signal.SIGCONT)
        self._struck.remove(victim)

    async def _network(self, act: Network) -> None:
        proxies = {"kafka": self._cluster.kafka_proxy, "postgres": self._cluster.postgres_proxy}
        proxies[act.before].set(act.trouble)
        await asyncio.sleep(act.seconds)
        proxies[act.before].heal()

    async def _restart(self, act: Restart) -> None:
        server = self._child(act.server)
        server.kill(act.signal)
        await server.wait()
        await asyncio.sleep(act.down_seconds)
        await self._start(act.server)

    async def _disk(self, act: Disk) -> None:
        """Every process of the server; those that come later are followed as they are forked."""
        family = [psutil.Process(self._child("postgres").pid)]
        family += family[0].children()
        seen = self._cluster.folder / "strace"
        tracer = await asyncio.create_subprocess_exec(
            *("strace", "-f", "-qq", "-e", "signal=none", "-o", str(seen)),
            *("-e", f"trace={act.syscall}"),
            *("-e", f"inject={act.syscall}:error={act.error}:when={act.when}{'+' * act.lasts}"),
            *(word for process in family for word in ("-p", str(process.pid))),
            stderr=asyncio.subprocess.DEVNULL,
        )
        await asyncio.wait({asyncio.create_task(tracer.wait())}, timeout=act.seconds)
        with contextlib.suppress(ProcessLookupError):  # it has ended with the last it traced
            tracer.terminate()
        await tracer.wait()
        if INJECTED not in await asyncio.to_thread(seen.read_text):
            self.missed.append(f"no {act.syscall} came to fail")

    async def _clock(self, act: Clock) -> None:
        """The replica is started anew under libfaketime, which reads its offset from a file."""
        if (victim := self._victim(act)) is None:
            return
        offset = self._cluster.folder / f"{victim.name}.offset"
        offset.write_text("+0\n")
        faked = {
            "LD_PRELOAD": str(_faketime()),
            "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        try:
            async with asyncio.timeout(UP_AGAIN_SECONDS):
                await victim.start_anew(self._cluster.http, faked)
        except TimeoutError:
            self.missed.append(f"{victim.name} did not come up with a clock of its own")
            return
        for seconds in act.offsets_seconds:
            offset.write_text(f"{seconds:+d}\n")
            await asyncio.sleep(JUMP_SECONDS)

    async def _forge(self, forging: Awaitable[int], none: str) -> None:
        if not await forging:
            self.missed.append(none)

    async def _hold(self, pick: int) -> None:
        busy = self._load.busy
        self._held += await hold(self._cluster, f"tally/{busy[pick % len(busy)]}")

    async def _cross(self, times: int) -> None:
        crossed = [await cross(self._cluster, self._load) for _ in range(times)]
        if not any(crossed):
            self.missed.append("no transaction overtook another")

    async def _heal(self) -> None:
        await self._heal_all_but_streams()
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                await asyncio.gather(*(discard(self._cluster, place) for place in self._held))
        except TimeoutError:
            self.missed.append("what was to hold a stream could not be discarded")

    async def _heal_all_but_streams(self) -> None:
        self._cluster.kafka_proxy.heal()
        self._cluster.postgres_proxy.heal()
        await self._cluster.until_postgres_answers()
        if not self._child("kafka").running:
            await self._start("kafka")
        for one in self._cluster.replicas:
            one.let_up()
            one.signal(signal.SIGCONT)
            if one.added:
                one.added = {}
                one.signal(signal.SIGTERM)

    def _victim(self, act: Kill | Pause | Clock) -> Replica | None:
        """One that is up and under no other blow; where there is none, this one has missed."""
        of_these = self._cluster.of(*act.roles)
        up = [one for one in of_these if one.pid is not None and one not in self._struck]
        if not up:
            self.missed.append(f"nobody was up: {type(act).__name__} of {', '.join(act.roles)}")
            return None
        self._struck.append(up[act.pick % len(up)])
        return self._struck[-1]

    def _child(self, server: str) -> Child:
        if server == "kafka":
            return self._cluster.kafka_server.child
        return self._cluster.postgres_server.child

    async def _start(self, server: str) -> None:
        await (self._cluster.start_kafka() if server == "kafka" else self._cluster.start_postgres())


def _faketime() -> Path | None:
    return next((path for path in FAKETIME if path.exists()), None)


def _may_trace() -> bool:
    """By trying it: containers and kernels forbid it in several ways."""
    child = os.posix_spawn("/bin/sleep", ["sleep", "30"], {})
    try:
        tracer = psutil.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(child)])
        try:
            tracer.wait(timeout=1)
        except psutil.TimeoutExpired:
            tracer.terminate()
            tracer.wait()
            return True
        return False
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
