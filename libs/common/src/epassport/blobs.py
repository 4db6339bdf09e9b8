"""Sealed images and files, each named by the SHA-256 of its ciphertext.

A blob is stored as received and opened like any other envelope. One that arrives after its
person was erased stays unreadable: the key is gone.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

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
    if len(envelope.ct) > MAX_BLOB_BYTES:
        raise Poison("blob-too-large", str(len(envelope.ct)))
    digest = digest_of(envelope)
    await connection.execute(
        """
        INSERT INTO blobs (digest, subject, media_type, envelope, ct)
        VALUES ($1, $2, $3, $4::text::jsonb, $5) ON CONFLICT DO NOTHING
        """,
        digest,
        envelope.subject,
        media_type,
        envelope.model_dump_json(exclude={"ct"}),
        envelope.ct,
    )
    return digest


async def load(connection: Connection, digest: str) -> Blob | None:
    """None: never stored here, or its person was erased."""
    row = await connection.fetchrow(
        "SELECT media_type, envelope::text AS envelope, ct FROM blobs WHERE digest = $1", digest
    )
    if row is None:
        return None
    members = json.loads(row["envelope"])
    return Blob(Sealed.model_validate({**members, "ct": row["ct"]}), row["media_type"])
