"""Paused steps of the road, as this service has heard of them.

Routes ask here before they accept; a worker does not claim a paused task (`tasks.py`).
"""

from collections.abc import Sequence

from epassport.database import Connection
from epassport.records import Incoming
from epassport_contracts.events.enrollment import RolloutPaused, RolloutResumed
from epassport_contracts.registry import BY_NAME

ROLLOUT_TOPIC = "internal.enrollment.rollout.v1"


class PausesHandler:
    """Keeps the table `pauses` (a `SliceHandler`)."""

    name = "pauses"
    one_per_stream = False
    topics = (BY_NAME[ROLLOUT_TOPIC].name,)
    types = frozenset({RolloutPaused.type_name(), RolloutResumed.type_name()})

    def streams_of(self, _record: Incoming) -> frozenset[str]:
        return frozenset()

    def can_wait(self, _key: bytes) -> bool:
        return False

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        for record in records:
            match record.event:
                case RolloutPaused(region=region, step=step, reason=reason, at=at):
                    await connection.execute(
                        "INSERT INTO pauses (region, step, reason, since) VALUES ($1, $2, $3, $4)"
                        " ON CONFLICT (region, step) DO UPDATE"
                        " SET reason = excluded.reason, since = excluded.since",
                        region,
                        step,
                        reason,
                        at,
                    )
                case RolloutResumed(region=region, step=step):
                    await connection.execute(
                        "DELETE FROM pauses WHERE region = $1 AND step = $2", region, step
                    )
