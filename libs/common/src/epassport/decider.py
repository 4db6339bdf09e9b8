"""The decider: commands and a state in, events or a refusal out; nothing else decides.

A stream kind is an `Aggregate`: `initial`, `decide(command, state, *states_read)` and
`evolve(state, event)`, pure functions of one module. Beside events a decision may hold
claims and capacities, which the group applies in the same transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NewType
from uuid import UUID

StreamId = NewType("StreamId", str)


@dataclass(frozen=True)
class Refused:
    """An answer, not a fault. `reason` is one of the aggregate's closed list."""

    reason: str


@dataclass(frozen=True)
class Claim:
    """`(kind, digest)` belongs to this stream from now on, or the command gets `refusal`.

    subject: the person whose data the keyed digest was made from; erased with them.
    """

    kind: str
    digest: bytes
    refusal: str
    subject: UUID | None = None


@dataclass(frozen=True)
class Release:
    kind: str
    digest: bytes


@dataclass(frozen=True)
class Take:
    """`n` of the capacity `kind`, or the command gets `refusal`."""

    kind: str
    n: int
    refusal: str


@dataclass(frozen=True)
class Give:
    kind: str
    n: int


@dataclass(frozen=True)
class StartWait:
    """Something must happen before `due_at`, else `decide` hears `DeadlinePassed(kind)`."""

    kind: str
    due_at: datetime


@dataclass(frozen=True)
class EndWait:
    kind: str


@dataclass(frozen=True)
class DeadlinePassed:
    """Sent by the timer under the stream's lock, only while the wait is still open.

    Where events follow and none ends the wait, it is overdue until one does, for all to see.
    """

    kind: str
    started_by_version: int
    at: datetime


Decision = Sequence[Any] | Refused


def no_waits(_event: Any) -> Sequence[StartWait | EndWait]:
    return ()


@dataclass(frozen=True)
class Aggregate:
    """One stream kind.

    events: every event class of the kind; names are unique within a service
    waits: the waits an event starts and ends
    upcasters: (type name, from version) -> pure step to the next version's JSON
    reads: a kind that others read reads none itself, so that lock order has no cycle
    """

    kind: str
    initial: Any
    decide: Callable[..., Decision]
    evolve: Callable[[Any, Any], Any]
    events: tuple[type, ...]
    waits: Callable[[Any], Sequence[StartWait | EndWait]] = no_waits
    upcasters: Mapping[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = field(
        default_factory=dict
    )

    def stream(self, key: UUID | str) -> StreamId:
        return StreamId(f"{self.kind}/{key}")

    def state_after(self, events: Sequence[Any]) -> Any:
        state = self.initial
        for event in events:
            state = self.evolve(state, event)
        return state


def kind_of(stream: StreamId) -> str:
    return stream.split("/", 1)[0]


def key_of(stream: StreamId) -> str:
    return stream.split("/", 1)[1]
