"""`restore`: what a database that came back from a backup needs before its service serves.

Run while nothing else of the service runs. In this order, each step repeatable:

1. The new cluster's transaction ids are moved beyond the stored ones: readers would otherwise
   take no event until the cluster got there by itself.
2. The service's own topics are compared with its store (docs/runbooks/restore.md): what waits in
   the outbox and stands there already is not sent again; streams whose records the store has lost
   go on counting after them, so that no sequence means two facts, and are kept for an operator;
   persons whose data keys it has lost get keys of the next generation; lost links of its history
   are named by the next one.
3. Stored offsets beyond the end of their topic (Kafka lost more than the database) are set to it.
4. Who was erased is erased again: keys that came back with the backup are destroyed, and orders
   for erasure that came since are carried out.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from epassport.applying import Applier
from epassport.database import Database
from epassport.errors import EndsProcess, Unsafe
from epassport.history import History
from epassport.kafka import KafkaClients
from epassport.keyring import SubjectKeyring
from epassport.operations import Order, record_action
from epassport.outbox import write_tombstones
from epassport.own_topics import OwnTopics
from epassport.progress import Progress
from epassport.refill import ForeignTopics, Partition
from epassport.slices import SliceHandler
from epassport_contracts import ServiceName
from epassport_contracts.events.enrollment import ErasureOrdered
from epassport_contracts.registry import SUBJECT_KEYS, TOPICS, Topic

BURNT_AT_ONCE = 20_000
BURNT_AT_MOST = 200_000_000
RESETWAL_STEP = 0x100000
"""Transactions whose states are one file of pg_xact: pg_resetwal wants to begin a new one."""

_HIGHEST = """
    SELECT greatest(
        (SELECT max(transaction_id) FROM events), (SELECT max(last_transaction_id) FROM streams),
        (SELECT max(transaction_id) FROM outbox), (SELECT max(transaction_id) FROM checkpoints),
        (SELECT max(transaction_id) FROM history_links))::text
"""


@dataclass(frozen=True)
class Found:
    """What was not as it should be, as counts; `lost` is somebody's decision."""

    transaction_ids: int
    erased: int
    offsets: int
    already_sent: int
    lost: int
    lost_keys: int
    lost_links: int


async def refuse_unrestored(database: Database) -> None:
    """Raises Unsafe in a cluster that is not the one this database was used in.

    A copy of the whole cluster is not known by this: then the runbook alone asks for `restore`.
    """
    async with database.connection() as connection:
        is_known = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM clusters AS c, pg_control_system() AS s"
            " WHERE c.system_identifier = s.system_identifier)"
        )
        last = await connection.fetchval("SELECT max(transaction_id)::text FROM events")
        now = await connection.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    if not is_known or (last is not None and int(last) >= int(now)):
        raise Unsafe("the database comes from another cluster: run restore first")


async def advance_transaction_ids(dsn: str, progress: Progress) -> int:
    """Use up ids until the next one is beyond all that are stored; returns how many.

    Raises EndsProcess where they are too many, with what to run on the stopped server instead.
    """
    connection = await asyncpg.connect(dsn, server_settings={"synchronous_commit": "off"})
    try:
        highest = int(await connection.fetchval(_HIGHEST) or 0)
        first = int(await connection.fetchval("SELECT pg_current_xact_id()::text"))
        missing = highest - first
        if missing > BURNT_AT_MOST:
            raise EndsProcess(_resetwal(highest))
        progress.begin(max(missing, 0))
        reached = first
        while reached <= highest:
            count = min(BURNT_AT_ONCE, highest - reached + 1)
            await connection.execute(
                f"DO $$ BEGIN FOR i IN 1..{count} LOOP"
                " PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
            )
            progress.add(count)
            reached = int(await connection.fetchval("SELECT pg_current_xact_id()::text"))
        progress.end()
        return reached - first
    finally:
        await connection.close()


def _resetwal(highest: int) -> str:
    following = (highest // RESETWAL_STEP + 1) * RESETWAL_STEP
    epoch, low = divmod(following, 2**32)
    return (
        "transaction ids are too far behind to be used up: VACUUM FREEZE every database, stop the"
        f" server and run pg_resetwal --epoch={epoch} --next-transaction-id={low}"
    )


async def rewind_offsets(database: Database, consumer: AIOKafkaConsumer, progress: Progress) -> int:
    """Set offsets that no topic has any more to the topic's end; returns how many."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT DISTINCT topic, partition, max(next_offset) AS most FROM consumer_offsets"
            " WHERE next_offset > 0 GROUP BY topic, partition"
        )
        partitions = [TopicPartition(row["topic"], row["partition"]) for row in rows]
        ends = await consumer.end_offsets(partitions) if partitions else {}
        moved = 0
        for partition, end in ends.items():
            status = await connection.execute(
                "UPDATE consumer_offsets SET next_offset = $3, stands_since = NULL"
                " WHERE topic = $1 AND partition = $2 AND next_offset > $3",
                partition.topic,
                partition.partition,
                end,
            )
            moved += int(status.removeprefix("UPDATE "))
    progress.add(len(partitions))
    return moved


async def destroy_again(database: Database, keyring: SubjectKeyring) -> int:
    """Keys of persons whose destruction the store knows: a backup of keys may be older."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            """
            WITH gone AS (
                SELECT (data->>'holder_id')::uuid AS subject, (data->>'at')::timestamptz AS at
                  FROM events WHERE type = 'KeysDestroyed'
                 UNION SELECT subject, erased_at FROM erased_subjects)
            SELECT subject, min(at) AS at FROM gone
             WHERE subject IN (SELECT subject FROM subject_keys
                                UNION SELECT subject FROM received_keys)
             GROUP BY subject
            """
        )
    for row in rows:
        async with database.transaction() as connection:
            messages = await keyring.destroy(connection, row["subject"], row["at"])
            await write_tombstones(connection, SUBJECT_KEYS, messages, "SubjectKey")
    return len(rows)


async def carry_out_erasures(
    database: Database, applier: Applier, consumer: AIOKafkaConsumer, progress: Progress
) -> int:
    """Go on with the topic of orders up to its end, as the consumer `reactions` would; returns
    how many persons' keys were destroyed by it."""
    topics = ForeignTopics(database, {applier.topic.name: applier}, consumer)
    count = "SELECT count(*) FROM erased_subjects"
    async with database.connection() as connection:
        before = await connection.fetchval(count)
    ends: dict[Partition, int] = await topics.ends()
    await topics.to(ends, progress.add)
    async with database.connection() as connection:
        after = await connection.fetchval(count)
    return int(after) - int(before)


async def restore(
    database: Database,
    dsn: str,
    keyring: SubjectKeyring,
    reactions: SliceHandler,
    service: ServiceName,
    clients: KafkaClients,
    progress: Progress,
    *,
    topics: Iterable[Topic] = TOPICS,
) -> Found:
    """All steps but the last, `accept`. reactions: the service's handler that hears orders."""
    burnt = await advance_transaction_ids(dsn, progress)
    known = {topic.name: topic for topic in topics}
    async with _reading(clients) as consumer:
        own = OwnTopics(service, database, keyring, consumer, known.values())
        compared = await own.compare(progress)
    async with _reading(clients) as consumer:
        offsets = await rewind_offsets(database, consumer, progress)
    erased = await destroy_again(database, keyring)
    for name in reactions.topics:
        if any(spec.model is ErasureOrdered for spec in known[name].events):
            applier = Applier(database, service, reactions, known[name])
            async with _reading(clients) as consumer:
                erased += await carry_out_erasures(database, applier, consumer, progress)
    return Found(burnt, erased, offsets, **vars(compared))


@asynccontextmanager
async def _reading(clients: KafkaClients) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = clients.reader()
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def accept(
    database: Database, history: History, lost_links: int, order: Order | None
) -> None:
    """From now on this cluster is the database's. Raises EndsProcess while published records or
    links of the history that the store has lost are nobody's decision yet.

    lost_links: as `restore` has just found them.
    """
    async with database.transaction() as connection:
        unsettled = await connection.fetchval(
            "SELECT count(*) FROM lost_publications WHERE settled_by IS NULL"
        )
        if (unsettled or lost_links) and order is None:
            raise EndsProcess(
                f"{unsettled} published records and {lost_links} links of the history are not in"
                " the store: look, settle, then restore --accept-lost"
            )
        if (unsettled or lost_links) and order is not None:
            await connection.execute(
                "UPDATE lost_publications SET settled_by = $1 WHERE settled_by IS NULL",
                order.action_id,
            )
            found = {"lost": unsettled, "lost_links": lost_links}
            await record_action(connection, order, "accept-lost", {}, found)
        if lost_links and order is not None:
            await history.go_on_after_loss(connection, lost_links, order.action_id)
        await connection.execute(
            "INSERT INTO clusters (system_identifier)"
            " SELECT system_identifier FROM pg_control_system() ON CONFLICT DO NOTHING"
        )
