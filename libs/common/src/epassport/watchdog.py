"""A watchdog over one process's consumers: what gets nowhere ends the process, with one line.

aiokafka can lose its group or its fetches without any error (its issue 1154), and a consumer that
polls may still apply nothing. Neither shows in an exception, so both are looked for from outside:
the stored offsets are asked of PostgreSQL, ends of topics and members of groups of Kafka, over
clients of the watchdog's own. While one of the two cannot be asked, nobody is blamed: an outage is
no reason to start anew.

A subscription is suspect after 20 seconds, which readiness tells, and given up after 60.
"""

import asyncio
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from epassport.database import Database
from epassport.errors import EndsProcess
from epassport.faults import is_transient
from epassport.kafka import KafkaClients

LOOK_SECONDS = 5.0
SUSPECT_SECONDS = 20.0
GIVE_UP_SECONDS = 60.0
ASK_SECONDS = 10.0

_SETTLED = frozenset({"Stable", "Empty", "Dead"})
"""States of a group in which a member that it does not list has been put out."""

log = structlog.get_logger(__name__)


class ConsumerStuck(EndsProcess):
    """A consumer that gets nowhere, or has lost its group without noticing."""


@dataclass(frozen=True)
class Standing:
    """One assigned partition as its subscription sees it.

    position: of the next fetch, None while it has none. delivered: end of what was handed to us.
    excused: stands still on purpose
    """

    position: int | None
    delivered: int
    excused: bool


class Watched(Protocol):
    """A subscription, as far as the watchdog asks it."""

    @property
    def consumer_name(self) -> str: ...

    @property
    def topic(self) -> str: ...

    @property
    def group(self) -> str: ...

    @property
    def member_id(self) -> str | None: ...

    async def standings(self) -> Mapping[int, Standing]: ...


class Patience:
    """Since when each subject has been in trouble without a change."""

    def __init__(self) -> None:
        self._since: dict[Hashable, tuple[object, float]] = {}

    def note(self, subject: Hashable, progress: object, *, in_trouble: bool, now: float) -> None:
        """progress: whatever changes when it gets on; trouble counts from the last change."""
        known = self._since.get(subject)
        if not in_trouble:
            self._since.pop(subject, None)
        elif known is None or known[0] != progress:
            self._since[subject] = (progress, now)

    def keep(self, subjects: Collection[Hashable]) -> None:
        """What is not watched any more is forgotten."""
        self._since = {key: value for key, value in self._since.items() if key in subjects}

    def forget(self) -> None:
        self._since.clear()

    def longer_than(self, seconds: float, now: float) -> list[Hashable]:
        return [subject for subject, (_, since) in self._since.items() if now - since >= seconds]


def is_waiting(standing: Standing, reached: int, end: int) -> bool:
    """Records are there that should have been applied; or the topic ends before what was, and is
    another one than was read (a look at its place, as at a start, finds that out).

    The end alone does not say it: a transaction's marker has an offset, too, and is skipped.
    """
    if standing.excused or end == reached:
        return False
    if end < reached or standing.position is None:
        return True
    return standing.position < end or standing.delivered > reached


class Watchdog:
    def __init__(
        self,
        watched: Collection[Watched],
        clients: KafkaClients,
        database: Database,
        *,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> None:
        self._watched = watched
        self._clients = clients
        self._database = database
        self._give_up_seconds = give_up_seconds
        self._suspect_seconds = give_up_seconds * SUSPECT_SECONDS / GIVE_UP_SECONDS
        self._look_seconds = give_up_seconds * LOOK_SECONDS / GIVE_UP_SECONDS
        self._patience = Patience()

    def suspects(self) -> list[str]:
        """Who has been in trouble for a while."""
        found = self._patience.longer_than(self._suspect_seconds, monotonic())
        return sorted(str(subject) for subject in found)

    async def run(self) -> None:
        """Until cancelled. Raises ConsumerStuck, with one line that says who and since when."""
        async with _KafkaFacts(self._clients) as facts:
            looked_at = monotonic()
            while True:
                await asyncio.sleep(self._look_seconds)
                if monotonic() - looked_at > self._give_up_seconds / 2:
                    self._patience.forget()  # this process itself was stopped, or starved
                await self._try_to_look(facts)
                looked_at = monotonic()
                if lost := self._patience.longer_than(self._give_up_seconds, looked_at):
                    raise ConsumerStuck(f"{lost[0]} for {self._give_up_seconds:.0f} seconds")

    async def _try_to_look(self, facts: "_KafkaFacts") -> None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._look(facts)
        except Exception as fault:
            if not is_transient(fault):
                raise
            self._patience.forget()
            log.warning("watchdog-sees-nothing", fault=type(fault).__name__)
            await facts.close()

    async def _look(self, facts: "_KafkaFacts") -> None:
        await facts.open()
        subjects: set[Hashable] = set()
        members = await facts.members([one.group for one in self._watched])
        for one in self._watched:
            subject = f"{one.consumer_name} on {one.topic} is out of its group"
            listed = members[one.group]
            out = listed is not None and one.member_id not in listed
            self._patience.note(subject, None, in_trouble=out, now=monotonic())
            subjects.add(subject)
            for partition, waits, reached in await self._partitions(one, facts):
                subject = f"{one.consumer_name} on {one.topic}/{partition} gets nowhere"
                self._patience.note(subject, reached, in_trouble=waits, now=monotonic())
                subjects.add(subject)
        self._patience.keep(subjects)

    async def _partitions(self, one: Watched, facts: "_KafkaFacts") -> list[tuple[int, bool, int]]:
        """Of each assigned partition: number, whether records wait, the stored offset.

        Asked in this order, so that what happens meanwhile looks like progress, not like waiting.
        """
        assigned = await one.standings()
        ends = await facts.ends([TopicPartition(one.topic, number) for number in assigned])
        reached = await self._reached(one)
        return [
            (number, is_waiting(seen, reached.get(number, 0), ends[number]), reached.get(number, 0))
            for number, seen in assigned.items()
        ]

    async def _reached(self, one: Watched) -> dict[int, int]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT partition, next_offset FROM consumer_offsets"
                " WHERE consumer = $1 AND topic = $2",
                one.consumer_name,
                one.topic,
            )
        return {row["partition"]: row["next_offset"] for row in rows}


class _KafkaFacts:
    """Ends and members, asked over connections that no consumer of ours shares."""

    def __init__(self, clients: KafkaClients) -> None:
        self._clients = clients
        self._admin: AIOKafkaAdminClient | None = None
        self._reader: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> "_KafkaFacts":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """What is asked next goes over new connections: aiokafka's admin client never opens one
        again that it has lost, so that after a broker's restart it would answer nothing for ever.
        """
        admin, self._admin = self._admin, None
        reader, self._reader = self._reader, None
        if admin is not None:
            await admin.close()
        if reader is not None:
            await reader.stop()

    async def open(self) -> None:
        """Raises KafkaError."""
        if self._admin is None:
            self._admin = await _started(self._clients.admin())
        if self._reader is None:
            self._reader = await _started(self._clients.reader())

    async def ends(self, partitions: Sequence[TopicPartition]) -> dict[int, int]:
        if self._reader is None or not partitions:
            return {}
        ends = await self._reader.end_offsets(partitions)
        return {partition.partition: end for partition, end in ends.items()}

    async def members(self, groups: Collection[str]) -> dict[str, Collection[str] | None]:
        """Of each group; None while it is being formed anew.

        One at a time: aiokafka (0.14) reads the answer's version 3 as version 2, so that it
        finds its way through one group and not through a second.
        """
        found: dict[str, Collection[str] | None] = dict.fromkeys(groups)
        if self._admin is None:
            return found
        for group in found:
            (answer,) = await self._admin.describe_consumer_groups([group])
            ((error, _, state, _, _, members, *_),) = answer.groups
            if error == 0 and state in _SETTLED:
                found[group] = {member[0] for member in members}
        return found


Client = TypeVar("Client", AIOKafkaAdminClient, AIOKafkaConsumer)


async def _started(client: Client) -> Client:
    """What could not start is closed again: it holds sockets."""
    try:
        await client.start()
    except BaseException:
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())
        raise
    return client
