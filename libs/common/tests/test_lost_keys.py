"""Data keys that others got and a restored database has lost, over real PostgreSQL and Kafka."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from backups import all_sent, as_it_was
from kafka_notes import Notes, clients_of, prepare

from epassport import StreamId
from epassport.actor import service_actor
from epassport.blob_writer import BlobWriter, NewBlob
from epassport.blobs import load
from epassport.ceremony import PURPOSES, CeremonyResult, hold_ceremony
from epassport.database import Database
from epassport.errors import Poison
from epassport.events import Origin
from epassport.keyring import OpeningKeys, SubjectKeyring
from epassport.keystore import KeyStore
from epassport.progress import Progress
from epassport.records import Incoming, RawRecord, read_event, read_head
from epassport.restore import Found, restore
from epassport.trustfile import TrustFile, read_public_key
from epassport_contracts import DataPurpose, Sealed, ServiceName
from epassport_contracts.events.keys import SubjectKey
from epassport_contracts.registry import BY_NAME, SUBJECT_KEYS
from epassport_sandbox.stack import Stack
from epassport_sandbox.topics import TopicSpec, create_topics

pytestmark = pytest.mark.stack

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
BIOMETRICS, CARDS = ServiceName.BIOMETRICS, ServiceName.CARD_PERSONALIZATION
ENROLLMENT = ServiceName.ENROLLMENT
CHIP = DataPurpose.CHIP
KEYS = BY_NAME[SUBJECT_KEYS]
ORIGIN = Origin(service_actor("test"), uuid4())


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> CeremonyResult:
    return hold_ceremony(tmp_path_factory.mktemp("keys"), list(ServiceName), at=NOON)


def keyring_of(service: ServiceName, held: CeremonyResult) -> SubjectKeyring:
    own = held.services[service]
    store = KeyStore.open(own.keystore, own.passphrase, PURPOSES[service], sandbox=True)
    trust = TrustFile.open(held.trust_file, read_public_key(held.root_public_key), sandbox=True)
    return SubjectKeyring(service, store, trust, lambda: NOON)


@dataclass
class Biometrics:
    """The owner of keys, in one state of its database."""

    dsn: str
    database: Database
    keyring: SubjectKeyring
    kafka: str

    async def seals(self, holder: UUID, octets: bytes) -> Sealed[bytes]:
        writer = BlobWriter(BIOMETRICS, self.database, self.keyring)
        (digest,) = await writer.write(
            holder,
            [NewBlob("chip-image", "image/jpeg", octets)],
            stream=StreamId(f"biometric-record/{holder}"),
            origin=ORIGIN,
        )
        await all_sent(self.dsn, self.kafka, service=BIOMETRICS)
        async with self.database.connection() as connection:
            blob = await load(connection, digest)
        assert blob is not None
        return blob.envelope

    async def restored(self) -> Found:
        return await restore(
            *(self.database, self.dsn, self.keyring, Notes(), BIOMETRICS),
            clients_of(self.kafka),
            Progress(),
            topics=[KEYS],
        )

    async def lost(self, holder: UUID) -> set[int]:
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT generation FROM subject_keys WHERE subject = $1 AND wrapped IS NULL", holder
            )
        return {row["generation"] for row in rows}

    async def opening(self, holder: UUID) -> OpeningKeys:
        return await opening(self.database, self.keyring, holder)


async def opening(database: Database, keyring: SubjectKeyring, holder: UUID) -> OpeningKeys:
    async with database.connection() as connection:
        return await keyring.opening_keys(connection, {(holder, CHIP)})


@pytest_asyncio.fixture(loop_scope="session")
async def biometrics(
    database: str, held: CeremonyResult, stack: Stack
) -> AsyncIterator[Biometrics]:
    kafka = stack.kafka.bootstrap
    await create_topics(kafka, [TopicSpec(KEYS.name, KEYS.partitions, KEYS.config)])
    await prepare(database)
    connected = await Database.connect(database, connections=3)
    yield Biometrics(database, connected, keyring_of(BIOMETRICS, held), kafka)
    await connected.close()


@pytest_asyncio.fixture(loop_scope="session")
async def cards(stack: Stack) -> AsyncIterator[Database]:
    name = f"cards_{uuid4().hex}"
    dsn = await stack.postgres.create_database(name)
    await prepare(dsn)
    connected = await Database.connect(dsn, connections=3)
    yield connected
    await connected.close()
    await stack.postgres.drop_database(name)


async def messages_about(holder: UUID, kafka: str) -> list[Incoming]:
    """All of a person that stand on the topic."""
    partitions = [TopicPartition(KEYS.name, number) for number in range(KEYS.partitions)]
    consumer = clients_of(kafka).reader()
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[RawRecord] = []
        while behind := [one for one in partitions if await consumer.position(one) < ends[one]]:
            for batch in (await consumer.getmany(*behind, timeout_ms=500)).values():
                found += [RawRecord.of(record) for record in batch]
    finally:
        await consumer.stop()
    mine = [raw for raw in found if raw.stream_key.startswith(str(holder))]
    return [read_event(raw, read_head(raw, KEYS)) for raw in mine]


async def test_what_is_sealed_after_a_restore_opens_where_the_keys_from_before_are(
    biometrics: Biometrics, cards: Database, held: CeremonyResult, database: str, stack: Stack
) -> None:
    """One person's keys were in the backup, the other's were made after it."""
    old, new = uuid4(), uuid4()
    await biometrics.seals(old, b"in the backup")
    async with as_it_was(biometrics.database, database, stack) as copy:
        biometrics.database = await Database.connect(database, connections=3)
        before = await biometrics.seals(new, b"before")
        await biometrics.database.close()
        biometrics.dsn, biometrics.database = copy, await Database.connect(copy, connections=3)
        try:
            assert (await biometrics.restored()).lost_keys > 0
            assert (await biometrics.restored()).lost_keys == 0
            assert [await biometrics.lost(holder) for holder in (old, new)] == [set(), {1}]
            after, kept = (
                await biometrics.seals(new, b"after"),
                await biometrics.seals(old, b"as ever"),
            )
            assert (before.generation, after.generation, kept.generation) == (1, 2, 1)

            receiving = keyring_of(CARDS, held)
            async with cards.transaction() as connection:
                for holder in (old, new):
                    about = await messages_about(holder, biometrics.kafka)
                    await receiving.receive(connection, about)
            keys = await opening(cards, receiving, new)
            assert [
                keys.open(envelope, subject=new, field="chip-image") for envelope in (before, after)
            ] == [b"before", b"after"]
            keys = await opening(cards, receiving, old)
            assert keys.open(kept, subject=old, field="chip-image") == b"as ever"

            own = await biometrics.opening(new)
            assert own.open(after, subject=new, field="chip-image") == b"after"
            with pytest.raises(Poison, match="lost-key"):
                own.open(before, subject=new, field="chip-image")
        finally:
            await biometrics.database.close()


async def test_keys_that_are_lost_twice_get_a_third_generation_and_go_with_their_person(
    biometrics: Biometrics,
) -> None:
    holder, erased = uuid4(), uuid4()
    for generation in (1, 2):
        assert (await biometrics.seals(holder, b"face")).generation == generation
        assert (await biometrics.seals(erased, b"face")).generation == generation
        async with biometrics.database.transaction() as connection:
            await connection.execute("DELETE FROM subject_keys")
        await biometrics.restored()
    assert (await biometrics.seals(holder, b"face")).generation == 3
    async with biometrics.database.transaction() as connection:
        gone = await biometrics.keyring.destroy(connection, erased, NOON)
    assert set(gone) == {record.key for record in await messages_about(erased, biometrics.kafka)}
    await biometrics.restored()
    assert await biometrics.lost(erased) == set()


async def test_only_a_message_that_its_recipient_believes_loses_a_generation(
    biometrics: Biometrics, held: CeremonyResult
) -> None:
    holder = uuid4()
    await biometrics.seals(holder, b"face")
    messages = await messages_about(holder, biometrics.kafka)
    forged = [of_generation(message, 7) for message in messages]
    async with biometrics.database.transaction() as connection:
        others = await keyring_of(ENROLLMENT, held).sealing_keys(
            connection, {(uuid4(), DataPurpose.IDENTITY)}
        )
        await connection.execute("DELETE FROM subject_keys")
        stolen = [
            replace(messages[0], event=event, key=event.record_key()) for event in others.messages
        ]
        assert await biometrics.keyring.note_lost(connection, [*forged, *stolen]) == 0
        assert await biometrics.keyring.note_lost(connection, messages) == 1


def of_generation(message: Incoming, generation: int) -> Incoming:
    assert isinstance(message.event, SubjectKey)
    event = message.event.model_copy(update={"generation": generation})
    return replace(message, event=event, key=event.record_key())
