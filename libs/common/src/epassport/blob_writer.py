"""Blobs sealed outside a group: images too large for an event, stored before the command that
names them.

One transaction seals, stores, and sends the messages of keys that were made for it, so that no
key is used that its recipients will not hear of. A command refused afterwards leaves blobs that
nothing names: discard them. One that a crash left behind opens only with the person's key and
goes with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from epassport import blobs
from epassport.blobs import Blob
from epassport.catalog import Publication
from epassport.database import Connection, Database
from epassport.decider import StreamId
from epassport.errors import GroupConflict
from epassport.events import Origin, Recorded
from epassport.keyring import SubjectKeyring
from epassport.outbox import write_record
from epassport.wire import record_of
from epassport_contracts import DataPurpose, ServiceName
from epassport_contracts.events.keys import SubjectKey
from epassport_contracts.fields import FIELDS
from epassport_contracts.registry import SUBJECT_KEYS

ATTEMPTS = 10


@dataclass(frozen=True)
class NewBlob:
    """field_name: of the contract dictionary, one whose values are bytes."""

    field_name: str
    media_type: str
    octets: bytes = field(repr=False)

    @property
    def purpose(self) -> DataPurpose:
        return FIELDS[self.field_name].purpose


@dataclass(frozen=True)
class BlobWriter:
    service: ServiceName
    database: Database
    keyring: SubjectKeyring

    async def write(
        self, subject: UUID, new: Sequence[NewBlob], *, stream: StreamId, origin: Origin
    ) -> list[str]:
        """Digests in the order given. Sealed again, the same octets have another digest.

        stream: on whose behalf, for the headers of key messages. Raises Erased, KeyPending,
        Poison (blob-too-large).
        """
        for attempt in range(ATTEMPTS):
            try:
                async with self.database.transaction() as connection:
                    return await self._write(connection, subject, new, stream, origin)
            except GroupConflict:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def discard(self, digests: Sequence[str]) -> None:
        """Blobs that no event names."""
        async with self.database.connection() as connection:
            await connection.execute("DELETE FROM blobs WHERE digest = ANY($1::text[])", digests)

    async def _write(
        self,
        connection: Connection,
        subject: UUID,
        new: Sequence[NewBlob],
        stream: StreamId,
        origin: Origin,
    ) -> list[str]:
        keys = await self.keyring.sealing_keys(connection, {(subject, b.purpose) for b in new})
        sealed = [
            Blob(keys.seal(subject, blob.field_name, blob.octets), blob.media_type) for blob in new
        ]
        digests = await blobs.store_all(connection, sealed)
        for message in keys.messages:
            await self._send(connection, message, stream, origin)
        return digests

    async def _send(
        self, connection: Connection, message: SubjectKey, stream: StreamId, origin: Origin
    ) -> None:
        publication = Publication(message, SUBJECT_KEYS, message.record_key())
        cause = Recorded(message, stream, 0, 0, 0, uuid4(), origin, message.at)
        record = record_of(self.service, publication, cause, 0)
        await write_record(connection, publication, record)
