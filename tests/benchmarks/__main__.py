"""`python -m tests.benchmarks [name ...]`: the rows of every module that stands here.

A module gives `rows()`; every row goes to build/bench/results.json and into the table. Exit 1
when a ratio misses its target, or falls out of the band around its baseline: what was once
reached is kept. `--write-baseline` notes the ratios of this run.
"""

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.harness import Better, Row

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.json"
RESULTS = HERE.parents[1] / "build" / "bench" / "results.json"
NO_ROWS = {"__main__", "harness"}
BAND = 0.15  # of the baseline: what two quiet runs on one machine differ by, and a half more


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    options.add_argument("modules", nargs="*", help="as named in tests/benchmarks; all if none")
    options.add_argument("--write-baseline", action="store_true")
    chosen = options.parse_args()
    measured = list(_rows(chosen.modules))
    _write(RESULTS, {"rows": [{**asdict(row), "met": row.met} for row in measured]})
    known: dict[str, float] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    if chosen.write_baseline:
        kept = (row for row in measured if row.unit != "ms")  # a time alone has only its target
        known |= {row.name: round(row.ratio, 3) for row in kept}
        _write(BASELINE, known)
    return _report(measured, known)


def _rows(chosen: list[str]) -> Iterator[Row]:
    names = chosen or [found.name for found in pkgutil.iter_modules([str(HERE)])]
    for name in names:
        if name not in NO_ROWS:
            yield from importlib.import_module(f"tests.benchmarks.{name}").rows()


def _report(rows: list[Row], baseline: Mapping[str, float]) -> int:
    head = f"{'row':22}{'ours':>10}{'bare':>10}     {'ratio':>7}{'target':>9}{'baseline':>10}"
    print(head)
    failed = 0
    for row in rows:
        before = baseline.get(row.name)
        word = "ok" if row.met else "MISSES ITS TARGET"
        if before is not None and _worse(row, before):
            word = "WORSE THAN ITS BASELINE"
        failed += word != "ok"
        sign = ">=" if row.better is Better.HIGHER else "<="
        print(
            f"{row.name:22}{row.ours:10.2f}{row.bare:10.2f} {row.unit:4}{row.ratio:7.3f}"
            f" {sign}{row.target:6.2f}{'' if before is None else f'{before:10.3f}'}  {word}"
        )
    return 1 if failed else 0


def _worse(row: Row, before: float) -> bool:
    if row.better is Better.HIGHER:
        return row.ratio < before * (1 - BAND)
    return row.ratio > before * (1 + BAND)


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, sort_keys=isinstance(content, dict)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
