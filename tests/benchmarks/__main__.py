"""`python -m tests.benchmarks [module ...]`: the rows of every module that stands here.

A module gives `rows()`; every row goes to build/bench/results.json and into the table. Exit 1
when a ratio misses its target, or falls out of the band around its baseline, or a count is
not what it was: what was once reached is kept; or when a module broke, which stops no other.
`--write-baseline` notes the ratios and counts of this run. Where the CPU of the row that is
furthest from its target goes, stands in build/bench/profile-<module>.txt; `--profile MODULE`
writes that alone.
"""

import argparse
import cProfile
import importlib
import json
import pkgutil
import pstats
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.harness import Better, Row

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.json"
BUILD = HERE.parents[1] / "build" / "bench"
NO_ROWS = {"__main__", "harness", "identify_bare", "load", "recognition_report", "servers", "soak"}
TIMES = {"ms", "ns", "s"}
BAND = 0.15  # of the baseline: what two quiet runs on one machine differ by, and a half more
PROFILED_LINES = 60
IN_THIS_PROCESS = {"append", "chip", "credentials", "projector", "relay"}

Known = Mapping[str, Mapping[str, Any]]


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    options.add_argument("modules", nargs="*", help="as named in tests/benchmarks; all if none")
    options.add_argument("--write-baseline", action="store_true")
    options.add_argument("--profile", metavar="MODULE")
    chosen = options.parse_args()
    if chosen.profile is not None:
        return _profile(chosen.profile)
    measured: list[Row] = []
    by_module: dict[str, list[Row]] = {}
    broken: list[str] = []
    for module, row in _rows(chosen.modules, broken):
        measured.append(row)
        by_module.setdefault(module, []).append(row)
        _write(BUILD / "results.json", [_result(row) for row in measured])
    known: dict[str, dict[str, Any]] = json.loads(BASELINE.read_text())
    if chosen.write_baseline:
        known |= {row.name: _kept(row) for row in measured if row.unit not in TIMES}
        _write(BASELINE, known)
    failed = _report(measured, known, broken)
    here = {module: rows for module, rows in by_module.items() if module in IN_THIS_PROCESS}
    if here:
        _profile(min(here, key=lambda module: min(map(_reached, here[module]))))
    return failed


def _rows(chosen: list[str], broken: list[str]) -> Iterator[tuple[str, Row]]:
    """broken: gets the modules that did not come to their end."""
    names = chosen or [found.name for found in pkgutil.iter_modules([str(HERE)])]
    for name in names:
        if name not in NO_ROWS:
            try:
                for row in importlib.import_module(f"tests.benchmarks.{name}").rows():
                    yield name, row
            except Exception:  # noqa: BLE001 - told, and the run fails
                traceback.print_exc()
                broken.append(name)


def _result(row: Row) -> dict[str, Any]:
    return {
        "figure": row.name,
        "value": row.ours,
        "unit": row.unit,
        "bare": row.bare,
        "ratio": row.ratio,
        "target": row.target,
        "met": row.met,
        "counts": dict(row.counts),
        "how": row.how,
    }


def _kept(row: Row) -> dict[str, Any]:
    """A time alone has only its target."""
    return {"ratio": round(row.ratio, 3)} | ({"counts": dict(row.counts)} if row.counts else {})


def _report(rows: list[Row], known: Known, broken: list[str]) -> int:
    print(f"{'row':24}{'ours':>11}{'bare':>11}     {'ratio':>7}{'target':>9}{'baseline':>10}")
    failed = 0
    for row in rows:
        before = known.get(row.name, {})
        word = _judged(row, before)
        failed += word != "ok"
        sign = ">=" if row.better is Better.HIGHER else "<="
        kept = f"{before['ratio']:10.3f}" if before else " " * 10
        hoped = f" (hoped for: {row.hoped:g}{row.unit})" if row.hoped is not None else ""
        print(
            f"{row.name:24}{row.ours:11.2f}{row.bare:11.2f} {row.unit:4}{row.ratio:7.3f}"
            f" {sign}{row.target:6.2f}{kept}  {word}{hoped}"
        )
    for module in broken:
        print(f"{module:24}BROKE: its fault stands above")
    return 1 if failed or broken else 0


def _judged(row: Row, before: Mapping[str, Any]) -> str:
    if before and _worse(row, before["ratio"]):
        return "WORSE THAN ITS BASELINE"
    if before.get("counts", {}) != dict(row.counts) and before:
        return f"COUNTS {dict(row.counts)} ARE NOT ITS BASELINE'S {before.get('counts', {})}"
    return "ok" if row.met else "MISSES ITS TARGET"


def _worse(row: Row, before: float) -> bool:
    if row.better is Better.HIGHER:
        return row.ratio < before * (1 - BAND)
    return row.ratio > before * (1 + BAND)


def _reached(row: Row) -> float:
    """How much of its target: below 1 it is missed; a row that is only shown has none."""
    if row.target == 0:
        return float("inf")
    if row.better is Better.HIGHER:
        return row.ratio / row.target
    return row.target / row.ratio


def _profile(module: str) -> int:
    """CPU of this process only; bare work is in it too, but stands under its own names."""
    profiler = cProfile.Profile(time.process_time)
    measured = importlib.import_module(f"tests.benchmarks.{module}")
    vars(measured)["ROUNDS"] = 1  # of those that count in rounds
    profiler.runcall(lambda: list(measured.rows()))
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"profile-{module}.txt"
    with path.open("w") as lines:
        pstats.Stats(profiler, stream=lines).sort_stats("cumtime").print_stats(PROFILED_LINES)
    print(path)
    return 0


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, sort_keys=isinstance(content, dict)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
