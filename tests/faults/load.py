"""Clients of the sender, and the log of what they asked and were told.

A client sends an operation until it is answered, under one idempotency key and to any replica;
some it sends to both at once. Operations come in bursts on a few busy streams and on new ones, so
that groups hold several commands and wait for each other.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from tests.faults.cluster import CLIENT, Cluster

ANSWER_SECONDS = 4.0
AGAIN_SECONDS = 0.2
THINK_SECONDS = 0.12
BURST = 4
BUSY = 4
CLIENTS = 4
LABELS = 12
FINISH_SECONDS = 45.0
UNAUTHORIZED = 401
"""A server whose clock has jumped takes every token for one of another day: it has not looked at
the command, another server will."""


@dataclass(frozen=True)
class Answer:
    """version: of the stream, as it was told; None where the command was refused."""

    version: int | None
    reason: str | None = None


@dataclass
class Operation:
    """answers: without any, it may have been done or not."""

    operation: UUID
    tally: UUID
    kind: str
    steps: int = 1
    label: str | None = None
    twice: bool = False
    answers: list[Answer] = field(default_factory=list)

    @property
    def stream(self) -> str:
        return f"tally/{self.tally}"

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"operation": str(self.operation)}
        if self.kind == "counts":
            body |= {"steps": self.steps, "label": self.label}
        return body


class Load:
    """seed: of what is asked; ids are new each time. twice: share that goes to both at once.

    busy: streams, in the order in which groups lock them
    """

    def __init__(self, cluster: Cluster, seed: str, *, twice: float = 0.2) -> None:
        self.operations: list[Operation] = []
        self._cluster = cluster
        self._random = random.Random(seed)
        self._twice = twice
        self._stopping = asyncio.Event()
        self._headers = {"Authorization": f"Bearer {cluster.issuer.issue(CLIENT)}"}
        self.busy = sorted((uuid4() for _ in range(BUSY)), key=str)
        self._round = uuid4().hex[:8]
        self._clients: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._clients = [asyncio.create_task(self._client()) for _ in range(CLIENTS)]

    async def stop(self) -> Sequence[Operation]:
        """No new operations; those that were begun are finished, within a bound."""
        self._stopping.set()
        _, late = await asyncio.wait(self._clients, timeout=FINISH_SECONDS)
        for client in late:
            client.cancel()
        for result in await asyncio.gather(*self._clients, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        return self.operations

    async def count(self, tallies: Sequence[UUID], *, replica: int) -> None:
        """One more of each at once, through this replica; beside what the clients do."""
        counts = [Operation(uuid4(), tally, "counts") for tally in tallies]
        self.operations += counts
        urls = [self._cluster.urls()[replica]]
        await asyncio.gather(*(self._until_answered(count, urls) for count in counts))

    async def _client(self) -> None:
        while not self._stopping.is_set():
            burst = [self._draw() for _ in range(self._random.randint(1, BURST))]
            self.operations += burst
            await asyncio.gather(*(self._carry_out(operation) for operation in burst))
            await asyncio.sleep(THINK_SECONDS * self._random.random())

    def _draw(self) -> Operation:
        draw = self._random
        tally = uuid4() if draw.random() < 0.2 else draw.choice(self.busy)
        twice = draw.random() < self._twice
        if draw.random() < 0.3:
            return Operation(uuid4(), tally, "pictures", twice=twice)
        label = f"{self._round}-{draw.randrange(LABELS)}" if draw.random() < 0.1 else None
        steps = draw.choice((1, 1, 1, 2, 3))
        return Operation(uuid4(), tally, "counts", steps, label, twice)

    async def _carry_out(self, operation: Operation) -> None:
        urls = self._cluster.urls()
        if operation.twice:
            await asyncio.gather(*(self._until_answered(operation, [url]) for url in urls))
        else:
            await self._until_answered(operation, urls)

    async def _until_answered(self, operation: Operation, urls: Sequence[str]) -> None:
        while (answer := await self._send(operation, self._random.choice(urls))) is None:
            await asyncio.sleep(AGAIN_SECONDS)
            urls = self._cluster.urls()
        operation.answers.append(answer)

    async def _send(self, operation: Operation, url: str) -> Answer | None:
        """None where it is not known whether it was done."""
        try:
            async with self._cluster.http.post(
                f"{url}/v1/tallies/{operation.tally}/{operation.kind}",
                json=operation.body,
                headers={**self._headers, "Idempotency-Key": str(operation.operation)},
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            ) as response:
                if response.status >= 500 or response.status == UNAUTHORIZED:
                    return None
                content = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        if response.status == 200:
            return Answer(content["version"])
        return Answer(None, content["reason"])
