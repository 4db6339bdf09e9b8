"""One running replica of the service; other services are played by their key stores."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import wsq  # noqa: F401 - teaches Pillow to write WSQ
from cryptography import x509
from PIL import Image

from card_personalization import card, reactions
from card_personalization.settings import CardSettings
from epassport import Role
from epassport.ceremony import CeremonyResult
from epassport.key_messages import make_messages, owned_purposes
from epassport.keyring import FIRST_GENERATION
from epassport.keystore import KeyStore
from epassport.reactions import ReactionHandler, reactions_of
from epassport.records import Incoming
from epassport.sealing import new_data_key, seal
from epassport.service import Running
from epassport.signing import SigningPurpose
from epassport_contracts import ContractEvent, DataPurpose, Sealed, ServiceName
from epassport_contracts.events.biometrics import ImageReleased, ReleasedImage
from epassport_contracts.events.enrollment import (
    ApplicationApproved,
    ApplicationKind,
)
from epassport_contracts.events.verification import DocumentRegistered
from epassport_contracts.fields import FIELDS, Identity, Sex, Wishes
from epassport_credentials.identity import Sex as StatedSex
from epassport_sandbox.clock import MovableClock
from epassport_sandbox.oidc import AUDIENCE, Issuer
from epassport_sandbox.people import DEMO_PEOPLE, DemoPerson
from epassport_sandbox.portraits import draw_portrait
from epassport_sandbox.ports import free_port

CARDS, ENROLLMENT = ServiceName.CARD_PERSONALIZATION, ServiceName.ENROLLMENT
OWNERS = (ENROLLMENT, ServiceName.BIOMETRICS)
OFFICE, REGION, LOT = "office-3", "RU-TA", "lot-1"
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
        return seal(key, FIRST_GENERATION, self.holder_id, name, value)


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
                FIRST_GENERATION,
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


def finger(holder: Holder, at: datetime) -> ContractEvent:
    """Of one document; biometrics releases it before the face."""
    out = io.BytesIO()
    Image.effect_noise((300, 400), 40).save(out, "WSQ")
    return ImageReleased(
        at=at,
        holder_id=holder.holder_id,
        application_id=holder.application_id,
        document_ref=holder.document_ref,
        image_kind=ReleasedImage.RIGHT_INDEX,
        purpose=DataPurpose.CHIP,
        media_type="image/x-wsq",
        digest="",
        image=holder.sealed("chip-image", out.getvalue()),
    )


def parts(
    holder: Holder, at: datetime, wishes: Wishes | None = None
) -> tuple[ContractEvent, ContractEvent, ContractEvent]:
    """Order, index and face of one document."""
    face = holder.sealed("chip-image", draw_portrait(7, StatedSex.FEMALE, 36))
    about = {"at": at, "holder_id": holder.holder_id, "application_id": holder.application_id}
    return (
        ApplicationApproved(
            **issued(holder, at),
            region=REGION,
            wishes=None if wishes is None else holder.sealed("wishes", wishes),
        ),
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
        "csca_crl_file": folder / "csca.crl",
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
