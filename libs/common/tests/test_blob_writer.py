"""Blobs sealed outside a group, against real PostgreSQL."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from epassport import StreamId
from epassport.actor import service_actor
from epassport.blob_writer import BlobWriter, NewBlob
from epassport.blobs import MAX_BLOB_BYTES, load, load_all
from epassport.ceremony import hold_ceremony
from epassport.database import Database
from epassport.errors import Erased, Poison
from epassport.events import Origin
from epassport.keyring import SubjectKeyring
from epassport.keystore import KeyStore
from epassport.signing import SigningPurpose
from epassport.trustfile import TrustFile, read_public_key
from epassport_contracts import DataPurpose, ServiceName

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
BIOMETRICS = ServiceName.BIOMETRICS
STREAM = StreamId("biometric-record/1")
ORIGIN = Origin(service_actor("test"), uuid4())
FINGER = NewBlob("sample", "image/png", b"ridges")
FACE = NewBlob("sample", "image/jpeg", b"a face")


@pytest_asyncio.fixture(loop_scope="session")
async def writer(database: str, tmp_path: Path) -> AsyncIterator[BlobWriter]:
    keys = hold_ceremony(tmp_path / "keys", list(ServiceName), at=NOON)
    own = keys.services[BIOMETRICS]
    purpose = SigningPurpose.SUBJECT_KEY
    store = KeyStore.open(own.keystore, own.passphrase, [purpose], sandbox=True)
    trust = TrustFile.open(keys.trust_file, read_public_key(keys.root_public_key), sandbox=True)
    connected = await Database.connect(database, connections=3)
    async with connected.connection() as connection:
        for script in ("0001_runtime.sql", "0002_keys.sql"):
            await connection.execute((files("epassport") / "migrations" / script).read_text())
    keyring = SubjectKeyring(BIOMETRICS, store, trust, lambda: NOON)
    yield BlobWriter(BIOMETRICS, connected, keyring)
    await connected.close()


async def write(writer: BlobWriter, subject: UUID, *blobs: NewBlob) -> list[str]:
    return await writer.write(subject, blobs, stream=STREAM, origin=ORIGIN)


async def count(writer: BlobWriter, table: str) -> int:
    async with writer.database.connection() as connection:
        found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return found


async def test_blobs_come_back_in_the_order_given_and_open_again(writer: BlobWriter) -> None:
    holder = uuid4()
    digests = await write(writer, holder, FACE, FINGER)
    async with writer.database.connection() as connection:
        found = [await load(connection, digest) for digest in digests]
        wanted = {(holder, DataPurpose.BIOMETRICS)}
        keys = await writer.keyring.opening_keys(connection, wanted)
    opened = [
        (blob.media_type, keys.open(blob.envelope, subject=holder, field="sample"))
        for blob in found
        if blob is not None
    ]
    assert opened == [("image/jpeg", b"a face"), ("image/png", b"ridges")]


async def test_blobs_asked_for_together_come_in_that_order_and_one_not_there_is_none(
    writer: BlobWriter,
) -> None:
    face, finger = await write(writer, uuid4(), FACE, FINGER)
    async with writer.database.connection() as connection:
        found = await load_all(connection, [finger, "0" * 64, face, finger])
    assert [blob and blob.media_type for blob in found] == [
        "image/png", None, "image/jpeg", "image/png",
    ]  # fmt: skip


async def test_the_messages_of_new_keys_wait_to_be_sent_once(writer: BlobWriter) -> None:
    holder = uuid4()
    await write(writer, holder, FINGER)
    await write(writer, holder, FACE)
    async with writer.database.connection() as connection:
        rows = await connection.fetch("SELECT aggregateid, headers, payload FROM outbox")
    recipients = (ServiceName.CARD_PERSONALIZATION, ServiceName.CLOUD_PROFILE)
    keys = {f"{holder}/{recipient}/biometrics/1" for recipient in recipients}
    assert {row["aggregateid"] for row in rows} == keys
    assert {json.loads(row["headers"])["ce_subject"] for row in rows} == {STREAM}
    assert len(rows) == 2


async def test_where_one_blob_is_too_large_nothing_is_written(writer: BlobWriter) -> None:
    too_large = NewBlob("sample", "image/png", bytes(MAX_BLOB_BYTES))
    with pytest.raises(Poison, match="blob-too-large"):
        await write(writer, uuid4(), FINGER, too_large)
    assert [await count(writer, table) for table in ("blobs", "subject_keys", "outbox")] == [0] * 3


async def test_discarded_blobs_are_gone_and_others_stay(writer: BlobWriter) -> None:
    face, finger = await write(writer, uuid4(), FACE, FINGER)
    await writer.discard([face])
    async with writer.database.connection() as connection:
        assert await load(connection, face) is None
        assert await load(connection, finger) is not None


async def test_nothing_is_sealed_for_an_erased_person(writer: BlobWriter) -> None:
    holder = uuid4()
    async with writer.database.transaction() as connection:
        await writer.keyring.destroy(connection, holder, NOON)
    with pytest.raises(Erased):
        await write(writer, holder, FINGER)
    assert await count(writer, "blobs") == 0
