"""1:N: the worker against a bare SourceAFIS loop in Java over the same templates.

CPU time throughout, of whole processes: the worker's is read from the kernel. Fingers are
generated, so nothing here speaks of accuracy on people; recall is a guard against regressions.
Rows that a shared machine cannot measure (two threads against one) are not here.
"""

import asyncio
import os
import struct
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biometrics.engine.filter import PENETRATION, vector_of
from biometrics.engine.minutiae import minutiae_of
from biometrics.engine.port import Fingers, SearchLimits
from biometrics.engine.positions import FingerPosition
from biometrics.engine.process import WorkerSettings
from biometrics.engine.sourceafis import SourceAfis
from epassport_sandbox.fingerprints import DPI, fingerprint_set
from tests.benchmarks.harness import Better, Row

CACHE = Path(os.environ.get("EPASSPORT_CACHE") or Path(__file__).parents[2] / ".cache")
LIBS, CLASSES = CACHE / "sourceafis-libs", CACHE / "sourceafis-classes"
FINGERS, COPIES, SEARCHES = 200, 20, 10
PERSONS_PUBLISHED = 100_000
HEAP_TARGET_KB = 18.0
LIMITS = SearchLimits(threshold=140.0, fused=200.0)
INDEX, OTHER = FingerPosition.RIGHT_INDEX, FingerPosition.LEFT_INDEX
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """Microseconds of CPU of one comparison; seconds of one filtered search of all persons."""

    in_worker: float
    filtered: float
    persons: int
    templates: Sequence[Sequence[bytes]]  # by finger, then impression


def rows() -> Iterator[Row]:
    measured = asyncio.run(_measure())
    bare, octets = _bare([each[0] for each in measured.templates])
    yield Row(
        "identify-loop", measured.in_worker, bare, bare / measured.in_worker, 0.95, Better.HIGHER,
        "us", f"one comparison in a search of {FINGERS * COPIES} fingers through the worker;"
        " bare: the same loop in a Java program, one thread",
    )  # fmt: skip
    kilobytes = octets / 1024
    yield Row(
        "identify-heap", kilobytes, HEAP_TARGET_KB, kilobytes / HEAP_TARGET_KB, 1.0, Better.LOWER,
        "kB", "heap for one finger in the gallery; bare: the published limit",
    )  # fmt: skip
    for share in (0.05, PENETRATION):
        recall = _recall(measured.templates, share)
        yield Row(
            f"identify-recall-{share:.0%}", recall, 1.0, recall, 0.99, Better.HIGHER, "",
            f"one finger, {FINGERS} generated ones that trained nothing: mates that the filter"
            f" lets through when {share:.0%} are compared",
        )  # fmt: skip
    scaled = measured.filtered * PERSONS_PUBLISHED / measured.persons
    yield Row(
        "identify-filtered", scaled, 1.0, scaled, 1.0, Better.LOWER, "s",
        f"CPU of one search of two fingers among {PERSONS_PUBLISHED} persons, measured with"
        f" {measured.persons} and scaled: scan and shortlist grow in step; bare: one second",
    )  # fmt: skip


async def _measure() -> Measured:
    settings = WorkerSettings(LIBS, CLASSES, heap="2g", threads=1)
    fingers = fingerprint_set(FINGERS, 2)
    async with SourceAfis(settings) as engine:
        templates = [
            [await _template(engine, fingers.image(finger, n)) for n in (0, 1)]
            for finger in range(FINGERS)
        ]
    in_worker = await _one_finger(settings, templates)
    persons = FINGERS * COPIES
    filtered = await _filtered(settings, templates, persons)
    return Measured(in_worker, filtered, persons, templates)


async def _template(engine: SourceAfis, gray: np.ndarray) -> bytes:  # type: ignore[type-arg]
    height, width = gray.shape
    made = await engine.extract(gray.tobytes(), width=width, height=height, dpi=DPI)
    return made.data


async def _one_finger(settings: WorkerSettings, templates: Sequence[Sequence[bytes]]) -> float:
    async def refill() -> AsyncIterator[tuple[str, Fingers]]:
        for row in range(FINGERS * COPIES):
            yield str(row), {INDEX: templates[row % FINGERS][0]}

    async with SourceAfis(settings, refill) as engine:
        spent = [await _cpu(engine, {INDEX: templates[n][0]}, LIMITS) for n in range(SEARCHES)]
    return min(spent) * 1e6 / (FINGERS * COPIES)


async def _filtered(
    settings: WorkerSettings, templates: Sequence[Sequence[bytes]], persons: int
) -> float:
    async def refill() -> AsyncIterator[tuple[str, Fingers]]:
        for row in range(persons):
            one, other = templates[row % FINGERS][0], templates[(row * 7 + 3) % FINGERS][0]
            yield str(row), {INDEX: one, OTHER: other}

    limits = SearchLimits(LIMITS.threshold, LIMITS.fused, exhaustive=False)
    async with SourceAfis(settings, refill) as engine:
        probe = {INDEX: templates[5][1], OTHER: templates[38][1]}
        spent = []
        for _ in range(SEARCHES):
            seconds = await _cpu(engine, probe, limits)
            compared = (await engine.search(probe, limits)).compared
            spent.append(seconds * PENETRATION * persons / compared)  # a floor holds for few
    return min(spent)


async def _cpu(engine: SourceAfis, probe: Fingers, limits: SearchLimits) -> float:
    """Seconds that the worker process worked; ticks are coarse, so several searches."""
    assert engine.engine_pid is not None
    before = _ticks(engine.engine_pid)
    times = 0
    while times < 3 or _ticks(engine.engine_pid) - before < TICKS // 2:
        await engine.search(probe, limits)
        times += 1
    return (_ticks(engine.engine_pid) - before) / TICKS / times


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])  # user and system time, proc(5)


def _bare(templates: Sequence[bytes]) -> tuple[float, float]:
    """(microseconds of one comparison, bytes of heap for one template)"""
    source = Path(__file__).parent / "identify_java" / "BareLoop.java"
    jars = ":".join(str(jar) for jar in sorted(LIBS.glob("*.jar")))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["javac", "-d", folder, "-cp", jars, source], check=True)
        packed = Path(folder) / "templates"
        packed.write_bytes(
            struct.pack(">i", len(templates))
            + b"".join(struct.pack(">i", len(each)) + each for each in templates)
        )
        command = ["java", "-Xmx2g", "-XX:+UseSerialGC", "-cp", f"{jars}:{folder}", "BareLoop"]
        told = subprocess.run(
            [*command, str(packed), str(COPIES), str(SEARCHES)],
            capture_output=True, text=True, check=True, timeout=600,
        )  # fmt: skip
    nanoseconds, octets, found = told.stdout.split()
    assert found == "true", "a template matches itself"
    return int(nanoseconds) / 1000, int(octets)


def _recall(templates: Sequence[Sequence[bytes]], share: float) -> float:
    first, second = (
        np.stack([vector_of(minutiae_of(each[n])) for each in templates]) for n in (0, 1)
    )
    likeness = second @ first.T
    better = (likeness > np.diag(likeness)[:, None]).sum(axis=1)
    return float((better < share * len(templates)).mean())
