"""The heads of a service's hash chain as they stand on its topic, read from the beginning."""

from collections.abc import Iterator

from aiokafka import ConsumerRecord, TopicPartition

from epassport.kafka import KafkaClients
from epassport.records import RawRecord, read_event, read_head
from epassport_contracts import ServiceName
from epassport_contracts.events.history import HistoryLinked
from epassport_contracts.registry import BY_NAME, history_topic

POLL_MS = 500


async def read_published(clients: KafkaClients, service: ServiceName) -> list[HistoryLinked]:
    """Raises Poison for a record that is no head of this service: nobody else may write there."""
    topic = BY_NAME[history_topic(service)]
    partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    consumer = clients.reader()
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[HistoryLinked] = []
        while behind := [one for one in partitions if await consumer.position(one) < ends[one]]:
            batches = await consumer.getmany(*behind, timeout_ms=POLL_MS)
            found += [fact for batch in batches.values() for fact in _facts(batch)]
        return found
    finally:
        await consumer.stop()


def _facts(batch: list[ConsumerRecord]) -> Iterator[HistoryLinked]:
    for record in batch:
        raw = RawRecord.of(record)
        event = read_event(raw, read_head(raw, BY_NAME[record.topic])).event
        if isinstance(event, HistoryLinked):
            yield event
