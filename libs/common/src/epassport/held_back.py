"""Records that can wait: all there is to do with them is to note that they were seen.

Most records of a topic concern few of its consumers, and every slice costs a transaction. Those
that nothing follows from are kept back until the next that matter, HOLD_SECONDS at most, and
applied in front of them. Nothing is stored before: after a fault, a rebalance or a crash they
come again.
"""

from collections.abc import Callable, Collection, Sequence

from aiokafka import TopicPartition

from epassport.records import KafkaRecord

HOLD_SECONDS = 1.0
HOLD_LIMIT = 500


class HeldBack:
    """Of one subscription, by partition, in the order in which they came."""

    def __init__(self, can_wait: Callable[[KafkaRecord], bool]) -> None:
        self._can_wait = can_wait
        self._records: dict[TopicPartition, list[KafkaRecord]] = {}

    def join(
        self, partition: TopicPartition, records: Sequence[KafkaRecord]
    ) -> Sequence[KafkaRecord]:
        """What is due with these, in order: all, or nothing where all of it can wait."""
        held = [one for one in self._records.pop(partition, ()) if one.offset < records[0].offset]
        together = [*held, *records]
        if len(together) > HOLD_LIMIT or not all(map(self._can_wait, records)):
            return together
        self._records[partition] = together
        return []

    def partitions(self) -> Collection[TopicPartition]:
        return tuple(self._records)

    def take(self, partition: TopicPartition) -> Sequence[KafkaRecord]:
        return self._records.pop(partition, [])

    def forget(self) -> None:
        self._records.clear()
