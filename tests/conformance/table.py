"""The conformance table in docs/credentials.md is the one the last whole run has shown.

`python -m tests.conformance.table` fails when they differ, or when a cell is not as it should
be; `--write` puts the run's table into the page.
"""

import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
RUN = REPOSITORY / "build" / "conformance" / "table.md"
PAGE = REPOSITORY / "docs" / "credentials.md"
BEGIN, END = "<!-- conformance table: begin -->\n", "<!-- conformance table: end -->\n"


def main() -> None:
    shown = RUN.read_text()
    before, rest = PAGE.read_text().split(BEGIN)
    committed, after = rest.split(END)
    if "--write" in sys.argv:
        PAGE.write_text(before + BEGIN + shown + END + after)
    elif bad := [line for line in shown.splitlines() if "FAILED" in line or "SKIPPED" in line]:
        sys.exit("\n".join(["not as it should be:", *bad]))
    elif _comparable(shown) != _comparable(committed):
        new, old = _comparable(shown), _comparable(committed)
        added = [line for line in new if line not in old]
        gone = [line for line in old if line not in new]
        sys.exit("\n".join(["docs/credentials.md is not this run:", *added, "instead of:", *gone]))


def _comparable(table: str) -> list[str]:
    """OpenSSL comes with the machine; all other readers are pinned."""
    return re.sub(r"OpenSSL [\w.]+", "OpenSSL", table).splitlines()


if __name__ == "__main__":
    main()
