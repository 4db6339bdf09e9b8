"""A rebuild that is killed at a given moment; run as a program by test_rebuild.py.

rebuild_that_stops.py DSN [--back] [--hears KAFKA TOPIC] MOMENT [N]

filling N     when N events of pages of one are written, and before anybody is told
applying N    within the transaction of the Nth foreign event
settling      when what operators discarded is discarded beside, and what waits behind it waits
filled        when both sets have been level for the first time
compared      when they are compared, before they change places
switching     within the transaction in which they do
dropping      when the tables are gone, not their readers' state

--back: on the way back to what was read before. --hears: of `heard_notes` instead of the shelves.
"""

import argparse
import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from heard_notes import heard
from kafka_notes import NoteTaken, clients_of, topic_named
from shelf_store import SERVICE, catalog, shelves

from epassport import beside, refill
from epassport.actor import service_actor
from epassport.draining import ParkedStreams
from epassport.events import Recorded
from epassport.operations import Order
from epassport.progress import Progress
from epassport.readmodel import ReadModel, Tables
from epassport.rebuild import Source, rebuild, return_to_kept


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Countdown(Progress):
    """Of what is told: one event a page."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at = at

    def add(self, pieces: int) -> None:
        self._at -= pieces
        if self._at <= 0:
            die()


def dying_at(at: int) -> ReadModel:
    """`heard`, which writes the Nth note and does not commit it."""
    model = ReadModel("heard", version=1, tables=("note",))
    written = 0

    @model.projects(NoteTaken)
    async def taken(wave: Sequence[Recorded[NoteTaken]], tables: Tables) -> int:
        nonlocal written
        count = int(await heard.projections[NoteTaken][0].fill(wave, tables))
        written += len(wave)
        if written >= at:
            die()
        return count

    return model


def hit(owner: Any, name: str) -> None:
    """Let the first statement of this step through, and no more."""
    step = getattr(owner, name)

    async def dies(*arguments: Any) -> None:
        if name == "drop":
            await arguments[0].execute("DROP TABLE shelf_v1_beside")
        elif name in ("change_places", "compare"):
            await step(*arguments)
        die()

    setattr(owner, name, dies)


STEPS = {
    "filled": (beside, "gather_statistics"),
    "compared": (beside, "compare"),
    "switching": (beside, "change_places"),
    "dropping": (beside, "drop"),
    "settling": (ParkedStreams, "drain"),
}


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dsn")
    parser.add_argument("--back", action="store_true")
    parser.add_argument("--hears", nargs=2)
    parser.add_argument("moment")
    parser.add_argument("at", nargs="?", type=int, default=0)
    asked = parser.parse_args()
    refill.PAGE = refill.FOREIGN_PAGE = 1
    model, source, progress = shelves, Source(asked.dsn, catalog().codec, SERVICE), Progress()
    if asked.hears:
        kafka, topic = asked.hears
        known = {topic: topic_named(topic, partitions=2)}
        model = dying_at(asked.at) if asked.moment == "applying" else heard
        source = Source(asked.dsn, catalog().codec, SERVICE, clients_of(kafka), known)
    if asked.moment == "filling":
        progress = Countdown(asked.at)
    elif asked.moment in STEPS:
        hit(*STEPS[asked.moment])
    if asked.back:
        order = Order(uuid4(), service_actor("operator"), "it was right before")
        await return_to_kept(model, source, progress, order)
    else:
        await rebuild(model, source, progress)


if __name__ == "__main__":
    asyncio.run(main())
