"""Filling one set of a read model's tables up to a given place, as fast as the database takes it.

From the own store only the types that the model projects are read; the next page is read while
this one is written. Foreign events come from their topics, which are kept for ever, through the
same fence, sequence check and parking as the live consumer's. Each page is a transaction with the
place that it reached: whoever is killed goes on there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from epassport import parking, store
from epassport.applying import Applier
from epassport.commands import Token
from epassport.database import Connection, Database
from epassport.errors import EndsProcess, TransactionTooLong
from epassport.events import EventCodec, Recorded
from epassport.kafka import KafkaClients
from epassport.parking import NotDiscardable
from epassport.projector import ForeignProjection, advance, checkpoint
from epassport.readmodel import ReadModel, fill
from epassport.records import RawRecord
from epassport_contracts import ContractEvent, ServiceName
from epassport_contracts.registry import BY_NAME, Topic

PAGE = 2_000
"""A page is one transaction, and while it is open nobody in the cluster reads past it."""

FOREIGN_PAGE = 1_000
STANDSTILL_SECONDS = 60.0

Partition = tuple[str, int]
"""Topic and number."""


@dataclass(frozen=True)
class Place:
    """How far a set is filled. foreign: the next offset of each partition."""

    own: Token
    foreign: Mapping[Partition, int]


async def place_of(connection: Connection, reader: str, *, locked: bool = False) -> Place:
    """locked: until the caller's transaction ends nobody moves it."""
    lock = "FOR UPDATE" if locked else ""
    if locked:
        await connection.execute("SELECT 1 FROM checkpoints WHERE reader = $1 FOR UPDATE", reader)
    own = await checkpoint(connection, reader)
    rows = await connection.fetch(
        "SELECT topic, partition, next_offset FROM consumer_offsets WHERE consumer = $1"  # noqa: S608
        f" ORDER BY topic, partition {lock}",
        reader,
    )
    return Place(own, {(row["topic"], row["partition"]): row["next_offset"] for row in rows})


class Refill:
    """Fills `model`; `told` hears how many events each page held."""

    def __init__(
        self,
        model: ReadModel,
        database: Database,
        codec: EventCodec,
        foreign: "ForeignTopics",
        told: Callable[[int], None],
    ) -> None:
        self._model = model
        self._database = database
        self._codec = codec
        self._foreign = foreign
        self._told = told
        self._at_most = self._page = PAGE
        own = (t for t in model.projections if not issubclass(t, ContractEvent))
        self.types = sorted(t.__name__ for t in own)

    async def to(self, place: Place) -> None:
        """Exactly so far. Raises EndsProcess where a topic does not hold what was read there."""
        async with self._database.connection() as connection:
            seen = await place_of(connection, self._model.reader)
        if seen.own != place.own:
            await self._own(seen.own, place.own)
        if any(seen.foreign.get(one, 0) != offset for one, offset in place.foreign.items()):
            await self._foreign.to(place.foreign, self._told)

    async def left(self, connection: Connection, place: Place) -> int:
        """Events and records until there."""
        seen = await place_of(connection, self._model.reader)
        own = await store.count_of_types(connection, self.types, seen.own, place.own)
        return own + sum(offset - seen.foreign.get(one, 0) for one, offset in place.foreign.items())

    async def _own(self, seen: Token, until: Token) -> None:
        reading = asyncio.create_task(self._read(seen, until))
        try:
            while seen != until:
                events, is_last = await reading
                last = until if is_last else _place_after(events)
                if last != until:
                    reading = asyncio.create_task(self._read(last, until))
                await self._write(seen, last, events)
                seen = last
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, after: Token, until: Token) -> tuple[list[Recorded[Any]], bool]:
        """A page, and whether it is the last; a smaller one where reading it takes too long."""
        while True:
            limit = self._page
            try:
                async with self._database.connection() as connection:
                    events = await store.read_of_types(
                        connection, self._codec, self.types, after, until, limit
                    )
            except asyncpg.QueryCanceledError:
                if limit < 2:
                    raise
                self._page = limit // 2
                continue
            self._page = min(PAGE, limit * 2)
            return events, len(events) < limit

    async def _write(self, seen: Token, last: Token, events: Sequence[Recorded[Any]]) -> None:
        """In smaller parts where it takes too long for one transaction."""
        written = 0
        while True:
            part = events[written : written + self._at_most]
            is_last = written + len(part) == len(events)
            place = last if is_last else _place_after(part)
            try:
                await self._write_at_once(seen, place, part)
            except TransactionTooLong:
                if len(part) < 2:
                    raise
                self._at_most = len(part) // 2
                continue
            self._told(len(part))
            if is_last:
                return
            written, seen = written + len(part), place
            self._at_most = min(PAGE, self._at_most + self._at_most // 4 + 1)

    async def _write_at_once(self, seen: Token, last: Token, part: Sequence[Recorded[Any]]) -> None:
        async with self._database.transaction() as connection:
            if not await advance(connection, self._model.reader, seen, last, derived=True):
                raise EndsProcess(f"somebody else fills {self._model.reader}")
            await fill(self._model, connection, part)


def _place_after(events: Sequence[Recorded[Any]]) -> Token:
    return Token(events[-1].transaction_id, events[-1].position)


class ForeignTopics:
    """The topics that a model hears, read by no group from where its tables stand."""

    def __init__(
        self, database: Database, appliers: Mapping[str, Applier], consumer: AIOKafkaConsumer | None
    ) -> None:
        """appliers: by topic; consumer: None where there is none."""
        self.appliers = appliers
        self._database = database
        self._consumer = consumer

    async def ends(self) -> dict[Partition, int]:
        """The offset after the last record of each partition."""
        if self._consumer is None:
            return {}
        partitions = [
            TopicPartition(topic, number)
            for topic, applier in self.appliers.items()
            for number in range(applier.topic.partitions)
        ]
        ends = await self._consumer.end_offsets(partitions)
        return {(one.topic, one.partition): end for one, end in ends.items()}

    async def to(self, until: Mapping[Partition, int], told: Callable[[int], None]) -> None:
        if self._consumer is None:
            raise AssertionError("no topic is heard")
        places = {one: await self._stored(one) for one, end in until.items() if end > 0}
        behind = {one for one, place in places.items() if place < until[one]}
        if not behind:
            return
        self._consumer.assign([TopicPartition(*one) for one in behind])
        for one in behind:
            self._consumer.seek(TopicPartition(*one), places[one])
        while behind:
            records = await self._next_records()
            for partition, part in records.items():
                one = (partition.topic, partition.partition)
                raws = [RawRecord.of(record) for record in part if record.offset < until[one]]
                if raws:
                    places[one] = await self._apply(one, places[one], raws)
                    told(len(raws))
                if places[one] == until[one] or len(raws) < len(part):
                    behind.discard(one)
                    self._consumer.pause(partition)

    async def _apply(self, one: Partition, expected: int, raws: Sequence[RawRecord]) -> int:
        topic, number = one
        return await self.appliers[topic].apply(number, expected, raws)

    async def _stored(self, one: Partition) -> int:
        topic, number = one
        return await self.appliers[topic].next_offset(number)

    async def _next_records(self) -> dict[TopicPartition, list[Any]]:
        if self._consumer is None:
            raise AssertionError("no topic is heard")
        try:
            async with asyncio.timeout(STANDSTILL_SECONDS):
                records: dict[TopicPartition, list[Any]] = {}
                while not records:
                    records = await self._consumer.getmany(
                        timeout_ms=1_000, max_records=FOREIGN_PAGE
                    )
                return records
        except TimeoutError:
            raise EndsProcess("a topic holds less than was read from it before") from None

    async def settle(self, live: str) -> None:
        """What operators discarded for the reader `live` is discarded here as well; what waited
        behind it, or was left undrained by a crash, goes on."""
        for topic, applier in self.appliers.items():
            async with self._database.connection() as connection:
                gone = await parking.discarded_before(connection, applier.consumer, live, topic)
            for record in gone:
                with suppress(NotDiscardable):  # one before it could be applied then, and not now
                    async with self._database.transaction() as connection:
                        await applier.parked.discard(
                            connection, record.partition, record.offset, record.actor, record.reason
                        )
            async with self._database.connection() as connection:
                waiting = await parking.waiting_streams(connection, applier.consumer)
            for stream in waiting:
                if stream.topic == topic:
                    await applier.parked.drain(stream.partition, stream.key)


@asynccontextmanager
async def foreign_topics(
    model: ReadModel,
    database: Database,
    service: ServiceName,
    clients: KafkaClients | None,
    topics: Mapping[str, Topic] = BY_NAME,
) -> AsyncIterator[ForeignTopics]:
    """clients: needed only where the model hears other services at all."""
    handler = ForeignProjection(model, topics.values())
    async with AsyncExitStack() as closing:
        consumer = None
        if handler.topics:
            if clients is None:
                raise AssertionError("a model that hears other services needs Kafka")
            consumer = clients.reader()
            await consumer.start()
            closing.push_async_callback(consumer.stop)
        appliers = {
            name: Applier(database, service, handler, topics[name], again=True)
            for name in handler.topics
        }
        yield ForeignTopics(database, appliers, consumer)
