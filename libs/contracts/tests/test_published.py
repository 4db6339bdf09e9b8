"""What was published stays as it was, and no build forgets it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from epassport_contracts import generate, published
from epassport_contracts.published import breaks, drafts, read_archive, text_of
from epassport_contracts.registry import TOPICS
from epassport_contracts.shapes import Subject, subjects

FOLDER = "internal.shelf.box.v1/BoxPut"
FIRST = Subject(
    FOLDER,
    1,
    {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]},
)
SECOND = replace(
    FIRST,
    shape=FIRST.shape
    | {"properties": {"label": {"type": "string"}, "note": {"type": "string", "default": ""}}},
)


def publish(root: Path, *wanted: Subject) -> None:
    archive = read_archive(root)
    for path, text in published.wanted_files(archive, wanted).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    with (root / published.LIST).open("a") as file:
        file.write(published.publication_lines(drafts(archive, wanted)))


def test_a_shape_is_a_draft_until_it_is_published(tmp_path: Path) -> None:
    assert [one.path for one in drafts(read_archive(tmp_path), [FIRST])] == [f"{FOLDER}/v1.0.json"]
    publish(tmp_path, FIRST)
    assert list(drafts(read_archive(tmp_path), [FIRST])) == []


def test_a_changed_shape_is_the_next_version_and_the_first_stays(tmp_path: Path) -> None:
    publish(tmp_path, FIRST)
    publish(tmp_path, SECOND)
    assert [version.name for version in read_archive(tmp_path).of(FOLDER)] == ["v1.0", "v1.1"]
    assert (tmp_path / FOLDER / "v1.0.json").read_text() == text_of(FIRST.shape)
    assert list(breaks(read_archive(tmp_path), [SECOND])) == []


def test_eleven_revisions_stay_in_order(tmp_path: Path) -> None:
    for number in range(11):
        publish(tmp_path, replace(FIRST, shape=FIRST.shape | {"title": str(number)}))
    assert [version.revision for version in read_archive(tmp_path).of(FOLDER)] == list(range(11))


def test_a_break_with_any_published_version_is_named(tmp_path: Path) -> None:
    publish(tmp_path, FIRST)
    publish(tmp_path, SECOND)
    third = json.loads(json.dumps(FIRST.shape))
    third["properties"]["note"] = {"type": "integer", "default": 0}
    assert set(breaks(read_archive(tmp_path), [replace(FIRST, shape=third)])) == {
        f"{FOLDER}: note: integer is written, string is read (written now, read by v1.1)",
        f"{FOLDER}: note: string is written, integer is read (written by v1.1, read now)",
    }


def test_another_major_number_does_not_excuse_a_break(tmp_path: Path) -> None:
    """Topics keep old records for ever, so a new build meets them all."""
    publish(tmp_path, FIRST)
    other = Subject(FOLDER, 2, {"type": "object", "properties": {}})
    assert list(breaks(read_archive(tmp_path), [other])) == [
        f"{FOLDER}: label: is never written, and is required where it is read"
        " (written now, read by v1.0)"
    ]


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (Path.unlink, "was published and is gone"),
        (lambda path: path.write_text(text_of(SECOND.shape)), "was published and has been changed"),
    ],
    ids=["removed", "changed"],
)
def test_a_published_file_that_is_touched_is_named(
    tmp_path: Path, tamper: Callable[[Path], object], found: str
) -> None:
    publish(tmp_path, FIRST)
    tamper(tmp_path / FOLDER / "v1.0.json")
    assert f"{FOLDER}/v1.0.json: {found}" in list(breaks(read_archive(tmp_path), [FIRST]))


def test_an_event_that_was_published_and_is_not_known_any_more_is_a_break(tmp_path: Path) -> None:
    publish(tmp_path, FIRST)
    assert list(breaks(read_archive(tmp_path), [])) == [
        f"{FOLDER}/v1.0.json: was published and is not known any more"
    ]


def test_a_shape_that_cannot_be_compared_is_no_pass(tmp_path: Path) -> None:
    publish(tmp_path, FIRST)
    odd = replace(FIRST, shape=FIRST.shape | {"not": {"type": "null"}})
    assert list(breaks(read_archive(tmp_path), [odd])) == [
        f"{FOLDER}: cannot be compared with v1.0: the event: not"
    ]


def test_this_build_gets_on_with_everything_that_was_published() -> None:
    assert generate.breaks() == []


def test_generated_files_say_what_the_registry_says() -> None:
    assert generate.drift() == []


def test_there_is_something_to_get_on_with() -> None:
    """A comparison with nothing would always pass."""
    known = {one.folder for one in subjects()}
    assert {one.folder for one in read_archive(generate.SCHEMAS).versions} & known


def test_a_new_partition_count_is_a_break(tmp_path: Path) -> None:
    known = json.loads((generate.FOLDER / "topics.json").read_text())
    known[0]["partitions"] = 8
    (tmp_path / "topics.json").write_text(json.dumps(known))
    (found,) = generate._changed_partitions(tmp_path / "topics.json")
    assert found.startswith(f"{TOPICS[0].name}: 8 partitions became 4")
