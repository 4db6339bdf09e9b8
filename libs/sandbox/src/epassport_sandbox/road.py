"""The road of one passport as its people walk it: desk, bureau, courier, counter, phone.

Every step goes through the services' public HTTP interface, under the token of the person
who would do it; nothing here reaches into a service.
"""

import base64
import json
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from epassport.actor import Role
from epassport.signing import LocalSigner, Signer, new_private_key, public_key_octets
from epassport_contracts import ServiceName
from epassport_contracts.desk import presence_record
from epassport_contracts.events.enrollment import ApplicationKind
from epassport_contracts.fields import (
    BirthCertificate,
    Identity,
    PaperPassport,
    Representative,
    Sex,
    Wishes,
)
from epassport_credentials.mobile_qr import present
from epassport_sandbox import fingerprints
from epassport_sandbox.citizens import Citizen
from epassport_sandbox.client import Answer, Client, Refused, Usual, until
from epassport_sandbox.country import AGE_CHECK, STATION, Country, Office
from epassport_sandbox.people import (
    ADJUDICATORS,
    CARD_INSPECTOR,
    CARD_OPERATOR,
    COURIER,
    SHOP_CLERK,
    DemoPerson,
)
from epassport_sandbox.portraits import draw_portrait

ENROLLMENT = ServiceName.ENROLLMENT
BIOMETRICS = ServiceName.BIOMETRICS
CARDS = ServiceName.CARD_PERSONALIZATION
PROFILE = ServiceName.CLOUD_PROFILE
VERIFICATION = ServiceName.VERIFICATION

FINGER = "right-index"
DPI = 500
MADE = "written"  # and read back: the inspector's turn


@dataclass
class Steps:
    """Seconds each step took, by step, in the order the steps were first taken."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @asynccontextmanager
    async def timed(self, step: str) -> AsyncIterator[None]:
        """A step that fails is not counted."""
        started = time.perf_counter()
        yield
        self.seconds[step].append(time.perf_counter() - started)


@dataclass(frozen=True)
class Captures:
    """What the devices deliver: impressions by (finger, number) and the drawn face."""

    impression: Callable[[int, int], bytes]
    today: date
    drawn: dict[int, bytes] = field(default_factory=dict, repr=False)

    def finger(self, citizen: Citizen, n: int) -> bytes:
        if not citizen.fingers_usable:
            return fingerprints.png(fingerprints.worn(citizen.finger_seed, n))
        return self.impression(citizen.finger_seed, n)

    def face(self, citizen: Citizen) -> bytes:
        """Drawn once: the same face at every counter."""
        if citizen.portrait_seed not in self.drawn:
            self.drawn[citizen.portrait_seed] = draw_portrait(
                citizen.portrait_seed, citizen.sex, citizen.age(self.today)
            )
        return self.drawn[citizen.portrait_seed]


@dataclass
class Walk:
    """How far one citizen has come."""

    citizen: Citizen
    office: Office
    application_id: UUID
    holder_id: UUID
    kind: ApplicationKind = ApplicationKind.FIRST
    document_ref: UUID | None = None

    @property
    def ref(self) -> UUID:
        if self.document_ref is None:
            raise LookupError("this application has not been approved")
        return self.document_ref

    @property
    def person(self) -> DemoPerson:
        """The citizen with a token for the own profile."""
        return DemoPerson(
            f"citizen-{self.holder_id}", "citizen", (Role.CITIZEN,), holder_id=self.holder_id
        )


@dataclass
class Phone:
    """A phone with its bound key and the one-day keys of its attestations."""

    device_id: UUID
    attestations: list[tuple[Signer, bytes]]

    def code(self, n: int, now: datetime) -> str:
        """What the display shows of attestation n, for the next minute."""
        key, attestation = self.attestations[n]
        return present(attestation, phone=key, now=now, cti=secrets.token_bytes(16))


@dataclass
class Road:
    client: Client
    country: Country
    captures: Captures
    now: Callable[[], Any]
    steps: Steps = field(default_factory=Steps)
    usual: dict[str, Usual] = field(default_factory=lambda: defaultdict(Usual))

    async def apply(
        self,
        citizen: Citizen,
        *,
        kind: ApplicationKind = ApplicationKind.FIRST,
        replaces: str | None = None,
    ) -> Walk:
        """Step 1. Raises Refused."""
        async with self.steps.timed("apply"):
            office, body = await self.application(citizen, kind=kind, replaces=replaces)
            answer = await self.client.command(ENROLLMENT, "/applications", body, office.operator)
        ids = (UUID(answer["application_id"]), UUID(answer["holder_id"]))
        return Walk(citizen, office, *ids, kind)

    async def application(
        self,
        citizen: Citizen,
        *,
        kind: ApplicationKind = ApplicationKind.FIRST,
        replaces: str | None = None,
    ) -> tuple[Office, dict[str, Any]]:
        """What the desk of which office would send, with a fresh signed presence record."""
        office = self.country.office_for(citizen.region)
        drawn = await self.client.query(
            ENROLLMENT,
            "/presence-challenge",
            office.operator,
            office=office.office_id,
            station=STATION,
        )
        body = self._application(citizen, office, kind, drawn["challenge"])
        if replaces is not None:
            body["replaces_document_number"] = replaces
        return office, body

    def _application(
        self, citizen: Citizen, office: Office, kind: ApplicationKind, challenge: str
    ) -> dict[str, Any]:
        identity, at = identity_of(citizen), self.now().replace(microsecond=0)
        record = presence_record(
            challenge=challenge,
            office=office.office_id,
            station=STATION,
            officer=office.operator.subject,
            kind=kind,
            identity=identity,
            at=at,
        )
        wishes = Wishes(
            snils=citizen.snils, inn=citizen.inn, driving_licence=citizen.driving_licence
        )
        wished = [name.replace("_", "-") for name, value in wishes if value is not None]
        body: dict[str, Any] = {
            "kind": kind,
            "office": office.office_id,
            "station": STATION,
            "region": citizen.region,
            "identity": json.loads(identity.model_dump_json()),
            "consents": ["processing", "biometrics", *wished],
            "warning_read": True,
            "presence": {
                "challenge": challenge,
                "at": at.isoformat(),
                "signature": office.signature(office.operator, record),
            },
        }
        if citizen.paper_passport is not None:
            body["paper_passport_lines"] = citizen.paper_passport_lines
        if wished:
            body["wishes"] = json.loads(wishes.model_dump_json())
        if citizen.representative is not None:
            representative = representative_of(citizen.representative)
            body["representative"] = json.loads(representative.model_dump_json())
        return body

    async def ticket(self, walk: Walk, purpose: str, person: DemoPerson) -> str:
        answer = await self.client.command(
            ENROLLMENT,
            f"/applications/{walk.application_id}/tickets",
            {"purpose": purpose, "station": STATION},
            person,
        )
        return str(answer["ticket"])

    async def enrol(self, walk: Walk, *, impression: int = 0) -> Answer:
        """Step 2, the captures. Raises Refused with the capture's fault."""
        async with self.steps.timed("capture"):
            ticket = await self.ticket(walk, "enrol", walk.office.operator)
            return await self.client.command(
                BIOMETRICS,
                "/samples",
                {
                    "ticket": ticket,
                    "fingers": [self._finger(walk.citizen, impression)],
                    "face": _text(self.captures.face(walk.citizen)),
                },
                walk.office.operator,
            )

    async def capture(self, walk: Walk) -> None:
        """Step 2 for whoever comes. Raises Refused."""
        if walk.citizen.fingers_usable:
            await self.enrol(walk)
        else:
            await self.except_fingers(walk)

    async def except_fingers(self, walk: Walk) -> None:
        """Unusable fingers: a supervisor records an exception, which stands for 1:N."""
        ticket = await self.ticket(walk, "enrol", walk.office.operator)
        face = _text(self.captures.face(walk.citizen))
        body = {"ticket": ticket, "face": face, "reason_code": "fingers-unusable"}
        await self.client.command(BIOMETRICS, "/exceptions", body, walk.office.supervisor)

    async def adjudicate(self, verdict: str, *, among: Sequence[str] = ()) -> str:
        """Two adjudicators decide the case that is open, each alone; returns the case's id."""
        first = ADJUDICATORS[0]
        cases = await until(
            lambda: self.client.query(BIOMETRICS, "/adjudications", first),
            lambda answer: any(c["case_id"] not in among for c in answer["adjudications"]),
            what="an adjudication case",
        )
        case_id = next(c["case_id"] for c in cases["adjudications"] if c["case_id"] not in among)
        for adjudicator in ADJUDICATORS:
            await self.client.query(BIOMETRICS, f"/adjudications/{case_id}", adjudicator)
            await self.client.command(
                BIOMETRICS,
                f"/adjudications/{case_id}/decisions",
                {"verdict": verdict, "reason_code": "fingers-alike"},
                adjudicator,
            )
        return str(case_id)

    async def progress(self, walk: Walk) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = await self.client.query(
            ENROLLMENT, f"/applications/{walk.application_id}/progress", walk.office.supervisor
        )
        return answer

    async def decide(self, walk: Walk) -> None:
        """Step 3: the supervisor approves once biometrics has answered."""
        async with self.steps.timed("one person, once"):
            await self.reaches(walk, "ready-for-decision")
        async with self.steps.timed("approve"):
            answer = await self.client.command(
                ENROLLMENT,
                f"/applications/{walk.application_id}/approve",
                {},
                walk.office.supervisor,
            )
        walk.document_ref = UUID(answer["document_ref"])

    async def reject(self, walk: Walk, reason: str) -> None:
        await self.client.command(
            ENROLLMENT,
            f"/applications/{walk.application_id}/reject",
            {"reason": reason},
            walk.office.supervisor,
        )

    async def reaches(self, walk: Walk, state: str) -> Mapping[str, Any]:
        return await until(
            lambda: self.progress(walk),
            lambda answer: answer["state"] == state,
            what=f"application {walk.application_id} to be {state}",
            within=timedelta(seconds=180),
            usual=self.usual[state],
        )

    async def card(self, walk: Walk, *, after: str | None = None) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = await self.client.query(
            CARDS, f"/cards/{walk.ref}", CARD_INSPECTOR, after=after
        )
        return answer

    async def card_reaches(
        self, walk: Walk, state: str, *, after: str | None = None
    ) -> Mapping[str, Any]:
        return await until(
            lambda: self.card(walk, after=after),
            lambda answer: answer["state"] == state,
            what=f"card {walk.ref} to be {state}",
            within=timedelta(seconds=180),
            usual=self.usual[state],
        )

    async def make(self, walk: Walk, *, spoil_first: bool = False) -> None:
        """Steps 4 to 6: registered, prepared, written, read back, inspected."""
        async with self.steps.timed("make the card"):
            await self.card_reaches(walk, MADE)
        if spoil_first:
            rejected = await self._inspect(walk, "reject-quality", {"reason": "print-smeared"})
            await self.card_reaches(walk, MADE, after=rejected.token)
        async with self.steps.timed("inspect"):
            await self._inspect(walk, "accept-quality", {})

    async def _inspect(self, walk: Walk, operation: str, body: Mapping[str, str]) -> Answer:
        path = f"/cards/{walk.ref}/{operation}"
        return await self.client.command(CARDS, path, body, CARD_INSPECTOR)

    async def bring(self, walks: Sequence[Walk]) -> None:
        """Step 7: one batch to one office; the office confirms each card."""
        office = walks[0].office
        async with self.steps.timed("bring"):
            batch = await self.client.command(
                CARDS, "/batches", {"office": office.office_id}, CARD_OPERATOR
            )
            path = f"/batches/{batch['batch_id']}"
            for walk in walks:
                await self.client.command(
                    CARDS, f"/cards/{walk.ref}/pack", {"batch_id": batch["batch_id"]}, CARD_OPERATOR
                )
            await self.client.command(CARDS, f"{path}/close", {}, CARD_OPERATOR)
            await self.client.command(
                CARDS, f"{path}/dispatch", {"courier": COURIER.subject}, CARD_OPERATOR
            )
            for walk in walks:
                await self.card_reaches(walk, "dispatched")
                await self.client.command(
                    CARDS, f"/cards/{walk.ref}/receive", {}, office.counter[0]
                )

    async def hand_over(self, walk: Walk, *, impression: int = 1) -> None:
        """Step 8: the person at the counter is compared 1:1, then gets the card."""
        officer = walk.office.counter[0]
        await self.reaches(walk, "ready-for-hand-over")
        async with self.steps.timed("compare 1:1"):
            ticket = await self.ticket(walk, "hand-over", officer)
            await self._compare(walk, ticket, impression)
        async with self.steps.timed("hand over"):
            await until(
                lambda: self.progress(walk),
                lambda answer: "HolderCheckNoted" in _names(answer),
                what="the holder's check to reach enrollment",
                usual=self.usual["check noted"],
            )
            await self.client.command(
                ENROLLMENT,
                f"/applications/{walk.application_id}/hand-over",
                {"station": STATION},
                officer,
            )

    async def _compare(self, walk: Walk, ticket: str, impression: int) -> None:
        if walk.citizen.fingers_usable:
            await self._compare_finger(walk, ticket, impression)
            return
        for officer in walk.office.counter:
            verdict = {"ticket": ticket, "verdict": "match"}
            await self.client.command(BIOMETRICS, "/face-verifications", verdict, officer)

    async def _compare_finger(self, walk: Walk, ticket: str, impression: int) -> None:
        """A capture that is no good is taken again, as at any counter. Raises Refused."""

        async def compare(n: int) -> None:
            body = {"ticket": ticket, "finger": self._finger(walk.citizen, n)}
            await self.client.command(BIOMETRICS, "/verifications", body, walk.office.counter[0])

        try:
            await compare(impression)
        except Refused as refused:
            if not refused.reason.startswith("capture-"):
                raise
            await compare(impression - 1)

    async def comes_into_force(self, walk: Walk) -> None:
        """Steps 9 and 10: valid, and in the cloud."""
        async with self.steps.timed("come into force"):
            await until(
                lambda: self.client.query(
                    VERIFICATION, f"/documents/{walk.ref}", walk.office.supervisor
                ),
                lambda answer: answer["status"] == "valid",
                what=f"document {walk.ref} to be valid",
                usual=self.usual["valid"],
            )
            await until(
                lambda: self.client.query(PROFILE, f"/profiles/{walk.holder_id}", walk.person),
                lambda answer: answer["documents"][-1]["standing"] == "valid",
                what=f"profile {walk.holder_id} to open",
                usual=self.usual["profile"],
            )

    async def bind_phone(self, walk: Walk, purpose: str = "age-over-18", n: int = 2) -> Phone:
        """Step 10: the phone proves its key and gets a batch of attestations."""
        async with self.steps.timed("bind the phone"):
            phone = LocalSigner(new_private_key())
            proof = phone.sign(b"epassport-device-v1\n" + str(walk.holder_id).encode())
            bound = await self.client.command(
                PROFILE,
                f"/profiles/{walk.holder_id}/devices",
                {
                    "public_key": _text(public_key_octets(phone.public_key)),
                    "proof": _text(proof),
                },
                walk.person,
            )
            keys = [LocalSigner(new_private_key()) for _ in range(n)]
            answer = await self.client.command(
                PROFILE,
                f"/profiles/{walk.holder_id}/attestations",
                {
                    "device_id": bound["device_id"],
                    "purpose": purpose,
                    "keys": [_text(public_key_octets(key.public_key)) for key in keys],
                },
                walk.person,
            )
        attestations = [base64.b64decode(text) for text in answer["attestations"]]
        return Phone(UUID(bound["device_id"]), list(zip(keys, attestations, strict=True)))

    async def check(
        self, person: DemoPerson, purpose: str, claims: Sequence[str], code: str
    ) -> Mapping[str, Any]:
        """Step 11: what the verifier's page gets to see."""
        async with self.steps.timed("check"):
            answer = await self.client.command(
                VERIFICATION,
                "/presentations",
                {"purpose": purpose, "claims": list(claims), "code": code},
                person,
            )
        return answer.content

    async def age_check(self, code: str) -> Mapping[str, Any]:
        """Is this person over 18?, as the shop asks it."""
        return await self.check(SHOP_CLERK, AGE_CHECK, ["over-18"], code)

    async def first_age_check(self, phone: Phone, n: int) -> tuple[str, Mapping[str, Any]]:
        """The code that got the first answer but `unknown`, and this answer: the attestation's
        key comes to verification by an event, and who shows it sooner shows it again."""

        async def shown() -> tuple[str, Mapping[str, Any]]:
            code = phone.code(n, self.now())
            return code, await self.age_check(code)

        return await until(
            shown, lambda seen: seen[1]["outcome"] != "unknown", what="the phone's key to be known"
        )

    async def whole(self, citizen: Citizen) -> Walk:
        """From the desk to a valid passport in the cloud, one card in its own batch."""
        walk = await self.apply(citizen)
        await self.capture(walk)
        await self.decide(walk)
        await self.make(walk)
        await self.bring([walk])
        await self.hand_over(walk)
        await self.comes_into_force(walk)
        return walk

    def _finger(self, citizen: Citizen, n: int) -> dict[str, Any]:
        image = self.captures.finger(citizen, n)
        return {"position": FINGER, "image": _text(image), "dpi": DPI}


def identity_of(citizen: Citizen) -> Identity:
    """The first spread as the operator types it from the papers."""
    certificate = None
    if citizen.birth_certificate is not None:
        paper = citizen.birth_certificate
        certificate = BirthCertificate(
            series=paper.series,
            number=paper.number,
            issued_on=paper.issue_date,
            authority=paper.authority,
        )
    return Identity(
        surname=citizen.surname,
        given_name=citizen.given_name,
        patronymic=citizen.patronymic,
        sex=Sex(citizen.sex.value),
        birth_date=citizen.birth_date,
        birth_place=citizen.birth_place,
        paper_passport=_paper_passport(citizen),
        birth_certificate=certificate,
    )


def representative_of(citizen: Citizen) -> Representative:
    passport = _paper_passport(citizen)
    if passport is None:
        raise ValueError("a representative has a passport")
    return Representative(
        surname=citizen.surname,
        given_name=citizen.given_name,
        patronymic=citizen.patronymic,
        paper_passport=passport,
    )


def _paper_passport(citizen: Citizen) -> PaperPassport | None:
    paper = citizen.paper_passport
    if paper is None:
        return None
    return PaperPassport(
        series=paper.series,
        number=paper.number,
        issued_on=paper.issue_date,
        authority=paper.authority,
        division_code=paper.division_code,
    )


def _names(progress: Mapping[str, Any]) -> list[str]:
    return [entry["event"] for entry in progress["timeline"]]


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
