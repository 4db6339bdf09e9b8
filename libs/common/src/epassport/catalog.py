"""What one service consists of, as the runtime needs it: collected once at start."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any, TypeVar

from epassport.database import Connection
from epassport.decider import Aggregate, StreamId, kind_of
from epassport.events import EventCodec, Recorded
from epassport_contracts import ContractEvent, ServiceName
from epassport_contracts.registry import Topic, home_topic

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Publication:
    """A contract event on a topic that is not its stream kind's own."""

    event: ContractEvent
    topic: str
    key: str


def publishes(event_type: type) -> Callable[[Function], Function]:
    """Marks a pure function Recorded -> ContractEvent | list[ContractEvent | Publication]."""

    def mark(function: Function) -> Function:
        function.__publishes__ = event_type  # type: ignore[attr-defined]
        return function

    return mark


@dataclass(frozen=True)
class TaskStart:
    """A task to be written with the event that starts it. input: ids only, no plaintext."""

    kind: str
    input: dict[str, Any]
    step: str | None = None
    region: str | None = None


Starter = Callable[[Recorded[Any], Any], TaskStart | None]
Effect = Callable[[Connection, Any, datetime], Awaitable[None]]


@dataclass
class Catalog:
    """Aggregates, publications and task starters of one service.

    effects run inside the appending transaction and belong to the runtime alone
    (destroying keys must be atomic with the event that says so).
    """

    service: ServiceName
    aggregates: Sequence[Aggregate]
    publication_modules: Sequence[ModuleType] = ()
    starters: dict[type, list[Starter]] = field(default_factory=dict)
    effects: dict[type, Effect] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.codec = EventCodec(self.aggregates)
        self._by_kind = {aggregate.kind: aggregate for aggregate in self.aggregates}
        self._publishers = dict(_publishers(self.publication_modules))
        self._home: dict[type[ContractEvent], Topic] = {}

    def add_publisher(
        self, event_type: type, publisher: Callable[[Recorded[Any]], ContractEvent]
    ) -> None:
        """For events of the runtime itself, whose publication names the service."""
        self._publishers[event_type] = publisher

    def aggregate_of(self, stream: StreamId) -> Aggregate:
        return self._by_kind[kind_of(stream)]

    def publications(self, event: Recorded[Any]) -> list[Publication]:
        """Contract events of one domain event, each with its topic and key."""
        publisher = self._publishers.get(type(event.fact))
        if publisher is None:
            return []
        made = publisher(event)
        return [
            item if isinstance(item, Publication) else self._at_home(item, event.stream)
            for item in (made if isinstance(made, list) else [made])
        ]

    def _at_home(self, event: ContractEvent, stream: StreamId) -> Publication:
        model = type(event)
        if model not in self._home:
            self._home[model] = home_topic(model, self.service)
        return Publication(event, self._home[model].name, stream)

    def tasks(self, event: Recorded[Any], state: Any) -> list[TaskStart]:
        starters = self.starters.get(type(event.fact), ())
        return [start for starter in starters if (start := starter(event, state)) is not None]


def _publishers(
    modules: Iterable[ModuleType],
) -> Iterable[tuple[type, Callable[[Recorded[Any]], Any]]]:
    seen: set[type] = set()
    for module in modules:
        for function in vars(module).values():
            event_type = getattr(function, "__publishes__", None)
            if event_type is not None:
                if event_type in seen:
                    raise ValueError(f"{event_type.__name__} is published twice")
                seen.add(event_type)
                yield event_type, function
