"""Jars are fetched once, and what is missing is told in one line."""

from pathlib import Path

import pytest

from epassport_sandbox.errors import StackUnavailable
from epassport_sandbox.jars import fetch_jars

POM = "<project/>"

MAVEN = """#!/bin/sh
for option; do case $option in -DoutputDirectory=*) folder=${option#*=} ;; esac; done
if [ -e "$0.broken" ]; then echo "[ERROR] repository unreachable"; echo "[ERROR] more"; exit 1; fi
mkdir "$folder" && touch "$folder/one.jar" && echo run >>"$0.runs"
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose Maven is a script of ours: what is tested is what we make of its answers."""
    (tmp_path / "mvn").write_text(MAVEN)
    (tmp_path / "mvn").chmod(0o755)
    (tmp_path / "pom.xml").write_text(POM)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("EPASSPORT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def maven_runs(machine: Path) -> int:
    return len((machine / "mvn.runs").read_text().splitlines())


def test_jars_are_fetched_once_and_again_when_the_pom_changes(machine: Path) -> None:
    pom = machine / "pom.xml"
    assert [jar.name for jar in fetch_jars(pom, "libs").glob("*.jar")] == ["one.jar"]
    fetch_jars(pom, "libs")
    assert maven_runs(machine) == 1
    pom.write_text("<project></project>")
    fetch_jars(pom, "libs")
    assert maven_runs(machine) == 2


def test_a_fetch_that_fails_leaves_nothing_that_looks_fetched(machine: Path) -> None:
    (machine / "mvn.broken").touch()
    with pytest.raises(StackUnavailable, match=r"^Maven could not .*: \[ERROR\] repository unreac"):
        fetch_jars(machine / "pom.xml", "libs")
    (machine / "mvn.broken").unlink()
    assert (fetch_jars(machine / "pom.xml", "libs") / "one.jar").exists()


def test_a_missing_maven_is_told_in_one_line(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(machine / "cache"))
    with pytest.raises(StackUnavailable, match=r"^Maven \(mvn\) is missing: .*$"):
        fetch_jars(machine / "pom.xml", "libs")
