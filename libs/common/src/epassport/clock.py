"""The one clock of a process: UTC, plus an offset that the sandbox moves for the whole stack."""

import math
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from epassport.errors import Unsafe

REREAD_SECONDS = 0.05
MAX_OFFSET_SECONDS = 100 * 366 * 86_400


class Clock:
    """file: one decimal number of seconds, replaced in one step by its writer; looked at again
    at most every 50 ms.

    A file that vanished or holds something else raises Unsafe: going on with a guessed
    time would grant or refuse what the moved clock says otherwise.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._offset = timedelta()
        self._seen: tuple[int, int] | None = None
        self._look_again_at = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    @property
    def offset(self) -> timedelta:
        if self._file is not None and time.monotonic() >= self._look_again_at:
            self._look(self._file)
        return self._offset

    def _look(self, file: Path) -> None:
        try:
            status = os.stat(file)
            # A replaced file within one tick of the file system's clock still has a new inode.
            seen = (status.st_mtime_ns, status.st_ino)
            if seen != self._seen:
                self._offset = _parse(file.read_text(encoding="ascii"))
                self._seen = seen
        except (OSError, ValueError, OverflowError) as error:
            raise Unsafe("the clock file must hold one decimal number of seconds") from error
        self._look_again_at = time.monotonic() + REREAD_SECONDS


def _parse(text: str) -> timedelta:
    seconds = float(text)
    if not math.isfinite(seconds) or abs(seconds) > MAX_OFFSET_SECONDS:
        raise ValueError("offset out of range")
    return timedelta(seconds=seconds)
