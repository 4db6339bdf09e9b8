"""Counts per tally, from the sender's own events."""

from collections.abc import Sequence

from epassport import Recorded
from epassport.readmodel import ReadModel, Tables
from tests.faults.readmodels import add
from tests.faults.sender.tally import Counted

tallies = ReadModel("tallies", version=1, tables=("tally",))


@tallies.projects(Counted)
async def counted(wave: Sequence[Recorded[Counted]], tables: Tables) -> int:
    return await add(tables, "tally", wave, [event.fact.operation for event in wave])
