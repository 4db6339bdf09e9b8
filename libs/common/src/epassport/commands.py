"""Commands on their way to a stream, and what their sender is told."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from epassport.decider import StreamId
from epassport.events import Origin

GROUP_LIMIT = 100
GATHER_SECONDS = 0.002


@dataclass(frozen=True)
class Idempotency:
    """scope: issuer, subject and operation; body_hmac: of path and body, 32 octets."""

    scope: str
    key: str
    body_hmac: bytes


@dataclass(frozen=True)
class Envelope:
    """reads: other streams of this service whose states `decide` gets after its own.

    expected_version: the caller's If-Match. answer: ids the caller is told, kept with
    the idempotency key; never anything personal.
    """

    stream: StreamId
    command: Any
    origin: Origin
    reads: tuple[StreamId, ...] = ()
    idempotency: Idempotency | None = None
    expected_version: int | None = None
    answer: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Token:
    """How far a reader must be to see a write: compared as a pair, never the position alone."""

    transaction_id: int
    position: int

    def __str__(self) -> str:
        return f"{self.transaction_id}-{self.position}"

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Raises ValueError."""
        transaction_id, _, position = text.partition("-")
        return cls(int(transaction_id), int(position))


@dataclass(frozen=True)
class Accepted:
    """token is None where the command changed nothing."""

    stream: StreamId
    version: int
    token: Token | None
    answer: Mapping[str, str]
    replayed: bool = False


@dataclass(frozen=True)
class Rejected:
    """The decider's refusal, kept under the idempotency key."""

    reason: str


@dataclass(frozen=True)
class Conflict:
    """If-Match did not hold; not kept, so the caller may look and try again."""

    version: int


Outcome = Accepted | Rejected | Conflict

IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"


class CommandBus:
    """Gathers the commands of up to 2 ms into one group: one commit pays for all.

    A command whose stream or idempotency key is already in the group waits for the next.
    """

    def __init__(
        self, execute: Callable[[Sequence[Envelope]], Awaitable[list[Outcome | Exception]]]
    ) -> None:
        self._execute = execute
        self._waiting: list[tuple[Envelope, asyncio.Future[Outcome]]] = []
        self._arrived = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(4)

    async def execute(self, envelope: Envelope) -> Outcome:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((envelope, future))
        self._arrived.set()
        return await future

    async def run(self) -> None:
        """Form groups until cancelled; groups in flight are finished, waiting callers get
        CancelledError."""
        try:
            while True:
                await self._arrived.wait()
                await asyncio.sleep(GATHER_SECONDS)
                await self._slots.acquire()
                group = self._next_group()
                task = asyncio.create_task(self._run_group(group))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        finally:
            if self._running:
                await asyncio.wait(self._running)
            for _, future in self._waiting:
                future.cancel()

    def _next_group(self) -> list[tuple[Envelope, "asyncio.Future[Outcome]"]]:
        group: list[tuple[Envelope, asyncio.Future[Outcome]]] = []
        later: list[tuple[Envelope, asyncio.Future[Outcome]]] = []
        taken: set[object] = set()
        for envelope, future in self._waiting:
            names = exclusive_names(envelope)
            if len(group) < GROUP_LIMIT and taken.isdisjoint(names):
                group.append((envelope, future))
            else:
                later.append((envelope, future))
            taken |= names
        self._waiting = later
        if not later:
            self._arrived.clear()
        return group

    async def _run_group(self, group: list[tuple[Envelope, "asyncio.Future[Outcome]"]]) -> None:
        try:
            outcomes = await self._execute([envelope for envelope, _ in group])
        except Exception as fault:  # noqa: BLE001 - handed to every caller of the group
            outcomes = [fault] * len(group)
        finally:
            self._slots.release()
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


def exclusive_names(envelope: Envelope) -> set[object]:
    """What may occur once in a group: the stream, and the idempotency key."""
    names: set[object] = {envelope.stream}
    if envelope.idempotency is not None:
        names.add((envelope.idempotency.scope, envelope.idempotency.key))
    return names
