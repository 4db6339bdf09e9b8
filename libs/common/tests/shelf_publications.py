"""What the shelf tells others: rooms, on its own topic and on one whose records are not counted.

Boxes are nobody's business, so that versions and sequences differ.
"""

from shelf_aggregate import RoomAdded
from shelf_store import SERVICE

from epassport.catalog import Publication, publishes
from epassport.events import Recorded
from epassport_contracts import ContractEvent
from epassport_contracts.events.enrollment import PausedStep, RolloutPaused, RolloutResumed
from epassport_contracts.registry import SUBJECT_KEYS, home_topic

HOME = home_topic(RolloutPaused, SERVICE).name
UNCOUNTED = SUBJECT_KEYS


@publishes(RoomAdded)
def room_added(event: Recorded[RoomAdded]) -> list[ContractEvent | Publication]:
    """The more room, the longer."""
    step = PausedStep.APPLY
    told = RolloutPaused(at=event.fact.at, region="RU-TA", step=step, reason="x" * event.fact.n)
    also = RolloutResumed(at=event.fact.at, region="RU-TA", step=step)
    return [told, Publication(also, UNCOUNTED, event.stream)]
