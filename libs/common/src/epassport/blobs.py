"""Sealed images and files, each named by the SHA-256 of its ciphertext.

A blob is stored as received and opened like any other envelope. One that arrives after its
person was erased stays unreadable: the key is gone.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncpg import Record

from epassport.database import Connection
from epassport.errors import Poison
from epassport_contracts import Sealed

MAX_BLOB_BYTES = 512 * 1024


@dataclass(frozen=True)
class Blob:
    envelope: Sealed[bytes]
    media_type: str


def digest_of(envelope: Sealed[Any]) -> str:
    """Lower-case hex; what events name a blob by."""
    return hashlib.sha256(envelope.ct).hexdigest()


async def store(connection: Connection, envelope: Sealed[bytes], media_type: str) -> str:
    """Returns the digest; storing the same blob again changes nothing. Raises Poison."""
    (digest,) = await store_all(connection, [Blob(envelope, media_type)])
    return digest


async def store_all(connection: Connection, found: Sequence[Blob]) -> list[str]:
    """Returns the digests, in one statement for all. Raises Poison."""
    for blob in found:
        if len(blob.envelope.ct) > MAX_BLOB_BYTES:
            raise Poison("blob-too-large", str(len(blob.envelope.ct)))
    digests = [digest_of(blob.envelope) for blob in found]
    await connection.execute(
        """
        INSERT INTO blobs (digest, subject, media_type, envelope, ct)
        SELECT d, s, m, e::jsonb, c
          FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::bytea[])
            AS new (d, s, m, e, c)
            ON CONFLICT DO NOTHING
        """,
        digests,
        [blob.envelope.subject for blob in found],
        [blob.media_type for blob in found],
        [blob.envelope.model_dump_json(exclude={"ct"}) for blob in found],
        [blob.envelope.ct for blob in found],
    )
    return digests


async def load(connection: Connection, digest: str) -> Blob | None:
    """None: never stored here, or its person was erased."""
    return (await load_all(connection, [digest]))[0]


async def load_all(connection: Connection, digests: Sequence[str]) -> list[Blob | None]:
    """As `load`, in the order asked."""
    rows = await connection.fetch(
        """
        SELECT digest, media_type, envelope::text AS envelope, ct
          FROM blobs WHERE digest = ANY($1::text[])
        """,
        list(digests),
    )
    found = {row["digest"]: _blob(row) for row in rows}
    return [found.get(digest) for digest in digests]


def _blob(row: Record) -> Blob:
    members = json.loads(row["envelope"])
    return Blob(Sealed.model_validate({**members, "ct": row["ct"]}), row["media_type"])
