"""`bureau`: the service over real PostgreSQL with the real engine, and a wire to enrollment.

What enrollment would send is applied as a consumer applies it, without Kafka between. Tests of
this folder share `enrolled`, the persons and captures they speak of.
"""

import asyncio
import base64
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from asyncpg import Record

from biometrics import reactions
from biometrics.engine.quality import CaptureRejected, examine, read_capture
from biometrics.service import build
from biometrics.settings import BiometricsSettings
from biometrics.work import RELEASE_IMAGES, SEARCH_DUPLICATES
from epassport import signals
from epassport.actor import Role
from epassport.ceremony import hold_ceremony
from epassport.database import migrate
from epassport.decider import StreamId
from epassport.keystore import KeyStore
from epassport.reactions import ReactionHandler, reactions_of
from epassport.records import Incoming
from epassport.service import Running, running
from epassport.signing import Signer, SigningPurpose
from epassport.tickets import sign_ticket
from epassport_contracts import ContractEvent, DataPurpose, Sealed, ServiceName
from epassport_contracts.desk import Ticket, TicketPurpose
from epassport_contracts.events.enrollment import (
    ApplicationApproved,
    ApplicationKind,
    ApplicationRejected,
)
from epassport_contracts.registry import home_topic
from epassport_credentials.identity import Sex
from epassport_sandbox.fingerprints import DPI, FingerprintSet, fingerprint_set
from epassport_sandbox.oidc import Issuer
from epassport_sandbox.people import DemoPerson
from epassport_sandbox.portraits import draw_portrait
from epassport_sandbox.ports import free_port
from epassport_sandbox.stack import Stack

sys.path.insert(0, str(Path(__file__).parent))

CACHE = Path(os.environ.get("EPASSPORT_CACHE") or Path(__file__).parents[3] / ".cache")
LIBS, CLASSES = CACHE / "sourceafis-libs", CACHE / "sourceafis-classes"

ALL_SIGNALS = [
    signals.EVENTS,
    *(signals.task(kind.kind) for kind in (SEARCH_DUPLICATES, RELEASE_IMAGES)),
]

SETTLED_WITHIN_SECONDS = 120  # a new engine on a machine with much else to do
OFFICE, STATION = "office-1", "station-1"
FINGERS = 170


def now() -> datetime:
    return datetime.now(UTC)


def _passes_the_gate(png: bytes) -> bool:
    try:
        examine(read_capture(png, dpi=DPI))
    except CaptureRejected:
        return False
    return True


@dataclass(frozen=True)
class Person:
    """finger: whose skin; who applies under another name is another holder with the same one."""

    finger: int
    holder: UUID = field(default_factory=uuid4)
    application: UUID = field(default_factory=uuid4)
    document: UUID = field(default_factory=uuid4)


@dataclass
class Bureau:
    opened: Running
    url: str
    oidc: Issuer
    http: httpx.AsyncClient
    desk: Signer
    fingers: FingerprintSet
    portrait: bytes
    settings: BiometricsSettings
    used_fingers: int = 0

    def person(self) -> "Person":
        """Somebody with a finger that no other test has enrolled, and that lay on the glass well
        each time: whom the others get must not depend on how many came before."""
        while True:
            finger = self.used_fingers
            self.used_fingers += 1
            if all(_passes_the_gate(self.fingers.png(finger, n)) for n in (0, 1)):
                return Person(finger)

    def ticket(
        self,
        person: Person,
        officer: str,
        purpose: TicketPurpose = TicketPurpose.ENROL,
        **more: Any,
    ) -> str:
        about = {
            "ticket_id": uuid4(),
            "purpose": purpose,
            "holder_id": person.holder,
            "application_id": person.application,
            "document_ref": None if purpose is TicketPurpose.ENROL else person.document,
            "kind": ApplicationKind.FIRST,
            "officer": officer,
            "office": OFFICE,
            "station": STATION,
            "expires_at": now() + timedelta(minutes=10),
        }
        return sign_ticket(self.desk, Ticket.model_validate({**about, **more}))

    def finger(self, finger: int, n: int = 0) -> dict[str, Any]:
        image = base64.b64encode(self.fingers.png(finger, n)).decode()
        return {"position": "right-index", "image": image, "dpi": DPI}

    def samples(self, person: Person, n: int = 0, officer: str = "operator") -> dict[str, Any]:
        return {
            "ticket": self.ticket(person, officer),
            "fingers": [self.finger(person.finger, n)],
            "face": base64.b64encode(self.portrait).decode(),
        }

    async def post(
        self, path: str, body: Any, role: Role, *, who: str | None = None, key: str | None = None
    ) -> httpx.Response:
        token = self.oidc.issue(DemoPerson(who or role, who or role, (role,), office=OFFICE))
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key or str(uuid4())}
        return await self.http.post(f"{self.url}/v1{path}", json=body, headers=headers)

    async def asked(self, path: str, who: str, role: Role = Role.ADJUDICATOR) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.oidc.issue(DemoPerson(who, who, (role,)))}"}
        return await self.http.get(f"{self.url}/v1{path}", headers=headers)

    async def get(self, path: str, role: Role, *, who: str | None = None) -> Any:
        answer = await self.asked(path, who or role, role)
        assert answer.status_code in (200, 404), answer.text
        return answer.json() if answer.status_code == 200 else None

    async def bring(self, person: Person, n: int = 0) -> None:
        await self.brought(person, self.samples(person, n))

    async def brought(self, person: Person, samples: Any) -> None:
        answer = await self.post("/samples", samples, Role.OPERATOR)
        assert answer.status_code == 200, answer.text
        assert answer.json()["record_id"] == str(person.holder)

    async def status(self, person: Person, *wanted: str) -> str:
        """Of the application's enrolment, once it is one of these."""
        async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
            while True:
                told = await self.get(f"/records/{person.holder}", Role.OPERATOR)
                for row in told["enrolments"] if told else ():
                    if row["application_id"] == str(person.application) and row["status"] in wanted:
                        found: str = row["status"]
                        return found
                await asyncio.sleep(0.05)

    async def enrol(self, person: Person) -> Person:
        await self.bring(person)
        await self.status(person, "accepted")
        return person

    async def check(
        self, ticket: str, finger: int, who: str = "hand-over-officer"
    ) -> httpx.Response:
        body = {"ticket": ticket, "finger": self.finger(finger, 1)}
        return await self.post("/verifications", body, Role.HAND_OVER_OFFICER, who=who)

    async def case(self, person: Person) -> UUID:
        sql = "SELECT case_id FROM adjudication_v2 WHERE application_id = $1"
        (case,) = await self.rows(sql, person.application)
        found: UUID = case["case_id"]
        return found

    async def open_cases(self, who: str) -> set[str]:
        told = await self.get("/adjudications", Role.ADJUDICATOR, who=who)
        return {case["case_id"] for case in told["adjudications"]}

    async def escalated(self, case_id: UUID) -> None:
        """Returns once a supervisor has the case to answer."""
        async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
            while True:
                told = await self.get("/adjudications", Role.SUPERVISOR)
                if str(case_id) in {each["case_id"] for each in told["adjudications"]}:
                    return
                await asyncio.sleep(0.05)

    async def hear(self, event: ContractEvent, stream: str) -> None:
        record = Incoming(
            home_topic(type(event), ServiceName.ENROLLMENT).name, 0, 0, stream, 1, uuid4(),
            event.type_name(), ServiceName.ENROLLMENT, uuid4(), None, StreamId(stream), event.at,
            event,
        )  # fmt: skip
        handler = ReactionHandler(
            ServiceName.BIOMETRICS, reactions_of([reactions]), self.opened.group
        )
        async with self.opened.essentials.database.transaction() as connection:
            await handler.apply(connection, [record])
        self.opened.signals.committed(ALL_SIGNALS)

    async def approve(self, person: Person) -> None:
        sealed: Any = Sealed(
            subject=person.holder, purpose=DataPurpose.IDENTITY, generation=1, field="identity",
            nonce=bytes(12), ct=bytes(32),
        )  # fmt: skip
        approved = ApplicationApproved(
            at=now(), application_id=person.application, holder_id=person.holder,
            kind=ApplicationKind.FIRST, region="RU-TA", office=OFFICE,
            document_ref=person.document, document_number=sealed, predecessor=None,
            identity=sealed, wishes=None, valid_until=now().date(),
        )  # fmt: skip
        await self.hear(approved, f"application/{person.application}")

    async def reject(self, person: Person) -> None:
        rejected = ApplicationRejected(
            at=now(), application_id=person.application, holder_id=person.holder,
            document_ref=None, has_other_document=False, reason="duplicate-person",
        )  # fmt: skip
        await self.hear(rejected, f"application/{person.application}")

    async def sent(self, type_name: str, person: Person, count: int = 1) -> list[dict[str, Any]]:
        """What waits to be sent about a person, once there is so much of this type."""
        sql = """
            SELECT convert_from(payload, 'UTF8') AS payload FROM outbox
             WHERE type = $1 AND convert_from(payload, 'UTF8') LIKE '%' || $2 || '%'
             ORDER BY position
            """
        async with asyncio.timeout(30):
            while True:
                found = await self.rows(sql, type_name, str(person.holder))
                if len(found) >= count:
                    assert len(found) == count
                    return [json.loads(row["payload"]) for row in found]
                await asyncio.sleep(0.02)

    async def events(self, person: Person) -> list[str]:
        sql = "SELECT type FROM events WHERE stream_id = $1 ORDER BY version"
        return [row["type"] for row in await self.rows(sql, f"biometric-record/{person.holder}")]

    async def blobs(self, person: Person) -> int:
        return len(await self.rows("SELECT FROM blobs WHERE subject = $1", person.holder))

    async def gallery_size(self, wanted: int) -> None:
        """Returns once the gallery has this size."""
        async with asyncio.timeout(30):
            while True:
                if (await self.get("/gallery", Role.SUPERVISOR))["size"] == wanted:
                    return
                await asyncio.sleep(0.02)

    async def rows(self, sql: str, *arguments: Any) -> list[Record]:
        async with self.opened.essentials.database.connection() as connection:
            return list(await connection.fetch(sql, *arguments))


@pytest.fixture(scope="session")
def installed_engine() -> None:
    if shutil.which("java") is None:
        pytest.skip("the engine needs Java 17 or newer, and there is none")
    if not any(LIBS.glob("sourceafis-*.jar")) or not any(CLASSES.rglob("*.class")):
        pytest.skip(
            f"SourceAFIS or its compiled classes are not in {CACHE}; make check brings them"
        )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bureau(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory, installed_engine: None
) -> AsyncIterator[Bureau]:
    """One for all tests, as its two engines take seconds to start; each test has own persons."""
    folder = tmp_path_factory.mktemp("bureau")
    keys = hold_ceremony(folder / "keys", list(ServiceName), at=now() - timedelta(days=1))
    name = f"bureau_{uuid4().hex}"
    dsn = await stack.postgres.create_database(name)
    await migrate(dsn, "biometrics")
    (folder / "dsn").write_text(dsn)
    enrollment = keys.services[ServiceName.ENROLLMENT]
    purpose = SigningPurpose.DESK_TICKET
    store = KeyStore.open(enrollment.keystore, enrollment.passphrase, [purpose], sandbox=True)
    async with AsyncExitStack() as closing:
        oidc = await closing.enter_async_context(Issuer())
        http = await closing.enter_async_context(httpx.AsyncClient(timeout=30))
        port = free_port()
        own = keys.services[ServiceName.BIOMETRICS]
        settings = BiometricsSettings(
            profile="sandbox", postgres_dsn_file=folder / "dsn", kafka_security="plaintext",
            kafka_bootstrap="127.0.0.1:9", key_store=own.keystore,
            key_store_passphrase_file=own.passphrase, trust_file=keys.trust_file,
            trust_root_file=keys.root_public_key, oidc_issuer=oidc.url,
            oidc_audience="epassport", oidc_jwks_url=f"{oidc.url}/jwks", http_port=port,
            engine_libs=LIBS, engine_classes=CLASSES, engine_heap_mb=256,
        )  # fmt: skip
        opened = await closing.enter_async_context(at_work(settings))
        url = f"http://127.0.0.1:{port}"
        await ready(http, url)
        portrait = draw_portrait(7, Sex.FEMALE, 40)
        fingers = fingerprint_set(FINGERS, 2)
        yield Bureau(opened, url, oidc, http, store.signer(purpose), fingers, portrait, settings)
    await stack.postgres.drop_database(name)


@asynccontextmanager
async def at_work(settings: BiometricsSettings) -> AsyncIterator[Running]:
    async with running(build(settings)) as opened:
        parts = [opened.serve(), opened.project(), opened.work(), opened.timers()]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            yield opened
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def ready(http: httpx.AsyncClient, url: str) -> None:
    """The engine has started: nobody's first request waits for it."""
    async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
        while True:
            try:
                if (await http.get(f"{url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass  # not listening yet
            await asyncio.sleep(0.05)
