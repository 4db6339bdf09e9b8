"""`python -m tests.benchmarks.soak --minutes N`: orders for N minutes, then what grew.

Half of the rate at which `lag` is measured. Every ten seconds: memory of each process, age of the
oldest record in each outbox, milliseconds until an order shows, dead rows and octets of each
database. The first fifth fills caches and pools; what grew after it, from the second fifth to the
last, is judged, and the whole goes to build/bench/soak.json. Exit 1 where something grew.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import asyncpg
import psutil
import uvloop

from epassport_contracts import ServiceName
from tests.benchmarks.lag import RATE
from tests.benchmarks.load import (
    PROFILE,
    STANDINGS,
    VERIFICATION,
    Load,
    by_the_clock,
    milliseconds_until_shown,
    open_load,
)

DOCUMENTS = 1_000
EVERY_SECONDS = 10.0
RESULTS = Path(__file__).parents[2] / "build" / "bench" / "soak.json"


@dataclass(frozen=True)
class Bound:
    """Of the last fifth's median against the second fifth's: factor, and what is always allowed."""

    factor: float
    slack: float


BOUNDS: Mapping[str, Bound] = {
    "memory_mb": Bound(1.10, 15),
    "outbox_age_seconds": Bound(1.5, 1.0),
    "lag_ms": Bound(1.5, 50),
    "dead_rows": Bound(1.5, 20_000),  # autovacuum comes at a fifth of a table's rows
}


@dataclass(frozen=True)
class Sample:
    seconds: float
    memory_mb: dict[str, float]
    outbox_age_seconds: float
    lag_ms: float
    dead_rows: int
    database_mb: float


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak")
    options.add_argument("--minutes", type=float, default=15)
    minutes = options.parse_args().minutes
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        samples = runner.run(_soak(minutes * 60))
    findings = _judge(samples)
    content = {"minutes": minutes, "orders_per_second": RATE / 2, "findings": findings}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    told = [asdict(sample) for sample in samples]
    RESULTS.write_text(json.dumps({**content, "samples": told}, indent=2) + "\n")
    print(json.dumps(content, indent=2))
    return 0 if all(finding["flat"] for finding in findings.values()) else 1


async def _soak(seconds: float) -> list[Sample]:
    samples: list[Sample] = []
    async with open_load(DOCUMENTS) as load:
        began = time.perf_counter()
        for n in count():
            samples.append(await _stretch(load, began, n))
            if time.perf_counter() - began >= seconds:
                return samples
    raise AssertionError("unreachable: the stretches end by the clock")


async def _stretch(load: Load, began: float, n: int) -> Sample:
    """Orders of documents in turn, each twice in a stretch, so that all end in force."""
    many = round(RATE / 2 * EVERY_SECONDS / 2)
    first = n * many % DOCUMENTS
    documents = [load.documents[(first + place) % DOCUMENTS] for place in range(many)]
    async with load.watching(PROFILE, STANDINGS) as watch:
        due = await by_the_clock(RATE / 2, load.orders(documents, 2))
        times = await milliseconds_until_shown(due, watch)
    ages, dead, size = zip(*[await _asked(load, each) for each in (VERIFICATION, PROFILE)],
                           strict=True)  # fmt: skip
    return Sample(
        round(time.perf_counter() - began, 1),
        _memory(load),
        max(ages),
        round(statistics.median(times), 1),
        sum(dead),
        round(sum(size), 1),
    )


def _memory(load: Load) -> dict[str, float]:
    """Resident megabytes of each service with its own processes."""
    found = {}
    for name, child in load.system.processes.children.items():
        if child.running:
            family = [
                psutil.Process(child.pid),
                *psutil.Process(child.pid).children(recursive=True),
            ]
            found[name] = round(sum(each.memory_info().rss for each in family) / 1e6, 1)
    return found


async def _asked(load: Load, service: ServiceName) -> tuple[float, int, float]:
    """(seconds of the oldest record in the outbox, dead rows, megabytes)"""
    connection = await asyncpg.connect(load.system.dsn(service))
    try:
        row = await connection.fetchrow(
            """
            SELECT coalesce((SELECT extract(epoch FROM clock_timestamp() - min(created_at))
                               FROM outbox), 0)::float8 AS age,
                   (SELECT sum(n_dead_tup) FROM pg_stat_user_tables)::bigint AS dead,
                   pg_database_size(current_database()) / 1e6::float8 AS size
            """
        )
        assert row is not None
        return row["age"], row["dead"], row["size"]
    finally:
        await connection.close()


def _judge(samples: Sequence[Sample]) -> dict[str, dict[str, float | bool]]:
    fifth = max(1, len(samples) // 5)
    early, late = samples[fifth : 2 * fifth] or samples, samples[-fifth:]
    series = {
        f"memory_mb of {name}": ("memory_mb", [[each.memory_mb[name] for each in part]
                                               for part in (early, late)])
        for name in samples[0].memory_mb
    } | {
        name: (name, [[float(getattr(each, name)) for each in part] for part in (early, late)])
        for name in BOUNDS
        if name != "memory_mb"
    }  # fmt: skip
    return {name: _finding(BOUNDS[kind], *parts) for name, (kind, parts) in series.items()}


def _finding(
    bound: Bound, early: Sequence[float], late: Sequence[float]
) -> dict[str, float | bool]:
    before, after = statistics.median(early), statistics.median(late)
    flat = after <= max(before * bound.factor, before + bound.slack)
    return {"early": before, "late": after, "flat": flat}


if __name__ == "__main__":
    sys.exit(main())
