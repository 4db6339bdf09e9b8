"""Hash-pinned requirements from every pyproject.toml of the workspace.

`python tools/pins.py` writes requirements/all.txt; `--check` fails when what the
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


def compile_pins(output: Path) -> None:
    """Let uv resolve; pins already in `output` are kept where they still fit."""
    with tempfile.NamedTemporaryFile("w", suffix=".in") as source:
        source.write(wanted())
        source.flush()
        options = ["--generate-hashes", "--no-annotate", "--no-header", "--universal"]
        files = ["--output-file", str(output), source.name]
        subprocess.run(
            [*UV, "pip", "compile", "--quiet", "--python-version", "3.11", *options, *files],
            check=True,
            cwd=ROOT,
        )


def main() -> None:
    if "--check" not in sys.argv:
        compile_pins(PINS)
        return
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / PINS.name
        shutil.copy(PINS, fresh)
        compile_pins(fresh)
        if fresh.read_text() != PINS.read_text():
            sys.exit(f"{PINS.name} and the pyproject files differ: run `python tools/pins.py`")


if __name__ == "__main__":
    main()
