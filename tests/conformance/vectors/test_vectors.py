"""Every published version of our vectors gets the answers that stand in it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from epassport_credentials.errors import Reason
from tests.conformance.vectors.generate import all_cases
from tests.conformance.vectors.judging import JUDGES, judge
from tests.conformance.vectors.world import World, world_of

HERE = Path(__file__).parent
VERSIONS = sorted(HERE.glob("v[0-9]*"))
CURRENT = VERSIONS[-1]
READER = "epassport_credentials"

# Told by formats whose vectors are other people's (docs/credentials.md): a status of the past,
# selective disclosure and key binding, a wallet's answer, the chip and its certificates.
ELSEWHERE = {
    Reason.NO_STATUS_THEN,
    *list(Reason)[list(Reason).index(Reason.DISCLOSURE_NOT_SIGNED) :],
}


def vectors() -> Iterator[Any]:
    for folder in VERSIONS:
        for path in sorted(folder.glob("*.json")):
            if path.stem != "context":
                for case in json.loads(path.read_text())["cases"]:
                    name = f"{folder.name}-{path.stem}-{case['name']}"
                    yield pytest.param(folder, path.stem, case, id=name)


@pytest.fixture(scope="module")
def world() -> Callable[[Path], World]:
    opened: dict[Path, World] = {}

    def of(folder: Path) -> World:
        if folder not in opened:
            opened[folder] = world_of(json.loads((folder / "context.json").read_text()))
        return opened[folder]

    return of


@pytest.mark.parametrize(("folder", "form", "case"), list(vectors()))
def test_each_stage_answers_as_written(
    folder: Path,
    form: str,
    case: dict[str, Any],
    world: Callable[[Path], World],
    record_property: Callable[[str, object], None],
) -> None:
    row = (f"our vectors {folder.name}: {form}", READER, "theirs to ours", "as written")
    record_property("conformance", row)
    now = datetime.fromtimestamp(case["now"], UTC)
    assert judge(form, case["inputs"], now, world(folder)) == case["stages"]


def test_every_reason_has_a_vector() -> None:
    told = {
        result.split(": ")[-1]
        for folder in VERSIONS
        for path in folder.glob("*.json")
        for case in json.loads(path.read_text()).get("cases", [])
        for _, result in case["stages"]
    }
    assert set(Reason) - ELSEWHERE <= told


def test_every_format_is_in_the_current_version() -> None:
    assert {path.stem for path in CURRENT.glob("*.json")} == {"context", *JUDGES}


def test_the_generator_makes_the_cases_of_the_current_version() -> None:
    """By name, clock and answers: the bytes of zlib may differ from one build to another."""

    def told(cases: list[dict[str, object]]) -> list[object]:
        return [(case["name"], case["now"], case["stages"]) for case in cases]

    for form, cases in all_cases().items():
        written = json.loads((CURRENT / f"{form}.json").read_text())["cases"]
        assert told([case.written() for case in cases]) == told(written)
