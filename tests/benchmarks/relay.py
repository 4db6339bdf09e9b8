"""The relay of one service against a bare pipelined producer that sends the same records.

Records of verification's documents wait in the outbox; one relay holds all shards and is done
when the outbox is empty. The bare producer has the same settings, holds the records in memory,
and sends them in as large batches.
"""

import asyncio
import json
import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from epassport.actor import service_actor
from epassport.catalog import Catalog
from epassport.events import Origin, Recorded
from epassport.kafka import KafkaClients, KafkaSettings
from epassport.metrics import RELAY_SENT
from epassport.outbox import shard_of
from epassport.relay import BATCH, Relay
from epassport.signals import Signals
from epassport.wire import record_of
from epassport_contracts import ServiceName
from epassport_contracts.registry import BY_NAME
from epassport_sandbox.stack import EmbeddedStack
from epassport_sandbox.topics import TopicSpec, create_topics
from tests.benchmarks.harness import Better, Row
from tests.benchmarks.servers import (
    Fresh,
    Schemas,
    Spent,
    checkpointed,
    median_of,
    rows_in,
    run,
    spending,
)
from verification import document_status, publications
from verification.document_status_events import DocumentRegistered

RECORDS = 40_000
ROUNDS = 3
POLL_SECONDS = 0.005
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIST = "https://status.epassport.test/1"
VERIFICATION = ServiceName.VERIFICATION
FILLED_AT_ONCE = 5_000
HEADERS = 5  # place in a row of the outbox

OutboxRecord = tuple[int, UUID, str, str, str, dict[str, str], bytes]


def rows() -> Iterator[Row]:
    yield run(_measure)


async def _measure(stack: EmbeddedStack) -> Row:
    records = list(_records())
    topic = BY_NAME[records[0][2]]
    await create_topics(
        stack.kafka.bootstrap, [TopicSpec(topic.name, topic.partitions, dict(topic.config))]
    )
    clients = KafkaClients(KafkaSettings(stack.kafka.bootstrap), client_id="bench")
    schemas = Schemas(stack, "verification")
    ours, bare = [], []
    for _ in range(ROUNDS):
        async with schemas.fresh() as fresh:
            await _fill(fresh, records)
            await checkpointed(stack)
            ours.append(await _relayed(stack, fresh, clients))
        bare.append(await _sent(stack, clients, records))
    ratios = [b.here / o.here for o, b in zip(ours, bare, strict=True)]
    return Row(
        "relay",
        RECORDS / median_of("seconds", ours),
        RECORDS / median_of("seconds", bare),
        statistics.median(ratios),
        0.40,
        Better.HIGHER,
        "/s",
        f"records from the outbox to Kafka in order, one relay: {_micro('here', ours)} us of its"
        f" CPU for each, which is what bounds it, and {_micro('server', ours)} us of PostgreSQL's;"
        f" bare: an idempotent aiokafka producer, {BATCH} at a time from memory:"
        f" {_micro('here', bare)} us",
        hoped=12_000,
    )


def _micro(kind: str, spent: Sequence[Spent]) -> int:
    return round(median_of(kind, spent) / RECORDS * 1e6)


def _records() -> Iterator[OutboxRecord]:
    catalog = Catalog(VERIFICATION, [document_status.aggregate], [publications])
    origin = Origin(service_actor(VERIFICATION), uuid4(), uuid4())
    for n in range(RECORDS):
        fact = DocumentRegistered(AT, uuid4(), uuid4(), LIST, n)
        event = Recorded(fact, document_status.stream(uuid4()), 2, 0, 1, uuid4(), origin, AT)
        (publication,) = catalog.publications(event)
        record = record_of(VERIFICATION, publication, event, 1)
        yield (
            shard_of(publication.topic, publication.key),
            record.id,
            publication.topic,
            publication.key,
            publication.event.type_name(),
            dict(record.headers),
            record.payload,
        )


async def _fill(fresh: Fresh, records: Sequence[OutboxRecord]) -> None:
    async with fresh.unbounded() as connection:
        for start in range(0, len(records), FILLED_AT_ONCE):
            columns = list(zip(*records[start : start + FILLED_AT_ONCE], strict=True))
            columns[HEADERS] = tuple(json.dumps(headers) for headers in columns[HEADERS])
            await connection.execute(_FILL, *columns)
        await connection.execute("VACUUM ANALYZE outbox")


_FILL = """
INSERT INTO outbox (transaction_id, shard, id, aggregatetype, aggregateid, type, headers, payload)
SELECT pg_current_xact_id(), s, i, a, k, y, h::jsonb, p
  FROM unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
              $7::bytea[]) AS n (s, i, a, k, y, h, p)
"""


async def _relayed(stack: EmbeddedStack, fresh: Fresh, clients: KafkaClients) -> Spent:
    aim = _forgotten() + RECORDS
    relay = Relay(fresh.dsn, VERIFICATION, clients, Signals(), sign=bytes)
    with spending(stack) as spent:
        sending = asyncio.create_task(relay.run())
        while True:
            if _forgotten() == aim:
                break
            await asyncio.sleep(POLL_SECONDS)
    sending.cancel()
    await asyncio.wait({sending})
    async with fresh.database.connection() as connection:
        assert await rows_in(connection, "outbox") == 0
    return spent


def _forgotten() -> float:
    """Records that relays of this process have sent and deleted so far."""
    samples = [each for metric in RELAY_SENT.collect() for each in metric.samples]
    return sum(each.value for each in samples if each.name.endswith("_total"))


async def _sent(
    stack: EmbeddedStack, clients: KafkaClients, records: Sequence[OutboxRecord]
) -> Spent:
    ready = [
        (topic, payload, key.encode(), [(name, text.encode()) for name, text in headers.items()])
        for _, _, topic, key, _, headers, payload in records
    ]
    with spending(stack) as spent:
        producer = clients.producer()
        await producer.start()
        for start in range(0, len(ready), BATCH):
            waiting = [
                await producer.send(topic, value, key=key, headers=headers)
                for topic, value, key, headers in ready[start : start + BATCH]
            ]
            await asyncio.gather(*waiting)
        await producer.stop()
    return spent
