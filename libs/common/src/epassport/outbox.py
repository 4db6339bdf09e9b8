"""The outbox: which shard a record waits in, how a relay reads it in order and forgets it.

All records of one key are in one shard, and one relay at a time reads a shard. Compacted
topics have a shard of their own, because its relay sends in transactions (see `sending.py`);
public ones are in it, too, as nobody in the system waits for them.
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from asyncpg import Connection
from asyncpg import Record as Row

from epassport.catalog import Publication
from epassport.database import TRANSACTION_SECONDS
from epassport.database import Connection as AnyConnection
from epassport.wire import Record
from epassport_contracts.registry import BY_NAME, Classification, Cleanup

SHARDS = 4
FENCED_SHARD = 4
ALL_SHARDS = (*range(SHARDS), FENCED_SHARD)

RELAY_LOCK = 7_303_015
"""First half of the advisory lock's key; the shard is the second."""

_ATTRIBUTE = "ce_"


def shard_of(topic: str, key: str) -> int:
    """A relay in place uses the same function, so the number of shards is for life."""
    named = BY_NAME[topic]
    if named.cleanup is Cleanup.COMPACTED or named.classification is Classification.PUBLIC:
        return FENCED_SHARD
    return zlib.crc32(key.encode()) % SHARDS


class OutboxRow(NamedTuple):
    position: int
    topic: str
    key: str
    headers: Mapping[str, str]
    payload: bytes | None  # None: a tombstone


async def lock_shard(session: "Connection[Row]", shard: int) -> bool:
    """Held until the session ends; False while another relay holds it."""
    got = await session.fetchval("SELECT pg_try_advisory_lock($1, $2)", RELAY_LOCK, shard)
    return bool(got)


class ShardPage(NamedTuple):
    """What a shard's relay finds. hidden: more waits that may not be sent yet. oldest_seconds: age
    of the row that has waited longest, also of a hidden one; 0 where none waits."""

    rows: Sequence[OutboxRow]
    hidden: bool
    oldest_seconds: float


async def read_shard(session: "Connection[Row]", shard: int, *, at_most: int) -> ShardPage:
    """The oldest rows, in the order of their commits.

    No transaction in flight can still write one that belongs before the last of these.
    """
    found = await session.fetch(
        """
        SELECT position, may_go, age, CASE WHEN may_go THEN aggregatetype END AS aggregatetype,
               CASE WHEN may_go THEN aggregateid END AS aggregateid,
               CASE WHEN may_go THEN headers END AS headers,
               CASE WHEN may_go THEN payload END AS payload
          FROM (SELECT *,
                       transaction_id < (SELECT pg_snapshot_xmin(pg_current_snapshot())) AS may_go,
                       EXTRACT(EPOCH FROM clock_timestamp() - created_at)::float8 AS age
                  FROM outbox
                 WHERE shard = $1
                 ORDER BY transaction_id, position
                 LIMIT $2) AS waiting
         ORDER BY transaction_id, position
        """,
        shard,
        at_most,
    )
    rows = _outbox_rows(row for row in found if row["may_go"])
    oldest = max(0.0, found[0]["age"]) if found else 0.0
    return ShardPage(rows, len(rows) < len(found), oldest)


def _outbox_rows(found: Iterable[Row]) -> list[OutboxRow]:
    return [
        OutboxRow(
            row["position"],
            row["aggregatetype"],
            row["aggregateid"],
            orjson.loads(row["headers"]),
            row["payload"],
        )
        for row in found
    ]


def as_written(
    transaction_id: str, publication: Publication, record: Record
) -> tuple[str, int, UUID, str, str, str, str, bytes]:
    """A row as `store.Write` takes it."""
    return (
        transaction_id,
        shard_of(publication.topic, publication.key),
        record.id,
        publication.topic,
        publication.key,
        publication.event.type_name(),
        orjson.dumps(dict(record.headers)).decode(),
        record.payload,
    )


async def write_record(connection: AnyConnection, publication: Publication, record: Record) -> None:
    """One record that is not written by an append, behind everything sent before."""
    await connection.execute(
        """
        INSERT INTO outbox (transaction_id, shard, id, aggregatetype, aggregateid, type, headers,
                            payload)
        VALUES (pg_current_xact_id(), $1, $2, $3, $4, $5, $6::text::jsonb, $7)
        """,
        shard_of(publication.topic, publication.key),
        record.id,
        publication.topic,
        publication.key,
        publication.event.type_name(),
        json.dumps(dict(record.headers)),
        record.payload,
    )


async def write_tombstones(
    connection: AnyConnection, topic: str, keys: Sequence[str], type_name: str
) -> None:
    """A compacted topic forgets these keys, behind everything this transaction can have sent."""
    await connection.execute(
        """
        INSERT INTO outbox (transaction_id, shard, id, aggregatetype, aggregateid, type, headers)
        SELECT pg_current_xact_id(), $1, gen_random_uuid(), $2, key, $4, '{}'
          FROM unnest($3::text[]) AS key
        """,
        FENCED_SHARD,
        topic,
        keys,
        type_name,
    )


async def forget(session: "Connection[Row]", positions: Sequence[int]) -> None:
    """Raises TimeoutError where it would be a writing transaction of more than a second."""
    await session.execute(
        "DELETE FROM outbox WHERE position = ANY($1::bigint[])",
        positions,
        timeout=TRANSACTION_SECONDS,
    )


def structured(row: OutboxRow) -> bytes:
    """A row as one CloudEvents JSON document (JSON format 1.0, section 3): what is signed."""
    document: dict[str, Any] = {
        name.removeprefix(_ATTRIBUTE): text
        for name, text in row.headers.items()
        if name.startswith(_ATTRIBUTE)
    }
    document["datacontenttype"] = row.headers["content-type"]
    document["data"] = json.loads(row.payload or b"null")
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
