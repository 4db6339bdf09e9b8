"""Whether anything is still on its way between the two services, and when it has arrived."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition

from epassport_contracts.registry import BY_NAME
from tests.faults.cluster import NAMES, Cluster
from tests.faults.observe import BY_NEMESIS, COUNTS, HEARD_BY, connected

LOOK_SECONDS = 0.25
FAR_OFF = timedelta(minutes=1)
"""A deadline that is due later was set by a clock that had jumped, and is nobody's lag."""


class StillMoving(Exception):
    """Lag did not go to zero within its bound."""


async def settle(cluster: Cluster, *, within: timedelta) -> float:
    """Seconds until nothing was on its way any more. Raises StillMoving with what still is."""
    clock = asyncio.get_running_loop()
    began = clock.time()
    while moving := await _moving(cluster):
        if clock.time() - began > within.total_seconds():
            raise StillMoving(f"after {within.total_seconds():.0f} s: {', '.join(moving)}")
        await asyncio.sleep(LOOK_SECONDS)
    return clock.time() - began


async def _moving(cluster: Cluster) -> Sequence[str]:
    found = []
    for service in NAMES:
        found += await _in_database(cluster, service)
    return found or [*await _not_applied(cluster), *await _not_read(cluster)]


async def _in_database(cluster: Cluster, service: str) -> list[str]:
    async with connected(cluster.dsn(service)) as connection:
        row = await connection.fetchrow(
            """
            SELECT (SELECT count(*) FROM outbox) AS outbox,
                   (SELECT count(*) FROM tasks) AS tasks,
                   (SELECT count(*) FROM deadlines
                     WHERE due_at < clock_timestamp() + $2::interval) AS deadlines,
                   (SELECT count(*) FROM parked WHERE NOT headers ? $1) AS parked,
                   (SELECT count(*) FROM events AS e
                     WHERE NOT EXISTS (SELECT FROM checkpoints)
                        OR EXISTS (SELECT FROM checkpoints AS c
                                    WHERE (e.transaction_id, e.position)
                                        > (c.transaction_id, c.position))) AS events,
                   (SELECT count(*) FROM events)
                     - coalesce((SELECT max(events) FROM history_links), 0) AS history
            """,
            BY_NEMESIS,
            FAR_OFF,
        )
    assert row is not None
    return [f"{left} {name} of the {service}" for name, left in row.items() if left]


async def _not_applied(cluster: Cluster) -> list[str]:
    """By the sender's numbers, not by the topic's: what was never sent is missed, too."""
    async with connected(cluster.dsn("sender")) as connection:
        written = {
            row["stream_id"]: row["sequence"]
            for row in await connection.fetch(
                "SELECT stream_id, sequence FROM streams WHERE sequence > 0"
            )
        }
    async with connected(cluster.dsn("receiver")) as connection:
        rows = await connection.fetch(
            "SELECT consumer, key, sequence FROM consumer_sequences WHERE topic = $1", COUNTS
        )
    applied = {(row["consumer"], row["key"]): row["sequence"] for row in rows}
    late = [
        f"{consumer} at {applied.get((consumer, key), 0)} of {sequence} in {key}"
        for consumer in ("reactions", "heard_v1")
        for key, sequence in written.items()
        if applied.get((consumer, key), 0) < sequence
    ]
    return late[:3]


async def _not_read(cluster: Cluster) -> list[str]:
    """By offsets: also records that are not counted, and poison."""
    partitions = [
        TopicPartition(topic, n) for topic in HEARD_BY for n in range(BY_NAME[topic].partitions)
    ]
    reader = AIOKafkaConsumer(bootstrap_servers=cluster.kafka.bootstrap, enable_auto_commit=False)
    await reader.start()
    try:
        ends = await reader.end_offsets(partitions)
    finally:
        await reader.stop()
    async with connected(cluster.dsn("receiver")) as connection:
        rows = await connection.fetch("SELECT * FROM consumer_offsets")
    stored = {(r["consumer"], r["topic"], r["partition"]): r["next_offset"] for r in rows}
    late = [
        f"{consumer} at {stored.get((consumer, *at), 0)} of {ends[at]} in {at.topic}/{at.partition}"
        for at in partitions
        for consumer in HEARD_BY[at.topic]
        if stored.get((consumer, *at), 0) < ends[at]
    ]
    return late[:3]
