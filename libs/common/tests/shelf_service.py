"""A small service behind the shell: boxes on a shelf, kept in memory; and who issues its tokens."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from epassport import Accepted, Conflict, Rejected, StreamId, Token, hpke
from epassport.access import ANYONE, AccessTable
from epassport.actor import Role
from epassport.clock import Clock
from epassport.commands import IDEMPOTENCY_KEY_REUSED, Envelope, Idempotency, Outcome
from epassport.database import Database
from epassport.errors import Erased, KeyPending, RecordTooLarge
from epassport.http import Backing, Call, Routes, View
from epassport.keyring import SubjectKeyring
from epassport.keystore import KeyStore, Secret
from epassport.oidc import PublicKeys, TokenVerifier
from epassport.problems import NotFound
from epassport.shell import build_app
from epassport.trustfile import TrustContent, TrustFile
from epassport_contracts import ServiceName

ISSUER, AUDIENCE = "https://issuer.test", "epassport"
JWKS = "https://issuer.test/jwks"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
HOLDER = UUID("6f1c1c2e-0000-4000-8000-000000000001")
DAMAGED, GONE, LOCKED, ENDLESS = (
    UUID(f"6f1c1c2e-0000-4000-8000-00000000000{n}") for n in range(2, 6)
)


class Owner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    surname: str = Field(max_length=40)
    born: datetime | None = None


class PutBox(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: str = Field(max_length=60)
    weight_grams: int = Field(default=1, ge=1)
    owners: list[Owner] = []


class BoxAnswer(BaseModel):
    label: str
    seen_by: str
    channel: str


@dataclass
class Shelf:
    """What the service keeps, and what its tests look at."""

    boxes: dict[StreamId, list[PutBox]] = field(default_factory=dict)
    kept: dict[tuple[str, str], tuple[bytes, Outcome]] = field(default_factory=dict)
    envelopes: list[Envelope] = field(default_factory=list)
    visible: Token = field(default_factory=lambda: Token(0, 0))
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    bus_stopped: bool = False
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    leave: asyncio.Event = field(default_factory=asyncio.Event)

    async def execute(self, envelope: Envelope) -> Outcome:
        if self.bus_stopped:
            raise asyncio.CancelledError
        self.envelopes.append(envelope)
        key = envelope.idempotency
        assert key is not None
        known = self.kept.get((key.scope, key.key))
        if known is not None:
            return _again(*known, key)
        outcome = self._decide(envelope)
        if not isinstance(outcome, Conflict):
            self.kept[key.scope, key.key] = (key.body_hmac, outcome)
        return outcome

    def _decide(self, envelope: Envelope) -> Outcome:
        box = envelope.command
        assert isinstance(box, PutBox)
        puts = self.boxes.setdefault(envelope.stream, [])
        if envelope.expected_version not in (None, len(puts)):
            return Conflict(len(puts))
        if box.label == "too-heavy":
            return Rejected("shelf-full")
        if box.label == "endless":
            raise RecordTooLarge("internal.shelf.v1", 1_000_000)
        puts.append(box)
        self.visible = Token(7, len(puts))
        self.moved.set()
        return Accepted(envelope.stream, len(puts), self.visible, envelope.answer)

    async def wait_for(self, _models: tuple[str, ...], token: Token) -> None:
        while (self.visible.transaction_id, self.visible.position) < (
            token.transaction_id,
            token.position,
        ):
            self.moved.clear()
            await self.moved.wait()


def _again(body_hmac: bytes, outcome: Outcome, key: Idempotency) -> Outcome:
    if body_hmac != key.body_hmac:
        return Rejected(IDEMPOTENCY_KEY_REUSED)
    if isinstance(outcome, Accepted):
        return Accepted(outcome.stream, outcome.version, outcome.token, outcome.answer, True)
    return outcome


SECRETS = {secret: bytes(range(32)) for secret in Secret} | {Secret.HPKE: hpke.generate()[0]}

ACCESS = AccessTable(
    {
        "put-box": {Role.OPERATOR, Role.CITIZEN},
        "touch-box": {Role.OPERATOR},
        "read-box": {Role.OPERATOR, Role.CITIZEN},
        "read-heaviest": ANYONE,
        "read-database": {Role.OPERATOR},
        "wait": {Role.OPERATOR},
    }
)

routes = Routes(ACCESS)


@routes.command("put-box", "/v1/boxes")
async def put_box(body: PutBox, call: Call[Shelf]) -> Outcome:
    box = call.new_id("box")
    return await call.send(StreamId(f"box/{box}"), body, answer={"box_id": str(box)})


@routes.command("touch-box", "/v1/boxes/{box_id}/touch")
async def touch_box(box_id: UUID, call: Call[Shelf]) -> Outcome:
    return await call.send(StreamId(f"box/{box_id}"), PutBox(label="touched"))


@routes.query("read-box", "/v1/boxes/{box_id}", reads=("boxes",))
async def read_box(box_id: UUID, view: View[Shelf], *, shout: bool = False) -> BoxAnswer:
    """One box, as it was put last."""
    if box_id == DAMAGED:
        raise ZeroDivisionError(f"the box of {view.actor.subject} is damaged")
    if box_id == GONE:
        raise Erased(box_id)
    if box_id == LOCKED:
        raise KeyPending(box_id, "identity")
    puts = view.app.boxes.get(StreamId(f"box/{box_id}"))
    if not puts:
        raise NotFound
    label = puts[-1].label.upper() if shout else puts[-1].label
    return BoxAnswer(label=label, seen_by=view.actor.subject, channel=view.actor.channel)


@routes.query("read-heaviest", "/v1/heaviest")
async def read_heaviest(view: View[Shelf], label: str = "") -> Response:
    boxes = [put for puts in view.app.boxes.values() for put in puts]
    weights = [put.weight_grams for put in boxes if put.label.startswith(label)]
    return Response(str(max(weights, default=0)), headers={"Cache-Control": "max-age=60"})


@routes.query("read-database", "/v1/database")
async def read_database(view: View[Shelf]) -> dict[str, int]:
    async with view.database.connection() as connection:
        return {"one": await connection.fetchval("SELECT 1")}


@routes.query("wait", "/v1/wait")
async def wait(view: View[Shelf]) -> dict[str, bool]:
    view.app.entered.set()
    await view.app.leave.wait()
    return {"left": True}


@dataclass
class Issuer:
    """Signs tokens and answers for its keys, as an OpenID Connect provider does."""

    key: Key = field(default_factory=lambda: new_key("ES256"))
    algorithm: str = "ES256"
    more_keys: list[Key] = field(default_factory=list)
    padding: str = ""
    is_away: bool = False
    asked: int = 0

    def token(self, *, key: Key | None = None, **claims: object) -> str:
        now = int(time.time())
        stated: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "olga",
            "exp": now + 3600,  # longer than any run of the tests
            "roles": ["operator", "gardener"],
            **claims,
        }
        stated = {name: value for name, value in stated.items() if value is not None}
        header = {"alg": self.algorithm, "kid": self.key.kid}
        return jwt.encode(header, stated, key or self.key, algorithms=[self.algorithm])

    def client(self) -> httpx.AsyncClient:
        async def jwks(_request: object) -> Response:
            self.asked += 1
            if self.is_away:
                return Response(status_code=503)
            keys = [key.as_dict(private=False) for key in (self.key, *self.more_keys)]
            return JSONResponse({"keys": keys, "padding": self.padding})

        app = Starlette(routes=[Route("/jwks", jwks)])
        return httpx.AsyncClient(transport=httpx.ASGITransport(app))

    def verifier(self, clock: Clock | None = None) -> TokenVerifier:
        return TokenVerifier(ISSUER, AUDIENCE, PublicKeys(JWKS, self.client()), clock or Clock())


def new_key(algorithm: str) -> Key:
    match algorithm:
        case "ES256":
            return ECKey.generate_key("P-256", auto_kid=True)
        case "EdDSA" | "Ed25519":
            return OKPKey.generate_key("Ed25519", auto_kid=True)
        case _:
            return RSAKey.generate_key(2048, auto_kid=True)


@asynccontextmanager
async def unreachable_database() -> AsyncIterator[Database]:
    """A pool whose server is not there: nothing listens on port 1."""
    pool = await asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", min_size=0)
    try:
        yield Database(pool)
    finally:
        await pool.close()


def backing(shelf: Shelf, issuer: Issuer, database: Database) -> Backing[Shelf]:
    clock = Clock()
    keystore = KeyStore("verification", {}, SECRETS, sandbox=True)
    trust = TrustFile(
        TrustContent(issuer="test", sandbox=True, issued_at=SINCE, signing_keys=(), hpke_keys=())
    )
    return Backing(
        tokens=issuer.verifier(clock),
        clock=clock,
        execute=shelf.execute,
        visible=shelf.wait_for,
        answers_key=keystore.answers,
        database=database,
        keyring=SubjectKeyring(ServiceName.VERIFICATION, keystore, trust, clock.now),
        app=shelf,
    )


async def _fine() -> None:
    return None


def application(shelf: Shelf, issuer: Issuer, database: Database) -> FastAPI:
    return build_app("shelf", [routes], backing(shelf, issuer, database), checks={"fine": _fine})


def bearer(token: str, **headers: str) -> Mapping[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"Authorization": f"Bearer {token}", "Idempotency-Key": "k-1", **named}
