"""Invariants 1 to 3 of the architecture, checked over all data of a system at rest.

1. Every acknowledged command has one chain of events; versions in a stream have no gaps.
2. Every published event is on its topic, in order per key, and every consumer applied it once.
3. Replaying from zero gives the same read models, byte for byte.
"""

import asyncio
import hashlib
import importlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

import asyncpg

from epassport.catalog import Catalog
from epassport.commands import Token
from epassport.database import Connection
from epassport.keyring_stream import KEYRING
from epassport.projector import START
from epassport.readmodel import ReadModel, fill
from epassport.records import read_event, read_head
from epassport.service import Service, consumers_of
from epassport.settings import Settings
from epassport.store import read_in_order
from epassport_contracts import ContractEvent, ServiceName
from epassport_contracts.registry import BY_NAME, TOPICS
from epassport_sandbox.client import TookTooLong
from epassport_sandbox.observer import Seen, read_topics
from epassport_sandbox.system import System, package_of

PAGE = 2000
REPLAY = "replay"


@dataclass
class Findings:
    """How much was looked at, and every violation in words; none is what is hoped for."""

    counts: dict[str, int] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def hold(self) -> bool:
        return not any(self.violations.values())

    def summary(self) -> dict[str, Any]:
        verdicts = {
            name: self.violations.get(name) or "holds" for name in (VERSIONS, DELIVERY, REPLAYED)
        }
        return {"checked": self.counts, **verdicts}


VERSIONS, DELIVERY, REPLAYED = (
    "versions without gaps",
    "delivered in order, applied once",
    "replay is identical",
)


async def settle(system: System, *, within: timedelta = timedelta(seconds=120)) -> None:
    """Wait until nothing is on its way: outboxes and tasks empty, every consumer at the end.

    Raises TookTooLong with what is still moving.
    """
    clock = asyncio.get_running_loop()
    deadline = clock.time() + within.total_seconds()
    quiet = 0
    while quiet < 3:
        moving = await _moving(system)
        quiet = 0 if moving else quiet + 1
        if moving and clock.time() > deadline:
            raise TookTooLong(f"still moving: {', '.join(moving)}")
        await asyncio.sleep(0.2)


async def check_invariants(
    system: System, *, put_by_hand: Collection[tuple[str, int, int]] = frozenset()
) -> Findings:
    """put_by_hand: topic, partition and offset of records that no service wrote; left out."""
    findings = Findings()
    found = await read_topics(system.stack.kafka.bootstrap)
    seen = [record for record in found if record.place not in put_by_hand]
    findings.counts |= {"records on topics": len(seen), "records repeated": 0}
    written = await _written(system)
    _check_topics(written, seen, findings)
    for service in system.urls:
        await _check_applied(system, service, written, findings)
        connection = await asyncpg.connect(system.dsn(service))
        try:
            await _check_versions(service, connection, findings)
            await _check_nothing_waits(service, connection, findings)
            await _check_replay(service, connection, seen, findings)
        finally:
            await connection.close()
    return findings


async def _moving(system: System) -> list[str]:
    found = []
    for service in system.urls:
        connection = await asyncpg.connect(system.dsn(service))
        try:
            (row,) = await connection.fetch(
                """
                SELECT (SELECT count(*) FROM outbox) AS outbox,
                       (SELECT count(*) FROM tasks WHERE NOT stuck) AS tasks,
                       (SELECT max(transaction_id)::text FROM events) AS last,
                       (SELECT min(transaction_id)::text FROM checkpoints
                         WHERE right(reader, 7) <> '_beside') AS read,
                       (SELECT max(events) FROM history_links) AS linked,
                       (SELECT count(*) FROM events) AS events
                """
            )
        finally:
            await connection.close()
        found += [f"{service} {name}" for name in ("outbox", "tasks") if row[name]]
        if row["last"] is not None and int(row["read"] or 0) < int(row["last"]):
            found.append(f"{service} projections")
        if (row["linked"] or 0) < row["events"]:
            found.append(f"{service} history")
    return found or await _lagging(system)


async def _lagging(system: System) -> list[str]:
    """Consumers that are behind what the producers have counted, by service and topic."""
    written = await _written(system)
    late: set[str] = set()
    for service in system.urls:
        applied = await _applied(system, service)
        for place, sequence in _to_be_applied(service, written).items():
            if applied.get(place, 0) < sequence:
                late.add(f"{service} on {place[1]}")
    return sorted(late)


async def _written(system: System) -> dict[tuple[str, str], int]:
    """How many records each stream has published, by topic and key. The producers count as they
    append, so that a stream of which nothing was sent is in it."""
    written: dict[tuple[str, str], int] = {}
    for service in system.urls:
        topics = {
            topic.name.split(".")[2]: topic.name
            for topic in TOPICS
            if topic.sequenced and service in topic.producers
        }
        connection = await asyncpg.connect(system.dsn(service))
        try:
            rows = await connection.fetch(
                "SELECT stream_id, split_part(stream_id, '/', 1) AS kind, sequence"
                "  FROM streams WHERE sequence > 0"
            )
        finally:
            await connection.close()
        written |= {(topics[row["kind"]], row["stream_id"]): row["sequence"] for row in rows}
    return written


def _to_be_applied(
    service: ServiceName, written: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str, str], int]:
    """The last sequence that each consumer of the service must have kept, by topic and key."""
    hearing: dict[str, list[str]] = defaultdict(list)
    for consumer, topics in consumers_of(_declared(service)).items():
        for topic in topics:
            hearing[topic].append(consumer)
    return {
        (consumer, topic, key): sequence
        for (topic, key), sequence in written.items()
        for consumer in hearing[topic]
    }


async def _applied(system: System, service: ServiceName) -> dict[tuple[str, str, str], int]:
    connection = await asyncpg.connect(system.dsn(service))
    try:
        rows = await connection.fetch(
            "SELECT consumer, topic, key, sequence FROM consumer_sequences"
            " WHERE right(consumer, 7) <> '_beside'"
        )
    finally:
        await connection.close()
    return {(row["consumer"], row["topic"], row["key"]): row["sequence"] for row in rows}


async def _check_versions(service: ServiceName, connection: Connection, findings: Findings) -> None:
    rows = await connection.fetch(
        """
        SELECT s.stream_id, s.version, count(e.version) AS events,
               coalesce(max(e.version), 0) AS last
          FROM streams AS s LEFT JOIN events AS e USING (stream_id)
         GROUP BY s.stream_id, s.version
        HAVING count(e.version) <> s.version OR coalesce(max(e.version), 0) <> s.version
        """
    )
    findings.violations[VERSIONS] += [f"{service} {row['stream_id']}" for row in rows]
    orphans = await connection.fetchval(
        """
        SELECT count(*) FROM idempotency AS i WHERE i.position IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.position = i.position)
        """
    )
    if orphans:
        findings.violations[VERSIONS].append(f"{service}: {orphans} answers without their event")
    events = await connection.fetchval("SELECT count(*) FROM events")
    findings.counts[f"{service} events"] = events


def _check_topics(
    written: Mapping[tuple[str, str], int], seen: Iterable[Seen], findings: Findings
) -> None:
    on_topic: dict[tuple[str, str], list[int]] = defaultdict(list)
    for record in seen:
        if BY_NAME[record.topic].sequenced:
            on_topic[record.topic, record.raw.stream_key].append(record.raw.sequence or 0)
    for place in sorted(written.keys() | on_topic.keys()):
        sequences, last = on_topic[place], written.get(place, 0)
        first = list(dict.fromkeys(sequences))  # a relay that was cut off sends again what it sent
        findings.counts["records repeated"] += len(sequences) - len(first)
        if first != list(range(1, last + 1)):
            name = " ".join(place)
            findings.violations[DELIVERY].append(f"{name}: {sequences[:10]}, written {last}")


async def _check_applied(
    system: System,
    service: ServiceName,
    written: Mapping[tuple[str, str], int],
    findings: Findings,
) -> None:
    wanted = _to_be_applied(service, written)
    applied = await _applied(system, service)
    findings.violations[DELIVERY] += [
        f"{service} {' '.join(place)}: applied {applied.get(place, 0)} of {wanted.get(place, 0)}"
        for place in sorted({place for place, _ in wanted.items() ^ applied.items()})
    ]


async def _check_nothing_waits(
    service: ServiceName, connection: Connection, findings: Findings
) -> None:
    for table in ("outbox", "parked"):
        if left := await connection.fetchval(f"SELECT count(*) FROM {table}"):  # noqa: S608
            findings.violations[DELIVERY].append(f"{service}: {left} rows in {table}")


async def _check_replay(
    service: ServiceName,
    connection: Connection,
    seen: Sequence[Seen],
    findings: Findings,
) -> None:
    """Fill every read model anew in a schema of its own and compare checksums."""
    declared = _declared(service)
    await connection.execute(f"DROP SCHEMA IF EXISTS {REPLAY} CASCADE; CREATE SCHEMA {REPLAY}")
    for model in declared.read_models:
        for table in model.tables:
            name = f"{table}_v{model.version}"
            await connection.execute(
                f"CREATE TABLE {REPLAY}.{name} (LIKE public.{name} INCLUDING ALL)"
            )
    await connection.execute(f"SET search_path = {REPLAY}, public")
    catalog = Catalog(service, [*declared.aggregates, KEYRING])
    for model in declared.read_models:
        await _fill_own(model, connection, catalog)
        await _fill_foreign(model, connection, seen)
        for table in model.tables:
            name = f"{table}_v{model.version}"
            live = await _checksum(connection, f"public.{name}")
            again = await _checksum(connection, f"{REPLAY}.{name}")
            if live != again:
                findings.violations[REPLAYED].append(f"{service} {name}: {live} and {again}")
            findings.counts[f"{service} {name} rows"] = live[0]
    await connection.execute(f"SET search_path = public; DROP SCHEMA {REPLAY} CASCADE")


@cache
def _declared(service: ServiceName) -> Service:
    """What the service's composition root declares; nothing is opened, so settings are empty."""
    root = importlib.import_module(f"{package_of(service)}.service")
    declared: Service = root.build(Settings.model_construct())
    return declared


async def _fill_own(model: ReadModel, connection: Connection, catalog: Catalog) -> None:
    at: Token = START
    while events := await read_in_order(connection, catalog.codec, at, PAGE):
        at = Token(events[-1].transaction_id, events[-1].position)
        wanted = [event for event in events if type(event.fact) in model.projections]
        await fill(model, connection, wanted)


async def _fill_foreign(model: ReadModel, connection: Connection, seen: Sequence[Seen]) -> None:
    """As consumers do: what was sent again counts once."""
    foreign = {t.type_name() for t in model.projections if issubclass(t, ContractEvent)}
    known: dict[tuple[str, str], int] = defaultdict(int)
    records = []
    for record in seen:
        topic = BY_NAME[record.topic]
        stream, sequence = (record.topic, record.raw.stream_key), record.raw.sequence
        if not topic.sequenced or sequence is None or sequence <= known[stream]:
            continue
        known[stream] = sequence
        if record.type in foreign:
            head = read_head(record.raw, topic)
            records.append(read_event(record.raw, head).as_recorded())
    await fill(model, connection, records)


async def _checksum(connection: Connection, table: str) -> tuple[int, str]:
    """Rows and the MD5 of their text in order of that text."""
    rows = await connection.fetch(f"SELECT t::text AS row FROM {table} AS t ORDER BY t::text")  # noqa: S608
    digest = hashlib.md5(usedforsecurity=False)
    for row in rows:
        digest.update(row["row"].encode() + b"\n")
    return len(rows), digest.hexdigest()
