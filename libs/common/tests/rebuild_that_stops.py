"""A rebuild that is killed at a given moment; run as a program by test_rebuild.py.

rebuild_that_stops.py DSN filling N     dies when it has filled N pages, the last uncommitted
rebuild_that_stops.py DSN compared      dies before it switches
rebuild_that_stops.py DSN switching     dies within the transaction that switches
rebuild_that_stops.py DSN dropping      dies when the tables are gone, not their readers' state
"""

import asyncio
import os
import signal
import sys
from typing import Any

from shelf_store import SERVICE, catalog, shelves

from epassport import beside, refill
from epassport.progress import Progress
from epassport.rebuild import Source, rebuild


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Pages(Progress):
    """One event a page; is gone before the Nth is told."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at = at

    def add(self, pieces: int) -> None:
        self._at -= 1
        if self._at == 0:
            die()


def hit(name: str) -> None:
    """Let the first statement of this step through, and no more."""
    step: Any = getattr(beside, name)

    async def dies(*arguments: Any) -> None:
        if name == "drop":
            await arguments[0].execute("DROP TABLE shelf_v1_beside")
        elif name == "change_places":
            await step(*arguments)
        die()

    setattr(beside, name, dies)


async def main() -> None:
    dsn, moment, *at = sys.argv[1:]
    refill.PAGE = 1
    progress = Progress()
    match moment:
        case "filling":
            progress = Pages(int(at[0]))
        case "compared":
            hit("gather_statistics")
        case "switching":
            hit("change_places")
        case "dropping":
            hit("drop")
    await rebuild(shelves, Source(dsn, catalog().codec, SERVICE), progress)


if __name__ == "__main__":
    asyncio.run(main())
