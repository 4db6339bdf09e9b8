"""From a command's scheduled moment until another service shows it; from a loss until refused.

Both are asked of read tables, which answer later than the streams that decide.
"""

import asyncio
import statistics
from collections.abc import Iterator, Sequence
from functools import partial

import uvloop

from tests.benchmarks.harness import Better, Row
from tests.benchmarks.load import (
    PROFILE,
    STANDINGS,
    STATUSES,
    VERIFICATION,
    Load,
    by_the_clock,
    milliseconds_until_shown,
    open_load,
)

RATE = 200
DOCUMENTS = 800
ORDERS = 4  # of each document: 16 s
WARM_UP = 400
LOSSES, LOSS_RATE = 240, 20


def rows() -> Iterator[Row]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield from runner.run(_measure())


async def _measure() -> list[Row]:
    async with open_load(DOCUMENTS + LOSSES) as load:
        warming = load.orders(load.documents[: WARM_UP // 2], 2)
        async with load.watching(PROFILE, STANDINGS) as watch:
            await milliseconds_until_shown(await by_the_clock(RATE / 2, warming), watch)
        return [await _lag(load), await _loss(load)]


async def _lag(load: Load) -> Row:
    orders = load.orders(load.documents[:DOCUMENTS], ORDERS)
    async with load.watching(PROFILE, STANDINGS) as watch:
        before = load.cpu_seconds()
        times = await milliseconds_until_shown(await by_the_clock(RATE, orders), watch)
        after = load.cpu_seconds()
    busy = sum(after.values()) - sum(before[name] for name in after)
    return _row(
        "lag",
        times,
        150,
        50,
        f"orders at verification, {RATE}/s by the clock, until cloud-profile's table shows them,"
        f" {len(times)} of them, p50 {statistics.median(times):.0f} ms, CPU of services and servers"
        f" {busy / len(times) * 1000:.1f} ms each",
    )


async def _loss(load: Load) -> Row:
    lost = load.documents[DOCUMENTS:]
    seconds = LOSSES / LOSS_RATE
    orders = load.orders(load.documents[: round(RATE / 2 * seconds / 2)], 2)
    losses = [(document.ref, partial(load.lose, document)) for document in lost]
    async with load.watching(VERIFICATION, STATUSES) as watch, asyncio.TaskGroup() as sending:
        sending.create_task(by_the_clock(RATE / 2, orders))
        due = await by_the_clock(LOSS_RATE, losses)
        times = await milliseconds_until_shown(due, watch)
    return _row(
        "loss",
        times,
        250,
        100,
        f"losses at the hotline until verification answers suspended, {len(times)} of them at"
        f" {LOSS_RATE}/s beside {RATE // 2} orders/s, p50 {statistics.median(times):.0f} ms",
    )


def _row(name: str, times: Sequence[float], target: float, hoped: float, how: str) -> Row:
    p99 = statistics.quantiles(times, n=100, method="inclusive")[98]
    how += "; ratio: p99 to its target"
    return Row(name, p99, target, p99 / target, 1.0, Better.LOWER, "ms", how, hoped=hoped)
