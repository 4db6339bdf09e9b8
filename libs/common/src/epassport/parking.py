"""Parked records: what could not be applied, with everything behind it, stream by stream.

All statements run in the caller's transaction, after it has locked the partition's row in
`consumer_offsets`: so a slice and a replay never decide about one stream at the same time.
"""

import base64
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from epassport.actor import Actor
from epassport.database import Connection
from epassport.errors import RuntimeFault
from epassport.records import UNKNOWN, WAITING, Cause, RawRecord, headers_apart
from epassport.slices import Hold, StreamState

GAP_ALARM = timedelta(seconds=60)

_ACTOR: TypeAdapter[Actor] = TypeAdapter(Actor)
_RAW_KEY, _OTHERS = ":key", ":others"
"""Stand beside the headers; those that begin so are among the others."""


class NotDiscardable(RuntimeFault):
    """A record before it in its stream is missing or waits too."""


@dataclass(frozen=True)
class ParkedRecord:
    raw: RawRecord
    cause: str

    @property
    def is_fault(self) -> bool:
        return self.cause not in WAITING


@dataclass(frozen=True)
class ParkedStream:
    """What is parked of one key, and how it may go on."""

    records: Sequence[ParkedRecord]
    last: int
    sequenced: bool

    @property
    def repeats(self) -> list[int]:
        """Offsets of records that were applied by another delivery."""
        if not self.sequenced:
            return []
        return [
            record.raw.offset
            for record in self.records
            if record.raw.sequence is not None and record.raw.sequence <= self.last
        ]

    @property
    def next(self) -> ParkedRecord | None:
        """By sequence, but not past an earlier one whose sequence cannot be read."""
        if not self.sequenced:
            return next(iter(self.records), None)
        later = [
            record
            for record in self.records
            if record.raw.sequence is not None and record.raw.sequence > self.last
        ]
        first = min(later, key=lambda r: (r.raw.sequence, r.raw.offset), default=None)
        for record in self.records:
            if record.raw.sequence is None and (
                first is None or record.raw.offset < first.raw.offset
            ):
                return record
        return first

    @property
    def waits_for_missing(self) -> bool:
        head = self.next
        if not self.sequenced or head is None or head.raw.sequence is None:
            return False
        return head.raw.sequence > self.last + 1


async def stream_states(
    connection: Connection, consumer: str, topic: str, keys: Collection[str]
) -> dict[str, StreamState]:
    """Last sequence and hold of each key that has either."""
    rows = await connection.fetch(
        """
        SELECT COALESCE(s.key, p.key) AS key, COALESCE(s.sequence, 0) AS last, p.is_fault
          FROM (SELECT key, sequence FROM consumer_sequences
                 WHERE consumer = $1 AND topic = $2 AND key = ANY($3::text[])) AS s
          FULL JOIN (SELECT key, bool_or(cause <> ALL($4::text[])) AS is_fault FROM parked
                      WHERE consumer = $1 AND topic = $2 AND key = ANY($3::text[])
                      GROUP BY key) AS p ON p.key = s.key
        """,
        consumer,
        topic,
        list(keys),
        list(WAITING),
    )
    holds = {None: None, False: Hold.WAITING, True: Hold.FAULT}
    return {row["key"]: StreamState(row["last"], holds[row["is_fault"]]) for row in rows}


async def keep_sequences(
    connection: Connection, consumer: str, topic: str, sequences: dict[str, int]
) -> None:
    await connection.execute(
        """
        INSERT INTO consumer_sequences (consumer, topic, key, sequence)
        SELECT $1, $2, key, sequence FROM unnest($3::text[], $4::int[]) AS new (key, sequence)
            ON CONFLICT (consumer, topic, key) DO UPDATE SET sequence = excluded.sequence
        """,
        consumer,
        topic,
        list(sequences),
        list(sequences.values()),
    )


async def park(
    connection: Connection, consumer: str, records: Sequence[tuple[RawRecord, str, str]]
) -> None:
    """records: each with its cause and a detail that holds no value of the record."""
    await connection.executemany(
        """
        INSERT INTO parked (consumer, topic, partition, record_offset, key, headers, value, cause,
                            detail)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT DO NOTHING  -- parked before the consumer was set back to an earlier offset
        """,
        [
            (
                consumer,
                raw.topic,
                raw.partition,
                raw.offset,
                raw.stream_key,
                _encode_headers(raw),
                raw.value,
                cause,
                detail,
            )
            for raw, cause, detail in records
        ],
    )


async def parked_stream(
    connection: Connection, consumer: str, topic: str, key: str, *, sequenced: bool
) -> ParkedStream:
    rows = await connection.fetch(
        "SELECT partition, record_offset, headers, value, cause FROM parked"
        " WHERE consumer = $1 AND topic = $2 AND key = $3 ORDER BY record_offset",
        consumer,
        topic,
        key,
    )
    last = await connection.fetchval(
        "SELECT sequence FROM consumer_sequences WHERE consumer = $1 AND topic = $2 AND key = $3",
        consumer,
        topic,
        key,
    )
    records = [
        ParkedRecord(
            _decode(topic, row["partition"], row["record_offset"], row["headers"], row["value"]),
            row["cause"],
        )
        for row in rows
    ]
    return ParkedStream(records, last or 0, sequenced)


async def unpark(
    connection: Connection, consumer: str, topic: str, partition: int, offsets: Collection[int]
) -> None:
    await connection.execute(
        "DELETE FROM parked WHERE consumer = $1 AND topic = $2 AND partition = $3"
        " AND record_offset = ANY($4::bigint[])",
        consumer,
        topic,
        partition,
        list(offsets),
    )


async def set_cause(
    connection: Connection, consumer: str, raw: RawRecord, cause: str, detail: str
) -> None:
    """What holds the stream has changed; the time since when it does, too."""
    await connection.execute(
        """
        UPDATE parked SET cause = $5, detail = $6, parked_at = clock_timestamp()
         WHERE consumer = $1 AND topic = $2 AND partition = $3 AND record_offset = $4
           AND (cause, detail) <> ($5, $6)
        """,
        consumer,
        raw.topic,
        raw.partition,
        raw.offset,
        cause,
        detail,
    )


async def discard(
    connection: Connection, consumer: str, raw: RawRecord, actor: Actor, reason: str
) -> None:
    """Out of the way, but kept with who did it and why."""
    await connection.execute(
        """
        WITH gone AS (
            DELETE FROM parked
             WHERE consumer = $1 AND topic = $2 AND partition = $3 AND record_offset = $4
         RETURNING *)
        INSERT INTO discarded (consumer, topic, partition, record_offset, key, headers, value,
                               cause, detail, parked_at, discarded_by, discard_reason)
        SELECT consumer, topic, partition, record_offset, key, headers, value,
               cause, detail, parked_at, $5, $6 FROM gone
        """,
        consumer,
        raw.topic,
        raw.partition,
        raw.offset,
        _ACTOR.dump_json(actor).decode(),
        reason,
    )


@dataclass(frozen=True)
class DiscardedRecord:
    """One that an operator put away for another reader of the same topic."""

    partition: int
    offset: int
    actor: Actor
    reason: str


async def discarded_before(
    connection: Connection, consumer: str, other: str, topic: str
) -> list[DiscardedRecord]:
    """Of what is parked for `consumer`: what was discarded for `other`, in order."""
    rows = await connection.fetch(
        """
        SELECT partition, record_offset, d.discarded_by, d.discard_reason
          FROM parked AS p JOIN discarded AS d USING (topic, partition, record_offset)
         WHERE p.consumer = $1 AND d.consumer = $2 AND topic = $3
         ORDER BY partition, record_offset
        """,
        consumer,
        other,
        topic,
    )
    return [
        DiscardedRecord(
            row["partition"],
            row["record_offset"],
            _ACTOR.validate_json(row["discarded_by"]),
            row["discard_reason"],
        )
        for row in rows
    ]


@dataclass(frozen=True)
class HeldStream:
    topic: str
    partition: int
    key: str
    gap_since: datetime | None
    is_late: bool


async def waiting_streams(connection: Connection, consumer: str) -> list[HeldStream]:
    """Streams of which no record is at fault: they wait for a missing one, or to be drained."""
    rows = await connection.fetch(
        """
        SELECT topic, partition, key, gap_since,
               coalesce(gap_since < clock_timestamp() - $4::interval, false) AS is_late
          FROM (SELECT topic, partition, key,
                       min(parked_at) FILTER (WHERE cause = $2) AS gap_since
                  FROM parked WHERE consumer = $1
                 GROUP BY topic, partition, key HAVING bool_and(cause = ANY($3::text[]))) AS held
        """,
        consumer,
        Cause.GAP,
        list(WAITING),
        GAP_ALARM,
    )
    return [HeldStream(**row) for row in rows]


async def known_by_now(
    connection: Connection, consumer: str, topic: str, schemas: Collection[tuple[str, str]]
) -> list[tuple[int, str]]:
    """Partition and key of streams that nothing holds but records of these types and schemas,
    which an older build did not know."""
    rows = await connection.fetch(
        """
        SELECT partition, key
          FROM (SELECT partition, key, cause = ANY($3::text[]) AS waits, cause = ANY($4::text[])
                       AND concat_ws(' ', headers->>'ce_type', headers->>'ce_dataschema')
                           = ANY($5::text[]) AS is_known
                  FROM parked WHERE consumer = $1 AND topic = $2) AS one
         GROUP BY partition, key HAVING bool_and(waits OR is_known) AND bool_or(is_known)
        """,
        consumer,
        topic,
        list(WAITING),
        list(UNKNOWN),
        [f"{_base64(name.encode())} {_base64(schema.encode())}" for name, schema in schemas],
    )
    return [(row["partition"], row["key"]) for row in rows]


async def parked_counts(connection: Connection, consumer: str) -> dict[str, int]:
    """Parked records by topic."""
    rows = await connection.fetch(
        "SELECT topic, count(*) AS n FROM parked WHERE consumer = $1 GROUP BY topic", consumer
    )
    return {row["topic"]: row["n"] for row in rows}


def _encode_headers(raw: RawRecord) -> str:
    """Base64, because a header may be no text; null stays null."""
    counting, others = headers_apart(raw.headers, (":",))
    tree: dict[str, object] = {name: _base64(octets) for name, octets in counting}
    if others:
        tree[_OTHERS] = [(name, _base64(octets)) for name, octets in others]
    if raw.key is not None:
        tree[_RAW_KEY] = _base64(raw.key)
    return json.dumps(tree)


def _base64(octets: bytes | None) -> str | None:
    return None if octets is None else base64.b64encode(octets).decode("ascii")


def _octets(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _decode(
    topic: str, partition: int, offset: int, headers: str, value: bytes | None
) -> RawRecord:
    tree = json.loads(headers)
    key, others = tree.pop(_RAW_KEY, None), tree.pop(_OTHERS, [])
    octets = tuple((name, _octets(text)) for name, text in (*others, *tree.items()))
    return RawRecord(topic, partition, offset, _octets(key), octets, value)
