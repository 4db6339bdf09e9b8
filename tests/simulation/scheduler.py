"""A seeded scheduler: processes are generators, and every `yield` is a place where another one
may go on, or where the process may be killed or frozen.

A process yields how many ticks it rests: 0 where it is merely interrupted. One seed gives one
interleaving, step by step; nothing here knows a clock or another source of chance.
"""

import random
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

T = TypeVar("T")
Steps = Generator[int, None, T]

RESTART_TICKS = 6


class Disconnected(Exception):
    """The session with a server is gone; what was asked last may or may not have happened."""


class Connection(Protocol):
    def end(self) -> None: ...


@dataclass
class Process:
    """start: makes its steps anew, as after a restart. connections: what its death takes along."""

    name: str
    start: Callable[["Process"], Steps[None]]
    running: Steps[None] | None = None
    wakes_at: int = 0
    is_busy: bool = False  # in the middle of something, as its last step has it
    connections: list[Connection] = field(default_factory=list)

    def disconnect(self) -> None:
        for connection in self.connections:
            connection.end()
        self.connections.clear()


class Scheduler:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.tick = 0
        self.processes: list[Process] = []
        self.bugs: list[str] = []
        """Faults that no restart mends: a process that dies of one dies of it again."""

    def add(self, name: str, start: Callable[[Process], Steps[None]]) -> Process:
        process = Process(name, start)
        self.processes.append(process)
        return process

    def step(self) -> None:
        """One step of one process that is awake, drawn by the seed."""
        self.tick += 1
        tick, random = self.tick, self.random.random
        awake = [process for process in self.processes if process.wakes_at <= tick]
        if awake:
            self._go_on(awake[int(random() * len(awake))])

    def _go_on(self, process: Process) -> None:
        if process.running is None:
            process.running = process.start(process)
        try:
            rest = next(process.running)
            process.wakes_at, process.is_busy = self.tick + rest, rest == 0
        except StopIteration:
            process.wakes_at = self.tick + RESTART_TICKS
            process.running = None
        except Exception as fault:  # noqa: BLE001 - whatever it is, the process dies of it
            self.bugs.append(f"{process.name}: {type(fault).__name__}: {fault}")
            self.kill(process)

    def kill(self, process: Process) -> None:
        """As by kill -9: what it held in memory is gone, its servers notice at once."""
        process.disconnect()
        if process.running is not None:
            process.running.close()
        process.running, process.is_busy = None, False
        process.wakes_at = self.tick + self.random.randint(1, RESTART_TICKS)

    def freeze(self, process: Process, ticks: int) -> None:
        """As by SIGSTOP: it knows nothing of it and goes on later where it stood."""
        process.wakes_at, process.is_busy = self.tick + ticks, False

    def busy_one_of(self, names: Iterable[str]) -> Process | None:
        wanted = tuple(names)
        busy = [p for p in self.processes if p.is_busy and p.name.startswith(wanted)]
        return self.random.choice(busy) if busy else None
