"""Everything that a running system has stored anywhere, as octets to search for what must not
be there: rows of every table, records of every topic, lines of every service's log.

A text may hide in an encoding; `disguises` names those in which it could be stored by mistake.
"""

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from epassport.database import Connection
from epassport_contracts import ServiceName
from epassport_sandbox.observer import Seen, read_topics
from epassport_sandbox.system import System


@dataclass(frozen=True)
class Place:
    """Where octets were found: `where` is a database, "topic" or "log"."""

    where: str
    name: str


Remains = Mapping[Place, bytes]


async def collect(system: System) -> Remains:
    """All of it; a place without content is there too, with no octets."""
    found: dict[Place, bytes] = {}
    for service in system.urls:
        found |= await _tables(system, service)
    for record in await read_topics(system.stack.kafka.bootstrap):
        place = Place("topic", record.topic)
        found[place] = found.get(place, b"") + _octets(record)
    for log in await asyncio.to_thread(_logs, system.folder):
        found[Place("log", log.name)] = await asyncio.to_thread(log.read_bytes)
    return found


def places_of(what: str | bytes, remains: Remains) -> list[Place]:
    """Where a text, or a piece of an image, stands in the clear or in a known encoding."""
    forms = set(disguises(what))
    return [place for place, octets in remains.items() if any(form in octets for form in forms)]


def disguises(what: str | bytes) -> Iterator[bytes]:
    """As it is; of a text UTF-16 and JSON escapes; hexadecimal; base64 at all three alignments."""
    if isinstance(what, str):
        yield what.encode("utf-16-le")
        yield json.dumps(what)[1:-1].encode()
    octets = what.encode() if isinstance(what, str) else what
    yield octets
    yield octets.hex().encode()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + octets)
        # Characters at both ends depend on what stands next to the text.
        yield encoded[-(-before * 8 // 6) : (before + len(octets)) * 8 // 6]


async def _tables(system: System, service: ServiceName) -> dict[Place, bytes]:
    connection = await asyncpg.connect(system.dsn(service))
    try:
        return {
            Place(service, table): await _rows(connection, table)
            for table in await _table_names(connection)
        }
    finally:
        await connection.close()


async def _table_names(connection: Connection) -> Sequence[str]:
    rows = await connection.fetch(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY table_name"
    )
    return [row["table_name"] for row in rows]


async def _rows(connection: Connection, table: str) -> bytes:
    """Values of bytea are in hexadecimal here."""
    rows = await connection.fetch(f'SELECT t::text AS row FROM "{table}" AS t')  # noqa: S608
    return "\n".join(row["row"] for row in rows).encode()


def _octets(record: Seen) -> bytes:
    raw = record.raw
    headers = [name.encode() + b": " + (value or b"") for name, value in raw.headers]
    return b"\n".join([raw.key or b"", *headers, raw.value or b"", b""])


def _logs(folder: Path) -> list[Path]:
    return sorted((folder / "logs").glob("*.log"))
