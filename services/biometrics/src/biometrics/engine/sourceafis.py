"""SourceAFIS behind the port: a worker process that is replaced when it dies.

No JVM ever starts in this process. A call whose worker died is repeated once, on a new worker whose
gallery has been refilled; every call can be repeated without harm (an insert replaces, a removal of
the removed is nothing). A second death over one call is reported: what kills two workers is likely
to be the call itself.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

import structlog

from biometrics.engine.port import (
    Candidate,
    EngineUnavailable,
    Refill,
    SearchLimits,
    SearchResult,
    Template,
)
from biometrics.engine.process import WorkerDied, WorkerProcess, WorkerSettings
from biometrics.engine.wire import Message

REFILL_BATCH = 500  # about 40 ms in the worker

log = structlog.get_logger()


async def empty_gallery() -> AsyncIterator[tuple[str, bytes]]:
    """The refill of an engine that only extracts and compares."""
    nothing: tuple[tuple[str, bytes], ...] = ()
    for reference in nothing:
        yield reference


class SourceAfis:
    """A `FingerprintEngine`. Use as `async with`: entering returns when the gallery is full."""

    def __init__(self, settings: WorkerSettings, refill: Refill = empty_gallery) -> None:
        self._settings = settings
        self._refill = refill
        self._worker: WorkerProcess | None = None
        self._starting = asyncio.Lock()
        # Waiting happens here rather than in the worker, so that its time limit counts work.
        self._slots = asyncio.Semaphore(2 * settings.threads)

    async def __aenter__(self) -> Self:
        await self._repeated("size")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        async with self._starting:
            if self._worker is not None:
                await self._worker.close()

    @property
    def worker_pid(self) -> int | None:
        """The running worker, for limits, metrics and fault tests."""
        return self._worker.pid if self._worker is not None and self._worker.alive else None

    async def extract(self, gray: bytes, *, width: int, height: int, dpi: int) -> Template:
        if len(gray) != width * height:
            raise ValueError(f"{len(gray)} bytes are not {width} x {height} pixels")
        answer = await self._repeated("extract", [gray], width=width, height=height, dpi=dpi)
        return Template(answer.parts[0], answer.values["engine"], answer.values["minutiae"])

    async def compare(self, *, probe: bytes, reference: bytes) -> float:
        answer = await self._repeated("compare", [probe, reference])
        return float(answer.values["score"])

    async def search(self, probe: bytes, limits: SearchLimits) -> SearchResult:
        answer = await self._repeated(
            "search", [probe], threshold=limits.threshold, at_most=limits.at_most
        )
        candidates = tuple(Candidate(*each) for each in answer.values["candidates"])
        return SearchResult(candidates, answer.values["searched"], answer.values["engine"])

    async def insert(self, reference_id: str, template: bytes) -> None:
        await self._repeated("insert", [template], ids=[reference_id])

    async def remove(self, reference_id: str) -> None:
        await self._repeated("remove", id=reference_id)

    async def size(self) -> int:
        return int((await self._repeated("size")).values["size"])

    async def _repeated(self, verb: str, parts: Sequence[bytes] = (), **values: Any) -> Message:
        async with self._slots:
            try:
                return await (await self._running()).call(verb, parts, **values)
            except WorkerDied as died:
                log.warning("engine_worker_died", verb=verb, reason=str(died))
            try:
                return await (await self._running()).call(verb, parts, **values)
            except WorkerDied as died:
                raise EngineUnavailable(f"the worker died twice over {verb}") from died

    async def _running(self) -> WorkerProcess:
        async with self._starting:
            if self._worker is None or not self._worker.alive:
                if self._worker is not None:
                    await self._worker.close()
                self._worker = None
                worker = await WorkerProcess.start(self._settings)
                try:
                    references = await self._fill(worker)
                except BaseException:
                    await worker.close()
                    raise
                log.info("engine_worker_ready", references=references)
                self._worker = worker
            return self._worker

    async def _fill(self, worker: WorkerProcess) -> int:
        count = 0
        batch: list[tuple[str, bytes]] = []
        async for reference in self._refill():
            batch.append(reference)
            if len(batch) == REFILL_BATCH:
                await _insert(worker, batch)
                count += len(batch)
                batch = []
        await _insert(worker, batch)
        return count + len(batch)


async def _insert(worker: WorkerProcess, batch: list[tuple[str, bytes]]) -> None:
    await worker.call("insert", [template for _, template in batch], ids=[key for key, _ in batch])
