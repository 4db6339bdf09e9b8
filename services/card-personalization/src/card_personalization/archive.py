"""Files of a card as sealed blobs: stored in parts, named by the digests of the parts.

A blob has at most 512 kB and a face printed at 600 dpi is larger, hence the parts.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from card_personalization.card_commands import Files
from epassport import Actor, blobs
from epassport.blobs import Blob
from epassport.database import Connection, Database
from epassport.keyring import SubjectKeyring
from epassport.opening import InRecord, open_for
from epassport.sealing import ERASED
from epassport_contracts import Sealed
from epassport_contracts.fields import FIELDS

PART_BYTES = 500_000

CHIP_FILE, PRINT, IMAGE = "chip-file", "print", "chip-image"
OCTETS = "application/octet-stream"


async def store(
    connection: Connection,
    keyring: SubjectKeyring,
    holder_id: UUID,
    field: str,
    files: Mapping[str, tuple[bytes, str]],
) -> Files:
    """Seal and keep files, each with its media type; returns their digests by name.

    Runs in the caller's transaction. Raises KeyPending, Erased.
    """
    keys = await keyring.sealing_keys(connection, {(holder_id, FIELDS[field].purpose)})
    sealed = [
        (name, Blob(keys.seal(holder_id, field, part), media_type))
        for name, (octets, media_type) in files.items()
        for part in _parts(octets)
    ]
    digests = await blobs.store_all(connection, [blob for _, blob in sealed])
    stored: dict[str, tuple[str, ...]] = dict.fromkeys(files, ())
    for (name, _), digest in zip(sealed, digests, strict=True):
        stored[name] += (digest,)
    return stored


async def fetch(
    database: Database,
    keyring: SubjectKeyring,
    holder_id: UUID,
    field: str,
    files: Files,
    *,
    actor: Actor,
    reason: str,
    correlation_id: UUID,
) -> dict[str, bytes] | None:
    """Opened files by name; None once the holder was erased. Audited. Raises KeyPending."""
    digests = [digest for parts in files.values() for digest in parts]
    async with database.connection() as connection:
        envelopes = await _envelopes(connection, digests)
    if envelopes is None:
        return None
    opened = await open_for(
        database,
        keyring,
        [InRecord(holder_id, field, envelope) for envelope in envelopes],
        actor=actor,
        reason=reason,
        correlation_id=correlation_id,
    )
    if ERASED in opened:
        return None
    parts = iter(opened)
    return {name: b"".join(next(parts) for _ in digests) for name, digests in files.items()}


def _parts(octets: bytes) -> list[bytes]:
    return [octets[start : start + PART_BYTES] for start in range(0, len(octets), PART_BYTES)]


async def _envelopes(connection: Connection, digests: Sequence[str]) -> list[Sealed[bytes]] | None:
    """A blob goes only with its person."""
    found = await blobs.load_all(connection, digests)
    envelopes = [blob.envelope for blob in found if blob is not None]
    return envelopes if len(envelopes) == len(digests) else None
