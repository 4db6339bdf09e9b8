"""Wake-ups: somebody committed, so look now rather than at the next poll.

A signal is named after what was written: `events`, `outbox-<shard>`, `task-<kind>`. Only a hint:
one may be lost, and what it speaks of may still be hidden by an older transaction. Polling
stays the truth.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

EVENTS = "events"
SOONEST_SECONDS = 0.002
LATEST_SECONDS = 1.0
_GROWTH = 4

Listener = Callable[[Collection[str]], None]


def outbox(shard: int) -> str:
    return f"outbox-{shard}"


def task(kind: str) -> str:
    return f"task-{kind}"


@dataclass
class _Signal:
    count: int = 0
    raised: asyncio.Event = field(default_factory=asyncio.Event)


class Signals:
    """Wake-ups inside one process; `epassport.hints` carries them to the other ones."""

    def __init__(self) -> None:
        self._signals: defaultdict[str, _Signal] = defaultdict(_Signal)
        self.forward: Listener | None = None

    def committed(self, names: Collection[str]) -> None:
        """Here, and in the service's other processes."""
        self.heard(names)
        if self.forward is not None and names:
            self.forward(names)

    def heard(self, names: Collection[str]) -> None:
        for name in names:
            signal = self._signals[name]
            signal.count += 1
            signal.raised.set()
            signal.raised = asyncio.Event()

    def lull(self, name: str) -> "Lull":
        return Lull(self, name)

    def count(self, name: str) -> int:
        return self._signals[name].count

    async def wait(self, name: str, timeout: float) -> None:  # noqa: ASYNC109
        """Until the next signal of that name, `timeout` seconds at most."""
        raised = self._signals[name].raised
        try:
            async with asyncio.timeout(timeout):
                await raised.wait()
        except TimeoutError:
            return


class Lull:
    """The pauses of one reader that finds nothing: until the next signal, or briefly, and then
    longer and longer, where something is there that may not be read yet."""

    def __init__(self, signals: Signals, name: str) -> None:
        self._signals = signals
        self._name = name
        self._seconds = SOONEST_SECONDS
        self.seen = -1

    def look(self) -> None:
        """Before reading: a signal from now on ends the next pause at once."""
        self.seen = self._signals.count(self._name)

    def found(self) -> None:
        self._seconds = SOONEST_SECONDS

    async def pause(self, *, hidden: bool = False) -> None:
        """After reading nothing. hidden: an older transaction still keeps something from us."""
        if self._signals.count(self._name) != self.seen:
            return
        seconds = LATEST_SECONDS
        if hidden:
            seconds, self._seconds = self._seconds, min(self._seconds * _GROWTH, LATEST_SECONDS)
        await self._signals.wait(self._name, seconds)
