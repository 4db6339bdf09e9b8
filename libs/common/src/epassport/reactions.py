"""Reactions: a foreign or own event in, commands out. Pure.

A reaction may be refused; the refusal is recorded and the slice goes on. One that the
reaction did not declare opens an operator's case (`reaction_refusals.declared` is false).
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar
from uuid import UUID

import structlog

from epassport import blobs
from epassport.actor import service_actor
from epassport.commands import Envelope, Rejected
from epassport.database import Connection
from epassport.decider import StreamId
from epassport.events import Origin
from epassport.group import Group
from epassport.records import Incoming
from epassport_contracts import ContractEvent, Sealed, ServiceName
from epassport_contracts.registry import TOPICS

log = structlog.get_logger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Send:
    """A command for a stream of this service.

    reads: streams whose states `decide` gets too. expects: refusals that are a normal end.
    """

    stream: StreamId
    command: Any
    reads: tuple[StreamId, ...] = ()
    expects: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Keep:
    """A sealed image to be copied into this service's blobs as it is received."""

    image: Sealed[bytes]
    media_type: str


Reaction = Callable[[Any], Sequence[Send | Keep]]


def reacts_to(*event_types: type) -> Callable[[Function], Function]:
    """Marks a pure function event -> list[Send | Keep]."""

    def mark(function: Function) -> Function:
        function.__reacts_to__ = event_types  # type: ignore[attr-defined]
        return function

    return mark


def reactions_of(modules: Iterable[ModuleType]) -> dict[type, list[Reaction]]:
    found: dict[type, list[Reaction]] = {}
    for module in modules:
        for function in vars(module).values():
            for event_type in getattr(function, "__reacts_to__", ()):
                found.setdefault(event_type, []).append(function)
    return found


def topics_of(event_types: Collection[type]) -> tuple[str, ...]:
    """Where events of these types come from; own ones come from the store."""
    return tuple(
        topic.name for topic in TOPICS if any(spec.model in event_types for spec in topic.events)
    )


class ReactionHandler:
    """Applies foreign events of a slice as one group (a `SliceHandler`)."""

    name = "reactions"
    one_per_stream = True

    def __init__(
        self, service: ServiceName, reactions: dict[type, list[Reaction]], group: Group
    ) -> None:
        self._service = service
        self._group = group
        self._reactions = {
            event_type: functions
            for event_type, functions in reactions.items()
            if issubclass(event_type, ContractEvent)
        }
        self.types = frozenset(event_type.type_name() for event_type in self._reactions)
        self.topics = topics_of(self._reactions)

    def streams_of(self, record: Incoming) -> frozenset[str]:
        return frozenset(item.stream for item in self._reaction(record) if isinstance(item, Send))

    def can_wait(self, _key: bytes) -> bool:
        return False

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        """Raises whatever the group raises: the slice's transaction rolls back."""
        sends: list[tuple[Incoming, Send, Envelope]] = []
        for record in records:
            origin = Origin(service_actor(self._service), record.correlation_id, record.event_id)
            for item in self._reaction(record):
                if isinstance(item, Keep):
                    await blobs.store(connection, item.image, item.media_type)
                else:
                    envelope = Envelope(item.stream, item.command, origin, item.reads)
                    sends.append((record, item, envelope))
        if not sends:
            return
        outcomes = await self._group.run(connection, [envelope for _, _, envelope in sends])
        for (record, send, _), outcome in zip(sends, outcomes, strict=True):
            if isinstance(outcome, Rejected):
                await record_refusal(connection, record.event_id, send, outcome.reason, record)

    def _reaction(self, record: Incoming) -> list[Send | Keep]:
        return [
            item
            for function in self._reactions.get(type(record.event), ())
            for item in function(record.event)
        ]


async def record_refusal(
    connection: Connection,
    event_id: UUID,
    send: Send,
    reason: str,
    source: Incoming | None = None,
) -> None:
    """Nothing is lost: the refusal stays readable beside the event that caused it.

    source: another service's event, kept with a case so that it can be sent again
    (`epassport.refused`)
    """
    declared = reason in send.expects
    command = type(send.command).__name__
    if not declared:
        log.warning("reaction-refused", stream=send.stream, command=command, reason=reason)
    kept = None if declared else source
    await connection.execute(
        """
        INSERT INTO reaction_refusals (event_id, stream_id, command, reason, declared, source_type,
                                       source_event, correlation_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8)
        """,
        event_id,
        send.stream,
        command,
        reason,
        declared,
        None if kept is None else kept.type,
        None if kept is None else kept.event.model_dump_json(),
        None if kept is None else kept.correlation_id,
    )
