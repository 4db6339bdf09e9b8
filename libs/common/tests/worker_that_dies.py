"""A worker that is killed in the middle of its task; run as a program by test_tasks.py.

worker_that_dies.py DSN before-answer     dies when its work is done and nothing is sent yet
worker_that_dies.py DSN after-first       dies when the first of its two commands is committed
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from shelf_store import group_of
from shelf_tasks import STARTERS, count_box, two_rooms

from epassport.commands import Outcome
from epassport.database import Database
from epassport.reactions import Send
from epassport.signals import Signals
from epassport.tasks import Job, Task, Work, Workers


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingGroup:
    """Commits one group of commands, and is gone before anybody hears of it."""

    def __init__(self, group: Any) -> None:
        self._group = group

    async def execute(self, envelopes: Sequence[Any]) -> list[Outcome | Exception]:
        await self._group.execute(envelopes)
        die()
        raise AssertionError("killed")


async def work_until_killed(job: Job) -> list[Send]:
    sends = await two_rooms(job)
    if sys.argv[2] == "before-answer":
        die()
    return sends


async def main() -> None:
    database = await Database.connect(sys.argv[1])
    group: Any = DyingGroup(group_of(database, starters=STARTERS))
    works: dict[str, tuple[Task, Work]] = {count_box.kind: (count_box, work_until_killed)}
    await Workers(database, group, Signals(), works).run()


if __name__ == "__main__":
    asyncio.run(main())
