"""`python -m tests.simulation [--seeds 20] [--write]`: every fault with every seed, every planted
bug.

Prints the page docs/simulation.md and ends with 1 where an invariant broke or a bug was not
found; `--write` writes the page.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.simulation.faults import FAULTS
from tests.simulation.invariants import INVARIANTS
from tests.simulation.rules import PLANTED, Rules
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

PLANTED_BUGS = """
## Planted bugs

One rule is taken out; the same seeds, each under every fault, until one shows it:
"""


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


def found_after(rules: Rules, seeds: int) -> tuple[int, Result | None]:
    """How many runs it took, seed by seed under every fault, until one showed the bug."""
    jobs = [(fault, seed) for seed in range(seeds) for fault in FAULTS]
    for number, (fault, seed) in enumerate(jobs, start=1):
        result = run(fault, seed, rules)
        if result.broken:
            return number, result
    return len(jobs), None


def planted_table(found: Mapping[str, tuple[int, Result | None]]) -> str:
    lines = ["| planted bug | found in run | how it shows |", "| --- | --- | --- |"]
    for name, (number, result) in found.items():
        how = "**not found**"
        if result is not None:
            how = f"{result.fault}, seed {result.seed}; {_text(result)}"
        lines.append(f"| {name} | {number} | {how} |")
    return "\n".join(lines)


def _text(result: Result) -> str:
    """The first invariant that broke, in words."""
    number, fault = min(result.broken.items())
    return f"invariant {number}: {fault}".replace("|", "/")


def page(seeds: int) -> tuple[str, bool]:
    """The page, and whether all holds and every bug is found."""
    began = time.process_time()
    kept = [run(fault, seed) for fault in FAULTS for seed in range(seeds)]
    minute = len(kept) / (time.process_time() - began) * 60
    planted = {name: found_after(rules, seeds) for name, rules in PLANTED.items()}
    good = not any(result.broken for result in kept)
    good = good and all(result is not None for _, result in planted.values())
    speed = (
        f"The run that made this page explored {minute:,.0f} interleavings a minute of one core."
    )
    parts = [
        INTRODUCTION.format(seeds=seeds, speed=speed),
        "## Faults\n",
        fault_table(kept),
        PLANTED_BUGS,
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
