"""The service alone on real PostgreSQL: three foreign events in, a genuine card out.

Other services are played by their key stores: they seal, and send their keys.
"""

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from cryptography import x509

from card_personalization import archive, card, certificates, reactions, readmodel
from card_personalization.card_commands import BlockCause
from card_personalization.service import build
from card_personalization.settings import CardSettings
from epassport import Role
from epassport.actor import service_actor
from epassport.ceremony import PURPOSES, CeremonyResult, hold_ceremony
from epassport.database import migrate
from epassport.key_messages import make_messages, owned_purposes
from epassport.keyring import GENERATION
from epassport.keystore import KeyStore
from epassport.reactions import ReactionHandler, reactions_of
from epassport.rebuild import rebuild
from epassport.records import Incoming
from epassport.sealing import new_data_key, seal
from epassport.service import Running, running
from epassport.signing import SigningPurpose
from epassport_contracts import ContractEvent, DataPurpose, Sealed, ServiceName
from epassport_contracts.events.biometrics import ImageReleased, ReleasedImage
from epassport_contracts.events.enrollment import (
    ApplicationApproved,
    ApplicationKind,
    HandoverCompleted,
    PausedStep,
)
from epassport_contracts.events.verification import DocumentRegistered
from epassport_contracts.fields import FIELDS, Identity, Sex
from epassport_credentials.identity import Sex as StatedSex
from epassport_credentials.passive_authentication import passive_authentication
from epassport_sandbox.clock import MovableClock
from epassport_sandbox.oidc import AUDIENCE, Issuer
from epassport_sandbox.people import DEMO_PEOPLE, DemoPerson
from epassport_sandbox.portraits import draw_portrait
from epassport_sandbox.ports import free_port

CARDS, ENROLLMENT = ServiceName.CARD_PERSONALIZATION, ServiceName.ENROLLMENT
OWNERS = (ENROLLMENT, ServiceName.BIOMETRICS)
OFFICE, REGION, LOT = "office-ta-1", "RU-TA", "lot-1"
NUMBER, SURNAME = "900777123", "Канарейкина"
PERSON = Identity(
    surname=SURNAME,
    given_name="Анна",
    patronymic="Юрьевна",
    sex=Sex.FEMALE,
    birth_date=date(1990, 5, 17),
    birth_place="г. Казань",
)
BOTH = DemoPerson("both-1", "Two hats", (Role.CARD_OPERATOR, Role.CARD_INSPECTOR))
PEOPLE = {person.subject: person for person in (*DEMO_PEOPLE, BOTH)}
INSPECTOR, OPERATOR = "card-inspector-1", "card-operator-1"


@dataclass
class Holder:
    """A person with data keys as enrollment and biometrics would have made them."""

    holder_id: UUID = field(default_factory=uuid4)
    document_ref: UUID = field(default_factory=uuid4)
    application_id: UUID = field(default_factory=uuid4)
    keys: dict[DataPurpose, bytes] = field(
        default_factory=lambda: {purpose: new_data_key() for purpose in DataPurpose}
    )

    def sealed(self, name: str, value: object) -> Sealed[Any]:
        key = self.keys[FIELDS[name].purpose]
        return seal(key, GENERATION, self.holder_id, name, value)


@dataclass
class Bureau:
    opened: Running
    stores: dict[ServiceName, KeyStore]
    client: httpx.AsyncClient
    issuer: Issuer
    clock: MovableClock
    csca: x509.Certificate

    async def hear(self, *events: ContractEvent) -> None:
        """As the consumer would, each in a transaction of its own."""
        handler = ReactionHandler(CARDS, reactions_of([reactions]), self.opened.group)
        for event in events:
            async with self.opened.essentials.database.transaction() as connection:
                await handler.apply(connection, [incoming(event)])

    async def send_keys(self, holder: Holder) -> None:
        for owner in OWNERS:
            made = make_messages(
                holder.holder_id,
                owner,
                GENERATION,
                {purpose: holder.keys[purpose] for purpose in owned_purposes(owner)},
                trust=self.opened.essentials.trust,
                signer=self.stores[owner].signer(SigningPurpose.SUBJECT_KEY),
                at=self.clock.now(),
            )
            records = [incoming(m, m.record_key()) for m in made if m.recipient is CARDS]
            async with self.opened.essentials.database.transaction() as connection:
                await self.opened.essentials.keyring.receive(connection, records)

    async def post(self, who: str, path: str, **body: Any) -> httpx.Response:
        headers = {**self._token(who), "Idempotency-Key": uuid4().hex}
        return await self.client.post(path, json=body, headers=headers)

    async def get(self, who: str, path: str, **query: Any) -> httpx.Response:
        return await self.client.get(path, params=query or None, headers=self._token(who))

    async def reach(self, holder: Holder, state: str, *, events: int = 0) -> dict[str, Any]:
        """Wait until the card is in this state, with at least so many events."""
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(60):
                while found.get("state") != state or len(found["history"]) < events:
                    await asyncio.sleep(0.05)
                    answer = await self.get(OPERATOR, f"/v1/cards/{holder.document_ref}")
                    found = answer.json()
        except TimeoutError:
            tasks = await self.rows("SELECT kind, attempts, stuck, last_error FROM tasks")
            refusals = await self.rows("SELECT command, reason FROM reaction_refusals")
            pytest.fail(f"not {state}: {found}, {tasks}, {refusals}")
        return found

    async def wait_for(self, sql: str) -> None:
        """Until the query finds a row."""
        async with asyncio.timeout(20):
            while True:
                if await self.rows(sql):
                    return
                await asyncio.sleep(0.02)

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        async with self.opened.essentials.database.connection() as connection:
            return list(await connection.fetch(sql, *arguments))

    def _token(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.issue(PEOPLE[who])}"}


def incoming(event: ContractEvent, key: str = "key") -> Incoming:
    return Incoming(
        topic="topic",
        partition=0,
        offset=0,
        key=key,
        sequence=None,
        event_id=uuid4(),
        type=event.type_name(),
        source=ENROLLMENT,
        correlation_id=uuid4(),
        causation_id=None,
        stream=card.stream("somewhere"),
        time=datetime.now(UTC),
        event=event,
    )


def issued(holder: Holder, at: datetime) -> dict[str, Any]:
    return {
        "at": at,
        "application_id": holder.application_id,
        "holder_id": holder.holder_id,
        "kind": ApplicationKind.FIRST,
        "office": OFFICE,
        "document_ref": holder.document_ref,
        "document_number": holder.sealed("document-number", NUMBER),
        "predecessor": None,
        "identity": holder.sealed("identity", PERSON),
        "valid_until": date(2036, 11, 22),
    }


def parts(holder: Holder, at: datetime) -> tuple[ContractEvent, ContractEvent, ContractEvent]:
    """Order, index and face of one document."""
    face = holder.sealed("chip-image", draw_portrait(7, StatedSex.FEMALE, 36))
    about = {"at": at, "holder_id": holder.holder_id, "application_id": holder.application_id}
    return (
        ApplicationApproved(**issued(holder, at), region=REGION, wishes=None),
        DocumentRegistered(
            **about,
            document_ref=holder.document_ref,
            status_list_uri="http://127.0.0.1:32211/s/1",
            status_index=70_001,
        ),
        ImageReleased(
            **about,
            document_ref=holder.document_ref,
            image_kind=ReleasedImage.FACE,
            purpose=DataPurpose.CHIP,
            media_type="image/jpeg",
            digest="",
            image=face,
        ),
    )


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CeremonyResult]:
    folder = tmp_path_factory.mktemp("keys")
    result = hold_ceremony(folder, list(ServiceName), at=datetime.now(UTC) - timedelta(days=1))
    begin = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    asked = ["--keys", str(folder), "--folder", str(folder), "--at", begin, "--sandbox"]
    assert certificates.main(asked) == 0
    return folder, result


def settings_for(
    folder: Path, keys: CeremonyResult, own: Path, dsn: str, issuer: str, **changes: Any
) -> CardSettings:
    (own / "dsn").write_text(dsn)
    given: dict[str, Any] = {
        "profile": "sandbox",
        "postgres_dsn_file": own / "dsn",
        "kafka_bootstrap": "127.0.0.1:9",
        "kafka_security": "plaintext",
        "key_store": keys.services[CARDS].keystore,
        "key_store_passphrase_file": keys.services[CARDS].passphrase,
        "trust_file": keys.trust_file,
        "trust_root_file": keys.root_public_key,
        "oidc_issuer": issuer,
        "oidc_audience": AUDIENCE,
        "oidc_jwks_url": f"{issuer}/jwks",
        "http_port": free_port(),
        "clock_file": own / "clock",
        "csca_certificate_file": folder / "csca.der",
        "document_signer_certificate_file": folder / "document_signer.der",
    }
    return CardSettings(**{**given, **changes})


@asynccontextmanager
async def all_running(*parts_of_service: Callable[[], Any]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(part()) for part in parts_of_service]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest_asyncio.fixture(loop_scope="session")
async def bureau(
    database: str, held: tuple[Path, CeremonyResult], tmp_path: Path
) -> AsyncIterator[Bureau]:
    folder, keys = held
    await migrate(database, "card_personalization")
    stores = {
        owner: KeyStore.open(
            keys.services[owner].keystore,
            keys.services[owner].passphrase,
            PURPOSES[owner],
            sandbox=True,
        )
        for owner in OWNERS
    }
    clock = MovableClock(tmp_path / "clock")
    csca = x509.load_der_x509_certificate((folder / "csca.der").read_bytes())
    async with Issuer(PEOPLE.values(), now=clock.now) as issuer:
        settings = settings_for(folder, keys, tmp_path, database, issuer.url)
        url = f"http://127.0.0.1:{settings.http_port}"
        async with (
            running(build(settings)) as opened,
            all_running(opened.serve, opened.project, opened.work, opened.timers),
            httpx.AsyncClient(
                base_url=url, timeout=20, transport=httpx.AsyncHTTPTransport(retries=5)
            ) as client,
        ):
            yield Bureau(opened, stores, client, issuer, clock, csca)


async def made_card(bureau: Bureau) -> Holder:
    """Written and read back, waiting for its inspector."""
    holder = Holder()
    await bureau.post(OPERATOR, "/v1/blank-lots", lot_id=LOT, count=3)
    await bureau.send_keys(holder)
    await bureau.hear(*parts(holder, bureau.clock.now()))
    await bureau.reach(holder, "written")
    return holder


async def chip_files(bureau: Bureau, holder: Holder) -> dict[str, bytes]:
    answer = await bureau.get(INSPECTOR, f"/v1/cards/{holder.document_ref}/files")
    assert answer.status_code == 200
    return {name: base64.b64decode(text) for name, text in answer.json().items()}


async def test_three_parts_in_any_order_and_late_keys_become_a_genuine_chip(
    bureau: Bureau,
) -> None:
    holder = Holder()
    await bureau.post(OPERATOR, "/v1/blank-lots", lot_id=LOT, count=3)
    order, index, image = parts(holder, bureau.clock.now())
    await bureau.hear(image, index, order, image)
    await bureau.wait_for("SELECT 1 FROM tasks WHERE last_error = 'KeyPending'")
    await bureau.send_keys(holder)
    found = await bureau.reach(holder, "written")
    assert [entry["event"] for entry in found["history"]] == [
        "ImageStored",
        "IndexAssigned",
        "CardOrdered",
        "ChipDataPrepared",
        "BlankAllocated",
        "ChipWritten",
        "ChipReadBack",
    ]
    files = await chip_files(bureau, holder)
    assert set(files) == {"EF.COM", "EF.SOD", "DG1", "DG2", "DG15"}
    now = bureau.clock.now()
    verified = passive_authentication(files, [bureau.csca], now, accept_sandbox=True)
    assert (verified.mrz.number, verified.mrz.primary) == (NUMBER, "KANAREIKINA")


async def test_nothing_personal_is_readable_in_the_database_and_the_inspector_leaves_a_trace(
    bureau: Bureau,
) -> None:
    holder = await made_card(bureau)
    await chip_files(bureau, holder)
    front = await bureau.get(INSPECTOR, f"/v1/cards/{holder.document_ref}/faces/front")
    assert front.headers["content-type"] == "image/png"
    assert front.content.startswith(b"\x89PNG")
    codes = (await bureau.get(INSPECTOR, f"/v1/cards/{holder.document_ref}/codes")).json()
    assert set(codes) == {"small", "identity"}
    tables = await bureau.rows("SELECT relname FROM pg_stat_user_tables")
    for table in tables:
        for row in await bureau.rows(f"SELECT t::text AS text FROM {table['relname']} AS t"):
            for canary in (NUMBER, SURNAME, "KANAREIKINA", codes["identity"][:40]):
                assert canary not in row["text"], table["relname"]
                assert canary.encode().hex() not in row["text"], table["relname"]
    looks = await bureau.rows(
        "SELECT DISTINCT reason, actor->>'subject' AS who FROM openings WHERE subject = $1",
        holder.holder_id,
    )
    assert {(look["reason"], look["who"]) for look in looks} == {
        ("prepare-card", CARDS),
        ("write-chip", CARDS),
        ("card-inspection", INSPECTOR),
    }


async def test_a_rejected_card_is_remade_on_another_blank_and_the_lot_balances(
    bureau: Bureau,
) -> None:
    holder = await made_card(bureau)
    first = await chip_files(bureau, holder)
    path = f"/v1/cards/{holder.document_ref}"
    rejected = await bureau.post(INSPECTOR, f"{path}/reject-quality", reason="scratched")
    assert rejected.status_code == 200
    await bureau.reach(holder, "written", events=12)
    second = await chip_files(bureau, holder)
    assert (first["DG1"], first["DG2"]) == (second["DG1"], second["DG2"])
    assert first["DG15"] != second["DG15"]
    passive_authentication(second, [bureau.csca], bureau.clock.now(), accept_sandbox=True)
    await bureau.wait_for("SELECT 1 FROM blank_lot_v1 WHERE used = 1 AND spoiled = 1")
    balance = (await bureau.get(OPERATOR, f"/v1/blank-lots/{LOT}")).json()
    assert balance == {"lot_id": LOT, "received": 3, "used": 1, "spoiled": 1, "in_stock": 1}
    (left,) = await bureau.rows("SELECT remaining FROM capacities")
    assert left["remaining"] == balance["in_stock"]


async def test_an_accepted_card_travels_to_its_office_and_comes_into_force(
    bureau: Bureau,
) -> None:
    holder = await made_card(bureau)
    path = f"/v1/cards/{holder.document_ref}"
    opened = await bureau.post(OPERATOR, "/v1/batches", office=OFFICE)
    batch_id = opened.json()["batch_id"]
    early = await bureau.post(OPERATOR, f"{path}/pack", batch_id=batch_id)
    assert (early.status_code, early.json()["reason"]) == (409, "card-not-accepted")
    assert (await bureau.post(BOTH.subject, f"{path}/accept-quality")).status_code == 200
    alone = await bureau.post(BOTH.subject, f"{path}/pack", batch_id=batch_id)
    assert alone.json()["reason"] == "card-inspector-may-not-pack"
    assert (await bureau.post(OPERATOR, f"{path}/pack", batch_id=batch_id)).status_code == 200
    await bureau.post(OPERATOR, f"/v1/batches/{batch_id}/close")
    left = await bureau.post("courier-1", f"/v1/batches/{batch_id}/dispatch", courier="courier-1")
    assert left.status_code == 200
    await bureau.reach(holder, "dispatched")
    elsewhere = await bureau.post("hand-over-officer-1", f"{path}/receive")
    assert elsewhere.json()["reason"] == "card-of-other-office"
    assert (await bureau.post("hand-over-officer-3", f"{path}/receive")).status_code == 200
    await bureau.hear(HandoverCompleted(**issued(holder, bureau.clock.now())))
    await bureau.reach(holder, "active")
    sent = await bureau.rows("SELECT type FROM outbox ORDER BY position")
    assert [row["type"] for row in sent] == ["CardReceived", "CardActivated"]
    travelled = (await bureau.get("courier-1", f"/v1/batches/{batch_id}")).json()
    assert travelled["cards"] == [str(holder.document_ref)]
    assert (travelled["status"], travelled["courier"]) == ("dispatched", "courier-1")


async def test_a_card_without_a_blank_waits_and_is_made_when_blanks_have_come(
    bureau: Bureau,
) -> None:
    holder = Holder()
    await bureau.send_keys(holder)
    await bureau.hear(*parts(holder, bureau.clock.now()))
    found = await bureau.reach(holder, "prepared", events=5)
    assert found["history"][-1]["event"] == "BlanksMissing"
    await bureau.post(OPERATOR, "/v1/blank-lots", lot_id=LOT, count=1)
    bureau.clock.move(timedelta(minutes=2))
    await bureau.reach(holder, "written")
    waiting = (await bureau.get(INSPECTOR, "/v1/queue", state="written")).json()
    assert [entry["document_ref"] for entry in waiting["cards"]] == [str(holder.document_ref)]


async def test_a_paused_step_makes_nothing_and_goes_on_where_it_stopped(bureau: Bureau) -> None:
    holder = Holder()
    await bureau.post(OPERATOR, "/v1/blank-lots", lot_id=LOT, count=1)
    await bureau.send_keys(holder)
    await pause(bureau, PausedStep.MAKE)
    await bureau.hear(*parts(holder, bureau.clock.now()))
    await bureau.reach(holder, "prepared")
    await bureau.wait_for("SELECT 1 FROM tasks WHERE kind = 'allocate-blank'")
    (task,) = await bureau.rows("SELECT kind, step, region, attempts FROM tasks")
    assert dict(task) == {
        "kind": "allocate-blank",
        "step": "make",
        "region": REGION,
        "attempts": 0,
    }
    await bureau.rows("DELETE FROM pauses")
    await bureau.reach(holder, "written")


async def pause(bureau: Bureau, step: PausedStep) -> None:
    await bureau.rows(
        "INSERT INTO pauses (region, step, reason, since) VALUES ($1, $2, 'test', now())",
        REGION,
        step,
    )


async def test_no_card_is_made_of_an_erased_holder(bureau: Bureau) -> None:
    holder = Holder()
    await bureau.send_keys(holder)
    await pause(bureau, PausedStep.PREPARE)
    await bureau.hear(*parts(holder, bureau.clock.now()))
    async with bureau.opened.essentials.database.transaction() as connection:
        keyring = bureau.opened.essentials.keyring
        await keyring.destroy(connection, holder.holder_id, bureau.clock.now())
    await bureau.rows("DELETE FROM pauses")
    found = await bureau.reach(holder, "blocked")
    assert found["history"][-1]["detail"] == BlockCause.HOLDER_ERASED


async def test_after_erasure_the_inspector_sees_nothing_and_is_told_so(bureau: Bureau) -> None:
    holder = await made_card(bureau)
    async with bureau.opened.essentials.database.transaction() as connection:
        keyring = bureau.opened.essentials.keyring
        await keyring.destroy(connection, holder.holder_id, bureau.clock.now())
    for what in ("files", "faces/back", "codes"):
        answer = await bureau.get(INSPECTOR, f"/v1/cards/{holder.document_ref}/{what}")
        assert (answer.status_code, answer.json()["reason"]) == (410, "erased")


async def test_a_face_larger_than_a_blob_comes_back_whole(bureau: Bureau) -> None:
    """A face at 600 dpi has about a megabyte."""
    holder, large = Holder(), random.Random(7).randbytes(2 * archive.PART_BYTES + 1)
    await bureau.send_keys(holder)
    essentials = bureau.opened.essentials
    async with essentials.database.transaction() as connection:
        made = {"front": (large, "image/png"), "small-code": (b"HC1", "text/plain")}
        stored = await archive.store(
            connection, essentials.keyring, holder.holder_id, archive.PRINT, made
        )
    assert {name: len(parts) for name, parts in stored.items()} == {"front": 3, "small-code": 1}
    found = await archive.fetch(
        essentials.database,
        essentials.keyring,
        holder.holder_id,
        archive.PRINT,
        stored,
        actor=service_actor(CARDS),
        reason="test",
        correlation_id=uuid4(),
    )
    assert found == {"front": large, "small-code": b"HC1"}


async def test_a_rebuilt_read_model_equals_the_live_one(bureau: Bureau) -> None:
    holder = await made_card(bureau)
    path = f"/v1/cards/{holder.document_ref}"
    await bureau.post(INSPECTOR, f"{path}/reject-quality", reason="scratched")
    await bureau.reach(holder, "written", events=12)
    essentials, codec = bureau.opened.essentials, bureau.opened.catalog.codec
    tables = ("card_v1", "card_event_v1", "card_file_v1")
    dump = [f"SELECT t::text AS text FROM {table} AS t ORDER BY 1" for table in tables]
    live = [await bureau.rows(sql) for sql in dump]
    assert await rebuild(readmodel.cards, essentials.database, codec) >= 12
    assert [await bureau.rows(sql) for sql in dump] == live


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        (OPERATOR, "POST", "/v1/cards/{ref}/accept-quality", 403),
        (INSPECTOR, "POST", "/v1/cards/{ref}/pack", 403),
        (OPERATOR, "GET", "/v1/cards/{ref}/files", 403),
        (INSPECTOR, "GET", "/v1/cards/{ref}/files", 404),
        (INSPECTOR, "GET", "/v1/cards/{ref}/faces/edge", 422),
        (OPERATOR, "GET", "/v1/cards/{ref}", 404),
        (OPERATOR, "GET", "/v1/blank-lots/none", 404),
        (OPERATOR, "GET", "/v1/batches/{ref}", 404),
        (OPERATOR, "GET", "/v1/queue?state=burnt", 422),
        (INSPECTOR, "POST", "/v1/cards/{ref}/accept-quality", 409),
    ],
)
async def test_who_may_not_or_asks_for_nothing_known_is_told_so(
    bureau: Bureau, who: str, method: str, path: str, status: int
) -> None:
    where = path.format(ref=UUID(int=404))
    answer = await (bureau.get(who, where) if method == "GET" else bureau.post(who, where))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
