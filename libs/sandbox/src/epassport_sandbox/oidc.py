"""A small OpenID Connect issuer for the sandbox: anybody may sign in as a demo person.

Its key lives as long as the object, or in a file that several processes share: one that answers
(`python -m epassport_sandbox.oidc`), others that sign tokens for the people they play.
Production refuses its issuer address, which is no https. Supports what our services need:
discovery, JWKS, and the token endpoint with the client credentials grant (RFC 6749 §4.4), where
`client_id` is a demo person's subject and no secret is asked for.
"""

import argparse
import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
from epassport_sandbox.stack import cancelled_by_sigterm

AUDIENCE = "epassport"
ALGORITHM = "ES256"
GRANT = "client_credentials"
LIFETIME = timedelta(hours=8)
MAX_BODY_BYTES = 4_096


class Issuer:
    """Serves inside the running event loop while its block is open.

    now: the stack's clock, so that tokens age with it
    listen: host and port; port 0 is any
    url: what it is called in tokens; where it listens, if not given
    key_file: its key, made there if missing
    """

    def __init__(
        self,
        people: Iterable[DemoPerson] = DEMO_PEOPLE,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        listen: tuple[str, int] = (HOST, 0),
        url: str | None = None,
        key_file: Path | None = None,
    ) -> None:
        self.people = {person.subject: person for person in people}
        self.now = now
        self._key = _new_key() if key_file is None else _key_in(key_file)
        self._socket = socket.create_server(listen)
        self.url = url or f"http://{HOST}:{self._socket.getsockname()[1]}"
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


def _key_in(file: Path) -> ECKey:
    """Of the file, which appears only when it is whole: another process may wait for it."""
    if not file.exists():
        unfinished = file.with_name(f"{file.name}.new")
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(_new_key().as_dict(private=True)))
        unfinished.rename(file)
    return ECKey.import_key(json.loads(file.read_text()))


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


async def _serve(options: argparse.Namespace) -> None:
    listen = (options.host, options.port)
    async with Issuer(listen=listen, url=options.url, key_file=options.key_file):
        with cancelled_by_sigterm():
            await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m epassport_sandbox.oidc")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--url", help="what it is called in tokens")
    parser.add_argument("--key-file", type=Path)
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
