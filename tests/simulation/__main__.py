"""`python -m tests.simulation [--seeds 20] [--write]`: every fault with every seed, every planted
bug.

Prints the page docs/simulation.md and ends with 1 where an invariant broke or a bug was not
found; `--write` writes the page.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.simulation.faults import FAULTS
from tests.simulation.invariants import INVARIANTS
from tests.simulation.rules import KEPT, PLANTED, Rules
from tests.simulation.run import Result, run

PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"

INTRODUCTION = """\
# Simulation

Made by `make simulation SEEDS={seeds} WRITE=1`; do not edit the tables.

Two services, a broker and their clients in one process and without a clock: a database and a log
in memory that keep what we rely on in PostgreSQL (transaction ids and xmin, row locks, positions
that commit in another order) and in Kafka (at least once, transactions and fencing, groups and
rebalances). Every step of every process is a place where a seeded scheduler may let another one
go on, kill it or freeze it; one seed is one interleaving and can be run again
(`tests.simulation.run.run(fault, seed)`). Real are the pure parts of the runtime: the plan of a
slice and its cut, what of a parked stream may go on, waves, confirmed prefixes, aggregates. The
rest is a model, step by step, of what the modules do; that the modules do it is for the tests on
the real stack.

Invariants: 1, every acknowledged command has exactly one chain of events, versions have no gaps;
2, every published event reaches its topic, in order per key, and has one effect in every
consumer; 3, replaying from zero gives the same read models; 6, after the last fault every lag
goes to zero within 2,000 steps.

{speed}
"""


def simulate(jobs: Sequence[tuple[str, int, Rules]]) -> list[Result]:
    """In as many processes as there are cores."""
    with ProcessPoolExecutor() as pool:
        return list(pool.map(_run, jobs, chunksize=20))


def _run(job: tuple[str, int, Rules]) -> Result:
    return run(*job)


def fault_table(results: Sequence[Result]) -> str:
    """Rows: how many of a fault's runs kept each invariant."""
    lines = [
        "| fault | runs | "
        + " | ".join(f"invariant {n}" for n in INVARIANTS)
        + " | healed after |",
        "| --- | --- |" + " --- |" * (len(INVARIANTS) + 1),
    ]
    for fault in FAULTS:
        runs = [result for result in results if result.fault == fault]
        cells = [sum(number not in result.broken for result in runs) for number in INVARIANTS]
        shown = " | ".join("holds" if kept == len(runs) else f"**{kept}**" for kept in cells)
        slowest = max(result.healing for result in runs)
        lines.append(f"| {fault} | {len(runs)} | {shown} | {slowest} steps at most |")
    return "\n".join(lines)


def planted_table(found: dict[str, list[Result]]) -> str:
    lines = ["| planted bug | runs that show it | first seen under |", "| --- | --- | --- |"]
    for name, results in found.items():
        shown = [result for result in results if result.broken]
        first = shown[0] if shown else None
        how = f"{first.fault}, seed {first.seed}: {_text(first)}" if first else "**not found**"
        lines.append(f"| {name} | {len(shown)} of {len(results)} | {how} |")
    return "\n".join(lines)


def _text(result: Result) -> str:
    """The first invariant that broke, in words."""
    number, fault = min(result.broken.items())
    return f"{number}: {fault}".replace("|", "/")


def page(seeds: int) -> tuple[str, bool]:
    """The page, and whether all holds and every bug is found."""
    began = time.monotonic()
    jobs = [(fault, seed) for fault in FAULTS for seed in range(seeds)]
    kept = simulate([(*job, KEPT) for job in jobs])
    minute = len(jobs) / (time.monotonic() - began) * 60
    planted = {name: simulate([(*job, rules) for job in jobs]) for name, rules in PLANTED.items()}
    good = not any(result.broken for result in kept)
    good = good and all(any(r.broken for r in results) for results in planted.values())
    speed = f"The run that made this page explored {minute:,.0f} interleavings a minute."
    parts = [
        INTRODUCTION.format(seeds=seeds, speed=speed),
        "## Faults\n",
        fault_table(kept),
        "\n## Planted bugs\n\nWhat the same faults and seeds find when one rule is taken out:\n",
        planted_table(planted),
    ]
    return "\n".join(parts) + "\n", good


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text, good = page(options.seeds)
    print(text)
    if options.write:
        PAGE.write_text(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
