"""SourceAFIS behind the port: a worker process that is replaced when it dies.

No JVM ever starts in this process. A call whose worker died is repeated once, on a new worker whose
gallery has been refilled; every call can be repeated without harm (an insert replaces, a removal of
the removed is nothing). A second death over one call is reported: what kills two workers is likely
to be the call itself.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import structlog

from biometrics.engine.port import (
    Candidate,
    EngineError,
    EngineUnavailable,
    Fingers,
    Refill,
    SearchLimits,
    SearchResult,
    Template,
)
from biometrics.engine.process import WorkerDied, WorkerProcess, WorkerSettings
from biometrics.engine.wire import Message, WarmUp

REFILL_BATCH = 500  # about 40 ms in the worker

log = structlog.get_logger()


async def empty_gallery() -> AsyncIterator[tuple[str, Fingers]]:
    """The refill of an engine that only extracts and compares."""
    nothing: tuple[tuple[str, Fingers], ...] = ()
    for reference in nothing:
        yield reference


class SourceAfis:
    """A `FingerprintEngine`. Use as `async with`: entering returns when the gallery is full."""

    def __init__(self, settings: WorkerSettings, refill: Refill = empty_gallery) -> None:
        self._settings = settings
        self._refill = refill
        self._worker: WorkerProcess | None = None
        self._starting = asyncio.Lock()
        self._beginning: asyncio.Task[None] | None = None
        # Waiting happens here rather than in the worker, so that its time limit counts work.
        self._slots = asyncio.Semaphore(2 * settings.threads)

    def begin(self) -> None:
        """Start the worker now rather than at the first call; a failed start is tried again."""
        if self._beginning is None or self._beginning.done():
            self._beginning = asyncio.create_task(self._begin(), name="engine starts")

    async def begun(self) -> None:
        self.begin()
        assert self._beginning is not None, "it has just begun"
        await asyncio.wait({self._beginning})

    def check_ready(self) -> None:
        """Raises EngineUnavailable until the worker runs and its gallery is full."""
        if self.engine_pid is None:
            self.begin()
            raise EngineUnavailable("starting")

    async def _begin(self) -> None:
        try:
            await self._repeated("size")
        except EngineError as away:
            log.warning("engine_unavailable", reason=away.detail)

    async def __aenter__(self) -> Self:
        await self._repeated("size")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
            await asyncio.gather(self._beginning, return_exceptions=True)
        async with self._starting:
            if self._worker is not None:
                await self._worker.close()

    @property
    def engine_pid(self) -> int | None:
        """The running worker, for limits, metrics and fault tests."""
        return self._worker.pid if self._worker is not None and self._worker.alive else None

    @property
    def keeps_gallery(self) -> bool:
        return False

    async def extract(self, gray: bytes, *, width: int, height: int, dpi: int) -> Template:
        if len(gray) != width * height:
            raise ValueError(f"{len(gray)} bytes are not {width} x {height} pixels")
        answer = await self._repeated("extract", [gray], width=width, height=height, dpi=dpi)
        return Template(answer.parts[0], answer.values["engine"], answer.values["minutiae"])

    async def compare(self, *, probe: bytes, reference: bytes) -> float:
        answer = await self._repeated("compare", [probe, reference])
        return float(answer.values["score"])

    async def search(self, probe: Fingers, limits: SearchLimits) -> SearchResult:
        answer = await self._repeated(
            "search",
            list(probe.values()),
            positions=[position.code for position in probe],
            threshold=limits.threshold,
            fused=limits.fused,
            at_most=limits.at_most,
            exhaustive=limits.exhaustive,
        )
        candidates = tuple(Candidate(*each) for each in answer.values["candidates"])
        return SearchResult(
            candidates,
            answer.values["searched"],
            answer.values["compared"],
            answer.values["engine"],
        )

    async def insert(self, reference_id: str, fingers: Fingers) -> None:
        await self._repeated("insert", *_batch([(reference_id, fingers)]))

    async def remove(self, reference_id: str) -> None:
        await self._repeated("remove", id=reference_id)

    async def size(self) -> int:
        return int((await self._repeated("size")).values["size"])

    async def _repeated(
        self,
        verb: str,
        parts: Sequence[bytes] = (),
        named: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Message:
        values = {**(named or {}), **more}
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
                warm = self._warm_up()
                if self._worker is not None:
                    await self._worker.close()
                worker = await WorkerProcess.start(self._settings, warm)
                try:
                    references = await self._fill(worker)
                except BaseException:
                    await worker.close()
                    raise
                log.info("engine_worker_ready", references=references)
                self._worker = worker
            return self._worker

    def _warm_up(self) -> WarmUp:
        """Without a gallery it works for people at a counter, who also wait while it is not ready;
        in place of a dead one somebody waits already, and the work itself warms it."""
        if self._worker is not None:
            return WarmUp.NONE
        return WarmUp.BEHIND if self._refill is empty_gallery else WarmUp.BEFORE

    async def _fill(self, worker: WorkerProcess) -> int:
        count = 0
        batch: list[tuple[str, Fingers]] = []
        async for reference in self._refill():
            batch.append(reference)
            if len(batch) == REFILL_BATCH:
                await _insert(worker, batch)
                count += len(batch)
                batch = []
        await _insert(worker, batch)
        return count + len(batch)


async def _insert(worker: WorkerProcess, batch: Sequence[tuple[str, Fingers]]) -> None:
    parts, values = _batch(batch)
    await worker.call("insert", parts, **values)


def _batch(
    references: Sequence[tuple[str, Fingers]],
) -> tuple[list[bytes], dict[str, Any]]:
    """Templates one behind another, and whose and which fingers they are."""
    parts = [template for _, fingers in references for template in fingers.values()]
    ids = [reference_id for reference_id, _ in references]
    positions = [[position.code for position in fingers] for _, fingers in references]
    return parts, {"ids": ids, "positions": positions}
