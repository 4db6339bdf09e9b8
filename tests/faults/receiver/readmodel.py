"""What was heard: once from the sender's topic, once from the receiver's own events."""

from collections.abc import Sequence

from epassport import Recorded
from epassport.readmodel import ReadModel, Tables
from epassport_contracts.events.biometrics import DuplicateConfirmed
from tests.faults.readmodels import add
from tests.faults.receiver.echo import Echoed

heard = ReadModel("heard", version=1, tables=("heard",))
echoes = ReadModel("echoes", version=1, tables=("echoes",))


@heard.projects(DuplicateConfirmed)
async def confirmed(wave: Sequence[Recorded[DuplicateConfirmed]], tables: Tables) -> int:
    return await add(tables, "heard", wave, [event.fact.application_id for event in wave])


@echoes.projects(Echoed)
async def echoed(wave: Sequence[Recorded[Echoed]], tables: Tables) -> int:
    return await add(tables, "echoes", wave, [event.fact.operation for event in wave])
