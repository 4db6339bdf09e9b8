"""One running replica of cloud-profile over real PostgreSQL.

What other services would send is applied as a consumer applies it, without Kafka between.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
from asyncpg import Record

from cloud_profile import reactions, readmodel
from epassport.actor import Role
from epassport.decider import StreamId
from epassport.key_messages import make_messages, owned_purposes
from epassport.keyring import FIRST_GENERATION
from epassport.keystore import KeyStore
from epassport.projector import ForeignProjection
from epassport.reactions import ReactionHandler, reactions_of
from epassport.records import Incoming
from epassport.sealing import new_data_key, seal
from epassport.service import Running
from epassport.signing import SigningPurpose
from epassport_contracts import ContractEvent, DataPurpose, Sealed, ServiceName
from epassport_contracts.events.biometrics import ImageReleased, ReleasedImage
from epassport_contracts.events.enrollment import ApplicationKind, HandoverCompleted
from epassport_contracts.events.verification import DocumentActivated
from epassport_contracts.fields import FIELDS, Identity, Sex
from epassport_contracts.registry import SUBJECT_KEYS, home_topic
from epassport_sandbox.oidc import Issuer
from epassport_sandbox.people import DemoPerson

CLOUD, ENROLLMENT = ServiceName.CLOUD_PROFILE, ServiceName.ENROLLMENT
OWNERS = (ENROLLMENT, ServiceName.BIOMETRICS)
NUMBER, PORTRAIT = "900777123", b"\xff\xd8\xff a portrait"


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Holder:
    """A person with the data keys that enrollment and biometrics would have made."""

    holder_id: UUID = field(default_factory=uuid4)
    document_ref: UUID = field(default_factory=uuid4)
    born: date = date(1990, 5, 6)
    keys: dict[DataPurpose, bytes] = field(
        default_factory=lambda: {purpose: new_data_key() for purpose in DataPurpose}
    )

    @property
    def citizen(self) -> DemoPerson:
        return DemoPerson("citizen", "citizen", (Role.CITIZEN,), holder_id=self.holder_id)

    def sealed(self, name: str, value: object) -> Sealed[Any]:
        return seal(self.keys[FIELDS[name].purpose], FIRST_GENERATION, self.holder_id, name, value)


@dataclass
class Cloud:
    """One replica with its tokens, and a wire to other services."""

    opened: Running
    url: str
    oidc: Issuer
    http: httpx.AsyncClient
    owners: dict[ServiceName, KeyStore]

    async def get(self, path: str, who: DemoPerson) -> httpx.Response:
        return await self.http.get(f"{self.url}/v1{path}", headers=self._token(who))

    async def post(
        self, path: str, who: DemoPerson, *, channel: str | None = None, **body: object
    ) -> httpx.Response:
        headers = {**self._token(who), "Idempotency-Key": uuid4().hex}
        headers |= {"X-Channel": channel} if channel else {}
        return await self.http.post(f"{self.url}/v1{path}", json=body, headers=headers)

    def _token(self, who: DemoPerson) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.oidc.issue(who)}"}

    async def seen(
        self, holder: Holder, holds: Callable[[dict[str, Any]], object]
    ) -> dict[str, Any]:
        """The profile as its holder reads it, once it holds."""
        async with asyncio.timeout(20):
            while True:
                answer = await self.get(f"/profiles/{holder.holder_id}", holder.citizen)
                profile: dict[str, Any] = answer.json()
                if answer.is_success and holds(profile):
                    return profile
                await asyncio.sleep(0.02)

    async def send_keys(self, holder: Holder) -> None:
        essentials = self.opened.essentials
        for owner in OWNERS:
            made = make_messages(
                holder.holder_id,
                owner,
                FIRST_GENERATION,
                {purpose: holder.keys[purpose] for purpose in owned_purposes(owner)},
                trust=essentials.trust,
                signer=self.owners[owner].signer(SigningPurpose.SUBJECT_KEY),
                at=now(),
            )
            records = [
                _incoming(message, SUBJECT_KEYS, owner, message.record_key()) for message in made
            ]
            async with essentials.database.transaction() as connection:
                await essentials.keyring.receive(connection, records)

    async def hand_over(self, holder: Holder) -> None:
        """The card is in the holder's hand and in force; the profile can be read."""
        await self.send_keys(holder)
        about: dict[str, Any] = {
            "at": now(),
            "holder_id": holder.holder_id,
            "document_ref": holder.document_ref,
        }
        portrait = ImageReleased(
            **about, application_id=uuid4(), image_kind=ReleasedImage.FACE,
            purpose=DataPurpose.PORTRAIT, media_type="image/jpeg", digest="",
            image=holder.sealed("portrait", PORTRAIT),
        )  # fmt: skip
        handed_over = HandoverCompleted(
            **about, application_id=uuid4(), kind=ApplicationKind.FIRST, office="office-1",
            document_number=holder.sealed("document-number", NUMBER), predecessor=None,
            identity=holder.sealed("identity", _person(holder.born)),
            valid_until=date(2036, 11, 22),
        )  # fmt: skip
        await self.react(portrait, ServiceName.BIOMETRICS)
        await self.react(handed_over, ENROLLMENT)
        await self.react(DocumentActivated(**about), ServiceName.VERIFICATION)
        await self.seen(
            holder, lambda seen: [each["standing"] for each in seen["documents"]] == ["valid"]
        )

    async def react(self, event: ContractEvent, producer: ServiceName) -> None:
        """As the consumer of the reactions would."""
        handler = ReactionHandler(CLOUD, reactions_of([reactions]), self.opened.group)
        record = _incoming(event, home_topic(type(event), producer).name, producer, "somewhere/1")
        async with self.opened.essentials.database.transaction() as connection:
            await handler.apply(connection, [record])

    async def hear(self, event: ContractEvent, producer: ServiceName, stream: str) -> None:
        """As the consumer of the access log would."""
        record = _incoming(event, home_topic(type(event), producer).name, producer, stream)
        async with self.opened.essentials.database.transaction() as connection:
            await ForeignProjection(readmodel.access_log).apply(connection, [record])

    async def rows(self, sql: str, *arguments: Any) -> list[Record]:
        async with self.opened.essentials.database.connection() as connection:
            return list(await connection.fetch(sql, *arguments))


def _person(born: date) -> Identity:
    return Identity(
        surname="Орлова", given_name="Вера", sex=Sex.FEMALE, birth_date=born, birth_place="Казань"
    )


def _incoming(event: ContractEvent, topic: str, producer: ServiceName, key: str) -> Incoming:
    return Incoming(
        topic, 0, 0, key, 1, uuid4(), event.type_name(), producer, uuid4(), None,
        StreamId(key), event.at, event,
    )  # fmt: skip


async def answers(cloud: Cloud) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                if (await cloud.http.get(f"{cloud.url}/livez")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.02)
