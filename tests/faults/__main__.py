"""`python -m tests.faults`: rounds of every fault in turn, and the table of what held.

Every fault gets its first seed, then its second one and so on: three of each, or as many as fit
into the given minutes. Exit 1 where an invariant broke or a planted bug was not found. A round that
broke something is followed by a fresh cluster; its logs stay, and how to repeat it is told.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from itertools import count
from pathlib import Path

from tests.faults.campaign import Result, play
from tests.faults.cluster import APART, TOGETHER, open_cluster
from tests.faults.nemesis import why_not
from tests.faults.planted import VARIABLE, Bug
from tests.faults.replicas import Role
from tests.faults.report import BUGS, PAGE, ROUNDS, Caught, Round, bugs, note, page, table
from tests.faults.schedule import FAULTS, Schedule, schedule

SEEDS = 3
ROUNDS_FOR_A_BUG = 5
UNDER = {
    Bug.ANSWER_BEFORE_COMMIT: "kill -9 of a server",
    Bug.COMMIT_BEFORE_APPLY: "PostgreSQL: connections lost",
    Bug.DELETE_BEFORE_SEND: "kill -9 of a relay",
    Bug.NO_FENCE: "a consumer paused beyond its session",
    Bug.NO_TRANSACTION_ID_RULE: "a transaction commits late",
    Bug.NO_WAVES: "SIGSTOP of anybody",
    Bug.WAITS_NOT_LOOKED_AT: "a timer paused beyond its turn",
}


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.faults", allow_abbrev=False)
    options.add_argument("--minutes", type=float, help=f"so long, instead of {SEEDS} seeds")
    options.add_argument(
        "--fault", action="append", choices=list(FAULTS), metavar="NAME", help="these only"
    )
    options.add_argument("--seed", type=int, help="this one only")
    options.add_argument("--only", choices=("bugs", "rounds", "page"), help="one part of it")
    options.add_argument("--bug", type=Bug, metavar="NAME", help="of the bugs this one only")
    options.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    return asyncio.run(_run(options.parse_args()))


async def _run(asked: argparse.Namespace) -> int:
    skipped: list[str] = []
    played, caught = [], []
    if asked.only in (None, "rounds"):
        async for result in rounds(_schedules(asked, skipped), APART):
            if not result.missed or not result.holds:
                played.append(Round.of(result))
                note(ROUNDS, played[-1])
    if asked.only in (None, "bugs") and asked.fault is None:
        for bug in [asked.bug] if asked.bug else Bug:
            caught.append(await catch(bug))
            note(BUGS, caught[-1])
    print("\n".join([*table(played), *skipped, *bugs(caught)]), flush=True)
    if asked.write:
        PAGE.write_text(page(_command(asked), skipped, PAGE.read_text()))
    missed = any(one.rounds is None for one in caught)
    return 1 if missed or any(one.broken for one in played) else 0


def _command(asked: argparse.Namespace) -> str:
    minutes = f" MINUTES={asked.minutes:g}" if asked.minutes else ""
    return f"make faults{minutes} WRITE=1"


def _schedules(asked: argparse.Namespace, skipped: list[str]) -> Iterator[Schedule]:
    seeds = count(1) if asked.minutes else range(1, SEEDS + 1)
    ends = time.monotonic() + 60 * (asked.minutes or float("inf"))
    for seed in seeds if asked.seed is None else [asked.seed]:
        for fault in _named(asked):
            if time.monotonic() > ends:
                return
            plan = schedule(fault, seed)
            lacking = why_not([blow.act for blow in plan.blows])
            if lacking is None:
                yield plan
            elif seed == 1:
                skipped.append(f"{fault}: {lacking}")


def _named(asked: argparse.Namespace) -> Sequence[str]:
    return asked.fault or list(FAULTS)


async def rounds(
    schedules: Iterator[Schedule], roles: Sequence[Role], planted: Bug | None = None
) -> AsyncGenerator[Result, None]:
    """Each as it ends."""
    environment = {} if planted is None else {VARIABLE: str(planted)}
    waiting = next(schedules, None)
    while waiting is not None:
        folder = Path(tempfile.mkdtemp(prefix="epassport-faults-"))
        async with open_cluster(folder, roles=roles, environment=environment) as cluster:
            is_whole = True
            while waiting is not None and is_whole:
                result = await play(cluster, waiting)
                print(_told(result, folder), flush=True)
                is_whole = result.holds
                yield result
                waiting = next(schedules, None)


def _told(result: Result, folder: Path) -> str:
    plan = result.schedule
    lag = "never" if result.lag_seconds is None else f"{result.lag_seconds:.1f} s"
    head = f"{plan.fault}, seed {plan.seed}: {result.acknowledged} operations, lag gone: {lag}"
    if result.holds:
        return f"{head}: {'; '.join(result.missed) or 'holds'}"
    again = f'make faults FAULT="{plan.fault}" SEED={plan.seed}'
    return "\n".join([f"{head}: BROKEN, logs in {folder}; again: {again}", *result.lines()])


async def catch(bug: Bug) -> Caught:
    """Rounds of one fault with the bug in every process, until the checker finds it."""
    fault = UNDER[bug]
    played = 0
    plans = (schedule(fault, seed) for seed in range(1, ROUNDS_FOR_A_BUG + 1))
    async with aclosing(rounds(plans, TOGETHER, bug)) as results:
        async for result in results:
            played += 1
            if not result.holds:
                by = [invariant for invariant, found in result.findings.items() if found]
                finding = next(one for found in result.findings.values() for one in found)
                return Caught(bug, fault, played, by, finding)
    return Caught(bug, fault, None)


if __name__ == "__main__":
    sys.exit(main())
