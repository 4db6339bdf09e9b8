"""A service's own topics beside its restored store: what was sent already, what the store has lost.

A record whose sequence is beyond its stream's was published after the backup. It is kept in
`lost_publications`, and the stream goes on counting after it: consumers would take a new fact
with an old sequence for a repeat, and drop it. Data keys that others got are remembered likewise:
they would take new ones of the same generation for a repeat.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from epassport import history
from epassport.database import Connection, Database
from epassport.errors import Poison
from epassport.keyring import SubjectKeyring
from epassport.progress import Progress
from epassport.records import Incoming, RawRecord, read_event, read_head
from epassport_contracts import ServiceName
from epassport_contracts.events.history import HistoryLinked
from epassport_contracts.events.keys import SubjectKey
from epassport_contracts.registry import TOPICS, Topic


@dataclass
class Compared:
    """already_sent: outbox rows that stand on their topic; lost: records, lost_keys: generations
    of a person's keys, lost_links: of the history, that stand there and are not in the store."""

    already_sent: int = 0
    lost: int = 0
    lost_keys: int = 0
    lost_links: int = 0


class OwnTopics:
    """The service's own topics beside its restored store, read once from the beginning."""

    def __init__(
        self,
        service: ServiceName,
        database: Database,
        keyring: SubjectKeyring,
        consumer: AIOKafkaConsumer,
        topics: Iterable[Topic] = TOPICS,
    ) -> None:
        self._topics = {topic.name: topic for topic in topics if service in topic.producers}
        self._source = f"/epassport/{service}"
        self._database = database
        self._keyring = keyring
        self._consumer = consumer

    async def compare(self, progress: Progress) -> Compared:
        found = Compared()
        last_link = 0
        async for topic, records in self._records(progress):
            mine = [record for record in records if _header(record, "ce_source") == self._source]
            async with self._database.transaction() as connection:
                found.already_sent += await _forget_sent(connection, mine)
                if topic.sequenced:
                    found.lost += await _keep_lost(connection, mine)
                kinds = {spec.model for spec in topic.events}
                if SubjectKey in kinds:
                    read = _readable(mine, topic)
                    found.lost_keys += await self._keyring.note_lost(connection, read)
                if HistoryLinked in kinds:
                    last_link = max([last_link, *_links(mine, topic)])
        async with self._database.connection() as connection:
            stored = await history.last_link(connection)
        found.lost_links = max(0, last_link - (stored.number if stored else 0))
        return found

    async def _records(self, progress: Progress) -> AsyncIterator[tuple[Topic, list[RawRecord]]]:
        partitions = [
            TopicPartition(topic.name, number)
            for topic in self._topics.values()
            for number in range(topic.partitions)
        ]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_beginning(*partitions)
        ends = await self._consumer.end_offsets(partitions)
        starts = await self._consumer.beginning_offsets(partitions)
        progress.begin(sum(ends[one] - starts[one] for one in partitions))
        while behind := [p for p in partitions if await self._consumer.position(p) < ends[p]]:
            batches = await self._consumer.getmany(*behind, timeout_ms=500, max_records=2_000)
            for partition, batch in batches.items():
                progress.add(len(batch))
                yield self._topics[partition.topic], [RawRecord.of(record) for record in batch]
        progress.end()


def _header(record: RawRecord, name: str) -> str:
    octets = dict(record.headers).get(name) or b""
    return octets.decode(errors="replace")


def _readable(records: Iterable[RawRecord], topic: Topic) -> Iterator[Incoming]:
    """What cannot be read, tombstones among it, nobody else has read either."""
    for record in records:
        with suppress(Poison):
            yield read_event(record, read_head(record, topic))


def _links(records: Iterable[RawRecord], topic: Topic) -> Iterator[int]:
    for record in _readable(records, topic):
        if isinstance(record.event, HistoryLinked):
            yield record.event.link


async def _forget_sent(connection: Connection, records: Sequence[RawRecord]) -> int:
    """An older state of a compacted topic would come back for a moment if it were sent again."""
    status = await connection.execute(
        "DELETE FROM outbox WHERE id::text = ANY($1::text[])",
        [_header(record, "ce_id") for record in records],
    )
    return int(status.removeprefix("DELETE "))


async def _keep_lost(connection: Connection, records: Sequence[RawRecord]) -> int:
    numbered = [record for record in records if record.sequence is not None]
    rows = await connection.fetch(
        """
        INSERT INTO lost_publications
               (topic, partition, record_offset, stream_id, sequence, event_id, type)
        SELECT n.* FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::int[],
                               $6::text[], $7::text[])
               AS n (topic, partition, record_offset, stream_id, sequence, event_id, type)
          LEFT JOIN streams AS s USING (stream_id)
         WHERE n.sequence > coalesce(s.sequence, 0)
            ON CONFLICT DO NOTHING RETURNING stream_id, sequence
        """,
        [record.topic for record in numbered],
        [record.partition for record in numbered],
        [record.offset for record in numbered],
        [record.stream_key for record in numbered],
        [record.sequence for record in numbered],
        [_header(record, "ce_id") for record in numbered],
        [_header(record, "ce_type") for record in numbered],
    )
    last: dict[str, int] = {}
    for row in rows:
        last[row["stream_id"]] = max(row["sequence"], last.get(row["stream_id"], 0))
    await connection.execute(
        """
        INSERT INTO streams AS known (stream_id, sequence)
        SELECT * FROM unnest($1::text[], $2::int[])
            ON CONFLICT (stream_id) DO UPDATE SET sequence = excluded.sequence
         WHERE known.sequence < excluded.sequence
        """,
        list(last),
        list(last.values()),
    )
    return len(rows)
