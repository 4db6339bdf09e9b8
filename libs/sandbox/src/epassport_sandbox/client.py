"""HTTP as the desks, counters, phones and shops of the sandbox speak it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import uuid4

import aiohttp

from epassport_contracts import ServiceName
from epassport_sandbox.errors import SandboxError
from epassport_sandbox.oidc import Issuer
from epassport_sandbox.people import DemoPerson

T = TypeVar("T")

TOKEN_REUSED_FOR = timedelta(hours=1)
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 2.0
AGAIN_AFTER_SECONDS = (0.2, 0.5, 1.0, 2.0)
# Also a connection that the service closed, being idle, at the moment it was used again.
_UNKNOWN_END = (TimeoutError, aiohttp.ClientConnectionError)


class Refused(SandboxError):
    """A problem answer: status and the service's reason code."""

    def __init__(self, status: int, reason: str, operation: str) -> None:
        super().__init__(f"{operation}: {status} {reason}")
        self.status = status
        self.reason = reason


class TookTooLong(SandboxError):
    """What was waited for did not come true within its bound."""


@dataclass(frozen=True)
class Answer:
    """A command's answer; token goes into `?after=` of queries to the same service."""

    content: Mapping[str, Any]

    @property
    def token(self) -> str | None:
        token: str | None = self.content["token"]
        return token

    def __getitem__(self, name: str) -> Any:
        return self.content[name]


@dataclass(frozen=True)
class Response:
    """Of one request: status and body as they came."""

    status: int
    body: bytes


class Client:
    """Sends commands and queries as named persons. One token per person, renewed when old."""

    def __init__(
        self, urls: Mapping[ServiceName, str], issuer: Issuer, http: aiohttp.ClientSession
    ) -> None:
        self._urls = urls
        self._issuer = issuer
        self._http = http
        self._tokens: dict[DemoPerson, tuple[float, str]] = {}
        self.requests = 0

    async def command(
        self,
        service: ServiceName,
        path: str,
        body: Mapping[str, Any],
        person: DemoPerson,
        *,
        key: str | None = None,
        channel: str | None = None,
    ) -> Answer:
        """POST under a fresh idempotency key, or the given one. Raises Refused.

        Where a service is not available for a moment, the same command is sent again under the
        same key: it has one effect, whatever became of the first.
        """
        headers = self._headers(person) | {"Idempotency-Key": key or str(uuid4())}
        if channel is not None:
            headers["X-Channel"] = channel
        url = f"{self._urls[service]}/v1{path}"
        for pause in AGAIN_AFTER_SECONDS:
            try:
                response = await self._post(url, body, headers)
            except _UNKNOWN_END:
                pass  # what became of it is not known: the key makes sure of one effect
            else:
                if response.status != HTTPStatus.SERVICE_UNAVAILABLE:
                    return Answer(_content(response, path))
            await asyncio.sleep(pause)
        return Answer(_content(await self._post(url, body, headers), path))

    async def query(
        self,
        service: ServiceName,
        path: str,
        person: DemoPerson | None,
        *,
        after: str | None = None,
        **parameters: str,
    ) -> Any:
        """GET as JSON. Raises Refused."""
        response = await self._get(service, path, person, after, parameters)
        return _content(response, path)

    async def octets(
        self, service: ServiceName, path: str, person: DemoPerson | None = None
    ) -> bytes:
        """GET as bytes: images, signed lists. Raises Refused."""
        response = await self._get(service, path, person, None, {})
        if response.status >= HTTPStatus.BAD_REQUEST:
            _content(response, path)
        return response.body

    async def _get(
        self,
        service: ServiceName,
        path: str,
        person: DemoPerson | None,
        after: str | None,
        parameters: Mapping[str, str],
    ) -> Response:
        wanted = {**parameters, **({"after": after} if after is not None else {})}
        headers = self._headers(person) if person is not None else {}
        url = f"{self._urls[service]}/v1{path}"
        for pause in AGAIN_AFTER_SECONDS:
            try:
                response = await self._got(url, wanted, headers)
            except _UNKNOWN_END:
                pass
            else:
                if response.status != HTTPStatus.SERVICE_UNAVAILABLE:
                    return response
            await asyncio.sleep(pause)
        return await self._got(url, wanted, headers)

    async def _got(
        self, url: str, wanted: Mapping[str, str], headers: Mapping[str, str]
    ) -> Response:
        self.requests += 1
        async with self._http.get(url, params=wanted, headers=headers) as response:
            return Response(response.status, await response.read())

    async def _post(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Response:
        self.requests += 1
        async with self._http.post(url, json=body, headers=headers) as response:
            return Response(response.status, await response.read())

    def _headers(self, person: DemoPerson) -> dict[str, str]:
        now = self._issuer.now().timestamp()
        made_at, token = self._tokens.get(person, (0.0, ""))
        if abs(now - made_at) > TOKEN_REUSED_FOR.total_seconds():
            token = self._issuer.issue(person)
            self._tokens[person] = (now, token)
        return {"Authorization": f"Bearer {token}"}


def _content(response: Response, operation: str) -> Any:
    if response.status >= HTTPStatus.BAD_REQUEST:
        try:
            reason = json.loads(response.body)["reason"]
        except (ValueError, KeyError):
            raise SandboxError(f"{operation}: {response.status} without a reason") from None
        raise Refused(response.status, reason, operation)
    return json.loads(response.body)


@dataclass
class Usual:
    """How long something takes, as one knows who has waited for it before."""

    seconds: float = 0.0

    def learn(self, seconds: float) -> None:
        """What was last counts most."""
        self.seconds += (seconds - self.seconds) / 4


async def until(
    ask: Callable[[], Awaitable[T]],
    holds: Callable[[T], bool],
    *,
    within: timedelta = timedelta(seconds=60),
    what: str,
    usual: Usual | None = None,
) -> T:
    """Ask again until `holds`; an unknown id or a key on its way counts as not yet.

    usual: nobody asks before three quarters of that time, nor much more often than it lasts.
    Raises TookTooLong with what was seen last.
    """
    clock = asyncio.get_running_loop()
    started = clock.time()
    deadline = started + within.total_seconds()
    usual = usual or Usual()
    pause, seen = max(SHORTEST_PAUSE_SECONDS, usual.seconds / 8), "nothing"
    await asyncio.sleep(min(0.75 * usual.seconds, within.total_seconds()))
    while True:
        try:
            answer = await ask()
            if holds(answer):
                usual.learn(clock.time() - started)
                return answer
            seen = repr(answer)[:300]
        except Refused as refused:
            if refused.reason not in ("unknown-id", "key-pending", "not-visible-yet"):
                raise
            seen = refused.reason
        if clock.time() > deadline:
            raise TookTooLong(f"{what}: not within {within.total_seconds():g} s, seen {seen}")
        await asyncio.sleep(pause)
        pause = min(pause * 1.6, LONGEST_PAUSE_SECONDS)
