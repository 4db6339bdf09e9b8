"""1:N at 100,000 persons with two fingers each: the gallery itself, in this process.

The service's Java gallery and its filter, without the worker around them, as filling a worker with
200,000 templates takes minutes of which nothing is measured. What the worker adds to a call is a
row of its own. Persons are made of 200 generated fingers; every copy is an object of its own, so
memory is what that many people need. CPU time of this thread throughout.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import jpype
import numpy as np
from numpy.typing import NDArray

from biometrics.engine.filter import PENETRATION, GalleryFilter, vector_of
from biometrics.engine.minutiae import minutiae_of
from biometrics.engine.positions import FingerPosition
from biometrics.engine.sourceafis import SourceAfis
from tests.benchmarks.harness import Better, Row
from tests.benchmarks.identify import (
    FINGERS,
    INDEX,
    LIMITS,
    ROUNDS,
    SETTINGS,
    Templates,
    extracted,
)
from tests.benchmarks.identify_bare import cpu_seconds, java_gallery, javas, start_in_process

PERSONS, SMALL = 100_000, 20_000  # two templates each; one each
SEARCHES, CALLS = 3, 40
COLD_CALLS = 25  # rounds: the compilers' own threads count on our side alone
RECALL_AT = (0.05, PENETRATION)
OTHER = FingerPosition.LEFT_INDEX
PROBED_ROW, PROBED = 5, (5, 38)  # whose fingers are probed: of INDEX and OTHER


def rows() -> Iterator[Row]:
    templates = asyncio.run(extracted())
    yield from _recall_rows(templates)
    start_in_process("5g")
    yield _call_row(templates)
    yield from _large_rows(templates)


def _recall_rows(templates: Templates) -> Iterator[Row]:
    first, second = (
        np.stack([vector_of(minutiae_of(each[n])) for each in templates]) for n in (0, 1)
    )
    likeness = second @ first.T
    half = FINGERS // 2  # a person: one finger of each half
    fused = likeness[:half, :half] + likeness[half:, half:]
    for what, table in (("one finger", likeness), ("two fingers", fused)):
        for share in RECALL_AT:
            found = float(np.mean(_ranks(table) < share * len(table)))
            yield Row(
                f"identify-recall-{what.split()[0]}-{share:.0%}", found, 1.0, found, 0.99,
                Better.HIGHER, "",
                f"{what} of {len(table)} generated persons that trained nothing: mates that the"
                f" filter lets through when {share:.0%} are compared",
            )  # fmt: skip


def _ranks(likeness: NDArray[np.float32]) -> NDArray[np.int64]:
    """Of each mate: how many strangers are likelier."""
    return np.asarray((likeness > np.diag(likeness)[:, None]).sum(axis=1))


def _call_row(templates: Templates) -> Row:
    """1:1 is the shortest call there is, so what the worker adds weighs most."""
    probe, reference = templates[3][1], templates[3][0]
    extractor = jpype.JClass("epassport.engine.Extractor")

    def here() -> None:
        pair = [jpype.JArray(jpype.JByte)(each) for each in (probe, reference)]
        float(extractor.compare(*pair))

    ours, bare = asyncio.run(_calls(probe, reference, here))
    ratio = statistics.median(o / b for o, b in zip(ours, bare, strict=True))
    return Row(
        "identify-call", min(ours), min(bare), ratio, 1.25, Better.LOWER, "us",
        "one 1:1 comparison asked of the worker, CPU of both processes; bare: the same call into a"
        " JVM in the asking process; alternating, median of the ratios",
    )  # fmt: skip


async def _calls(
    probe: bytes, reference: bytes, here: Callable[[], None]
) -> tuple[list[float], list[float]]:
    """Microseconds of one call in each round."""
    ours, bare = [], []
    async with SourceAfis(SETTINGS) as engine:
        pid = engine.engine_pid
        assert pid is not None
        for turn in range(COLD_CALLS + ROUNDS):
            started = time.thread_time()
            for _ in range(CALLS):
                here()
            inside = time.thread_time() - started
            started = time.thread_time() + cpu_seconds(pid)
            for _ in range(CALLS):
                await engine.compare(probe=probe, reference=reference)
            through = time.thread_time() + cpu_seconds(pid) - started
            if turn >= COLD_CALLS:
                ours.append(through * 1e6 / CALLS)
                bare.append(inside * 1e6 / CALLS)
    return ours, bare


def _finger_of(row: int, position: FingerPosition) -> int:
    """The probed fingers are there once, as in life: a mate costs several times a stranger."""
    finger = (row if position is INDEX else row * 7 + 3) % FINGERS
    return finger + 1 if finger in PROBED and row != PROBED_ROW else finger


def _large_rows(templates: Templates) -> Iterator[Row]:
    def one_finger(row: int) -> dict[int, bytes]:
        return {INDEX.code: templates[_finger_of(row, INDEX)][0]}

    def two_fingers(row: int) -> dict[int, bytes]:
        return {**one_finger(row), OTHER.code: templates[_finger_of(row, OTHER)][0]}

    probe = {INDEX.code: templates[PROBED[0]][1]}
    small = _per_comparison(java_gallery(SMALL, one_finger), probe, SMALL)
    large = java_gallery(PERSONS, two_fingers)
    # One probed finger is compared with its like and with the other hand's: with every template.
    each = _per_comparison(large, probe, 2 * PERSONS)
    yield Row(
        "identify-200k", each, small, small / each, 0.55, Better.HIGHER, "us",
        f"one comparison in an exhaustive search among {2 * PERSONS} templates; bare: of {SMALL}",
    )  # fmt: skip
    seconds = _filtered(large, templates)
    yield Row(
        "identify-filtered", seconds, 1.0, seconds, 1.0, Better.LOWER, "s",
        f"CPU of one search of two fingers among {PERSONS} persons, the likeliest"
        f" {PENETRATION:.0%} compared; bare: one second",
    )  # fmt: skip


def _per_comparison(gallery: Any, probe: dict[int, bytes], count: int) -> float:
    return 1e6 * min(_search(gallery, probe, None) for _ in range(SEARCHES)) / count


def _search(gallery: Any, probe: dict[int, bytes], shortlist: Any) -> float:
    """Seconds of CPU of this process, whose other threads do the comparing."""
    started = time.process_time()
    found = gallery.search(
        gallery.snapshot(),
        jpype.JArray(jpype.JInt)(list(probe)),
        javas(list(probe.values())),
        LIMITS.threshold,
        LIMITS.fused,
        LIMITS.at_most,
        shortlist,
    )
    assert found.size() > 0, "the probed finger is there"
    return time.process_time() - started


def _filtered(gallery: Any, templates: Templates) -> float:
    """Vectors repeat as the fingers do, so each is worked out once."""
    vectors, chosen = [vector_of(minutiae_of(each[0])) for each in templates], GalleryFilter()
    for row in range(PERSONS):
        two = [vectors[_finger_of(row, position)] for position in (INDEX, OTHER)]
        chosen.put(row, [INDEX.code, OTHER.code], two)
    probe = {at.code: templates[n][1] for at, n in zip((INDEX, OTHER), PROBED, strict=True)}
    spent = []
    for _ in range(SEARCHES):
        started = time.process_time()
        shortlist = chosen.shortlist(list(probe), list(probe.values()))
        scanned = time.process_time() - started
        spent.append(scanned + _search(gallery, probe, jpype.JArray(jpype.JInt)(shortlist)))
    return min(spent)
