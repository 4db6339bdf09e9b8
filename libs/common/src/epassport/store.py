"""The event store's statements: locking, loading, keeping, writing, reading in order.

Lock order, everywhere: streams by id, then claims by key, then capacities by kind; one group
per transaction. Readers take only what no transaction in flight can still precede.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from asyncpg import Record

from epassport.commands import Token
from epassport.database import Connection
from epassport.decider import Claim, Release, StreamId
from epassport.errors import GroupConflict
from epassport.events import EventCodec, Recorded, decode_origin

DECODED_AT_ONCE = 100


@dataclass(frozen=True)
class Head:
    """A locked stream. transaction_id is what this transaction's events of it must carry:
    not below the stream's last, or a later version could be read before an earlier one."""

    version: int
    sequence: int
    transaction_id: int


async def lock_streams(
    connection: Connection, written: Collection[StreamId], read: Collection[StreamId] = ()
) -> dict[StreamId, Head]:
    """Heads of the streams to be written, missing ones inserted; all locked in id order.

    Streams that are only read are held FOR SHARE, so that no command changes them meanwhile.
    Both kinds are locked in one order: two groups, each reading what the other writes, would
    otherwise wait for each other. Raises GroupConflict, rarely, where another has just made one.
    """
    if not read:
        return await _make_and_lock(connection, sorted(written))
    await connection.execute(_MAKE, sorted(written))
    heads: dict[StreamId, Head] = {}
    order = sorted({*written, *read})
    for is_written, run in groupby(order, key=set(written).__contains__):
        rows = await connection.fetch(_LOCK if is_written else _SHARE, list(run))
        if is_written:
            heads |= {row["stream_id"]: _head_of(row) for row in rows}
    return heads


async def lock_known(connection: Connection, streams: Collection[StreamId]) -> dict[StreamId, Head]:
    """Heads of those that there are, locked in id order."""
    rows = await connection.fetch(_LOCK, list(streams))
    return {row["stream_id"]: _head_of(row) for row in rows}


async def _make_and_lock(
    connection: Connection, written: Sequence[StreamId]
) -> dict[StreamId, Head]:
    """One statement, unless another group has made a stream while this one waited for it."""
    rows = await connection.fetch(_MAKE_AND_LOCK, written)
    heads = {row["stream_id"]: _head_of(row) for row in rows}
    if missing := [stream for stream in written if stream not in heads]:
        if any(row["stream_id"] > missing[0] for row in rows if not row["made"]):
            raise GroupConflict("a stream made meanwhile comes before one that is locked already")
        found = await connection.fetch(_LOCK, missing)
        heads |= {row["stream_id"]: _head_of(row) for row in found}
    return heads


_MAKE = """
INSERT INTO streams (stream_id) SELECT id FROM unnest($1::text[]) AS id ON CONFLICT DO NOTHING
"""
_HEAD = """
SELECT stream_id, version, sequence,
       GREATEST(last_transaction_id, pg_current_xact_id())::text AS transaction_id
  FROM streams WHERE stream_id = ANY($1::text[])
"""
_LOCK = f"{_HEAD} ORDER BY stream_id FOR UPDATE"
_SHARE = f"{_HEAD} ORDER BY stream_id FOR SHARE"

# Missing ones are made before the first lock is taken: what was made must be known for the
# condition, which always holds. Rows that this statement makes are invisible to its second half.
_MAKE_AND_LOCK = f"""
WITH made AS ({_MAKE} RETURNING stream_id)
SELECT stream_id, 0 AS version, 0 AS sequence, pg_current_xact_id()::text AS transaction_id,
       true AS made
  FROM made
 UNION ALL
SELECT *, false
  FROM ({_HEAD} AND (SELECT count(*) FROM made) >= 0 ORDER BY stream_id FOR UPDATE) AS held
"""  # noqa: S608


def _head_of(row: Record) -> Head:
    return Head(row["version"], row["sequence"], int(row["transaction_id"]))


@dataclass(frozen=True)
class DueWait:
    """overdue_since: when it was due first."""

    kind: str
    started_by_version: int
    overdue_since: datetime


async def due_waits(
    connection: Connection, streams: Collection[StreamId]
) -> dict[tuple[StreamId, str], DueWait]:
    """Waits whose deadline may still be heard; an overdue one has been."""
    rows = await connection.fetch(
        "SELECT stream_id, kind, started_by_version,"
        " coalesce(overdue_since, due_at) AS overdue_since"
        " FROM deadlines WHERE stream_id = ANY($1::text[]) AND due_at IS NOT NULL",
        list(streams),
    )
    return {
        (row["stream_id"], row["kind"]): DueWait(
            row["kind"], row["started_by_version"], row["overdue_since"]
        )
        for row in rows
    }


async def take_claims(
    connection: Connection, wanted: Sequence[tuple[StreamId, Claim]]
) -> set[tuple[StreamId, str, bytes]]:
    """Insert in key order; returns those that their stream did not get."""
    ordered = sorted(wanted, key=lambda item: (item[1].kind, item[1].digest))
    arguments = (
        [claim.kind for _, claim in ordered],
        [claim.digest for _, claim in ordered],
    )
    inserted = await connection.execute(
        """
        INSERT INTO claims (kind, digest, stream_id, subject)
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::uuid[])
            ON CONFLICT DO NOTHING
        """,
        *arguments,
        [stream for stream, _ in ordered],
        [claim.subject for _, claim in ordered],
    )
    if inserted == f"INSERT 0 {len(ordered)}":
        return set()
    rows = await connection.fetch(
        """
        SELECT c.kind, c.digest, c.stream_id
          FROM unnest($1::text[], $2::bytea[]) AS w (kind, digest)
          JOIN claims AS c ON c.kind = w.kind AND c.digest = w.digest
        """,
        *arguments,
    )
    owners = {(row["kind"], row["digest"]): row["stream_id"] for row in rows}
    if len(owners) < len({(claim.kind, claim.digest) for _, claim in ordered}):
        raise GroupConflict("a claim was released while this group asked for it")
    return {
        (stream, claim.kind, claim.digest)
        for stream, claim in ordered
        if owners[claim.kind, claim.digest] != stream
    }


async def give_back_claims(
    connection: Connection, claims: Sequence[tuple[StreamId, Claim | Release]]
) -> None:
    """Only the owner's own."""
    await connection.execute(
        """
        DELETE FROM claims AS c
         USING unnest($1::text[], $2::bytea[], $3::text[]) AS r (kind, digest, stream_id)
         WHERE c.kind = r.kind AND c.digest = r.digest AND c.stream_id = r.stream_id
        """,
        [claim.kind for _, claim in claims],
        [claim.digest for _, claim in claims],
        [stream for stream, _ in claims],
    )


async def claim_owner(connection: Connection, kind: str, digest: bytes) -> StreamId | None:
    """Which stream a claim belongs to: how a predecessor or a holder is found."""
    owner: str | None = await connection.fetchval(
        "SELECT stream_id FROM claims WHERE kind = $1 AND digest = $2", kind, digest
    )
    return None if owner is None else StreamId(owner)


async def lock_capacities(connection: Connection, kinds: Collection[str]) -> dict[str, int]:
    """What is left of each; a kind nobody filled has nothing.

    Missing rows are inserted first: two groups that fill a new kind must meet at a lock.
    """
    await connection.execute(
        "INSERT INTO capacities (kind, remaining)"
        " SELECT kind, 0 FROM unnest($1::text[]) AS kind ON CONFLICT DO NOTHING",
        sorted(kinds),
    )
    rows = await connection.fetch(
        "SELECT kind, remaining FROM capacities WHERE kind = ANY($1::text[])"
        " ORDER BY kind FOR UPDATE",
        sorted(kinds),
    )
    return {row["kind"]: row["remaining"] for row in rows}


@dataclass
class Write:
    """Rows of one group, column by column as `unnest` wants them."""

    heads: list[tuple[str, int, int, str]] = field(default_factory=list)
    events: list[tuple[str, str, int, UUID, str, int, str, str, datetime]] = field(
        default_factory=list
    )
    outbox: list[tuple[str, int, UUID, str, str, str, str, bytes]] = field(default_factory=list)
    tasks: list[tuple[UUID, str, str, str, str, str | None, str | None]] = field(
        default_factory=list
    )
    waits: list[tuple[str, str, int, datetime | None, datetime | None]] = field(
        default_factory=list
    )
    ended_waits: list[tuple[str, str]] = field(default_factory=list)
    answers: list[tuple[str, str, bytes, str | None, int, str | None, str, str | None]] = field(
        default_factory=list
    )
    capacities: Mapping[str, int] = field(default_factory=dict)


_WRITE = """
WITH new_events AS (
    INSERT INTO events (transaction_id, stream_id, version, event_id, type, schema_version,
                        data, metadata, recorded_at)
    SELECT t::xid8, s, v, i, y, w, d::jsonb, m::jsonb, r
      FROM unnest($1::text[], $2::text[], $3::int[], $4::uuid[], $5::text[], $6::int[],
                  $7::text[], $8::text[], $45::timestamptz[]) AS e (t, s, v, i, y, w, d, m, r)
    RETURNING stream_id, position
), last AS (
    SELECT stream_id, max(position) AS position FROM new_events GROUP BY stream_id
), heads AS (
    INSERT INTO streams (stream_id, version, sequence, last_transaction_id)
    SELECT s, v, q, t::xid8
      FROM unnest($9::text[], $10::int[], $11::int[], $12::text[]) AS h (s, v, q, t)
        ON CONFLICT (stream_id) DO UPDATE
       SET version = excluded.version, sequence = excluded.sequence,
           last_transaction_id = excluded.last_transaction_id
), sent AS (
    INSERT INTO outbox (transaction_id, shard, id, aggregatetype, aggregateid, type, headers,
                        payload)
    SELECT t::xid8, s, i, a, k, y, h::jsonb, p
      FROM unnest($13::text[], $14::int[], $15::uuid[], $16::text[], $17::text[], $18::text[],
                  $19::text[], $20::bytea[]) AS o (t, s, i, a, k, y, h, p)
), started AS (
    INSERT INTO tasks (task_id, kind, stream_id, input, metadata, step, region)
    SELECT i, k, s, n::jsonb, m::jsonb, p, r
      FROM unnest($21::uuid[], $22::text[], $23::text[], $24::text[], $25::text[], $26::text[],
                  $27::text[]) AS j (i, k, s, n, m, p, r)
), waiting AS (
    INSERT INTO deadlines (stream_id, kind, started_by_version, due_at, overdue_since)
    SELECT * FROM unnest($28::text[], $29::text[], $30::int[], $31::timestamptz[],
                         $32::timestamptz[])
        ON CONFLICT (stream_id, kind) DO UPDATE
       SET started_by_version = excluded.started_by_version, due_at = excluded.due_at,
           overdue_since = excluded.overdue_since
), ended AS (
    DELETE FROM deadlines AS d USING unnest($33::text[], $34::text[]) AS e (s, k)
     WHERE d.stream_id = e.s AND d.kind = e.k
), filled AS (
    INSERT INTO capacities (kind, remaining)
    SELECT * FROM unnest($35::text[], $36::bigint[])
        ON CONFLICT (kind) DO UPDATE SET remaining = excluded.remaining
), kept AS (
    INSERT INTO idempotency (scope, key, body_hmac, reason, version, transaction_id, position,
                             answer)
    SELECT c, k, b, r, v, t::xid8, last.position, a::jsonb
      FROM unnest($37::text[], $38::text[], $39::bytea[], $40::text[], $41::int[], $42::text[],
                  $43::text[], $44::text[]) AS n (c, k, b, r, v, t, a, s)
      LEFT JOIN last ON last.stream_id = n.s
        ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM kept) AS kept,
       (SELECT coalesce(json_object_agg(stream_id, position), '{}') FROM last)::text AS positions
"""


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * width


async def write(connection: Connection, rows: Write) -> tuple[int, str]:
    """Everything a group changes, in one statement.

    Returns how many idempotency answers were kept, and JSON of stream -> last position.
    """
    *events, recorded_at = _columns(rows.events, 9)
    row = await connection.fetchrow(
        _WRITE,
        *events,
        *_columns(rows.heads, 4),
        *_columns(rows.outbox, 8),
        *_columns(rows.tasks, 7),
        *_columns(rows.waits, 5),
        *_columns(rows.ended_waits, 2),
        list(rows.capacities.keys()),
        list(rows.capacities.values()),
        *_columns(rows.answers, 8),
        recorded_at,
    )
    if row is None:
        raise AssertionError("the write statement always returns one row")
    return row["kept"], row["positions"]


async def read_in_order(
    connection: Connection, codec: EventCodec, after: Token, limit: int
) -> list[Recorded[Any]]:
    """Own events after `after`: see `read_page`."""
    events, _ = await read_page(connection, codec, after, limit)
    return events


async def read_page(
    connection: Connection, codec: EventCodec, after: Token, limit: int
) -> tuple[list[Recorded[Any]], bool]:
    """Own events after `after`, in (transaction id, position) order, skipping no late commit;
    and whether more is there that is kept back, since something may still come before it.

    A transaction id below the snapshot's xmin can get no further rows. ORDER BY must see the
    xid8, not its text: 999 comes before 1000.
    """
    found = await connection.fetch(
        """
        SELECT transaction_id::text AS read_as, position, stream_id, version, event_id, type,
               schema_version, CASE WHEN may_go THEN data END AS data, metadata, recorded_at, may_go
          FROM (SELECT *,
                       transaction_id < (SELECT pg_snapshot_xmin(pg_current_snapshot())) AS may_go
                  FROM events
                 WHERE (transaction_id, position) > ($1::text::xid8, $2)
                 ORDER BY transaction_id, position LIMIT $3) AS following
         ORDER BY transaction_id, position
        """,
        str(after.transaction_id),
        after.position,
        limit,
    )
    rows = [row for row in found if row["may_go"]]
    return _recorded(codec, rows), len(rows) < len(found)


async def read_of_types(
    connection: Connection,
    codec: EventCodec,
    types: Collection[str],
    after: Token,
    until: Token,
    limit: int,
) -> list[Recorded[Any]]:
    """Own events of these types after `after`, up to `until`, which some reader has applied:
    nothing can come in before it any more."""
    rows = await connection.fetch(
        """
        SELECT transaction_id::text AS read_as, position, stream_id, version, event_id, type,
               schema_version, data, metadata, recorded_at
          FROM events
         WHERE (transaction_id, position) > ($1::text::xid8, $2)
           AND (transaction_id, position) <= ($3::text::xid8, $4)
           AND type = ANY($5::text[])
         ORDER BY transaction_id, position LIMIT $6
        """,
        str(after.transaction_id),
        after.position,
        str(until.transaction_id),
        until.position,
        list(types),
        limit,
    )
    events: list[Recorded[Any]] = []
    for start in range(0, len(rows), DECODED_AT_ONCE):
        events += _recorded(codec, rows[start : start + DECODED_AT_ONCE])
        await asyncio.sleep(0)  # whoever writes the page before holds a transaction open
    return events


async def read_one(
    connection: Connection, codec: EventCodec, event_id: UUID
) -> Recorded[Any] | None:
    rows = await connection.fetch(
        """
        SELECT transaction_id::text AS read_as, position, stream_id, version, event_id, type,
               schema_version, data, metadata, recorded_at
          FROM events WHERE event_id = $1
        """,
        event_id,
    )
    return next(iter(_recorded(codec, rows)), None)


async def read_streams(
    connection: Connection, codec: EventCodec, streams: Collection[StreamId]
) -> dict[StreamId, list[Recorded[Any]]]:
    """All events of each, in order of version."""
    rows = await connection.fetch(
        """
        SELECT transaction_id::text AS read_as, position, stream_id, version, event_id, type,
               schema_version, data, metadata, recorded_at
          FROM events WHERE stream_id = ANY($1::text[]) ORDER BY stream_id, version
        """,
        list(streams),
    )
    events: dict[StreamId, list[Recorded[Any]]] = {stream: [] for stream in streams}
    for event in _recorded(codec, rows):
        events[event.stream].append(event)
    return events


async def count_of_types(
    connection: Connection, types: Collection[str], after: Token, until: Token
) -> int:
    """How many `read_of_types` would read altogether."""
    n: int = await connection.fetchval(
        """
        SELECT count(*) FROM events
         WHERE (transaction_id, position) > ($1::text::xid8, $2)
           AND (transaction_id, position) <= ($3::text::xid8, $4)
           AND type = ANY($5::text[])
        """,
        str(after.transaction_id),
        after.position,
        str(until.transaction_id),
        until.position,
        list(types),
    )
    return n


async def last_place(connection: Connection) -> Token:
    """Of the last event that nothing can precede any more; the start where there is none."""
    row = await connection.fetchrow(
        """
        SELECT transaction_id::text AS read_as, position FROM events
         WHERE transaction_id < pg_snapshot_xmin(pg_current_snapshot())
         ORDER BY transaction_id DESC, position DESC LIMIT 1
        """
    )
    return Token(0, 0) if row is None else Token(int(row["read_as"]), row["position"])


def _recorded(codec: EventCodec, rows: Sequence[Record]) -> list[Recorded[Any]]:
    return [
        Recorded(
            fact=codec.decode(row["type"], row["schema_version"], row["data"]),
            stream=row["stream_id"],
            version=row["version"],
            position=row["position"],
            transaction_id=int(row["read_as"]),
            event_id=row["event_id"],
            origin=decode_origin(row["metadata"]),
            recorded_at=row["recorded_at"],
        )
        for row in rows
    ]
