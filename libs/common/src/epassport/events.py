"""Own events as stored: their envelope, their JSON, and the way old ones are read."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from epassport.actor import Actor
from epassport.decider import Aggregate, StreamId, key_of
from epassport.ids import read_id

E_co = TypeVar("E_co", covariant=True)


@dataclass(frozen=True)
class Origin:
    """Who caused something, and in which chain: kept beside every event and task."""

    actor: Actor
    correlation_id: UUID
    causation_id: UUID | None = None


@dataclass(frozen=True)
class Recorded(Generic[E_co]):
    """A domain event with its place in the store.

    position is 0 while the event is being appended: publications must not use it.
    """

    fact: E_co
    stream: StreamId
    version: int
    position: int
    transaction_id: int
    event_id: UUID
    origin: Origin
    recorded_at: datetime

    @property
    def stream_key(self) -> str:
        return key_of(self.stream)

    @property
    def actor(self) -> Actor:
        return self.origin.actor


class UnknownEvent(Exception):
    """A stored event that this build cannot read: a newer version, or a lost class."""


def schema_version_of(event_type: type) -> int:
    """Version of the JSON that this build writes; 1 unless the class says otherwise."""
    return int(getattr(event_type, "SCHEMA_VERSION", 1))


class EventCodec:
    """JSON of every event class of a service, with the upcasters of its aggregates."""

    def __init__(self, aggregates: Iterable[Aggregate]) -> None:
        self._types: dict[str, type] = {}
        self._adapters: dict[type, TypeAdapter[Any]] = {}
        self._upcasters: dict[tuple[str, int], Any] = {}
        self._readers: dict[tuple[str, int], Callable[[str], Any]] = {}
        for aggregate in aggregates:
            for event_type in aggregate.events:
                name = event_type.__name__
                if name in self._types:
                    raise ValueError(f"two event classes are named {name}")
                self._types[name] = event_type
                adapter = self._adapters[event_type] = TypeAdapter(event_type)
                current = name, schema_version_of(event_type)
                self._readers[current] = adapter.validator.validate_json
            self._upcasters.update(aggregate.upcasters)
        self._refuse_gaps()

    def encode(self, event: object) -> tuple[str, int, str]:
        """(type name, schema version, JSON text); raises where personal data is unsealed."""
        kind = type(event)
        return (
            kind.__name__,
            schema_version_of(kind),
            self._adapters[kind].dump_json(event).decode(),
        )

    def decode(self, name: str, version: int, data: str) -> Any:
        """Raises UnknownEvent."""
        if (reader := self._readers.get((name, version))) is not None:
            return reader(data)
        event_type = self._types.get(name)
        if event_type is None:
            raise UnknownEvent(name)
        current = schema_version_of(event_type)
        if not 1 <= version < current:
            raise UnknownEvent(f"{name} version {version}, this build knows {current}")
        tree = json.loads(data)
        for step in range(version, current):
            tree = self._upcasters[name, step](tree)
        return self._adapters[event_type].validate_json(json.dumps(tree))

    def _refuse_gaps(self) -> None:
        """Every old version can be read, and no upcaster waits for a version there never was."""
        wanted = {
            (name, version)
            for name, event_type in self._types.items()
            for version in range(1, schema_version_of(event_type))
        }
        if missing := sorted(wanted - self._upcasters.keys()):
            raise ValueError(f"no upcaster for {missing[0][0]} version {missing[0][1]}")
        if idle := sorted(self._upcasters.keys() - wanted):
            raise ValueError(f"an upcaster for {idle[0][0]} version {idle[0][1]}, never stored")

    @property
    def event_types(self) -> Iterable[type]:
        return self._adapters.keys()


_ACTOR: TypeAdapter[Actor] = TypeAdapter(Actor)
_REMEMBERED_ACTORS = 4096
"""The same few hundred people act all day; reading or writing one anew costs 5 us an event."""


def encode_origin(origin: Origin) -> str:
    causation = "null" if origin.causation_id is None else f'"{origin.causation_id}"'
    return (
        f'{{"actor":{_encode_actor(origin.actor)},"correlation_id":"{origin.correlation_id}",'
        f'"causation_id":{causation}}}'
    )


def decode_origin(data: str) -> Origin:
    tree = orjson.loads(data)
    causation = tree["causation_id"]
    return Origin(
        _decode_actor(orjson.dumps(tree["actor"])),
        read_id(tree["correlation_id"]),
        None if causation is None else read_id(causation),
    )


@lru_cache(_REMEMBERED_ACTORS)
def _encode_actor(actor: Actor) -> str:
    return _ACTOR.dump_json(actor).decode()


@lru_cache(_REMEMBERED_ACTORS)
def _decode_actor(octets: bytes) -> Actor:
    return _ACTOR.validate_json(octets)
