"""A refused reaction sent again because an operator says so: the same event, today's state.

What an own event leads to is found in the store; another service's event was kept beside the
refusal. A task's answer cannot be made again without its work: there is nothing to send.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from asyncpg import Record

from epassport import store
from epassport.actor import service_actor
from epassport.commands import Envelope, Rejected
from epassport.database import Connection
from epassport.errors import NotThere
from epassport.events import EventCodec, Origin
from epassport.group import Group
from epassport.reactions import Reaction, Send
from epassport_contracts import ContractEvent, ServiceName


class RefusedReactions:
    def __init__(
        self,
        service: ServiceName,
        group: Group,
        codec: EventCodec,
        reactions: dict[type, list[Reaction]],
    ) -> None:
        self._service = service
        self._group = group
        self._codec = codec
        self._reactions = reactions
        foreign = (t for t in reactions if issubclass(t, ContractEvent))
        self._foreign = {model.type_name(): model for model in foreign}

    async def send_again(
        self, connection: Connection, refusal_id: int, action_id: UUID
    ) -> dict[str, Any]:
        """In the caller's transaction. The case is closed where the command is accepted now, and
        stays open, with the new reason, where it is not. Raises NotThere, GroupConflict."""
        case = await connection.fetchrow(_OPEN, refusal_id)
        if case is None:
            raise NotThere("no such case is open")
        send, correlation_id = await self._send_of(connection, case)
        origin = Origin(service_actor(self._service), correlation_id, case["event_id"])
        envelope = Envelope(send.stream, send.command, origin, send.reads)
        (outcome,) = await self._group.run(connection, [envelope])
        if isinstance(outcome, Rejected):
            await connection.execute(_STILL_REFUSED, refusal_id, outcome.reason)
            return {"outcome": "refused", "reason": outcome.reason}
        await connection.execute(_CLOSED, refusal_id, action_id)
        return {"outcome": "accepted", "reason": None}

    async def _send_of(self, connection: Connection, case: Record) -> tuple[Send, UUID]:
        """What the reactions of this build make of its event, for that stream."""
        if case["source_type"] is not None:
            sends = self._by_foreign(case["source_type"], case["source_event"])
            correlation_id = case["correlation_id"]
        else:
            event = await store.read_one(connection, self._codec, case["event_id"])
            if event is None:
                raise NotThere("it came from no event: there is nothing to send again")
            sends = self._sends(type(event.fact), event)
            correlation_id = event.origin.correlation_id
        for send in sends:
            if (send.stream, type(send.command).__name__) == (case["stream_id"], case["command"]):
                return send, correlation_id
        raise NotThere("this build sends nothing of that kind for this event")

    def _by_foreign(self, type_name: str, event: str) -> Sequence[Send]:
        model = self._foreign.get(type_name)
        if model is None:
            raise NotThere("this build does not react to that event")
        return self._sends(model, model.model_validate_json(event))

    def _sends(self, event_type: type, event: Any) -> Sequence[Send]:
        return [
            item
            for function in self._reactions.get(event_type, ())
            for item in function(event)
            if isinstance(item, Send)
        ]


_OPEN = """
SELECT event_id, stream_id, command, source_type, source_event, correlation_id
  FROM reaction_refusals WHERE id = $1 AND NOT declared AND closed_by IS NULL FOR UPDATE
"""
_STILL_REFUSED = """
UPDATE reaction_refusals SET reason = $2, refused_at = clock_timestamp() WHERE id = $1
"""
_CLOSED = "UPDATE reaction_refusals SET closed_by = $2 WHERE id = $1"
