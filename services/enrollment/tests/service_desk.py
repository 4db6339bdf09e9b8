"""Enrollment over real PostgreSQL, as its officers meet it over HTTP.

What other services would send is applied as a consumer applies it, without Kafka between.
"""

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from asyncpg import Record
from counter import lines_of

from enrollment import reactions
from epassport.actor import Role
from epassport.decider import StreamId
from epassport.reactions import ReactionHandler, reactions_of
from epassport.records import Incoming
from epassport.service import Running
from epassport.signing import LocalSigner, Signer, new_private_key, public_key_octets
from epassport_contracts import ContractEvent, ServiceName
from epassport_contracts.desk import presence_record
from epassport_contracts.events.biometrics import (
    BiometricsAccepted,
    CheckPurpose,
    ComparisonMethod,
    HolderVerified,
)
from epassport_contracts.events.card_personalization import CardReceived
from epassport_contracts.events.enrollment import ApplicationKind
from epassport_contracts.fields import Identity, PaperPassport
from epassport_contracts.registry import home_topic
from epassport_sandbox.oidc import Issuer
from epassport_sandbox.people import DemoPerson

REGION, OFFICE, STATION = "RU-MOW", "office-1", "station-1"


def _person(subject: str, role: Role, office: str | None = OFFICE) -> DemoPerson:
    return DemoPerson(subject, subject, (role,), office=office)


OPERATOR = _person("operator", Role.OPERATOR)
SUPERVISOR = _person("supervisor", Role.SUPERVISOR)
COUNTER = _person("counter", Role.HAND_OVER_OFFICER)
REGISTRAR = _person("registrar", Role.REGISTRAR, None)
ADMINISTRATOR = _person("administrator", Role.ADMINISTRATOR, None)


def now() -> datetime:
    return datetime.now(UTC)


def citizen(identity: Identity, number: int) -> Identity:
    """The same invented person on a paper of this number."""
    paper = PaperPassport(
        series="4510", number=f"{number:06d}", issued_on=now().date() - timedelta(days=400),
        authority="ОВД района", division_code="770-001",
    )  # fmt: skip
    return identity.model_copy(update={"paper_passport": paper})


@dataclass
class Desk:
    """One replica with its tokens, its officers' key, and a wire to other services."""

    opened: Running
    url: str
    oidc: Issuer
    http: httpx.AsyncClient
    key: Signer = field(default_factory=lambda: LocalSigner(new_private_key()))
    sequences: dict[str, int] = field(default_factory=dict)
    token: str | None = None

    async def post(
        self, path: str, body: Any, who: DemoPerson, *, key: str | None = None
    ) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {self.oidc.issue(who)}",
            "Idempotency-Key": key or str(uuid4()),
        }
        answer = await self.http.post(f"{self.url}/v1{path}", json=body, headers=headers)
        if answer.is_success and answer.json()["token"] is not None:
            self.token = answer.json()["token"]
        return answer

    async def get(self, path: str, who: DemoPerson | None, **asked: str) -> httpx.Response:
        headers = {} if who is None else {"Authorization": f"Bearer {self.oidc.issue(who)}"}
        return await self.http.get(f"{self.url}/v1{path}", params=asked, headers=headers)

    async def done(self, path: str, body: Any, who: DemoPerson) -> dict[str, Any]:
        answer = await self.post(path, body, who)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    async def refused(self, path: str, body: Any, who: DemoPerson) -> str:
        answer = await self.post(path, body, who)
        assert answer.is_client_error, answer.text
        reason: str = answer.json()["reason"]
        return reason

    async def application(self, identity: Identity, **changes: Any) -> dict[str, Any]:
        """A signed body with a challenge of its own."""
        drawn = await self.get("/presence-challenge", OPERATOR, office=OFFICE, station=STATION)
        challenge, at = drawn.json()["challenge"], now().replace(microsecond=0)
        record = presence_record(
            challenge=challenge, office=OFFICE, station=STATION, officer=OPERATOR.subject,
            kind=ApplicationKind(changes.get("kind", "first")), identity=identity, at=at,
        )  # fmt: skip
        return {
            "kind": "first",
            "office": OFFICE,
            "station": STATION,
            "region": REGION,
            "identity": identity.model_dump(mode="json"),
            "consents": ["processing", "biometrics"],
            "paper_passport_lines": lines_of(identity) if identity.paper_passport else None,
            "warning_read": True,
            "presence": {
                "challenge": challenge,
                "at": at.isoformat(),
                "signature": base64.b64encode(self.key.sign(record)).decode(),
            },
            **changes,
        }

    async def submit(self, identity: Identity, **changes: Any) -> dict[str, Any]:
        body = await self.application(identity, **changes)
        return await self.done("/applications", body, OPERATOR)

    async def approve(self, submitted: Mapping[str, str]) -> UUID:
        """Through biometrics to the supervisor's approval; returns the document's reference."""
        application = f"/applications/{submitted['application_id']}"
        accepted = BiometricsAccepted(at=now(), by_exception=False, **_about(submitted))
        await self.hear(accepted, ServiceName.BIOMETRICS, f"biometric-record/{uuid4()}")
        approved = await self.done(f"{application}/approve", {}, SUPERVISOR)
        return UUID(approved["document_ref"])

    async def hand_over(self, submitted: Mapping[str, str], ref: UUID) -> None:
        await self.hear(
            CardReceived(at=now(), document_ref=ref, office=OFFICE, **_about(submitted)),
            ServiceName.CARD_PERSONALIZATION,
            f"card/{ref}",
        )
        verified = HolderVerified(
            at=now(), check_id=uuid4(), document_ref=ref, purpose=CheckPurpose.HAND_OVER,
            method=ComparisonMethod.FINGERS, officer=COUNTER.subject, station=STATION,
            office=OFFICE, **_about(submitted),
        )  # fmt: skip
        await self.hear(verified, ServiceName.BIOMETRICS, f"biometric-record/{uuid4()}")
        application = f"/applications/{submitted['application_id']}"
        await self.done(f"{application}/hand-over", {"station": STATION}, COUNTER)

    async def hear(self, event: ContractEvent, producer: ServiceName, stream: str) -> None:
        """As the consumer would."""
        self.sequences[stream] = sequence = self.sequences.get(stream, 0) + 1
        record = Incoming(
            home_topic(type(event), producer).name, 0, sequence, stream, sequence, uuid4(),
            event.type_name(), producer, uuid4(), None, StreamId(stream), event.at, event,
        )  # fmt: skip
        handler = ReactionHandler(
            ServiceName.ENROLLMENT, reactions_of([reactions]), self.opened.group
        )
        async with self.opened.essentials.database.transaction() as connection:
            await handler.apply(connection, [record])

    async def sees(
        self,
        path: str,
        who: DemoPerson | None,
        holds: Callable[[dict[str, Any]], object] = lambda _: True,
        **wanted: Any,
    ) -> dict[str, Any]:
        """The answer, once it is there, holds, and has what is wanted."""
        async with asyncio.timeout(20):
            while True:
                answer = await self.get(path, who)
                assert answer.status_code in (200, 404), answer.text
                seen: dict[str, Any] = answer.json()
                found = answer.is_success and all(seen[name] == wanted[name] for name in wanted)
                if found and holds(seen):
                    return seen
                await asyncio.sleep(0.02)

    async def held(self, holder_id: str, *, documents: int) -> dict[str, Any]:
        """The holder, once that many documents are known."""
        return await self.sees(
            f"/holders/{holder_id}", ADMINISTRATOR, lambda h: len(h["documents"]) == documents
        )

    async def until(self, sql: str) -> None:
        """Until the query has a row."""
        async with asyncio.timeout(20):
            while not await self.rows(sql):  # noqa: ASYNC110 - another transaction makes it
                await asyncio.sleep(0.02)

    async def rows(self, sql: str, *arguments: Any) -> list[Record]:
        async with self.opened.essentials.database.connection() as connection:
            return list(await connection.fetch(sql, *arguments))


def _about(submitted: Mapping[str, str]) -> dict[str, UUID]:
    return {name: UUID(submitted[name]) for name in ("application_id", "holder_id")}


async def answers(desk: Desk) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await desk.http.get(f"{desk.url}/livez")
                return
            except httpx.ConnectError:
                await asyncio.sleep(0.02)


async def register_everything(desk: Desk) -> None:
    day = now().date().isoformat()
    hours = {"opens": "00:00", "closes": "24:00", "weekdays": list(range(7))}
    office = {"office_id": OFFICE, "region": REGION, "name": "МФЦ", "from_day": day}
    await desk.done("/offices", {**office, **hours}, REGISTRAR)
    station = {"station_id": STATION, "from_day": day}
    await desk.done(f"/offices/{OFFICE}/stations", station, REGISTRAR)
    public_key = base64.b64encode(public_key_octets(desk.key.public_key)).decode()
    for person in (OPERATOR, COUNTER):
        officer = {"issuer": desk.oidc.url, "subject": person.subject, "public_key": public_key}
        path = f"/offices/{OFFICE}/officers"
        await desk.done(path, {**officer, "from_day": day}, REGISTRAR)
    await desk.done(f"/rollouts/{REGION}/open", {"opens_on": day, "quota": 3}, REGISTRAR)
