"""Old events come through the upcasters, and golden files notice every way in which they do not."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from epassport.decider import Aggregate
from epassport.events import EventCodec, UnknownEvent
from epassport.golden import LIST, differences, faults, release, write_missing
from epassport.keyring_stream import KEYRING
from epassport_contracts.kept_files import kept

REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True)
class Size:
    width: int
    height: int


@dataclass(frozen=True)
class BoxPut:
    """Version 1 had `label`, 2 split off `colour`, 3 made `size` of `width` and `height`."""

    SCHEMA_VERSION: ClassVar[int] = 3

    at: datetime
    label: str
    colour: str
    size: Size


@dataclass(frozen=True)
class BoxTaken:
    at: datetime


def split_label(tree: dict[str, Any]) -> dict[str, Any]:
    colour, label = tree["label"].split(" ", 1)
    return {**tree, "label": label, "colour": colour}


def join_size(tree: dict[str, Any]) -> dict[str, Any]:
    size = {"width": tree["width"], "height": tree["height"]}
    return {key: tree[key] for key in ("at", "label", "colour")} | {"size": size}


UPCASTERS = {("BoxPut", 1): split_label, ("BoxPut", 2): join_size}
BOX = Aggregate(
    "box",
    None,
    lambda command, state: [],
    lambda state, event: state,
    events=(BoxPut, BoxTaken),
    upcasters=UPCASTERS,
)
FIRST = {"at": "2026-01-05T12:00:00Z", "label": "red crate", "width": 3, "height": 4}
SECOND = FIRST | {"label": "crate", "colour": "red"}
PUT = BoxPut(datetime(2026, 1, 5, 12, tzinfo=UTC), "crate", "red", Size(3, 4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Golden files as three releases would have left them."""
    put = tmp_path / "BoxPut"
    put.mkdir()
    for version, data in ((1, FIRST), (2, SECOND)):
        (put / f"{version}.json").write_text(json.dumps({"data": data, "shape": {}}))
    write_missing(tmp_path, [BOX])
    return tmp_path


def test_an_event_of_the_first_version_is_read_as_one_of_today() -> None:
    codec = EventCodec([BOX])
    assert codec.decode("BoxPut", 1, json.dumps(FIRST)) == PUT
    assert codec.decode("BoxPut", 2, json.dumps(SECOND)) == PUT
    assert codec.decode(*codec.encode(PUT)) == PUT


def test_members_that_this_build_does_not_know_are_passed_over() -> None:
    _, version, text = EventCodec([BOX]).encode(PUT)
    newer = json.dumps(json.loads(text) | {"added_later": 1})
    assert EventCodec([BOX]).decode("BoxPut", version, newer) == PUT


@pytest.mark.parametrize(("name", "version"), [("BoxPut", 4), ("BoxPut", 0), ("BoxBurnt", 1)])
def test_a_version_or_a_type_that_this_build_does_not_know_is_not_guessed(
    name: str, version: int
) -> None:
    with pytest.raises(UnknownEvent, match=name):
        EventCodec([BOX]).decode(name, version, json.dumps(FIRST))


@pytest.mark.parametrize(
    ("upcasters", "found"),
    [
        ({("BoxPut", 1): split_label}, "no upcaster for BoxPut version 2"),
        (UPCASTERS | {("BoxPut", 3): dict}, "an upcaster for BoxPut version 3"),
        (UPCASTERS | {("BoxGone", 1): dict}, "an upcaster for BoxGone version 1"),
    ],
)
def test_a_chain_of_upcasters_has_no_gap_and_no_idle_end(
    upcasters: dict[tuple[str, int], Callable[[Any], Any]], found: str
) -> None:
    with pytest.raises(ValueError, match=found):
        EventCodec([replace(BOX, upcasters=upcasters)])


def test_golden_files_of_three_versions_hold(folder: Path) -> None:
    assert faults(folder, [BOX]) == []
    written = {str(path.relative_to(folder)) for path in folder.rglob("*.json")}
    assert written == {"BoxPut/1.json", "BoxPut/2.json", "BoxPut/3.json", "BoxTaken/1.json"}


def test_a_file_of_a_new_version_tells_the_fact_of_the_one_before(folder: Path) -> None:
    third = json.loads((folder / "BoxPut" / "3.json").read_text())["data"]
    assert third == join_size(SECOND)


def test_a_released_version_whose_file_changed_with_its_class_is_named(folder: Path) -> None:
    """The class agrees with the new file: both were changed together."""
    release(folder)
    (folder / "BoxTaken" / "1.json").unlink()
    changed_class = replace(BOX, events=(BoxPut, Other))
    assert faults(folder, [changed_class])[0] == "BoxTaken/1.json: was released and is gone"
    write_missing(folder, [changed_class])
    found = ["BoxTaken/1.json: was released and has been changed"]
    assert faults(folder, [changed_class]) == found
    release(folder)
    assert faults(folder, [changed_class]) == found


def test_a_version_that_was_not_released_may_be_made_anew(folder: Path) -> None:
    (folder / "BoxTaken" / "1.json").unlink()
    write_missing(folder, [replace(BOX, events=(BoxPut, Other))])
    assert faults(folder, [replace(BOX, events=(BoxPut, Other))]) == []


def test_the_services_and_the_runtime_have_files_of_a_release() -> None:
    folders = [*REPOSITORY.glob("services/*/tests/events"), Path(__file__).parent / "events"]
    assert len(folders) == 6
    for folder in folders:
        assert kept(folder / LIST) != {}


def test_files_that_are_there_are_left_alone(folder: Path) -> None:
    (folder / "BoxTaken" / "1.json").write_text("mine")
    assert write_missing(folder, [BOX]) == []
    assert (folder / "BoxTaken" / "1.json").read_text() == "mine"


def changed(folder: Path, file: str, change: Callable[[dict[str, Any]], object]) -> None:
    tree = json.loads((folder / file).read_text())
    change(tree["data"])
    (folder / file).write_text(json.dumps(tree))


@pytest.mark.parametrize(
    ("file", "change", "found"),
    [
        (
            "BoxPut/3.json",
            lambda data: data.update(label=5),
            ["BoxPut version 2: label: 5, but \"crate\" when brought to version 3",
             "BoxPut version 3: label: string_type"],
        ),
        (
            "BoxPut/3.json",
            lambda data: data["size"].pop("width"),
            ["BoxPut version 2: size.width: nothing, but 3 when brought to version 3",
             "BoxPut version 3: size.width: missing"],
        ),
        (
            "BoxPut/3.json",
            lambda data: data["size"].update(depth=1),
            ["BoxPut version 2: size.depth: 1, but nothing when brought to version 3",
             "BoxPut version 3: size.depth: 1, but nothing when read and written again"],
        ),
        (
            "BoxPut/1.json",
            lambda data: data.update(label="blue crate"),
            ["BoxPut version 1: colour: \"red\", but \"blue\" when brought to version 2"],
        ),
        (
            "BoxTaken/1.json",
            lambda data: data.update(at="yesterday"),
            ["BoxTaken version 1: at: datetime_from_date_parsing"],
        ),
    ],
)  # fmt: skip
def test_a_wrong_golden_file_is_named_with_event_and_member(
    folder: Path, file: str, change: Callable[[dict[str, Any]], object], found: list[str]
) -> None:
    changed(folder, file, change)
    assert faults(folder, [BOX]) == found


def test_an_upcaster_that_changes_its_mind_is_named(folder: Path) -> None:
    def other(tree: dict[str, Any]) -> dict[str, Any]:
        return {**tree, "colour": "unknown"}

    upcasters = UPCASTERS | {("BoxPut", 1): other}
    assert faults(folder, [replace(BOX, upcasters=upcasters)]) == [
        'BoxPut version 1: label: "crate", but "red crate" when brought to version 2',
        'BoxPut version 1: colour: "red", but "unknown" when brought to version 2',
    ]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_event_without_its_golden_file_is_named(folder: Path, version: int) -> None:
    (folder / "BoxPut" / f"{version}.json").unlink()
    assert f"BoxPut version {version}: has no golden file" in faults(folder, [BOX])


def test_an_event_that_no_class_reads_any_more_is_named(folder: Path) -> None:
    without = replace(BOX, events=(BoxPut,))
    assert faults(folder, [without]) == ["BoxTaken version 1: was stored, and no class reads it"]


def test_a_file_newer_than_its_class_is_named(folder: Path) -> None:
    (folder / "BoxTaken" / "2.json").write_text('{"data": {}, "shape": {}}')
    assert faults(folder, [BOX]) == ["BoxTaken version 2: is newer than the class"]


@dataclass(frozen=True)
class Other:
    at: datetime
    label: str | None
    colour: str
    size: Size
    note: str = ""


Other.__name__ = "BoxTaken"


def test_a_shape_that_changed_without_a_new_version_is_named(folder: Path) -> None:
    found = faults(folder, [replace(BOX, events=(BoxPut, Other))])
    named = {fault.split(":")[1].strip() for fault in found if "shape of" in fault}
    assert named == {f"shape of {name}" for name in ("label", "colour", "size", "note", "required")}
    assert all(fault.startswith("BoxTaken version 1: ") for fault in found)


def test_the_events_of_the_runtime_itself_are_still_read() -> None:
    assert faults(Path(__file__).parent / "events", [KEYRING]) == []


def test_one_and_true_are_two_values() -> None:
    assert list(differences({"n": 1}, {"n": True})) == ["n: 1, but true"]
