"""Data keys of persons against real PostgreSQL: made once, sent, received, destroyed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from kafka_notes import Notes, clients_of, consuming, headers_of, new_topic, until, wire, write

from epassport import blobs
from epassport.actor import Actor, Channel, Role, service_actor
from epassport.applying import Applier
from epassport.catalog import Catalog
from epassport.ceremony import PURPOSES, CeremonyResult, hold_ceremony
from epassport.clock import Clock
from epassport.database import Connection, Database
from epassport.errors import Erased, GroupConflict, KeyPending, Poison, Unsafe
from epassport.group import Group
from epassport.key_messages import KeySet, make_messages, record_keys
from epassport.key_wrapping import KeyWrapping
from epassport.keyring import FIRST_GENERATION, SealingKeys, SubjectKeyring
from epassport.keyring_stream import KEYRING, KeysDestroyed, destroy_on_order
from epassport.keystore import KeyStore
from epassport.opening import InRecord, Look, open_for, open_in_task, who_looked
from epassport.progress import Progress
from epassport.reactions import ReactionHandler, Send
from epassport.records import Incoming
from epassport.restore import carry_out_erasures, destroy_again, restore
from epassport.sealing import ERASED, new_data_key, seal
from epassport.signals import Signals
from epassport.signing import SigningPurpose
from epassport.trustfile import TrustFile, read_public_key
from epassport_contracts import ContractEvent, DataPurpose, Sealed, ServiceName
from epassport_contracts.events.enrollment import ErasureOrdered
from epassport_contracts.events.keys import SubjectKey
from epassport_contracts.registry import SUBJECT_KEYS, EventSpec, Topic
from epassport_sandbox.stack import Stack

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
EVENING = datetime(2026, 4, 1, 18, tzinfo=UTC)
NUMBER = "700000001"
IDENTITY, PORTRAIT, CHIP = DataPurpose.IDENTITY, DataPurpose.PORTRAIT, DataPurpose.CHIP
ACCESS = DataPurpose.ACCESS
ENROLLMENT, BIOMETRICS = ServiceName.ENROLLMENT, ServiceName.BIOMETRICS
CARDS, PROFILE = ServiceName.CARD_PERSONALIZATION, ServiceName.CLOUD_PROFILE

Wanted = Collection[tuple[UUID, DataPurpose]]


@dataclass
class Party:
    """One service's keyring with a database of its own."""

    database: Database
    store: KeyStore
    keyring: SubjectKeyring

    async def sealing_keys(self, wanted: Wanted, optional: Wanted = ()) -> SealingKeys:
        async with self.database.transaction() as connection:
            return await self.keyring.sealing_keys(connection, wanted, optional)

    async def receive(self, *events: SubjectKey) -> None:
        async with self.database.transaction() as connection:
            await self.keyring.receive(connection, [record(event) for event in events])

    async def destroy(self, subject: UUID) -> list[str]:
        async with self.database.transaction() as connection:
            return await self.keyring.destroy(connection, subject, EVENING)

    async def open(self, subject: UUID, envelope: Sealed[Any]) -> object:
        async with self.database.connection() as connection:
            keys = await self.keyring.opening_keys(connection, {(subject, envelope.purpose)})
        return keys.open(envelope, subject=subject, field=envelope.field)

    async def count(self, table: str) -> object:
        async with self.database.connection() as connection:
            return await connection.fetchval(f"SELECT count(*) FROM {table}")


@dataclass
class Parties:
    trust: TrustFile
    stores: dict[ServiceName, KeyStore]
    databases: dict[ServiceName, Database]

    def __getitem__(self, service: ServiceName) -> Party:
        """A new process of the service each time."""
        store = self.stores[service]
        keyring = SubjectKeyring(service, store, self.trust, lambda: NOON)
        return Party(self.databases[service], store, keyring)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> CeremonyResult:
    return hold_ceremony(tmp_path_factory.mktemp("keys"), list(ServiceName), at=NOON)


@pytest.fixture(scope="module")
def stores(held: CeremonyResult) -> dict[ServiceName, KeyStore]:
    return {
        service: KeyStore.open(
            held.services[service].keystore,
            held.services[service].passphrase,
            PURPOSES[service],
            sandbox=True,
        )
        for service in (ENROLLMENT, BIOMETRICS, CARDS, PROFILE)
    }


async def _connected(dsn: str) -> Database:
    database = await Database.connect(dsn, connections=3)
    async with database.connection() as connection:
        scripts = (files("epassport") / "migrations").iterdir()
        for script in sorted(scripts, key=lambda path: path.name):
            if script.name.endswith(".sql"):
                await connection.execute(script.read_text())
    return database


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def parties(
    stack: Stack, held: CeremonyResult, stores: dict[ServiceName, KeyStore]
) -> AsyncIterator[Parties]:
    """The databases stay for the whole module: every test has persons of its own."""
    names = {service: f"keyring_{uuid4().hex}" for service in stores}
    databases = {
        service: await _connected(await stack.postgres.create_database(name))
        for service, name in names.items()
    }
    trust = TrustFile.open(held.trust_file, read_public_key(held.root_public_key), sandbox=True)
    yield Parties(trust, stores, databases)
    for service, name in names.items():
        await databases[service].close()
        await stack.postgres.drop_database(name)


@pytest.fixture
def holder() -> UUID:
    return uuid4()


def record(event: SubjectKey, key: str | None = None) -> Incoming:
    return Incoming(
        topic=SUBJECT_KEYS,
        partition=0,
        offset=0,
        key=event.record_key() if key is None else key,
        sequence=None,
        event_id=uuid4(),
        type="SubjectKey",
        source=event.owner,
        correlation_id=uuid4(),
        causation_id=None,
        stream=f"holder/{event.subject}",  # type: ignore[arg-type]
        time=NOON,
        event=event,
    )


async def somebody_waits_for_a_lock(database: Database) -> None:
    waiting = 0
    async with asyncio.timeout(10), database.connection() as connection:
        while not waiting:
            waiting = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )


def to(recipient: ServiceName, keys: SealingKeys) -> SubjectKey:
    (message,) = [message for message in keys.messages if message.recipient is recipient]
    return message


def signed_again(event: SubjectKey, signer_of: KeyStore) -> SubjectKey:
    signer = signer_of.signer(SigningPurpose.SUBJECT_KEY)
    unsigned = event.model_copy(update={"signer": signer.key_id})
    return unsigned.model_copy(update={"signature": signer.sign(unsigned.signed_octets())})


async def test_a_service_opens_what_it_sealed_also_in_another_process(
    parties: Parties, holder: UUID
) -> None:
    keys = await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY)})
    envelope = keys.seal(holder, "document-number", NUMBER)
    assert await parties[ENROLLMENT].open(holder, envelope) == NUMBER


async def test_an_owner_makes_all_its_keys_together_and_one_message_per_recipient(
    parties: Parties, holder: UUID
) -> None:
    keys = await parties[BIOMETRICS].sealing_keys({(holder, DataPurpose.BIOMETRICS)})
    about = {(m.recipient, m.owner, m.generation, m.purposes) for m in keys.messages}
    assert about == {
        (PROFILE, BIOMETRICS, 1, (PORTRAIT,)),
        (CARDS, BIOMETRICS, 1, (CHIP,)),
    }
    again = await parties[BIOMETRICS].sealing_keys({(holder, PORTRAIT), (holder, CHIP)})
    assert again.messages == []
    await parties[CARDS].receive(to(CARDS, keys))
    image = again.seal(holder, "chip-image", b"face")
    assert await parties[CARDS].open(holder, image) == b"face"


async def test_a_purpose_for_nobody_else_makes_no_message(parties: Parties, holder: UUID) -> None:
    keys = await parties[PROFILE].sealing_keys({(holder, DataPurpose.DOCUMENTS)})
    assert keys.messages == []


async def test_a_recipient_waits_for_the_key_and_then_opens(parties: Parties, holder: UUID) -> None:
    keys = await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY)})
    envelope = keys.seal(holder, "document-number", NUMBER)
    with pytest.raises(KeyPending):
        await parties[CARDS].open(holder, envelope)
    with pytest.raises(KeyPending):
        await parties[CARDS].sealing_keys({(holder, IDENTITY)})
    await parties[CARDS].receive(to(CARDS, keys))
    cards = parties[CARDS]
    assert await cards.open(holder, envelope) == NUMBER
    assert await cards.open(holder, envelope) == NUMBER
    received = await cards.sealing_keys({(holder, IDENTITY)})
    assert received.messages == []
    assert received.keys == {(holder, IDENTITY): keys.keys[holder, IDENTITY]}


async def test_an_optional_key_is_taken_where_it_is_and_neither_made_nor_waited_for(
    parties: Parties, holder: UUID
) -> None:
    enrollment, profile = parties[ENROLLMENT], parties[PROFILE]
    unmade = await enrollment.sealing_keys(set(), {(holder, ACCESS)})
    assert (unmade.keys, unmade.messages) == ({}, [])
    assert not (await profile.sealing_keys(set(), {(holder, ACCESS)})).can_seal(holder, "asked")
    made = await enrollment.sealing_keys({(holder, IDENTITY)})
    await profile.receive(to(PROFILE, made))
    assert (await profile.sealing_keys(set(), {(holder, ACCESS)})).can_seal(holder, "asked")
    await profile.destroy(holder)
    assert not (await profile.sealing_keys(set(), {(holder, ACCESS)})).can_seal(holder, "asked")


async def test_messages_to_other_services_are_not_kept(parties: Parties, holder: UUID) -> None:
    keys = await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY)})
    before = await parties[CARDS].count("received_keys")
    await parties[CARDS].receive(to(PROFILE, keys))
    assert await parties[CARDS].count("received_keys") == before


async def test_the_first_key_wins(parties: Parties, holder: UUID) -> None:
    keys = await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY)})
    other = make_messages(
        holder,
        ENROLLMENT,
        FIRST_GENERATION,
        {IDENTITY: new_data_key(), ACCESS: new_data_key()},
        trust=parties.trust,
        signer=parties.stores[ENROLLMENT].signer(SigningPurpose.SUBJECT_KEY),
        at=NOON,
    )
    second = next(message for message in other if message.recipient is CARDS)
    await parties[CARDS].receive(to(CARDS, keys), second)
    await parties[CARDS].receive(second)
    envelope = keys.seal(holder, "document-number", NUMBER)
    assert await parties[CARDS].open(holder, envelope) == NUMBER


async def test_messages_that_must_not_be_believed_are_poison(
    parties: Parties, holder: UUID
) -> None:
    keys = await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY)})
    good, enrollment = to(CARDS, keys), parties.stores[ENROLLMENT]
    biometrics = parties.stores[BIOMETRICS]

    def of(**changes: object) -> SubjectKey:
        return signed_again(good.model_copy(update=changes), enrollment)

    unnamed_recipient = {"owner": BIOMETRICS, "purposes": (DataPurpose.BIOMETRICS,)}
    forged = {
        "wrong-producer": [
            signed_again(good.model_copy(update={"owner": BIOMETRICS}), biometrics),
            of(purposes=(CHIP,)),
            of(purposes=(IDENTITY, PORTRAIT)),
            signed_again(good.model_copy(update=unnamed_recipient), biometrics),
        ],
        "malformed-key-message": [
            of(purposes=()),
            of(purposes=(IDENTITY, IDENTITY), message=good.message + bytes(32)),
            of(message=good.message[:-1]),
            of(generation=0),
        ],
        "bad-signature": [
            signed_again(good, biometrics),
            good.model_copy(update={"subject": uuid4()}),
            good.model_copy(update={"signature": b""}),
            good.model_copy(update={"signer": b""}),
            good.model_copy(update={"at": NOON.replace(year=2025)}),
        ],
    }
    for cause, events in forged.items():
        for event in events:
            with pytest.raises(Poison) as caught:
                await parties[CARDS].receive(event)
            assert caught.value.cause == cause, event
    async with parties.databases[CARDS].transaction() as connection:
        with pytest.raises(Poison) as caught:
            await parties[CARDS].keyring.receive(connection, [record(good, key="another/key")])
    assert caught.value.cause == "wrong-record-key"
    envelope = keys.seal(holder, "document-number", NUMBER)
    with pytest.raises(KeyPending):
        await parties[CARDS].open(holder, envelope)


async def test_the_key_of_a_messages_record_tells_for_whom_it_is(
    parties: Parties, holder: UUID
) -> None:
    keys = await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY)})
    key = to(CARDS, keys).record_key().encode()
    told = {name: parties[name].keyring.is_for_another(key) for name in (CARDS, PROFILE)}
    assert told == {CARDS: False, PROFILE: True}
    assert parties[CARDS].keyring.is_for_another(b"no such key")


async def test_a_message_made_for_another_service_does_not_open(
    parties: Parties, holder: UUID
) -> None:
    keys = await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY)})
    diverted = signed_again(
        to(CARDS, keys).model_copy(update={"recipient": PROFILE}), parties.stores[ENROLLMENT]
    )
    await parties[PROFILE].receive(diverted)
    with pytest.raises(Poison) as caught:
        await parties[PROFILE].open(holder, keys.seal(holder, "document-number", NUMBER))
    assert caught.value.cause == "unreadable-key-message"


async def test_two_transactions_that_make_one_persons_keys_agree_on_the_first(
    parties: Parties, holder: UUID
) -> None:
    first, second = parties[ENROLLMENT], parties[ENROLLMENT]
    async with first.database.transaction() as one:
        keys = await first.keyring.sealing_keys(one, {(holder, IDENTITY)})
        # Not committed yet: the second waits for the row and then finds it taken.
        racing = asyncio.create_task(second.sealing_keys({(holder, IDENTITY)}))
        await somebody_waits_for_a_lock(first.database)
    with pytest.raises(GroupConflict):
        await racing
    again = await second.sealing_keys({(holder, IDENTITY)})
    assert again.messages == []
    assert again.keys == {(holder, IDENTITY): keys.keys[holder, IDENTITY]}


async def test_keys_of_a_transaction_that_rolled_back_were_never_there(
    parties: Parties, holder: UUID
) -> None:
    party = parties[ENROLLMENT]
    async with party.database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        lost = await party.keyring.sealing_keys(connection, {(holder, IDENTITY)})
        await transaction.rollback()
    kept = await party.sealing_keys({(holder, IDENTITY)})
    assert kept.keys != lost.keys
    assert len(kept.messages) == 3


async def test_after_erasure_nothing_opens_and_no_key_comes_back(
    parties: Parties, holder: UUID
) -> None:
    keys = await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY)})
    envelope = keys.seal(holder, "document-number", NUMBER)
    enrollment, cards = parties[ENROLLMENT], parties[CARDS]
    await cards.receive(to(CARDS, keys))
    assert await cards.open(holder, envelope) == NUMBER
    sent = await parties[ENROLLMENT].destroy(holder)
    assert sorted(sent) == sorted(message.record_key() for message in keys.messages)
    assert sent == record_keys(holder, ENROLLMENT, FIRST_GENERATION)
    assert await parties[CARDS].destroy(holder) == []
    assert await parties[ENROLLMENT].destroy(holder) == []
    for party in (enrollment, cards):
        assert await party.open(holder, envelope) is ERASED
        with pytest.raises(Erased):
            await party.sealing_keys({(holder, IDENTITY)})
    await cards.receive(to(CARDS, keys))
    assert await cards.open(holder, envelope) is ERASED
    async with cards.database.connection() as connection:
        query = "SELECT count(*) FROM received_keys WHERE subject = $1"
        assert await connection.fetchval(query, holder) == 0


async def test_erasure_takes_claims_and_blobs_of_that_person_alone(
    parties: Parties, holder: UUID
) -> None:
    party, neighbour = parties[BIOMETRICS], uuid4()
    keys = await party.sealing_keys({(holder, CHIP), (neighbour, CHIP)})
    async with party.database.transaction() as connection:
        digests = {
            subject: await blobs.store(
                connection, keys.seal(subject, "chip-image", b"face"), "image/jpeg"
            )
            for subject in (holder, neighbour)
        }
        await connection.executemany(
            "INSERT INTO claims (kind, digest, stream_id, subject) VALUES ('person', $1, 's', $2)",
            [(subject.bytes, subject) for subject in (holder, neighbour)],
        )
    await party.destroy(holder)
    async with party.database.connection() as connection:
        query = "SELECT subject FROM claims WHERE subject = ANY($1::uuid[])"
        rows = await connection.fetch(query, [holder, neighbour])
        assert [row["subject"] for row in rows] == [neighbour]
        assert await blobs.load(connection, digests[holder]) is None
        assert await blobs.load(connection, digests[neighbour]) is not None


KEYS = "SELECT subject, purpose, generation, owner, wrapped FROM subject_keys"


async def destroyed_and_back(party: Party, holder: UUID) -> None:
    """The keys of somebody erased, as a backup brings them."""
    await party.sealing_keys({(holder, IDENTITY)})
    async with party.database.connection() as connection:
        backup = await connection.fetch(f"{KEYS} WHERE subject = $1", holder)
    await party.destroy(holder)
    async with party.database.connection() as connection:
        await connection.executemany(
            "INSERT INTO subject_keys VALUES ($1, $2, $3, $4, $5)", [tuple(row) for row in backup]
        )


async def test_keys_that_came_back_with_a_backup_are_destroyed_again(
    parties: Parties, holder: UUID
) -> None:
    enrollment, other = parties[ENROLLMENT], uuid4()
    await enrollment.sealing_keys({(other, IDENTITY)})
    await destroyed_and_back(enrollment, holder)
    assert await destroy_again(enrollment.database, enrollment.keyring) == 1
    assert await destroy_again(enrollment.database, enrollment.keyring) == 0
    async with enrollment.database.connection() as connection:
        left = await connection.fetch(f"{KEYS} WHERE subject = ANY($1::uuid[])", [holder, other])
    assert {row["subject"] for row in left} == {other}


async def test_an_order_for_erasure_that_came_after_the_backup_is_carried_out_before_serving(
    parties: Parties, holder: UUID, stack: Stack
) -> None:
    kafka, party, other = stack.kafka.bootstrap, parties[ENROLLMENT], uuid4()
    await party.sealing_keys({(holder, IDENTITY), (other, IDENTITY)})
    topic = replace(await new_topic(kafka), events=(EventSpec(ErasureOrdered, frozenset()),))
    ordered = ErasureOrdered(at=EVENING, holder_id=holder)
    headers = wire(headers_of(ordered, f"holder/{holder}", 1))
    await write(
        kafka, topic, (f"holder/{holder}".encode(), headers, ordered.model_dump_json().encode())
    )

    consumer = clients_of(kafka).reader()
    await consumer.start()
    try:
        for carried_out in (1, 0):
            applier = Applier(party.database, ENROLLMENT, hearing_orders(party, topic), topic)
            found = await carry_out_erasures(party.database, applier, consumer, Progress())
            assert found == carried_out
    finally:
        await consumer.stop()
    async with party.database.connection() as connection:
        left = await connection.fetch("SELECT DISTINCT subject FROM subject_keys")
        told = await connection.fetchval(
            "SELECT count(*) FROM events WHERE stream_id = $1", f"keyring/{holder}"
        )
    assert holder not in {row["subject"] for row in left}
    assert other in {row["subject"] for row in left}
    assert told == 1


async def test_a_restore_takes_every_step(parties: Parties, holder: UUID, stack: Stack) -> None:
    """One was erased before the backup, another ordered to be since; Kafka has lost records of one
    consumer, and the store has lost what it published: the order."""
    kafka, party, erased = stack.kafka.bootstrap, parties[ENROLLMENT], uuid4()
    await party.sealing_keys({(holder, IDENTITY)})
    await destroyed_and_back(party, erased)
    topic = replace(await new_topic(kafka), events=(EventSpec(ErasureOrdered, frozenset()),))
    ordered = ErasureOrdered(at=EVENING, holder_id=holder)
    headers = wire(headers_of(ordered, f"holder/{holder}", 1))
    await write(
        kafka, topic, (f"holder/{holder}".encode(), headers, ordered.model_dump_json().encode())
    )
    async with party.database.connection() as connection:
        await connection.execute(
            "INSERT INTO consumer_offsets VALUES ('notes_v1', $1, 0, 9)", topic.name
        )
        dsn = stack.postgres.dsn(await connection.fetchval("SELECT current_database()"))
    found = await restore(
        party.database, dsn, party.keyring, hearing_orders(party, topic), ENROLLMENT,
        clients_of(kafka), Progress(), topics=[topic],
    )  # fmt: skip
    assert (found.erased, found.offsets, found.lost) == (2, 1, 1)
    async with party.database.connection() as connection:
        gone = f"{KEYS} WHERE subject = ANY($1::uuid[])"
        assert await connection.fetch(gone, [holder, erased]) == []
        offset = "SELECT next_offset FROM consumer_offsets WHERE consumer = 'notes_v1'"
        assert await connection.fetchval(offset) == 1


def hearing_orders(party: Party, topic: Topic) -> ReactionHandler:
    """As a service hears them, on a topic of the test's own."""
    catalog = Catalog(ENROLLMENT, [KEYRING], starters={})

    async def destroy(connection: Connection, fact: KeysDestroyed, at: datetime) -> None:
        await party.keyring.destroy(connection, fact.holder_id, at)

    def react(event: ErasureOrdered) -> list[Send]:
        return [Send(*destroy_on_order(event))]

    catalog.effects[KeysDestroyed] = destroy
    group = Group(catalog, party.database, party.keyring, Clock(), Signals())
    handler = ReactionHandler(ENROLLMENT, {ErasureOrdered: [react]}, group)
    handler.topics = (topic.name,)
    return handler


class Letter(ContractEvent):
    number: Sealed[str]


class Letters(Notes):
    """Copies what is sealed, as every consuming transaction does."""

    name = "letters"
    types = frozenset({"Letter"})

    def __init__(self, topic: Topic) -> None:
        super().__init__(topic)
        self.copied: list[Sealed[str]] = []

    async def apply(self, _connection: Connection, records: Sequence[Incoming]) -> None:
        for record in records:
            assert isinstance(record.event, Letter)
            self.copied.append(record.event.number)


async def test_a_record_sealed_with_a_key_that_is_gone_is_applied_like_any_other(
    parties: Parties, holder: UUID, stack: Stack
) -> None:
    kafka, cards, alive = stack.kafka.bootstrap, parties[CARDS], uuid4()
    keys = await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY), (alive, IDENTITY)})
    await cards.receive(*(m for m in keys.messages if m.recipient is CARDS))
    sealed = [keys.seal(person, "document-number", NUMBER) for person in (holder, alive)]
    for party in (parties[ENROLLMENT], cards):
        await party.destroy(holder)
    topic = replace(await new_topic(kafka), events=(EventSpec(Letter, frozenset()),))
    for sequence, envelope in enumerate(sealed, 1):
        letter = Letter(at=NOON, number=envelope)
        value = letter.model_dump_json().encode()
        await write(
            kafka, topic, (b"letter/1", wire(headers_of(letter, "letter/1", sequence)), value)
        )
    handler = Letters(topic)
    async with consuming(cards.database, kafka, handler, topic, service=CARDS):

        async def both() -> bool:
            return len(handler.copied) == 2

        await until(both)
    assert handler.copied == sealed
    assert await cards.count(f"parked WHERE topic = '{topic.name}'") == 0
    assert await cards.open(holder, handler.copied[0]) is ERASED
    assert await cards.open(alive, handler.copied[1]) == NUMBER


async def test_while_keys_are_being_destroyed_none_is_made(parties: Parties, holder: UUID) -> None:
    party = parties[BIOMETRICS]
    async with party.database.transaction() as connection:
        await party.keyring.destroy(connection, holder, EVENING)
        with pytest.raises(GroupConflict):
            await party.sealing_keys({(holder, CHIP)})
    with pytest.raises(Erased):
        await party.sealing_keys({(holder, CHIP)})


async def test_while_keys_are_being_destroyed_none_is_received(
    parties: Parties, holder: UUID
) -> None:
    message = to(CARDS, await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY)}))
    party, before = parties[CARDS], await parties[CARDS].count("received_keys")
    async with party.database.transaction() as connection:
        await party.keyring.destroy(connection, holder, EVENING)
        with pytest.raises(GroupConflict):
            await party.receive(message)
    await party.receive(message)
    assert await party.count("received_keys") == before


async def test_destruction_waits_for_keys_that_are_being_made(
    parties: Parties, holder: UUID
) -> None:
    party = parties[ENROLLMENT]
    async with party.database.transaction() as connection:
        keys = await party.keyring.sealing_keys(connection, {(holder, IDENTITY)})
        destruction = asyncio.create_task(party.destroy(holder))
        await somebody_waits_for_a_lock(party.database)
    assert await destruction == [message.record_key() for message in keys.messages]
    envelope = keys.seal(holder, "document-number", NUMBER)
    assert await party.open(holder, envelope) is ERASED


async def test_an_owners_key_that_vanished_is_a_fault_and_not_a_delay(
    parties: Parties, holder: UUID
) -> None:
    party = parties[ENROLLMENT]
    keys = await party.sealing_keys({(holder, IDENTITY)})
    async with party.database.connection() as connection:
        await connection.execute("DELETE FROM subject_keys WHERE subject = $1", holder)
    with pytest.raises(Poison) as caught:
        await party.open(holder, keys.seal(holder, "document-number", NUMBER))
    assert caught.value.cause == "lost-key"


async def test_a_service_cannot_ask_for_purposes_outside_the_access_matrix(
    parties: Parties, holder: UUID
) -> None:
    for service, purpose in ((CARDS, PORTRAIT), (ENROLLMENT, CHIP)):
        with pytest.raises(LookupError, match="has no access"):
            await parties[service].sealing_keys({(holder, purpose)})
        with pytest.raises(LookupError, match="has no access"):
            await parties[service].open(
                holder, Sealed(subject=holder, purpose=purpose, generation=1, field="print",
                               nonce=b"", ct=b""),
            )  # fmt: skip


async def test_a_data_key_unwraps_for_its_person_and_purpose_in_its_own_service(
    parties: Parties, holder: UUID
) -> None:
    ours, theirs = (KeyWrapping(parties.stores[service]) for service in (ENROLLMENT, CARDS))
    key = new_data_key()
    wrapped = ours.wrap(holder, IDENTITY, 1, key)
    assert ours.unwrap(holder, IDENTITY, 1, wrapped) == key
    for wrapping, subject, purpose, generation, octets in (
        (theirs, holder, IDENTITY, 1, wrapped),
        (ours, uuid4(), IDENTITY, 1, wrapped),
        (ours, holder, CHIP, 1, wrapped),
        (ours, holder, IDENTITY, 2, wrapped),
        (ours, holder, IDENTITY, 1, b""),
    ):
        with pytest.raises(Unsafe):
            wrapping.unwrap(subject, purpose, generation, octets)


async def test_opened_messages_are_remembered_by_their_octets_up_to_a_limit(
    parties: Parties, holder: UUID
) -> None:
    wrapping, neighbour = KeyWrapping(parties.stores[CARDS], remembered=1), uuid4()
    keys = await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY), (neighbour, IDENTITY)})
    first, second = (message for message in keys.messages if message.recipient is CARDS)
    nobody = KeySet(uuid4(), ENROLLMENT, CARDS, 1, (IDENTITY,))

    def is_remembered(message: SubjectKey) -> bool:
        """Only a message that is not opened anew opens under a name that it was not made for."""
        try:
            wrapping.open_received(nobody, message.message)
        except Poison:
            return False
        return True

    for event in (first, second):
        about = replace(nobody, subject=event.subject)
        opened = wrapping.open_received(about, event.message)
        assert opened == {IDENTITY: keys.keys[event.subject, IDENTITY].octets}
    assert [is_remembered(event) for event in (first, second)] == [False, True]
    wrapping.forget(second.message)
    assert not is_remembered(second)


async def test_a_blob_is_named_by_its_ciphertext_and_stored_once(
    parties: Parties, holder: UUID
) -> None:
    party = parties[BIOMETRICS]
    keys = await party.sealing_keys({(holder, PORTRAIT)})
    envelope = keys.seal(holder, "portrait", b"face")
    async with party.database.transaction() as connection:
        digest = await blobs.store(connection, envelope, "image/jpeg")
        assert await blobs.store(connection, envelope, "image/png") == digest
        assert digest == blobs.digest_of(envelope)
        assert await blobs.load(connection, digest) == blobs.Blob(envelope, "image/jpeg")
        assert await blobs.load(connection, "0" * 64) is None


async def test_a_blob_has_at_most_512_kb(parties: Parties, holder: UUID) -> None:
    key = new_data_key()
    largest = seal(key, 1, holder, "portrait", bytes(blobs.MAX_BLOB_BYTES - 16))
    larger = seal(key, 1, holder, "portrait", bytes(blobs.MAX_BLOB_BYTES - 15))
    async with parties.databases[BIOMETRICS].transaction() as connection:
        await blobs.store(connection, largest, "image/jpeg")
        with pytest.raises(Poison) as caught:
            await blobs.store(connection, larger, "image/jpeg")
    assert caught.value.cause == "blob-too-large"


OFFICER = Actor(
    "https://sandbox.invalid", "officer-7", frozenset({Role.OPERATOR}), office="o-1",
    channel=Channel.DESK,
)  # fmt: skip


async def test_who_opens_is_written_down_and_the_holder_can_read_it(
    parties: Parties, holder: UUID
) -> None:
    party, neighbour, chain = parties[ENROLLMENT], uuid4(), uuid4()
    keys = await party.sealing_keys({(holder, IDENTITY), (neighbour, IDENTITY)})
    mine = keys.seal(holder, "document-number", NUMBER)
    theirs = keys.seal(neighbour, "document-number", "700000002")
    await party.destroy(neighbour)
    asked = [
        InRecord(neighbour, "document-number", theirs),
        InRecord(holder, "document-number", mine),
    ]
    values = await open_for(
        party.database, party.keyring, asked, actor=OFFICER, reason="desk-check",
        correlation_id=chain,
    )  # fmt: skip
    assert values == [ERASED, NUMBER]
    await open_in_task(
        party.database, party.keyring, asked[1:], service=ENROLLMENT, reason="print",
        correlation_id=chain,
    )  # fmt: skip
    async with party.database.connection() as connection:
        looks = await who_looked(connection, holder)
    fields = ("document-number",)
    assert looks == [
        Look(service_actor("enrollment"), fields, "print", chain, looks[0].opened_at),
        Look(OFFICER, fields, "desk-check", chain, looks[1].opened_at),
    ]


async def test_a_look_that_found_no_key_is_written_down_too(parties: Parties, holder: UUID) -> None:
    keys = await parties[ENROLLMENT].sealing_keys({(holder, IDENTITY)})
    asked = [InRecord(holder, "document-number", keys.seal(holder, "document-number", NUMBER))]
    cards = parties[CARDS]
    with pytest.raises(KeyPending):
        await open_for(
            cards.database, cards.keyring, asked, actor=OFFICER, reason="print",
            correlation_id=uuid4(),
        )  # fmt: skip
    async with cards.database.connection() as connection:
        assert [look.actor for look in await who_looked(connection, holder)] == [OFFICER]


async def test_an_envelope_in_somebody_elses_record_is_not_even_looked_at(
    parties: Parties, holder: UUID
) -> None:
    party = parties[ENROLLMENT]
    keys = await party.sealing_keys({(holder, IDENTITY)})
    asked = [InRecord(uuid4(), "document-number", keys.seal(holder, "document-number", NUMBER))]
    with pytest.raises(Poison) as caught:
        await open_for(
            party.database, party.keyring, asked, actor=OFFICER, reason="desk-check",
            correlation_id=uuid4(),
        )  # fmt: skip
    assert caught.value.cause == "wrong-subject"
    async with party.database.connection() as connection:
        assert await who_looked(connection, holder) == []
