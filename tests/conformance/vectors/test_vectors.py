"""Every published version of our vectors gets the answers that stand in it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from epassport_credentials.errors import Reason
from tests.conformance.vectors.generate import all_cases
from tests.conformance.vectors.judging import JUDGES, judge
from tests.conformance.vectors.judging_chip import ConversationDiffers
from tests.conformance.vectors.world import World, world_of

HERE = Path(__file__).parent
VERSIONS = sorted(HERE.glob("v[0-9]*"))
FIRST, CURRENT = VERSIONS[0], VERSIONS[-1]
READER = "epassport_credentials"


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
    assert set(Reason) <= told


def test_every_format_is_in_the_current_version() -> None:
    assert {path.stem for path in CURRENT.glob("*.json")} == {"context", *JUDGES}


def test_the_first_version_is_as_it_was_published() -> None:
    whole = hashlib.sha256()
    for path in sorted(FIRST.glob("*.json")):
        whole.update(path.name.encode() + path.read_bytes())
    assert whole.hexdigest() == "24ab894dbf97a3d357d95b146006d7037f90c357c2e9c434b04b72d6c4c70eaf"


def test_the_generator_makes_the_cases_of_the_current_version() -> None:
    """By name, clock and answers: the bytes of zlib may differ from one build to another."""

    def told(cases: list[dict[str, object]]) -> list[object]:
        return [(case["name"], case["now"], case["stages"]) for case in cases]

    for form, cases in all_cases().items():
        written = json.loads((CURRENT / f"{form}.json").read_text())["cases"]
        assert told([case.written() for case in cases]) == told(written)


def test_a_reader_that_sends_other_bytes_gets_no_verdict_from_a_conversation(
    world: Callable[[Path], World],
) -> None:
    """Else a vector of the chip would pass whatever the reader says."""
    for case in json.loads((CURRENT / "chip.json").read_text())["cases"]:
        first, *rest = case["inputs"]["exchanges"]
        inputs = {**case["inputs"], "exchanges": ["00" + first, *rest]}
        with pytest.raises(ConversationDiffers):
            judge("chip", inputs, datetime.fromtimestamp(case["now"], UTC), world(CURRENT))
