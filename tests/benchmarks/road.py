"""The whole road, as the last `make pilot` measured it: passports a second, and where CPU goes.

No bare work stands beside it: the budget per passport is stated by process, so that the next
reader sees what to make cheaper. Without a pilot's result there is no row.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.harness import Better, Row

BUILD = Path(__file__).parents[2] / "build"
TARGETS = {"pilot": ("road", 3.0), "pilot-without-images": ("road-without-images", 50.0)}


def rows() -> Iterator[Row]:
    for folder, (name, target) in TARGETS.items():
        path = BUILD / folder / "result.json"
        if path.exists():
            yield _row(name, target, json.loads(path.read_text()))


def _row(name: str, target: float, result: dict[str, Any]) -> Row:
    passports = result["passports"]
    spent = {who: seconds / passports for who, seconds in result["cpu_seconds"].items()}
    budget = ", ".join(
        f"{who} {seconds * 1000:.0f}"
        for who, seconds in sorted(spent.items(), key=lambda item: -item[1])
        if seconds * 1000 >= 1
    )
    rate = result["passports_per_second"]
    return Row(
        name,
        rate,
        target,
        rate / target,
        1.0,
        Better.HIGHER,
        "/s",
        f"passports from the desk to the cloud, {passports} of them,"
        f" {sum(spent.values()) * 1000:.0f} ms of CPU each: {budget}; bare: the target",
    )
