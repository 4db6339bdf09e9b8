"""The one conformance table, and where foreign vectors lie.

A conformance test notes what it shows with `record_property("conformance", (format, reader,
direction, verdict))`, any number of times. A run of all of them writes
build/conformance/table.md; `make conformance` compares it with the one in docs/credentials.md.
Foreign vectors lie outside the repository; where they are absent, their tests say so.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.environments import python_environment

REPOSITORY = Path(__file__).parents[2]
TABLE = REPOSITORY / "build" / "conformance" / "table.md"

Row = tuple[str, str, str]
COUNTED = pytest.StashKey[dict[Row, Counter[str]]]()


@pytest.fixture(scope="session")
def vectors() -> Path:
    folder = Path(os.environ.get("EPASSPORT_VECTORS", REPOSITORY / "../shared/vectors")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no vectors in {folder}; set EPASSPORT_VECTORS")
    return folder


@pytest.fixture(scope="session")
def python_of_readers() -> Path:
    """The interpreter beside which cwt, pycose and mrz are installed."""
    return python_environment(Path(__file__).with_name("python-readers.txt"), "python-readers")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COUNTED] = {}
    config.pluginmanager.register(_Collector(config.stash[COUNTED]), "conformance-table")


def pytest_sessionfinish(session: pytest.Session) -> None:
    counted = session.config.stash[COUNTED]
    if counted:
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        TABLE.write_text("\n".join(_lines(counted)) + "\n")


class _Collector:
    def __init__(self, counted: dict[Row, Counter[str]]) -> None:
        self._counted = counted

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name == "conformance":
                document_format, reader, direction, verdict = value
                outcome = verdict if report.passed else report.outcome.upper()
                row = self._counted.setdefault((document_format, reader, direction), Counter())
                row[outcome] += 1


def _lines(counted: dict[Row, Counter[str]]) -> Iterator[str]:
    """Verdicts without their numbers would hide a test that was lost, so they stand there."""
    yield "| format | reader or writer | direction | verdict |"
    yield "| --- | --- | --- | --- |"
    for row, verdicts in sorted(counted.items()):
        said = ", ".join(f"{verdict} ({count})" for verdict, count in sorted(verdicts.items()))
        yield f"| {' | '.join(row)} | {said} |"
