"""One row: our work against the bare work that nobody can avoid, measured in one run.

The two alternate in short batches and the median of the ratios counts, in CPU time of this
thread: a busy neighbour then slows both alike. Seconds are shown, never judged.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

ROUNDS = 500
BATCH_SECONDS = 0.0004  # a pair of batches fits into one slice of a busy scheduler


class Better(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True)
class Row:
    """ours, bare: in `unit`; ratio: the judged number; target: of the ratio, as published.

    better: whether the ratio should be above or below its target
    counts: statements, round trips, commits for one event: the same in every run, so they must
        be what the baseline says
    hoped: for `ours` on two cores of this size, shown and never judged
    """

    name: str
    ours: float
    bare: float
    ratio: float
    target: float
    better: Better
    unit: str
    how: str
    counts: Mapping[str, float] = field(default_factory=dict)
    hoped: float | None = None

    @property
    def met(self) -> bool:
        if self.better is Better.HIGHER:
            return self.ratio >= self.target
        return self.ratio <= self.target


def compare(ours: Callable[[], object], bare: Callable[[], object]) -> tuple[float, float, float]:
    """Microseconds of CPU of one call of each (the quickest batch), and the median of bare/ours."""
    calls = _calls_for_a_batch(bare), _calls_for_a_batch(ours)
    bare_times, our_times = [], []
    for _ in range(ROUNDS):
        bare_times.append(_microseconds(bare, calls[0]))
        our_times.append(_microseconds(ours, calls[1]))
    ratios = [b / o for b, o in zip(bare_times, our_times, strict=True)]
    return min(our_times), min(bare_times), statistics.median(ratios)


def _calls_for_a_batch(call: Callable[[], object]) -> int:
    call()
    once = min(_microseconds(call, 3) for _ in range(5))
    return max(1, round(BATCH_SECONDS * 1e6 / once))


def _microseconds(call: Callable[[], object], calls: int) -> float:
    started = time.thread_time_ns()
    for _ in range(calls):
        call()
    return (time.thread_time_ns() - started) / calls / 1000
