"""How a shard's records go to Kafka: pipelined, or in transactions where a late writer is harmful.

Ordinary topics: an idempotent producer. A relay that wakes up late can only repeat records
that consumers know by their sequence. On a compacted topic such a repeat could bring an old
value back for good; there the producer has a fixed transactional id, so that a newer relay's
producer fences the older one, whose records are then never visible to `read_committed`.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from epassport.kafka import KafkaClients

CLOSE_SECONDS = 5.0
# A broker forgets a producer that sent nothing into a partition for a day.
FORGOTTEN_SECONDS = 3600.0


class Outgoing(NamedTuple):
    position: int
    topic: str
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes | None


@dataclass(frozen=True)
class Sent:
    """confirmed: positions that may be forgotten; of each key only those before its first
    failed one, so that what stays is sent again in order."""

    confirmed: Sequence[int]
    fault: BaseException | None


class Sender(Protocol):
    async def open(self) -> None: ...

    async def send(self, records: Sequence[Outgoing]) -> Sent: ...

    async def close(self) -> None: ...


class PipelinedSender:
    """Many records at once, of which none overtakes one of its key that failed.

    Where a batch fails, the broker refuses what this producer sends after it into the same
    partition, as numbers are missing. But it takes any number for the first one it sees of a
    producer. So the first record into each partition goes alone, and the next ones of its key
    only once it is confirmed (docs/decisions/0047-nothing-overtakes-a-failed-send.md).
    """

    def __init__(self, clients: KafkaClients, now: Callable[[], float] = monotonic) -> None:
        self._producer = clients.producer()
        self._partition_of = DefaultPartitioner()
        self._now = now
        self._known: dict[tuple[str, int], float] = {}

    async def open(self) -> None:
        await self._producer.start()

    async def send(self, records: Sequence[Outgoing]) -> Sent:
        """Returns when each is confirmed, has failed or is held back."""
        self._forget_old()
        partitions: dict[str, list[int]] = {}
        held: set[tuple[str, bytes]] = set()
        waiting: list[asyncio.Future[object] | None] = []
        fault: BaseException | None = None
        try:
            for record in records:
                if record.topic not in partitions:
                    found = await self._producer.partitions_for(record.topic)
                    partitions[record.topic] = sorted(found)
                partition = self._partition_of(record.key, partitions[record.topic], ())
                waiting.append(await self._send_one(record, partition, held))
        except KafkaError as error:
            fault = error
        faults = [None if one is None else await _fault_of(one) for one in waiting]
        confirmed = [
            one is not None and failed is None for one, failed in zip(waiting, faults, strict=True)
        ]
        return Sent(confirmed_prefixes(records, confirmed), next(filter(None, faults), fault))

    async def _send_one(
        self, record: Outgoing, partition: int, held: set[tuple[str, bytes]]
    ) -> "asyncio.Future[object] | None":
        """held: streams of which a record went alone, and failed; what follows there must wait."""
        if (record.topic, record.key) in held:
            return None
        confirmation = await _hand_over(self._producer, record, partition)
        place = (record.topic, partition)
        if place not in self._known and await _fault_of(confirmation) is not None:
            held.add((record.topic, record.key))
        else:
            self._known[place] = self._now()
        return confirmation

    def _forget_old(self) -> None:
        now = self._now()
        known = self._known.items()
        self._known = {place: at for place, at in known if now - at < FORGOTTEN_SECONDS}

    async def close(self) -> None:
        await _close(self._producer)


class FencedSender:
    """One transaction per call: all of its records become visible, or none."""

    def __init__(self, clients: KafkaClients, transactional_id: str) -> None:
        self._producer = clients.producer(transactional_id=transactional_id)

    async def open(self) -> None:
        """From here on every older producer of this transactional id is fenced."""
        await self._producer.start()

    async def send(self, records: Sequence[Outgoing]) -> Sent:
        try:
            async with self._producer.transaction():
                waiting = [await _hand_over(self._producer, record) for record in records]
                await asyncio.gather(*waiting)
        except KafkaError as error:
            return Sent((), error)
        return Sent([record.position for record in records], None)

    async def close(self) -> None:
        await _close(self._producer)


def confirmed_prefixes(records: Sequence[Outgoing], confirmed: Sequence[bool]) -> list[int]:
    """confirmed: per record, in order; where it is shorter, the rest was not sent."""
    failed: set[tuple[str, bytes]] = set()
    positions: list[int] = []
    for record, ok in zip(records, confirmed, strict=False):
        stream = (record.topic, record.key)
        if not ok:
            failed.add(stream)
        elif stream not in failed:
            positions.append(record.position)
    return positions


async def _hand_over(
    producer: AIOKafkaProducer, record: Outgoing, partition: int | None = None
) -> "asyncio.Future[object]":
    future: asyncio.Future[object] = await producer.send(
        record.topic, record.value, key=record.key, partition=partition, headers=record.headers
    )
    return future


async def _fault_of(confirmation: "asyncio.Future[object]") -> BaseException | None:
    """Confirmations come by whole batches: waiting for one after the other costs less than
    `gather`, which watches each of them."""
    if not confirmation.done():
        await asyncio.wait({confirmation})
    if confirmation.cancelled():
        return asyncio.CancelledError()
    return confirmation.exception()


async def _close(producer: AIOKafkaProducer) -> None:
    """An idempotent producer tries for ever to send what it holds; ours is given up in time."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer.stop()
    except TimeoutError:
        await producer._sender.close()
        await producer.client.close()
