"""What a relying organisation gets: few packages, quickly imported."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def modules_after(*imports: str) -> set[str]:
    program = f"import sys, {', '.join(imports)}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return set(run.stdout.split())


def test_an_offline_check_loads_no_imaging_and_no_arrays() -> None:
    loaded = modules_after("epassport_credentials.verifier", "epassport_credentials.offline_pack")
    assert loaded.isdisjoint({"PIL", "numpy", "segno", "zxingcpp", "pypdfium2", "asn1crypto"})


def test_reading_a_chip_needs_no_imaging() -> None:
    chip = ("epassport_credentials.passive_authentication", "epassport_credentials.face")
    assert modules_after(*chip).isdisjoint({"PIL", "numpy", "zxingcpp", "pypdfium2"})


@pytest.mark.parametrize("extra", [None, "images"])
def test_the_package_asks_for_no_more_than_it_says(extra: str | None) -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]
    asked = project["optional-dependencies"][extra] if extra else project["dependencies"]
    names = {line.split(">")[0] for line in asked}
    few = {"asn1crypto", "cbor2", "cryptography", "segno"}
    assert names == ({"pillow", "pypdfium2", "zxing-cpp"} if extra else few)
