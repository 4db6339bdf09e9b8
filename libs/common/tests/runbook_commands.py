"""The commands of the runbooks, as they stand there."""

import shlex
from pathlib import Path

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"


def commands() -> list[tuple[str, ...]]:
    """(package, argument, …) of every command in every page, each once."""
    found: dict[tuple[str, ...], None] = {}
    for page in sorted(RUNBOOKS.glob("*.md")):
        blocks = page.read_text().split("```sh\n")[1:]
        for line in "\n".join(block.partition("```")[0] for block in blocks).splitlines():
            if line:
                python, module, package, *arguments = shlex.split(line)
                assert (python, module) == ("python", "-m"), line
                found[package, *arguments] = None
    return list(found)
