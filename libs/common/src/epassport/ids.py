"""Ids that are made or read for every event, as the driver's own kind of UUID.

It is a UUID like any other; made, written as text and sent to the database it costs a fifth.
"""

import hashlib
import os
import time
from uuid import UUID

from asyncpg.pgproto import pgproto

_VERSION, _VARIANT = 6, 8  # the octets whose upper bits say so


def read_id(text: str) -> UUID:
    """Raises ValueError."""
    return pgproto.UUID(text)


def named_id(namespace: UUID, name: str) -> UUID:
    """The same however often it is made (version 5, RFC 9562 §5.5)."""
    digest = hashlib.sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    return _of(bytearray(digest[:16]), 0x50)


def new_id() -> UUID:
    """In the order of time, so that a unique index stays local (version 7, RFC 9562 §5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    return _of(bytearray(milliseconds.to_bytes(6) + os.urandom(10)), 0x70)


def _of(octets: bytearray, version: int) -> UUID:
    octets[_VERSION] = octets[_VERSION] & 0x0F | version
    octets[_VARIANT] = octets[_VARIANT] & 0x3F | 0x80
    return pgproto.UUID(bytes(octets))
