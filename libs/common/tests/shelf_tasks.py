"""A task of the shelf: every box that is put is counted outside, then makes room in two places."""

from enum import StrEnum
from typing import Any

from shelf_aggregate import AddRoom, BoxPut, shelf
from shelf_store import AT

from epassport.catalog import TaskStart
from epassport.events import Recorded
from epassport.reactions import Send
from epassport.tasks import Job, Task, starters_of


class Side(StrEnum):
    LEFT = "left"


count_box = Task("count-box", at_once=1)


@count_box.starts_on(BoxPut)
def count_each(event: Recorded[BoxPut], _state: Any) -> TaskStart:
    made = {"version": event.version, "sides": {Side.LEFT: 1}}
    return count_box.start(made, step="count", region="RU-MOW")


async def two_rooms(job: Job) -> list[Send]:
    return [
        Send(shelf.stream("left"), AddRoom(AT, 1)),
        Send(shelf.stream("right"), AddRoom(AT, job.input["version"])),
    ]


STARTERS = starters_of([count_box])
