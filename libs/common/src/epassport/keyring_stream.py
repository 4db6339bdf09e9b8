"""Keyring: that a service destroyed its keys of one person. One stream per holder.

Every service has this stream. The keys themselves go in the transaction that appends the
event (`SubjectKeyring.destroy` is its effect), so that the report is never ahead of the deed.
Destruction is final.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from epassport.decider import Aggregate, StreamId
from epassport_contracts import ServiceName
from epassport_contracts.events import keys
from epassport_contracts.events.enrollment import ErasureOrdered


@dataclass(frozen=True)
class DestroyKeys:
    holder_id: UUID
    at: datetime


@dataclass(frozen=True)
class KeysDestroyed:
    at: datetime
    holder_id: UUID


class Status(StrEnum):
    USABLE = "usable"
    DESTROYED = "destroyed"


initial = Status.USABLE


def decide(command: DestroyKeys, status: Status) -> list[KeysDestroyed]:
    match status:
        case Status.USABLE:
            return [KeysDestroyed(command.at, command.holder_id)]
        case Status.DESTROYED:
            return []


def evolve(_status: Status, _event: KeysDestroyed) -> Status:
    return Status.DESTROYED


KEYRING = Aggregate("keyring", initial, decide, evolve, events=(KeysDestroyed,))


def stream(holder_id: UUID) -> StreamId:
    return KEYRING.stream(holder_id)


def destroy_on_order(event: ErasureOrdered) -> tuple[StreamId, DestroyKeys]:
    """Erasure is ordered once, by enrollment; each service destroys what it holds itself."""
    return stream(event.holder_id), DestroyKeys(event.holder_id, event.at)


def report(event: KeysDestroyed, service: ServiceName) -> keys.KeysDestroyed:
    """Enrollment waits for one such report from every service."""
    return keys.KeysDestroyed(at=event.at, service=service, holder_id=event.holder_id)
