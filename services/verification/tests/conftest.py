"""Codes as card-personalization and cloud-profile would make them; verification as a town sees it.

`town` is the service over real PostgreSQL, as two replicas behind their own ports. What other
services would send is applied as a consumer applies it, without Kafka between.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from asyncpg import Record
from cryptography.hazmat.primitives.asymmetric import ec

from epassport.actor import Role
from epassport.ceremony import CeremonyResult, hold_ceremony
from epassport.database import migrate
from epassport.decider import StreamId
from epassport.key_messages import make_messages, owned_purposes
from epassport.keyring import FIRST_GENERATION
from epassport.keystore import KeyStore
from epassport.opening import InRecord, open_in_task
from epassport.projector import ForeignProjection
from epassport.reactions import ReactionHandler, reactions_of
from epassport.records import Incoming
from epassport.sealing import new_data_key
from epassport.service import Running, running
from epassport.signing import Signer, SigningPurpose
from epassport_contracts import ContractEvent, Sealed, ServiceName
from epassport_contracts.events.card_personalization import CardActivated
from epassport_contracts.events.cloud_profile import AttestationsIssued, LossChannel, LossReported
from epassport_contracts.events.enrollment import ApplicationApproved, ApplicationKind
from epassport_contracts.fields import Asked
from epassport_contracts.registry import SUBJECT_KEYS, home_topic
from epassport_contracts.sealed import DataPurpose
from epassport_credentials.card_qr import (
    IdentityCard,
    SmallCard,
    issue_identity_card_qr,
    issue_small_card_qr,
)
from epassport_credentials.cose_key import key_thumbprint
from epassport_credentials.cwt import StatusReference
from epassport_credentials.identity import AgeOver18, Identity, Sex
from epassport_credentials.mobile_qr import issue_attestation, present
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.trust import TrustedKey, TrustList, trusted_key
from epassport_sandbox.oidc import Issuer
from epassport_sandbox.people import DemoPerson
from epassport_sandbox.ports import free_port
from verification import reactions, readmodel
from verification.service import build
from verification.settings import VerificationSettings

PERSON = Identity("Подъёмная Юлия Эдуардовна", date(1990, 5, 17), Sex.FEMALE, "700123456", "RUS")


def signer(number: int) -> LocalSigner:
    return LocalSigner(ec.derive_private_key(number, ec.SECP256R1()))


@dataclass
class Issuers:
    """now: when a code is made and shown."""

    now: datetime
    card: LocalSigner | Signer = field(default_factory=lambda: signer(1001))
    mobile: LocalSigner | Signer = field(default_factory=lambda: signer(1002))
    status: StatusReference = field(
        default_factory=lambda: StatusReference("https://status.example/v1/status-lists/1", 7)
    )

    @property
    def trust(self) -> TrustList:
        day = timedelta(days=1)
        keys = (
            trusted_key(
                self.card, Purpose.CARD_QR, not_before=self.now - day, not_after=self.now + day
            ),
            trusted_key(
                self.mobile,
                Purpose.MOBILE_ATTESTATION,
                not_before=self.now - day,
                not_after=self.now + day,
            ),
        )
        return TrustList("test", self.now, self.now + day, keys)

    def small_card(self, document_ref: UUID, *, over_18: bool = True) -> str:
        ends = self.now + timedelta(days=3652)
        card = SmallCard(document_ref.bytes, over_18, self.now, ends, self.status)
        return issue_small_card_qr(card, self.card)

    def identity_card(self, document_ref: UUID, person: Identity = PERSON) -> str:
        ends = self.now + timedelta(days=3652)
        card = IdentityCard(document_ref.bytes, person, self.now, ends, self.status, b"portrait")
        return issue_identity_card_qr(card, self.card)

    def phone_code(
        self,
        phone: LocalSigner,
        *,
        cti: bytes = bytes(16),
        claims: AgeOver18 | Identity | None = None,
    ) -> str:
        attestation = issue_attestation(
            claims or AgeOver18(),
            holder_key=phone.public_key,
            issuer="test",
            issued_at=self.now,
            signer=self.mobile,
        )
        return present(attestation, phone=phone, now=self.now, cti=cti)


@pytest.fixture
def issuers() -> Issuers:
    return Issuers(datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.fixture
def phone() -> LocalSigner:
    return signer(7)


@pytest.fixture
def thumbprint_of() -> Callable[[LocalSigner], str]:
    return lambda key: key_thumbprint(key.public_key).hex()


LAST_DAY = date(2099, 12, 31)


@dataclass
class Town:
    """Two replicas, their tokens, and a wire to other services."""

    replicas: list[Running]
    urls: list[str]
    oidc: Issuer
    http: httpx.AsyncClient
    issuers: Issuers
    dsn: str
    trust_root: TrustedKey
    worker: "asyncio.Task[None]"
    enrollment: KeyStore
    sequences: dict[str, int] = field(default_factory=dict)
    heard: list[Incoming] = field(default_factory=list)

    async def post(
        self,
        path: str,
        body: Any,
        who: Role,
        *,
        replica: int = 0,
        key: str | None = None,
        office: str | None = "shop",
    ) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {self._token(who, office)}",
            "Idempotency-Key": key or str(uuid4()),
        }
        return await self.http.post(f"{self.urls[replica]}/v1{path}", json=body, headers=headers)

    async def get(self, path: str, who: Role | None = None) -> httpx.Response:
        headers = {} if who is None else {"Authorization": f"Bearer {self._token(who)}"}
        return await self.http.get(f"{self.urls[0]}/v1{path}", headers=headers)

    def _token(self, role: Role, office: str | None = None) -> str:
        return self.oidc.issue(DemoPerson(role, role, (role,), office=office))

    async def check(
        self, code: str, claims: tuple[str, ...] = ("over-18",), **where: Any
    ) -> dict[str, Any]:
        body = {"purpose": "alcohol", "claims": list(claims), "code": code}
        answer = await self.post("/presentations", body, Role.VERIFIER, **where)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def hear(self, event: ContractEvent, producer: ServiceName, stream: str) -> None:
        """As the consumers would: reactions, then foreign read models."""
        opened = self.replicas[0]
        self.sequences[stream] = sequence = self.sequences.get(stream, 0) + 1
        record = Incoming(
            home_topic(type(event), producer).name, 0, sequence, stream, sequence, uuid4(),
            event.type_name(), producer, uuid4(), None, StreamId(stream), event.at, event,
        )  # fmt: skip
        self.heard.append(record)
        handlers = (
            ReactionHandler(ServiceName.VERIFICATION, reactions_of([reactions]), opened.group),
            ForeignProjection(readmodel.device_keys),
        )
        for handler in handlers:
            if record.type in handler.types:
                async with opened.essentials.database.transaction() as connection:
                    await handler.apply(connection, [record])

    async def document(self, status: str, document_ref: UUID) -> dict[str, Any]:
        """Once it reads so."""
        async with asyncio.timeout(20):
            while True:
                answer = await self.get(f"/documents/{document_ref}", Role.SUPERVISOR)
                assert answer.status_code in (200, 404), answer.text
                if answer.status_code == 200 and answer.json()["status"] == status:
                    found: dict[str, Any] = answer.json()
                    return found
                await asyncio.sleep(0.02)

    async def send_key(self, holder: UUID) -> None:
        """As enrollment does when somebody applies."""
        essentials = self.replicas[0].essentials
        made = make_messages(
            holder,
            ServiceName.ENROLLMENT,
            FIRST_GENERATION,
            {purpose: new_data_key() for purpose in owned_purposes(ServiceName.ENROLLMENT)},
            trust=essentials.trust,
            signer=self.enrollment.signer(SigningPurpose.SUBJECT_KEY),
            at=now(),
        )
        records = [
            Incoming(
                SUBJECT_KEYS, 0, 0, message.record_key(), None, uuid4(), message.type_name(),
                ServiceName.ENROLLMENT, uuid4(), None, StreamId("any/stream"), now(), message,
            )
            for message in made
        ]  # fmt: skip
        async with essentials.database.transaction() as connection:
            await essentials.keyring.receive(connection, records)

    async def asked(self, presentation_id: str) -> Asked | None:
        """Who asked, as the holder's service opens it; None where nothing was sealed."""
        (row,) = await self.rows(
            "SELECT data->'asked' AS asked FROM events WHERE stream_id = 'presentation/' || $1",
            presentation_id,
        )
        if row["asked"] == "null":
            return None
        envelope: Sealed[Asked] = Sealed.model_validate_json(row["asked"])
        (opened,) = await open_in_task(
            self.replicas[0].essentials.database,
            self.replicas[0].essentials.keyring,
            [InRecord(envelope.subject, "asked", envelope)],
            service=ServiceName.VERIFICATION,
            reason="test",
            correlation_id=uuid4(),
        )
        asked: Asked = opened
        return asked

    async def issue(self, predecessor: UUID | None = None, holder: UUID | None = None) -> "Paper":
        paper = Paper(uuid4(), holder or uuid4(), uuid4())
        sealed: Any = Sealed(
            subject=paper.holder, purpose=DataPurpose.IDENTITY, generation=1, field="identity",
            nonce=bytes(12), ct=bytes(32),
        )  # fmt: skip
        approved = ApplicationApproved(
            at=now(), application_id=paper.application, holder_id=paper.holder,
            kind=ApplicationKind.FIRST, region="RU-TA", office="mfc-1", document_ref=paper.ref,
            document_number=sealed, predecessor=predecessor, identity=sealed, wishes=None,
            valid_until=LAST_DAY,
        )  # fmt: skip
        application = f"application/{paper.application}"
        await self.send_key(paper.holder)
        await self.hear(approved, ServiceName.ENROLLMENT, application)
        await self.document("registered", paper.ref)
        return paper

    async def activate(self, paper: "Paper", predecessor: UUID | None = None) -> None:
        activated = CardActivated(
            at=now(), document_ref=paper.ref, application_id=paper.application,
            holder_id=paper.holder, office="mfc-1", predecessor=predecessor,
        )  # fmt: skip
        await self.hear(activated, ServiceName.CARD_PERSONALIZATION, f"card/{paper.ref}")
        await self.document("valid", paper.ref)

    async def lose(self, paper: "Paper") -> None:
        lost = LossReported(
            at=now(), holder_id=paper.holder, document_ref=paper.ref, channel=LossChannel.PHONE
        )
        await self.hear(lost, ServiceName.CLOUD_PROFILE, f"profile/{paper.holder}")

    async def attest(
        self, paper: "Paper", device: UUID, *thumbprints: str, at: datetime | None = None
    ) -> None:
        at = at or now()
        issued = AttestationsIssued(
            at=at, holder_id=paper.holder, document_ref=paper.ref, device_id=device,
            thumbprints=thumbprints, expires_at=at + timedelta(hours=24),
        )  # fmt: skip
        await self.hear(issued, ServiceName.CLOUD_PROFILE, f"profile/{paper.holder}")

    async def rows(self, sql: str, *arguments: Any) -> list[Record]:
        async with self.replicas[0].essentials.database.connection() as connection:
            return list(await connection.fetch(sql, *arguments))


@dataclass(frozen=True)
class Paper:
    ref: UUID
    holder: UUID
    application: UUID


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> CeremonyResult:
    """One ceremony for all tests: it takes a second."""
    folder = tmp_path_factory.mktemp("keys")
    return hold_ceremony(folder, list(ServiceName), at=now() - timedelta(days=1))


@pytest_asyncio.fixture(loop_scope="session")
async def town(
    database: str, tmp_path: Path, issuers: Issuers, keys: CeremonyResult
) -> AsyncIterator[Town]:
    await migrate(database, "verification")
    (tmp_path / "dsn").write_text(database)
    async with AsyncExitStack() as closing:
        oidc = await closing.enter_async_context(Issuer())
        replicas, urls = [], []
        for _ in range(2):
            port = free_port()
            urls.append(f"http://127.0.0.1:{port}")
            own = keys.services[ServiceName.VERIFICATION]
            settings = VerificationSettings(
                profile="sandbox", postgres_dsn_file=tmp_path / "dsn", kafka_security="plaintext",
                kafka_bootstrap="127.0.0.1:9", key_store=own.keystore,
                key_store_passphrase_file=own.passphrase, trust_file=keys.trust_file,
                trust_root_file=keys.root_public_key, oidc_issuer=oidc.url,
                oidc_audience="epassport", oidc_jwks_url=f"{oidc.url}/jwks", http_port=port,
                health_port=free_port(), public_url="https://status.example",
            )  # fmt: skip
            replicas.append(await closing.enter_async_context(running(build(settings))))
        tasks = [asyncio.create_task(replica.serve()) for replica in replicas]
        tasks += [
            asyncio.create_task(replicas[0].project()),
            asyncio.create_task(replicas[0].work()),
        ]
        http = await closing.enter_async_context(httpx.AsyncClient(timeout=10))
        issuers.now = now().replace(microsecond=0)
        issuers.card = _signer(keys, ServiceName.CARD_PERSONALIZATION, SigningPurpose.CARD_QR)
        issuers.mobile = _signer(keys, ServiceName.CLOUD_PROFILE, SigningPurpose.MOBILE_ATTESTATION)
        found = Town(
            replicas, urls, oidc, http, issuers, database, _root(keys), tasks[-1],
            _store(keys, ServiceName.ENROLLMENT, SigningPurpose.SUBJECT_KEY),
        )  # fmt: skip
        await _registered(found)
        try:
            yield found
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _store(keys: CeremonyResult, service: ServiceName, purpose: SigningPurpose) -> KeyStore:
    paths = keys.services[service]
    return KeyStore.open(paths.keystore, paths.passphrase, [purpose], sandbox=True)


def _signer(keys: CeremonyResult, service: ServiceName, purpose: SigningPurpose) -> Signer:
    return _store(keys, service, purpose).signer(purpose)


def _root(keys: CeremonyResult) -> TrustedKey:
    root = _signer(keys, ServiceName.VERIFICATION, SigningPurpose.TRUST_LIST)
    day = timedelta(days=1)
    return trusted_key(
        root, Purpose.TRUST_LIST, not_before=now() - day, not_after=now() + day, sandbox=True
    )


async def _registered(town: Town) -> None:
    async with asyncio.timeout(20):
        for url in town.urls:
            while True:
                try:
                    if (await town.http.get(f"{url}/livez")).status_code == 200:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
    shop = {"relying_party_id": "shop", "name": "Wine shop"}
    assert (await town.post("/relying-parties", shop, Role.REGISTRAR)).status_code == 200
    purpose = {
        "purpose": "alcohol", "claims": ["over-18", "document-valid"], "basis": "171-FZ, article 16"
    }  # fmt: skip
    answer = await town.post("/relying-parties/shop/purposes", purpose, Role.REGISTRAR)
    assert answer.status_code == 200
