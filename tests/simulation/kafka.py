"""A broker in memory that keeps what the runtime relies on in Kafka.

A partition is a log that only grows. A send may be lost, or stand in the log while its sender
hears that it failed; so records come twice. A transactional producer with a newer epoch fences
the older one, and `read_committed` shows no record of a transaction that is open or was given up.
Members of a group share partitions; one that is not heard of loses its own to others and learns
of it only when it asks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.simulation.scheduler import Disconnected, Process

SESSION_TICKS = 120
"""A member that was silent for so long is out of its group."""
TRANSACTION_TICKS = 90
"""A transaction that is open for so long is given up, and its producer fenced."""


class Fenced(Exception):
    """A newer producer of this transactional id is there."""


@dataclass
class Stored:
    """visible: False while its transaction is open; given_up: it never will be."""

    key: str
    sequence: int | None
    value: int
    visible: bool = True
    given_up: bool = False


@dataclass
class Broker:
    """lose, mishear: the chance that a record is not stored, or stored and not confirmed."""

    random: Random
    now: Callable[[], int]
    lose: float = 0.0
    mishear: float = 0.0
    topics: dict[str, list[list[Stored]]] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    groups: dict[str, "Group"] = field(default_factory=dict)
    producers: list["Producer"] = field(default_factory=list)

    def log_of(self, topic: str, key: str) -> list[Stored]:
        partitions = self.topics[topic]
        return partitions[sum(key.encode()) % len(partitions)]

    def fetch(
        self, topic: str, partition: int, offset: int, limit: int
    ) -> list[tuple[int, Stored]]:
        """read_committed: up to the first record whose transaction is still open."""
        found: list[tuple[int, Stored]] = []
        for number, stored in enumerate(self.topics[topic][partition]):
            if not stored.visible and not stored.given_up:
                break
            if number >= offset and not stored.given_up:
                found.append((number, stored))
        return found[:limit]

    def is_settled(self, topic: str) -> bool:
        """No record waits for its transaction."""
        logs = self.topics[topic]
        return all(stored.visible or stored.given_up for log in logs for stored in log)

    def expire(self) -> None:
        """What the broker does by itself with who is not heard of."""
        for group in self.groups.values():
            group.expel_silent()
        for producer in list(self.producers):
            if producer.is_overdue:
                producer.end()

    def restart(self) -> None:
        """Logs stay; connections and open transactions are gone, groups form anew."""
        for producer in list(self.producers):
            producer.end()
        for group in self.groups.values():
            group.members.clear()
            group.rebalance()

    def group(self, name: str, topic: str) -> "Group":
        return self.groups.setdefault(name, Group(self, len(self.topics[topic])))


class Producer:
    """transactional_id: where set, records become visible together or never."""

    def __init__(self, broker: Broker, owner: Process, transactional_id: str | None) -> None:
        self._broker = broker
        self._id = transactional_id
        self._pending: list[Stored] = []
        self._began_at = 0
        self._alive = True
        broker.producers.append(self)
        owner.connections.append(self)
        if transactional_id is not None:
            self._epoch = broker.epochs.get(transactional_id, 0) + 1
            broker.epochs[transactional_id] = self._epoch
            for other in broker.producers:  # a fenced one's open transaction is given up
                if other is not self and other._id == transactional_id:
                    other._give_up()

    def append(self, topic: str, key: str, sequence: int | None, value: int) -> bool:
        """True where the broker confirmed it. Raises Disconnected, Fenced."""
        self._check()
        broker = self._broker
        if broker.random.random() < broker.lose:
            return False
        stored = Stored(key, sequence, value, visible=self._id is None)
        broker.log_of(topic, key).append(stored)
        if self._id is not None:
            self._began_at = self._began_at if self._pending else broker.now()
            self._pending.append(stored)
        return broker.random.random() >= broker.mishear

    @property
    def is_overdue(self) -> bool:
        return bool(self._pending) and self._broker.now() - self._began_at > TRANSACTION_TICKS

    def commit(self) -> bool:
        self._check()
        for stored in self._pending:
            stored.visible = True
        self._pending = []
        return self._broker.random.random() >= self._broker.mishear

    def abort(self) -> None:
        self._check()
        self._give_up()

    def _give_up(self) -> None:
        for stored in self._pending:
            stored.given_up = True
        self._pending = []

    def _check(self) -> None:
        if not self._alive:
            raise Disconnected("kafka")
        if self._id is not None and self._broker.epochs[self._id] != self._epoch:
            raise Fenced(self._id)

    def end(self) -> None:
        """An open transaction is given up when its producer is gone, by the broker's time-out."""
        self._give_up()
        self._alive = False
        if self in self._broker.producers:
            self._broker.producers.remove(self)


@dataclass
class Group:
    broker: Broker
    partitions: int
    members: dict[str, int] = field(default_factory=dict)
    generation: int = 0
    owners: dict[int, str] = field(default_factory=dict)

    def join(self, member: str) -> None:
        self.members[member] = self.broker.now()
        self.rebalance()

    def rebalance(self) -> None:
        """Who gets what is drawn: any assignment must do."""
        self.generation += 1
        names = sorted(self.members)
        self.broker.random.shuffle(names)
        self.owners = {
            partition: names[partition % len(names)]
            for partition in range(self.partitions)
            if names
        }

    def heartbeat(self, member: str) -> bool:
        """False where the member is out of the group."""
        if member not in self.members:
            return False
        self.members[member] = self.broker.now()
        return True

    def expel_silent(self) -> None:
        silent = [
            name for name, at in self.members.items() if self.broker.now() - at > SESSION_TICKS
        ]
        for name in silent:
            del self.members[name]
        if silent:
            self.rebalance()

    def leave(self, member: str) -> None:
        if self.members.pop(member, None) is not None:
            self.rebalance()

    def owned(self, member: str) -> list[int]:
        return [partition for partition, owner in self.owners.items() if owner == member]
