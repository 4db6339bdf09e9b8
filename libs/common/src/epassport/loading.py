"""What a group reads under its locks: events of its streams, and answers that were given before.

Both in one statement: each is a round trip, and most groups hold one or two commands.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from asyncpg import Record

from epassport.commands import Envelope, Token
from epassport.database import Connection
from epassport.decider import StreamId
from epassport.events import EventCodec


@dataclass(frozen=True)
class KeptAnswer:
    body_hmac: bytes
    reason: str | None
    version: int
    token: Token | None
    answer: str


Answers = dict[tuple[str, str], KeptAnswer]
"""By scope and key."""

Events = dict[StreamId, list[Any]]


async def load(connection: Connection, codec: EventCodec, streams: Collection[StreamId]) -> Events:
    """Every event of the streams, in order of version."""
    events: Events = {stream: [] for stream in streams}
    for row in await connection.fetch(_EVENTS, list(streams)) if streams else ():
        events[row["stream_id"]].append(_event(codec, row))
    return events


async def are_known(connection: Connection, streams: Sequence[StreamId]) -> Sequence[bool]:
    """Whether anything was ever recorded of each."""
    rows = await connection.fetch(
        "SELECT stream_id FROM streams WHERE stream_id = ANY($1::text[]) AND version > 0",
        list(streams),
    )
    known = {row["stream_id"] for row in rows}
    return [stream in known for stream in streams]


async def load_with_answers(
    connection: Connection,
    codec: EventCodec,
    streams: Collection[StreamId],
    envelopes: Sequence[Envelope],
) -> tuple[Events, Answers]:
    """Read under the stream locks: a twin in flight has committed."""
    keys = [e.idempotency for e in envelopes if e.idempotency is not None]
    if not keys:
        return await load(connection, codec, streams), {}
    named = [key.scope for key in keys], [key.key for key in keys]
    events: Events = {stream: [] for stream in streams}
    answers: Answers = {}
    for row in await connection.fetch(_BOTH, list(streams), *named):
        if row["scope"] is None:
            events[row["stream_id"]].append(_event(codec, row))
        else:
            answers[row["scope"], row["key"]] = _answer(row)
    return events, answers


def _event(codec: EventCodec, row: Record) -> Any:
    return codec.decode(row["type"], row["schema_version"], row["data"])


def _answer(row: Record) -> KeptAnswer:
    token = Token(int(row["transaction_id"]), row["position"]) if row["position"] else None
    return KeptAnswer(row["body_hmac"], row["reason"], row["version"] or 0, token, row["data"])


_EVENTS = """
SELECT stream_id, version, type, schema_version, data
  FROM events WHERE stream_id = ANY($1::text[]) ORDER BY stream_id, version
"""
_BOTH = f"""
SELECT *, NULL AS scope, NULL AS key, NULL::bytea AS body_hmac, NULL AS reason,
       NULL AS transaction_id, NULL::bigint AS position
  FROM ({_EVENTS}) AS e
 UNION ALL
SELECT NULL, i.version, NULL, NULL, i.answer, i.scope, i.key, i.body_hmac, i.reason,
       i.transaction_id::text, i.position
  FROM unnest($2::text[], $3::text[]) AS asked (scope, key)
  JOIN idempotency AS i ON i.scope = asked.scope AND i.key = asked.key
 ORDER BY stream_id, version
"""  # noqa: S608
