"""A temporary folder that does not stay behind, even when its owner was killed with -9.

Its owner holds a lock on it; whoever makes the next one removes those that nobody holds.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "epassport-"
LOCK = "lock"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Other users may pass through it (a database server runs as one), but not list it."""
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    folder.chmod(0o711)
    # The lock gets its name only once it is held, so that nobody takes the folder for abandoned.
    unnamed = folder / f"{LOCK}.new"
    with unnamed.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unnamed.rename(folder / LOCK)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def _remove_abandoned() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        try:
            with path.open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.parent)
        except (BlockingIOError, PermissionError, FileNotFoundError):
            continue  # in use, another user's, or just removed by somebody else
