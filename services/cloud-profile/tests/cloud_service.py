"""One running replica of cloud-profile over real PostgreSQL.

What other services would send is applied as a consumer applies it, without Kafka between.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
from asyncpg import Record

from cloud_profile import readmodel
from epassport.actor import Role
from epassport.decider import StreamId
from epassport.key_messages import make_messages, owned_purposes
from epassport.keyring import FIRST_GENERATION
from epassport.keystore import KeyStore
from epassport.projector import ForeignProjection
from epassport.records import Incoming
from epassport.sealing import new_data_key, seal
from epassport.service import Running
from epassport.signing import SigningPurpose
from epassport_contracts import ContractEvent, DataPurpose, Sealed, ServiceName
from epassport_contracts.fields import FIELDS
from epassport_contracts.registry import SUBJECT_KEYS, home_topic
from epassport_sandbox.oidc import Issuer
from epassport_sandbox.people import DemoPerson

ENROLLMENT = ServiceName.ENROLLMENT


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Holder:
    """A person with the data keys that enrollment would have made."""

    holder_id: UUID = field(default_factory=uuid4)
    document_ref: UUID = field(default_factory=uuid4)
    keys: dict[DataPurpose, bytes] = field(
        default_factory=lambda: {purpose: new_data_key() for purpose in owned_purposes(ENROLLMENT)}
    )

    def sealed(self, name: str, value: object) -> Sealed[Any]:
        return seal(self.keys[FIELDS[name].purpose], FIRST_GENERATION, self.holder_id, name, value)


@dataclass
class Cloud:
    """One replica with its tokens, and a wire to other services."""

    opened: Running
    url: str
    oidc: Issuer
    http: httpx.AsyncClient
    enrollment: KeyStore

    async def get(self, path: str, holder: Holder) -> httpx.Response:
        citizen = DemoPerson("citizen", "citizen", (Role.CITIZEN,), holder_id=holder.holder_id)
        headers = {"Authorization": f"Bearer {self.oidc.issue(citizen)}"}
        return await self.http.get(f"{self.url}/v1{path}", headers=headers)

    async def send_keys(self, holder: Holder) -> None:
        essentials = self.opened.essentials
        made = make_messages(
            holder.holder_id,
            ENROLLMENT,
            FIRST_GENERATION,
            holder.keys,
            trust=essentials.trust,
            signer=self.enrollment.signer(SigningPurpose.SUBJECT_KEY),
            at=now(),
        )
        records = [
            _incoming(message, SUBJECT_KEYS, ENROLLMENT, message.record_key()) for message in made
        ]
        async with essentials.database.transaction() as connection:
            await essentials.keyring.receive(connection, records)

    async def hear(self, event: ContractEvent, producer: ServiceName, stream: str) -> None:
        """As the consumer of the access log would."""
        record = _incoming(event, home_topic(type(event), producer).name, producer, stream)
        async with self.opened.essentials.database.transaction() as connection:
            await ForeignProjection(readmodel.access_log).apply(connection, [record])

    async def rows(self, sql: str, *arguments: Any) -> list[Record]:
        async with self.opened.essentials.database.connection() as connection:
            return list(await connection.fetch(sql, *arguments))


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
