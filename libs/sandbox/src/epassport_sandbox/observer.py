"""What stands on the topics, read as somebody who may read everything: for demos and checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from epassport.records import RawRecord
from epassport_contracts.registry import BY_NAME


@dataclass(frozen=True)
class Seen:
    """One record as it lies on its topic."""

    raw: RawRecord
    written_at_ms: int

    @property
    def place(self) -> tuple[str, int, int]:
        return self.raw.topic, self.raw.partition, self.raw.offset

    @property
    def topic(self) -> str:
        return self.raw.topic

    @property
    def type(self) -> str:
        return self._header("ce_type")

    @property
    def service(self) -> str:
        return self._header("ce_source").rsplit("/", 1)[-1]

    @property
    def correlation_id(self) -> str:
        return self._header("ce_correlationid")

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self._header("ce_time"))

    def mentions(self, *texts: str) -> bool:
        """Whether key or value holds one of the texts."""
        octets = (self.raw.key or b"") + (self.raw.value or b"")
        return any(text.encode() in octets for text in texts)

    def _header(self, name: str) -> str:
        value = dict(self.raw.headers).get(name)
        return "" if value is None else value.decode()


async def read_topics(bootstrap: str, topics: Sequence[str] = tuple(BY_NAME)) -> list[Seen]:
    """Every committed record from the beginning to the end as it is now."""
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in range(BY_NAME[topic].partitions)
        ]
        consumer.assign(partitions)
        return await _read_to_end(consumer, partitions)
    finally:
        await consumer.stop()


async def _read_to_end(consumer: Any, partitions: Sequence[TopicPartition]) -> list[Seen]:
    ends = await consumer.end_offsets(partitions)
    await consumer.seek_to_beginning(*partitions)
    seen: list[Seen] = []
    while True:
        behind = [p for p in partitions if await consumer.position(p) < ends[p]]
        if not behind:
            return seen
        for records in (await consumer.getmany(*behind, timeout_ms=500)).values():
            seen += [Seen(RawRecord.of(record), record.timestamp) for record in records]
