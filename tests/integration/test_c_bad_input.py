"""What does not fit is refused with a reason that tells nothing of it, and leaves nothing."""

import base64
import io
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest_asyncio
from PIL import Image

from epassport.actor import Role
from epassport_contracts import ServiceName
from epassport_sandbox.citizens import Citizen
from epassport_sandbox.invariants import settle
from epassport_sandbox.people import (
    ADMINISTRATOR,
    CARD_INSPECTOR,
    CARD_OPERATOR,
    HOTLINE,
    REGISTRAR,
    SHOP_CLERK,
    DemoPerson,
)
from epassport_sandbox.road import BIOMETRICS, CARDS, ENROLLMENT, PROFILE, VERIFICATION
from epassport_sandbox.running import Session
from epassport_sandbox.system import System

CANARY = "Жароптицын-7719"
BLANKS = "/v1/blank-lots"
STORED = (
    "events",
    "streams",
    "idempotency",
    "outbox",
    "tasks",
    "claims",
    "blobs",
    "deadlines",
    "subject_keys",
)


@dataclass(frozen=True)
class Sent:
    """One request that must be refused. body: bytes as they are, anything else as JSON."""

    service: ServiceName
    path: str
    person: DemoPerson
    body: Any
    status: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


def _lot(**more: Any) -> dict[str, Any]:
    return {"lot_id": "lot-bad-input", "count": 1, **more}


OPERATOR = DemoPerson("operator-x", "operator", (Role.OPERATOR,))
OFFICER = DemoPerson("hand-over-officer-x", "officer", (Role.HAND_OVER_OFFICER,))
SOMEBODY = DemoPerson("citizen-x", "citizen", (Role.CITIZEN,), holder_id=uuid4())
UNKNOWN = uuid4()

CASES = {
    "malformed JSON": Sent(
        CARDS, BLANKS, CARD_OPERATOR, f'{{"lot_id": "{CANARY}'.encode(), 400, "malformed-json"
    ),
    "no JSON at all": Sent(CARDS, BLANKS, CARD_OPERATOR, b"\xff\xfe\x00", 400, "malformed-json"),
    "another media type": Sent(
        CARDS, BLANKS, CARD_OPERATOR, CANARY.encode(), 415, "media-type-not-json",
        {"Content-Type": "text/plain"},
    ),
    "an unknown field": Sent(
        CARDS, BLANKS, CARD_OPERATOR, _lot(**{CANARY: CANARY}), 422, "invalid-body"
    ),
    "a wrong type": Sent(CARDS, BLANKS, CARD_OPERATOR, _lot(count=CANARY), 422, "invalid-body"),
    "a number as text": Sent(CARDS, BLANKS, CARD_OPERATOR, _lot(count="1"), 422, "invalid-body"),
    "a number too small": Sent(CARDS, BLANKS, CARD_OPERATOR, _lot(count=-1), 422, "invalid-body"),
    "a missing field": Sent(CARDS, BLANKS, CARD_OPERATOR, {"lot_id": "l"}, 422, "invalid-body"),
    "a list for an object": Sent(CARDS, BLANKS, CARD_OPERATOR, [CANARY], 422, "invalid-body"),
    "a body over 2 MB": Sent(
        CARDS, BLANKS, CARD_OPERATOR, _lot(lot_id=CANARY * 200_000), 413, "body-too-large"
    ),
    "an application that is none": Sent(
        ENROLLMENT, "/v1/applications", OPERATOR,
        {"identity": {"surname": CANARY}}, 422, "invalid-body",
    ),
    "bad base64 for a key": Sent(
        ENROLLMENT, "/v1/offices/office-1/officers", REGISTRAR,
        {"issuer": CANARY, "subject": CANARY, "public_key": "*" + CANARY, "from_day": "2026-01-01"},
        422, "invalid-body",
    ),
    "a ticket that nobody signed": Sent(
        BIOMETRICS, "/v1/verifications", OFFICER,
        {"ticket": f"{CANARY}.b.c",
         "finger": {"position": "right-index", "image": "AAAA", "dpi": 500}},
        409, "ticket-malformed",
    ),
    "a code that is no code": Sent(
        VERIFICATION, "/v1/relying-parties/x/purposes", REGISTRAR,
        {"purpose": CANARY, "claims": [CANARY], "basis": ""}, 422, "invalid-body",
    ),
    "an unknown card": Sent(
        CARDS, f"/v1/cards/{UNKNOWN}/accept-quality", CARD_INSPECTOR, None, 404, "unknown-id"
    ),
    "an unknown application": Sent(
        ENROLLMENT, f"/v1/applications/{UNKNOWN}/withdraw",
        OPERATOR, None, 404, "unknown-id",
    ),
    "an unknown holder": Sent(
        ENROLLMENT, f"/v1/holders/{UNKNOWN}/erasure", ADMINISTRATOR, {}, 404, "unknown-id"
    ),
    "an unknown document": Sent(
        VERIFICATION, f"/v1/documents/{UNKNOWN}/revoke", ADMINISTRATOR, {"reason": "ordered"},
        404, "unknown-id",
    ),
    "another's profile": Sent(
        PROFILE, f"/v1/profiles/{UNKNOWN}/close", SOMEBODY, None, 404, "unknown-id"
    ),
    "a loss of a holder nobody heard of": Sent(
        PROFILE, f"/v1/profiles/{UNKNOWN}/loss", HOTLINE, {"document_ref": str(UNKNOWN)},
        404, "unknown-id",
    ),
    "a confirmed loss of a holder nobody heard of": Sent(
        PROFILE, f"/v1/profiles/{UNKNOWN}/loss/confirm", OPERATOR,
        {"document_ref": str(UNKNOWN)}, 404, "unknown-id",
    ),
    "a phone of a holder nobody heard of": Sent(
        PROFILE, f"/v1/profiles/{UNKNOWN}/devices/{UNKNOWN}/unbind", HOTLINE, None,
        404, "unknown-id",
    ),
    "a profile that is not there yet": Sent(
        PROFILE, f"/v1/profiles/{SOMEBODY.holder_id}/close", SOMEBODY, None, 404, "unknown-id"
    ),
    "an id that is none": Sent(
        CARDS, f"/v1/cards/{CANARY}/accept-quality", CARD_INSPECTOR, None, 422, "invalid-parameter"
    ),
    "an unknown route": Sent(CARDS, f"/v1/{CANARY}", CARD_OPERATOR, {}, 404, "unknown-route"),
    "a wrong method": Sent(
        CARDS, BLANKS, CARD_OPERATOR, None, 405, "method-not-allowed", method="DELETE"
    ),
    "no idempotency key": Sent(
        CARDS, BLANKS, CARD_OPERATOR, _lot(), 400, "idempotency-key-missing",
        {"Idempotency-Key": ""},
    ),
    "a malformed If-Match": Sent(
        CARDS, BLANKS, CARD_OPERATOR, _lot(), 400, "invalid-header", {"If-Match": "latest"}
    ),
    "a stale If-Match": Sent(
        CARDS, BLANKS, CARD_OPERATOR, _lot(lot_id="lot-1"), 412, "version-conflict",
        {"If-Match": '"7"'},
    ),
}  # fmt: skip


Rows = dict[tuple[ServiceName, str], int]


async def _stored(system: System) -> Rows:
    """How many rows of each kind every service keeps."""
    rows: Rows = {}
    for service in system.urls:
        connection = await asyncpg.connect(system.dsn(service))
        try:
            for what in STORED:
                rows[service, what] = await connection.fetchval(f"SELECT count(*) FROM {what}")
        finally:
            await connection.close()
    return rows


@pytest_asyncio.fixture(loop_scope="session")
async def nothing_is_stored(epassport: Session) -> AsyncIterator[None]:
    """Whatever the test sends: afterwards no service keeps a row more than before."""
    await settle(epassport.system)
    before = await _stored(epassport.system)
    yield
    after = await _stored(epassport.system)
    assert {place: (n, before[place]) for place, n in after.items() if n != before[place]} == {}


async def _send(session: Session, http: httpx.AsyncClient, sent: Sent) -> httpx.Response:
    token = session.system.issuer.issue(sent.person)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Idempotency-Key": str(uuid4()),
        **sent.headers,
    }
    octets = sent.body if isinstance(sent.body, bytes) else json.dumps(sent.body).encode()
    return await http.request(
        sent.method,
        session.system.urls[sent.service] + sent.path,
        headers={name: value for name, value in headers.items() if value},
        content=b"" if sent.body is None else octets,
    )


def _check_problem(name: str, answer: httpx.Response, status: int, reason: str) -> None:
    told = f"{name}: {answer.status_code} {answer.text[:200]}"
    assert answer.status_code == status, told
    assert answer.headers["content-type"] == "application/problem+json", told
    assert answer.json()["reason"] == reason, told
    for leak in (CANARY, CANARY.encode("unicode_escape").decode(), "Traceback", ".py", "asyncpg"):
        assert leak not in answer.text, told


async def test_what_does_not_fit_is_refused_tells_nothing_of_itself_and_leaves_nothing(
    epassport: Session, http: httpx.AsyncClient, nothing_is_stored: None
) -> None:
    for name, sent in CASES.items():
        answer = await _send(epassport, http, sent)
        _check_problem(name, answer, sent.status, sent.reason)


async def test_captures_that_are_no_images_are_refused_and_can_be_taken_again(
    epassport: Session, http: httpx.AsyncClient, newcomers: Iterator[Citizen]
) -> None:
    road = epassport.road
    walk = await road.apply(next(newcomers))
    finger, face = road.captures.finger(walk.citizen, 0), road.captures.face(walk.citizen)
    bad = {
        "no image": (CANARY.encode(), face),
        "a cut image": (finger[: len(finger) // 2], face),
        "an empty picture": (_blank_png(), face),
        "a face that is none": (finger, CANARY.encode()),
        "a face of another format": (finger, finger),
    }
    await settle(epassport.system)
    before = await _stored(epassport.system)
    for name, (finger_image, face_image) in bad.items():
        body = {
            "ticket": await road.ticket(walk, "enrol", walk.office.operator),
            "fingers": [{"position": "right-index", "image": _text(finger_image), "dpi": 500}],
            "face": _text(face_image),
        }
        sent = Sent(BIOMETRICS, "/v1/samples", walk.office.operator, body, 0, "")
        answer = await _send(epassport, http, sent)
        assert 400 <= answer.status_code < 500, f"{name}: {answer.status_code} {answer.text}"
        _check_problem(name, answer, answer.status_code, answer.json()["reason"])
    kept = await _stored(epassport.system)
    assert kept[BIOMETRICS, "blobs"] == before[BIOMETRICS, "blobs"]
    await road.enrol(walk)
    await road.reaches(walk, "ready-for-decision")


async def test_a_key_used_again_with_another_body_is_refused_and_the_first_effect_stands(
    epassport: Session, http: httpx.AsyncClient
) -> None:
    key = {"Idempotency-Key": f"lot-of-bad-input-{uuid4()}"}
    lot = f"lot-{uuid4()}"
    first = Sent(CARDS, BLANKS, CARD_OPERATOR, _lot(lot_id=lot, count=2), 200, "", key)
    other = Sent(CARDS, BLANKS, CARD_OPERATOR, _lot(lot_id=lot, count=3), 422, "", key)
    answer = await _send(epassport, http, first)
    assert answer.status_code == 200
    refused = await _send(epassport, http, other)
    _check_problem("another body", refused, 422, "idempotency-key-reused")
    again = await _send(epassport, http, first)
    assert again.json() == answer.json()
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_a_code_that_is_no_credential_gets_a_refusal_and_no_claims(
    epassport: Session,
) -> None:
    seen = await epassport.road.check(SHOP_CLERK, "age-check", ["over-18"], CANARY)
    assert (seen["outcome"], dict(seen["claims"])) == ("refused", {})
    assert CANARY not in json.dumps(seen, default=str, ensure_ascii=False)


def _blank_png() -> bytes:
    octets = io.BytesIO()
    Image.new("L", (300, 400), 255).save(octets, "PNG")
    return octets.getvalue()


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
