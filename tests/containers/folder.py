"""Where a run keeps keys and logs."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any


def run_in_folder(name: str, run: Callable[[Path], Coroutine[Any, Any, int]]) -> int:
    """Exit code of `run`; the folder stays, to be looked at, unless that is 0.

    Not below the checkout: in root's home no container's user would get to a path in it.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"epassport-{name}-"))
    print(f"keys and logs: {folder}", file=sys.stderr, flush=True)
    code = asyncio.run(run(folder))
    if code == 0:
        shutil.rmtree(folder)
    return code
