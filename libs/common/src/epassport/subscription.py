"""One FastStream batch subscriber: one consumer's records of one topic, from Kafka.

FastStream swallows what a handler raises and moves on, so nothing is raised to it: every fault
is met here. A partition has a place only between two slices that were applied by us: after
any fault and any rebalance it is paused, its stored offset read again and sought, and records
that come without a place are dropped, for they will come again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import time
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage

from epassport import metrics
from epassport.applying import Applier, FenceLost, StoredPlace
from epassport.backoff import Backoff
from epassport.breaker import CircuitOpen
from epassport.errors import Transient
from epassport.faults import is_transient
from epassport.held_back import HOLD_SECONDS, HeldBack
from epassport.kafka import KafkaSettings
from epassport.records import KafkaRecord, RawRecord
from epassport.watchdog import Standing

SLICE_LIMIT = 500
SLEEP_MS = 1  # FastStream's after an empty poll; how long a poll takes says `kafka.py`
FETCH_WAIT_MS = 1_000  # what a fetch waits for records; the first one ends it
COMMIT_SECONDS = 5.0
COMMIT_EVERY_SECONDS = 5.0
REVOKE_SECONDS = 10.0
CIRCUIT_SECONDS = 60.0
POSITION_SECONDS = 0.5

log = structlog.get_logger(__name__)


class TopicMadeAnew(Transient):
    """The stored offset is one of another topic of this name."""


@dataclass(frozen=True)
class SubscriptionState:
    """postponed: partitions that wait for a fault to pass, or for their stored offset.

    last_poll_age: None where nothing is assigned, or nothing was fetched yet
    """

    consumer: str
    topic: str
    running: bool
    partitions: frozenset[int]
    postponed: frozenset[int]
    circuit_open: bool
    made_anew: bool
    last_poll_age: timedelta | None


class Subscription(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(
        self, broker: KafkaBroker, group: str, applier: Applier, settings: KafkaSettings
    ) -> None:
        self.applier = applier
        self.group = group
        self.consumer_name = applier.consumer
        self.topic = applier.topic.name
        self._places: dict[TopicPartition, int] = {}
        self._placing: dict[TopicPartition, asyncio.Task[None]] = {}
        self._backoffs: dict[TopicPartition, Backoff] = {}
        self._delivered: dict[TopicPartition, int] = {}
        self._generation = 0
        self._stopping = False
        self._joined = False
        self._open_circuits: set[TopicPartition] = set()
        self._made_anew: set[TopicPartition] = set()
        self._held = HeldBack(applier.can_wait)
        self._noting: asyncio.Task[None] | None = None
        self._working = asyncio.Lock()
        self._uncommitted: dict[TopicPartition, int] = {}
        self._committing: asyncio.Task[None] | None = None
        self._subscriber = broker.subscriber(
            self.topic,
            batch=True,
            group_id=group,
            group_instance_id=settings.group_instance_id,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            fetch_max_wait_ms=FETCH_WAIT_MS,
            session_timeout_ms=int(settings.session_timeout.total_seconds() * 1000),
            heartbeat_interval_ms=int(settings.session_timeout.total_seconds() * 1000 / 6),
            batch_timeout_ms=SLEEP_MS,
            max_records=SLICE_LIMIT,
            listener=self,
            parser=_as_it_is,
            decoder=_records_of,
            no_reply=True,
        )
        self._subscriber(self._on_records)

    async def start(self) -> None:
        """Returns once the group has assigned partitions. Raises KafkaError."""
        self._stopping = False
        await self._subscriber.start()
        self._joined = True

    async def stop(self) -> None:
        """The slice in flight is finished, within FastStream's graceful timeout."""
        self._stopping = True
        self._joined = False
        self._forget_places()
        for task in (self._noting, self._committing):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        if self._uncommitted:
            await self._commit()
        await self._subscriber.stop()

    def state(self) -> SubscriptionState:
        consumer = self._subscriber.consumer
        assigned = set() if consumer is None else consumer.assignment()
        polled = [] if consumer is None else map(consumer.last_poll_timestamp, assigned)
        last = max((at for at in polled if at is not None), default=None)
        return SubscriptionState(
            consumer=self.applier.consumer,
            topic=self.topic,
            running=self._joined,
            partitions=frozenset(tp.partition for tp in assigned),
            postponed=frozenset(tp.partition for tp in self._placing),
            circuit_open=bool(self._open_circuits),
            made_anew=bool(self._made_anew),
            last_poll_age=None if last is None else timedelta(seconds=time() - last / 1000),
        )

    @property
    def member_id(self) -> str | None:
        """As the group knows it. aiokafka has no public name for it."""
        consumer = self._subscriber.consumer
        return None if consumer is None else consumer._coordinator.member_id

    async def standings(self) -> dict[int, Standing]:
        """Every assigned partition, as the watchdog asks for it."""
        consumer = self._subscriber.consumer
        if consumer is None:
            return {}
        return {
            partition.partition: Standing(
                position=await _position(consumer, partition),
                delivered=self._delivered.get(partition, 0),
                excused=partition in self._open_circuits | self._made_anew,
            )
            for partition in consumer.assignment()
        }

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """The slice in flight may end; the fence keeps it right even where it takes longer."""
        self._forget_places()
        try:
            async with asyncio.timeout(REVOKE_SECONDS), self._working:
                pass
        except TimeoutError:
            log.warning("slice-outlives-assignment", topic=self.topic, count=len(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._forget_places()
        for partition in assigned:
            self._postpone(partition, 0)

    async def _on_records(self, records: tuple[Any, ...]) -> None:
        """records: aiokafka's; FastStream makes a model of the annotation, so it says less."""
        generation = self._generation
        slices: dict[TopicPartition, list[KafkaRecord]] = {}
        for record in records:
            self._delivered[TopicPartition(record.topic, record.partition)] = record.offset + 1
            slices.setdefault(TopicPartition(record.topic, record.partition), []).append(record)
        done: dict[TopicPartition, int] = {}
        async with self._working:
            for partition, part in slices.items():
                if self._stopping or generation != self._generation:
                    break
                await self._work(partition, part, done)
        self._commit_later(done)
        if self._held.partitions() and self._noting is None:
            self._noting = asyncio.create_task(self._note_soon())

    async def _note_soon(self) -> None:
        """What was held back long enough without anything that matters."""
        await asyncio.sleep(HOLD_SECONDS)
        self._noting = None
        done: dict[TopicPartition, int] = {}
        async with self._working:
            for partition in self._held.partitions():
                await self._work(partition, (), done)
        self._commit_later(done)

    def _commit_later(self, done: dict[TopicPartition, int]) -> None:
        self._uncommitted |= done
        if done and self._committing is None:
            self._committing = asyncio.create_task(self._commit_soon())

    async def _work(
        self,
        partition: TopicPartition,
        records: Sequence[KafkaRecord],
        done: dict[TopicPartition, int],
    ) -> None:
        """One slice; without records, what was held back. Raises nothing that FastStream could
        swallow."""
        generation = self._generation
        place = self._places.pop(partition, None)
        if place is None:
            return
        if records and records[0].offset < place:  # from before a seek, or from a topic made anew
            self._postpone(partition, 0)
            return
        try:
            due = self._held.join(partition, records) if records else self._held.take(partition)
            if due:
                place = await self._apply(partition, place, due)
                done[partition] = place
        except Exception as fault:  # noqa: BLE001 - FastStream would go on as if all were well
            if generation == self._generation:
                self._put_back(partition, fault)
            return
        if generation == self._generation and partition not in self._placing:
            self._places[partition] = place

    async def _apply(
        self, partition: TopicPartition, place: int, records: Sequence[KafkaRecord]
    ) -> int:
        raws = [RawRecord.of(record) for record in records]
        with metrics.CONSUMER_SLICE_SECONDS.labels(self.applier.consumer, self.topic).time():
            next_offset = await self.applier.apply(partition.partition, place, raws)
        self._backoff(partition).reset()
        self._measure_lag(partition, next_offset, records[-1])
        self._set_circuit(partition, is_open=False)
        return next_offset

    def _put_back(self, partition: TopicPartition, fault: Exception) -> None:
        stands_still = isinstance(fault, CircuitOpen)
        self._set_circuit(partition, is_open=stands_still)
        if stands_still:
            log.error("consumer-stands-still", consumer=self.applier.consumer, topic=self.topic)
            self._postpone(partition, CIRCUIT_SECONDS)
            return
        lost, passing = isinstance(fault, FenceLost), is_transient(fault)
        name = type(fault).__name__
        seconds = 0.0 if lost else self._backoff(partition).seconds()
        say = log.info if lost else log.warning if passing else log.error
        say(
            "slice-put-back",
            consumer=self.applier.consumer,
            topic=self.topic,
            partition=partition.partition,
            fault=name,
            seconds=seconds,
            exc_info=None if lost or passing else fault,
        )
        metrics.CONSUMER_POSTPONED.labels(self.applier.consumer, self.topic, name).inc()
        self._postpone(partition, seconds)

    def _postpone(self, partition: TopicPartition, seconds: float) -> None:
        """Stand still, then go on from the stored offset."""
        consumer = self._consumer
        if self._stopping or partition not in consumer.assignment():
            return
        self._places.pop(partition, None)
        self._held.take(partition)  # it comes again
        consumer.pause(partition)
        if (task := self._placing.pop(partition, None)) is not None:
            task.cancel()
        self._placing[partition] = asyncio.create_task(self._find_place(partition, seconds))

    async def _find_place(self, partition: TopicPartition, seconds: float) -> None:
        generation = self._generation
        while True:
            await asyncio.sleep(seconds)
            try:
                stored = await self.applier.stored_place(partition.partition)
                await self._refuse_made_anew(partition, stored)
                break
            except Exception as fault:
                log.warning("no-place-yet", topic=self.topic, exc_info=fault)
                seconds = self._backoff(partition).seconds()
        if generation == self._generation and partition in self._consumer.assignment():
            del self._placing[partition]
            self._places[partition] = stored.next_offset
            self._consumer.seek(partition, stored.next_offset)
            self._consumer.resume(partition)

    async def _refuse_made_anew(self, partition: TopicPartition, stored: StoredPlace) -> None:
        """Going on would drop new records as already applied."""
        if not await self._is_made_anew(partition, stored):
            self._made_anew.discard(partition)
            return
        self._made_anew.add(partition)
        await self.applier.stand_still(partition.partition, stored.next_offset)
        raise TopicMadeAnew(
            f"{self.topic}/{partition.partition} is not the one of the stored place"
        )

    async def _is_made_anew(self, partition: TopicPartition, stored: StoredPlace) -> bool:
        """It ends before the stored place, or its first record came after all that was applied."""
        if stored.next_offset == 0:
            return False
        ends = await self._consumer.end_offsets([partition])
        if ends[partition] < stored.next_offset:
            return True
        first = (await self._consumer.offsets_for_times({partition: 0}))[partition]
        if first is None or stored.latest_ms is None:
            return False
        return bool(first.offset < stored.next_offset and first.timestamp > stored.latest_ms)

    def _forget_places(self) -> None:
        self._generation += 1
        self._places.clear()
        self._held.forget()
        self._delivered.clear()
        self._open_circuits.clear()
        self._made_anew.clear()
        for task in self._placing.values():
            task.cancel()
        self._placing.clear()

    async def _commit_soon(self) -> None:
        while self._uncommitted:
            await asyncio.sleep(COMMIT_EVERY_SECONDS)
            await self._commit()
        self._committing = None

    async def _commit(self) -> None:
        """For lag tools alone: Postgres has the offsets that count."""
        done, self._uncommitted = self._uncommitted, {}
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._consumer.commit(done)
        except (KafkaError, TimeoutError, Transient) as error:
            log.info("kafka-commit-missed", topic=self.topic, fault=type(error).__name__)

    def _measure_lag(self, partition: TopicPartition, next_offset: int, last: KafkaRecord) -> None:
        labels = (self.applier.consumer, self.topic, str(partition.partition))
        metrics.CONSUMER_LAG_SECONDS.labels(*labels).set(max(0.0, time() - last.timestamp / 1000))
        if partition in self._consumer.assignment():
            end = self._consumer.highwater(partition)
            if end is not None:
                metrics.CONSUMER_LAG_RECORDS.labels(*labels).set(max(0, end - next_offset))

    def _set_circuit(self, partition: TopicPartition, *, is_open: bool) -> None:
        if is_open:
            self._open_circuits.add(partition)
        else:
            self._open_circuits.discard(partition)
        gauge = metrics.CONSUMER_CIRCUIT_OPEN.labels(self.applier.consumer, self.topic)
        gauge.set(bool(self._open_circuits))

    def _backoff(self, partition: TopicPartition) -> Backoff:
        fresh = Backoff(timedelta(milliseconds=50), timedelta(seconds=10))
        return self._backoffs.setdefault(partition, fresh)

    @property
    def _consumer(self) -> AIOKafkaConsumer:
        consumer = self._subscriber.consumer
        if consumer is None:
            raise Transient("the subscriber is not running")
        return consumer


async def _position(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    try:
        async with asyncio.timeout(POSITION_SECONDS):
            position: int = await consumer.position(partition)
    except (TimeoutError, KafkaError):  # it has none yet, or was taken from us meanwhile
        return None
    return position


async def _as_it_is(records: tuple[Any, ...]) -> KafkaMessage:
    """FastStream's own parser loses a whole batch for one header that is null or no text."""
    return KafkaMessage(raw_message=records, body=b"", consumer=FAKE_CONSUMER)


async def _records_of(message: KafkaMessage) -> tuple[Any, ...]:
    records: tuple[Any, ...] = message.raw_message
    return records
