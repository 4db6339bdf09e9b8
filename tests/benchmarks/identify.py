"""1:N: the worker against a bare SourceAFIS loop in Java, and what grows with the gallery.

Ours and bare alternate and the median of the ratios counts, in CPU time of whole processes: both
loops then share whatever the machine is doing. Two rows are of time as a watch shows it
(`identify-threads`, `identify-loop-lag`) and need a quiet machine. Fingers are generated, so
nothing here speaks of accuracy on people; recall is a guard against regressions.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from biometrics.engine.port import Fingers, SearchLimits
from biometrics.engine.positions import FingerPosition
from biometrics.engine.process import WorkerSettings
from biometrics.engine.sourceafis import SourceAfis
from epassport_sandbox.fingerprints import DPI, fingerprint_set
from tests.benchmarks.harness import Better, Row
from tests.benchmarks.identify_bare import CLASSES, LIBS, bare_loop, cpu_seconds

FINGERS, COPIES = 200, 20
ROUNDS, COLD_ROUNDS = 12, 6  # the first ones compile
STARTS = 5  # of both JVMs: what one compiles the same loop to is up to a tenth slower than another
THREADED = 20_000  # templates
HEAP_TARGET_KB = 18.0
LAG_LIMIT_MS = 10.0
LIMITS = SearchLimits(threshold=140.0, fused=200.0)
INDEX = FingerPosition.RIGHT_INDEX
SETTINGS = WorkerSettings(LIBS, CLASSES, heap="2g", threads=1)

Templates = Sequence[Sequence[bytes]]  # by finger, then impression


def rows() -> Iterator[Row]:
    templates = asyncio.run(extracted())
    first = [each[0] for each in templates]
    kilobytes, pairs = 0.0, []
    for _ in range(STARTS):
        with bare_loop(first, COPIES) as bare:
            kilobytes = bare.octets / 1024
            pairs.append(asyncio.run(_alternating(first, bare.search)))
    yield Row(
        "identify-loop", min(min(ours) for ours, _ in pairs), min(min(loop) for _, loop in pairs),
        statistics.median(_ratio(ours, loop) for ours, loop in pairs), 0.95, Better.HIGHER, "us",
        f"one comparison in a search of {FINGERS * COPIES} fingers through the worker, one thread;"
        f" bare: the same loop in a Java program; alternating, median of {STARTS} starts of both",
    )  # fmt: skip
    yield Row(
        "identify-heap", kilobytes, HEAP_TARGET_KB, kilobytes / HEAP_TARGET_KB, 1.0, Better.LOWER,
        "kB", "heap for one finger in the gallery; bare: the published limit",
    )  # fmt: skip
    two, one, lags = asyncio.run(_threads_and_lag(first))
    yield Row(
        "identify-threads", two, one, one / two, 1.7, Better.HIGHER, "ms",
        f"a search of {THREADED} templates by two threads; bare: by one; the quickest of"
        " alternating searches, by the watch: two free cores needed",
    )  # fmt: skip
    yield Row(
        "identify-loop-lag", lags, LAG_LIMIT_MS, lags / LAG_LIMIT_MS, 1.0, Better.LOWER, "ms",
        f"how late the event loop wakes while it searches {THREADED} templates, 99th percentile;"
        " bare: the published limit",
    )  # fmt: skip


async def extracted() -> Templates:
    """First and second impressions of the fingers that all identify* rows share."""
    fingers = fingerprint_set(FINGERS, 2)
    async with SourceAfis(SETTINGS) as engine:
        return [
            [await _template(engine, fingers.image(finger, n)) for n in (0, 1)]
            for finger in range(FINGERS)
        ]


async def _template(engine: SourceAfis, gray: NDArray[np.uint8]) -> bytes:
    height, width = gray.shape
    made = await engine.extract(gray.tobytes(), width=width, height=height, dpi=DPI)
    return made.data


def gallery_of(settings: WorkerSettings, templates: Sequence[bytes], rows: int) -> SourceAfis:
    async def refill() -> AsyncIterator[tuple[str, Fingers]]:
        for row in range(rows):
            yield str(row), {INDEX: templates[row % len(templates)]}

    return SourceAfis(settings, refill)


def _ratio(ours: Sequence[float], loop: Sequence[float]) -> float:
    """Median, over the rounds of one start."""
    return statistics.median(bare / our for our, bare in zip(ours, loop, strict=True))


async def _alternating(
    templates: Sequence[bytes], bare: Callable[[int], float]
) -> tuple[list[float], list[float]]:
    """Microseconds of CPU of one comparison in each round: through the worker, and bare."""
    count = FINGERS * COPIES
    ours, loop = [], []
    async with gallery_of(SETTINGS, templates, count) as engine:
        for turn in range(COLD_ROUNDS + ROUNDS):
            loop.append(bare(turn) * 1e6 / count)
            spent = await _cpu(engine, {INDEX: templates[turn]})
            ours.append(spent * 1e6 / count)
    return ours[COLD_ROUNDS:], loop[COLD_ROUNDS:]


async def _cpu(engine: SourceAfis, probe: Fingers) -> float:
    """Seconds that the worker process worked over one search."""
    assert engine.engine_pid is not None
    before = cpu_seconds(engine.engine_pid)
    found = await engine.search(probe, LIMITS)
    assert found.candidates, "a template matches itself"
    return cpu_seconds(engine.engine_pid) - before


async def _threads_and_lag(templates: Sequence[bytes]) -> tuple[float, float, float]:
    """Milliseconds: a search by two threads, by one, and the event loop's lateness meanwhile."""
    settings = [replace(SETTINGS, threads=threads) for threads in (1, 2)]
    times: list[list[float]] = [[], []]
    async with (
        gallery_of(settings[0], templates, THREADED) as one,
        gallery_of(settings[1], templates, THREADED) as two,
    ):
        watching = asyncio.create_task(_watch())
        for turn in range(6):
            for engine, kept in zip((one, two), times, strict=True):
                started = time.perf_counter()
                await engine.search({INDEX: templates[turn]}, LIMITS)
                kept.append((time.perf_counter() - started) * 1000)
        watching.cancel()
    lags = await watching
    return min(times[1]), min(times[0]), statistics.quantiles(lags, n=100)[98]


async def _watch() -> list[float]:
    """Milliseconds by which each wake came late, until cancelled."""
    lags: list[float] = []
    while True:
        asked = time.perf_counter()
        try:
            await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            return lags
        lags.append((time.perf_counter() - asked - 0.002) * 1000)
