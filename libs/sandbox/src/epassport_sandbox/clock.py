"""The clock of a sandbox stack: real time plus an offset that every process reads from one file.

The file holds one decimal number of seconds; services find it by the setting
EPASSPORT_CLOCK_FILE.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

VARIABLE = "EPASSPORT_CLOCK_FILE"


class MovableClock:
    """Moved by one owner, read by many; a reader never sees half a number."""

    def __init__(self, file: Path) -> None:
        self.file = file
        if not file.exists():
            self._write(timedelta())

    @property
    def offset(self) -> timedelta:
        return timedelta(seconds=float(self.file.read_text()))

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def move(self, by: timedelta) -> None:
        """Also backwards, as a machine's clock may jump."""
        self._write(self.offset + by)

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to follow this clock."""
        return {VARIABLE: str(self.file)}

    def _write(self, offset: timedelta) -> None:
        unfinished = self.file.with_name(f"{self.file.name}.new")
        unfinished.write_text(f"{offset.total_seconds():.6f}\n")
        os.replace(unfinished, self.file)
