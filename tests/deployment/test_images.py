"""The images' build files without an engine."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment.rendered import REPOSITORY
from tests.deployment.test_pods import USER

FOLDER = REPOSITORY / "deploy" / "images"
SERVICES = FOLDER / "Dockerfile"
BUILD_FILES = sorted(FOLDER.rglob("Dockerfile"))
LINT_SECONDS = 60

# What hadolint may find in a stand-in: it is made where no upstream image can be had, of what
# Debian's release holds on that day, and is never shipped.
IN_STANDINS = {
    "DL3008": "the release pins the versions",
    "DL3015": "its own configuration leaves recommended packages out",
    "DL3066": "the same user name as in the upstream image",
}


@pytest.mark.parametrize("file", BUILD_FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_hadolint_finds_nothing(file: Path) -> None:
    allowed = IN_STANDINS if file.is_relative_to(FOLDER / "standins") else {}
    assert [fault for fault in _faults(file) if fault["code"] not in allowed] == []


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM python\nRUN cd /tmp && sudo ls\n")
    assert {fault["code"] for fault in _faults(file)} >= {"DL3006", "DL3004"}


def test_there_is_one_build_file_for_the_services_and_stand_ins_beside() -> None:
    names = {str(file.parent.relative_to(FOLDER)) for file in BUILD_FILES}
    assert names >= {".", "standins/kafka", "standins/postgres", "standins/python"}


def test_a_services_image_runs_as_a_numeric_user_and_can_be_probed() -> None:
    final = SERVICES.read_text().rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (\S+)$", final, re.MULTILINE) == [f"{USER}:{USER}"]
    assert "HEALTHCHECK" in final
    assert "epassport_probe" in final


@pytest.mark.parametrize("file", BUILD_FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_no_base_moves_and_no_secret_is_an_argument(file: Path) -> None:
    text = file.read_text()
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    for base in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
        named = re.sub(r"\$\{(\w+)\}", lambda match: defaults[match.group(1)], base)
        assert named in stages | {"scratch"} or re.search(r":(\d|bookworm$)", named), named
    arguments = re.findall(r"^(?:ARG|ENV) (\w+)", text, re.MULTILINE)
    assert [a for a in arguments if re.search(r"PASSWORD|SECRET|TOKEN", a)] == []


def _faults(file: Path) -> list[dict[str, str]]:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [str(hadolint), "--no-color", "--no-fail", "--format", "json", str(file)],
        capture_output=True,
        text=True,
        timeout=LINT_SECONDS,
        check=False,
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found
