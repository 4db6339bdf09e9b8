"""All consumers of one service: which handler hears which topic, started, watched, stopped.

Each (handler, topic) has a Kafka group of its own, `<service>.<consumer>.<topic>`, so that a
handler that waits holds up no other. Every few seconds parked streams that can go on are
drained, and streams that have waited too long for a missing record are reported.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from aiokafka.errors import KafkaError

from epassport import metrics, parking
from epassport.applying import Applier
from epassport.backoff import Backoff
from epassport.database import Database
from epassport.faults import is_transient
from epassport.kafka import KafkaClients
from epassport.parking import HeldStream
from epassport.slices import SliceHandler
from epassport.subscription import Subscription, SubscriptionState
from epassport.watchdog import GIVE_UP_SECONDS, Watchdog
from epassport_contracts import ServiceName
from epassport_contracts.registry import BY_NAME, Topic

SWEEP_SECONDS = 5.0
STOP_SECONDS = 12.0
POLLED_WITHIN = timedelta(seconds=30)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ConsumerState:
    """parked: records, as counted by the last sweep."""

    subscriptions: tuple[SubscriptionState, ...]
    parked: int


class ConsumerRunner:
    def __init__(
        self,
        database: Database,
        service: ServiceName,
        handlers: Iterable[SliceHandler],
        clients: KafkaClients,
        *,
        topics: Mapping[str, Topic] = BY_NAME,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> None:
        """Raises LookupError where a handler names a topic that is not in `topics`."""
        self._database = database
        self._broker = clients.broker()
        self._parked: dict[tuple[str, str], int] = {}
        self._alarmed: set[tuple[str, HeldStream]] = set()
        self._subscriptions = [
            Subscription(
                self._broker,
                f"{service}.{handler.name}.{name}",
                Applier(database, service, handler, topics[name]),
                clients.settings,
            )
            for handler in handlers
            for name in handler.topics
        ]

        self._watchdog = Watchdog(
            self._subscriptions, clients, database, give_up_seconds=give_up_seconds
        )

    async def run(self) -> None:
        """Until cancelled; the slices in flight are finished first, within a bound.

        Raises ConsumerStuck where a subscription gets nowhere.
        """
        try:
            await self._start_in_time()
            async with asyncio.TaskGroup() as parent:
                parent.create_task(self._watchdog.run())
                while True:
                    await self.sweep()
                    await asyncio.sleep(SWEEP_SECONDS)
        finally:
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self.stop()
            except TimeoutError:  # what is stuck may hang here, too, and must not hold up the end
                log.warning("consumers-did-not-stop", seconds=STOP_SECONDS)

    def unready(self) -> list[str]:
        """What keeps this process from being ready; empty where all is well."""
        found = [f"{suspect} for a while" for suspect in self._watchdog.suspects()]
        for one in self.state().subscriptions:
            name = f"{one.consumer} on {one.topic}"
            if not one.running:
                found.append(f"{name} has not started")
            elif one.circuit_open:
                found.append(f"{name} stands still: too much is bad")
            elif one.made_anew:
                found.append(f"{name} stands still: the topic was made anew")
            elif one.partitions and not one.partitions & one.postponed:
                age = one.last_poll_age
                if age is None or age > POLLED_WITHIN:
                    found.append(f"{name} has not polled lately")
        return found

    async def start(self) -> None:
        """Join all groups. Raises KafkaError where Kafka or a topic cannot be reached."""
        await self._broker.connect()
        joining = [asyncio.create_task(one.start()) for one in self._subscriptions]
        try:
            for join in joining:
                await join
        finally:
            for join in joining:
                join.cancel()
            await asyncio.gather(*joining, return_exceptions=True)

    async def stop(self) -> None:
        await asyncio.gather(*(one.stop() for one in self._subscriptions))
        await self._broker.stop()

    async def _start_in_time(self) -> None:
        """Kafka may come up after us."""
        backoff = Backoff(timedelta(seconds=1), timedelta(seconds=10))
        while True:
            try:
                return await self.start()
            except KafkaError as fault:
                log.warning("consumers-cannot-start", fault=type(fault).__name__)
                await self.stop()
                await asyncio.sleep(backoff.seconds())

    def state(self) -> ConsumerState:
        return ConsumerState(
            tuple(one.state() for one in self._subscriptions), sum(self._parked.values())
        )

    async def sweep(self) -> None:
        """Drain what can go on, count what is parked, report what waits too long."""
        try:
            for consumer in {one.applier.consumer for one in self._subscriptions}:
                await self._sweep(consumer)
        except Exception as fault:
            if not is_transient(fault):
                raise
            log.warning("sweep-put-off", fault=type(fault).__name__)

    async def _sweep(self, consumer: str) -> None:
        async with self._database.connection() as connection:
            waiting = await parking.waiting_streams(connection, consumer)
        appliers = {applier.topic.name: applier for applier in self._appliers(consumer)}
        for stream in waiting:
            if stream.topic in appliers:
                await appliers[stream.topic].parked.drain(stream.partition, stream.key)
        for applier in appliers.values():
            await applier.parked.drain_known()
        async with self._database.connection() as connection:
            waiting = await parking.waiting_streams(connection, consumer)
            counts = await parking.parked_counts(connection, consumer)
        for topic in appliers:
            self._parked[consumer, topic] = counts.get(topic, 0)
            metrics.PARKED_RECORDS.labels(consumer, topic).set(counts.get(topic, 0))
            self._report_gaps(consumer, topic, [s for s in waiting if s.topic == topic])

    def _report_gaps(self, consumer: str, topic: str, waiting: Iterable[HeldStream]) -> None:
        late = {(consumer, stream) for stream in waiting if stream.is_late}
        metrics.STREAMS_HELD_BY_GAP.labels(consumer, topic).set(len(late))
        for _, stream in late - self._alarmed:
            log.warning(
                "stream-held-by-gap",
                consumer=consumer,
                topic=topic,
                partition=stream.partition,
                key=stream.key,
                since=stream.gap_since,
            )
        here = {seen for seen in self._alarmed if (seen[0], seen[1].topic) == (consumer, topic)}
        self._alarmed = (self._alarmed - here) | late

    def _appliers(self, consumer: str) -> list[Applier]:
        """Raises LookupError for a consumer this service does not have."""
        found = [one.applier for one in self._subscriptions if one.applier.consumer == consumer]
        if not found:
            raise LookupError(consumer)
        return found
