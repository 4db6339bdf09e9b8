"""Dead letters: what was parked for a fault of its own, once more on a topic, for foreign tools.

The octets are those that came, key and value and headers; what was wrong stands beside them in
`x-error-*` and `x-original-*`. The record goes through the outbox, in the transaction that parks.
The parking in PostgreSQL is the truth: nothing of ours reads this topic, and what is behind a
parked record is not repeated here.

A header that is no text, and a key that is none, cannot stand in the outbox as they are:
`x-original-header-base64-<name>` and `x-original-key-base64` hold them. Of a name that came more
than once the last header stands there, as it is the one that counts; `x-original-headers-others`
holds the earlier ones, and those called as ours, as JSON: `[[name, base64 or null], ...]`, in
order. How headers of different names stood among each other is not kept, and what is no text in
a name, or a NUL, is U+FFFD.
"""

import base64
import json
from collections.abc import Sequence

from epassport.database import Connection
from epassport.outbox import shard_of
from epassport.records import WAITING, RawRecord, headers_apart
from epassport.wire import MAX_RECORD_BYTES
from epassport_contracts import ServiceName
from epassport_contracts.registry import dead_letter_topic

MAX_HEADERS_BYTES = 50_000
HEADER_BYTES = 16  # what each takes beside its name and value

Fault = tuple[RawRecord, str, str]
"""A record, its cause, and a detail that holds no value of the record."""


async def write(
    connection: Connection, service: ServiceName, consumer: str, faults: Sequence[Fault]
) -> None:
    """faults: those that only wait behind another are left out."""
    topic = dead_letter_topic(service)
    rows = [
        (
            shard_of(topic, raw.stream_key),
            topic,
            raw.stream_key,
            json.dumps(headers_of(raw, consumer, cause, detail)),
            _value(raw),
        )
        for raw, cause, detail in faults
        if cause not in WAITING
    ]
    if rows:
        await connection.executemany(
            """
            INSERT INTO outbox (transaction_id, shard, id, aggregatetype, aggregateid, type,
                                headers, payload)
            VALUES (pg_current_xact_id(), $1, gen_random_uuid(), $2, $3, 'dead-letter', $4, $5)
            """,
            rows,
        )


def headers_of(raw: RawRecord, consumer: str, cause: str, detail: str) -> dict[str, str]:
    """The record's own, as far as they are text and not too many, and what was wrong."""
    headers: dict[str, str] = {}
    sizes = (len(name) + len(octets or b"") + HEADER_BYTES for name, octets in raw.headers)
    if sum(sizes) <= MAX_HEADERS_BYTES:
        counting, others = headers_apart(raw.headers, ("x-original-", "x-error-"))
        headers.update(_header(name, octets) for name, octets in counting)
        if others:
            told = [(name, None if octets is None else _base64(octets)) for name, octets in others]
            headers["x-original-headers-others"] = json.dumps(told)
    else:
        headers["x-original-headers-left-out"] = str(len(raw.headers))
    if raw.key is None:
        headers["x-original-key"] = "null"
    elif len(raw.key) > MAX_HEADERS_BYTES:
        headers["x-original-key-left-out"] = str(len(raw.key))
    elif raw.key != raw.stream_key.encode():
        headers["x-original-key-base64"] = _base64(raw.key)
    if raw.value is None:
        headers["x-original-value"] = "null"
    elif len(raw.value) > MAX_RECORD_BYTES:
        headers["x-original-value-left-out"] = str(len(raw.value))
    return {
        **headers,
        "x-original-topic": raw.topic,
        "x-original-partition": str(raw.partition),
        "x-original-offset": str(raw.offset),
        "x-error-consumer": consumer,
        "x-error-cause": cause,
        "x-error-detail": detail,
    }


def _header(name: str, octets: bytes | None) -> tuple[str, str]:
    if octets is None:
        return f"x-original-header-null-{name}", ""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # the outbox is jsonb, which holds none
        return f"x-original-header-base64-{name}", _base64(octets)
    return name, text


def _value(raw: RawRecord) -> bytes | None:
    """None also where it would not fit the topic with its headers."""
    if raw.value is None or len(raw.value) > MAX_RECORD_BYTES:
        return None
    return raw.value


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
