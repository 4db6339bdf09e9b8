"""A small OpenID Connect issuer for the sandbox: anybody may sign in as a demo person.

Its keys live as long as the object; production refuses its issuer address, which is loopback.
Supports what our services need: discovery, JWKS, and the token endpoint with the client
credentials grant (RFC 6749 §4.4), where `client_id` is a demo person's subject and no secret is
asked for.
"""

import asyncio
import socket
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from joserfc import jwt
from joserfc.jwk import ECKey, KeyParameters

from epassport_sandbox.people import DEMO_PEOPLE, DemoPerson
from epassport_sandbox.ports import HOST

AUDIENCE = "epassport"
ALGORITHM = "ES256"
GRANT = "client_credentials"
LIFETIME = timedelta(hours=8)
MAX_BODY_BYTES = 4_096


class Issuer:
    """Serves inside the running event loop while its block is open.

    now: the stack's clock, so that tokens age with it
    """

    def __init__(
        self,
        people: Iterable[DemoPerson] = DEMO_PEOPLE,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.people = {person.subject: person for person in people}
        self.now = now
        self._key = _new_key()
        self._socket = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(_application(self), log_level="warning", lifespan="off")
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # The socket listens already: a request made before the server turns waits for it.
        serving = self._server.serve(sockets=[self._socket])
        self._serving = asyncio.create_task(serving, name="sandbox issuer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        self._socket.close()

    def issue(
        self,
        person: DemoPerson,
        *,
        lifetime: timedelta = LIFETIME,
        audience: str = AUDIENCE,
    ) -> str:
        """A bearer token; a negative lifetime makes an expired one."""
        return self._sign(self._key, person, lifetime, audience)

    def forge(self, person: DemoPerson) -> str:
        """A token that names our key but is signed with another one."""
        return self._sign(_new_key(), person, LIFETIME, AUDIENCE)

    def add(self, person: DemoPerson) -> None:
        """Let somebody else sign in too."""
        self.people[person.subject] = person

    def public_keys(self) -> dict[str, list[Any]]:
        return {"keys": [self._key.as_dict(private=False)]}

    def _sign(self, key: ECKey, person: DemoPerson, lifetime: timedelta, audience: str) -> str:
        issued_at = int(self.now().timestamp())
        claims = {
            "iss": self.url,
            "aud": audience,
            "sub": person.subject,
            "iat": issued_at,
            "exp": issued_at + int(lifetime.total_seconds()),
            "name": person.name,
            "roles": [role.value for role in person.roles],
            "region": person.region,
            "office": person.office,
            "holder_id": None if person.holder_id is None else str(person.holder_id),
        }
        header = {"alg": ALGORITHM, "typ": "JWT", "kid": self._key.kid}
        stated = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(header, stated, key, algorithms=[ALGORITHM])


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave Ctrl-C and SIGTERM to the process that runs the stack."""
        yield


def _new_key() -> ECKey:
    parameters: KeyParameters = {"use": "sig", "alg": ALGORITHM}
    return ECKey.generate_key("P-256", parameters, private=True, auto_kid=True)


def _application(issuer: Issuer) -> FastAPI:
    application = FastAPI(title="epassport sandbox issuer")

    @application.get("/.well-known/openid-configuration")
    async def discovery() -> dict[str, Any]:
        return {
            "issuer": issuer.url,
            "jwks_uri": f"{issuer.url}/jwks",
            "token_endpoint": f"{issuer.url}/token",
            "token_endpoint_auth_methods_supported": ["none"],
            "grant_types_supported": [GRANT],
            "response_types_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        }

    @application.get("/jwks")
    async def jwks() -> dict[str, list[Any]]:
        return issuer.public_keys()

    @application.post("/token")
    async def token(request: Request) -> JSONResponse:
        form = await _read_form(request)
        if form is None:
            return _refused("invalid_request", 400)
        if form.get("grant_type") != [GRANT]:
            return _refused("unsupported_grant_type", 400)
        person = issuer.people.get(form.get("client_id", [""])[0])
        if person is None:
            return _refused("invalid_client", 401)
        return JSONResponse(
            {
                "access_token": issuer.issue(person),
                "token_type": "Bearer",
                "expires_in": int(LIFETIME.total_seconds()),
            },
            headers={"Cache-Control": "no-store"},
        )

    return application


async def _read_form(request: Request) -> dict[str, list[str]] | None:
    """None when it is too long or not UTF-8."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    try:
        return parse_qs(body.decode())
    except UnicodeDecodeError:
        return None


def _refused(error: str, status: int) -> JSONResponse:
    """RFC 6749 §5.2."""
    return JSONResponse({"error": error}, status_code=status)
