"""People who come back: a request whose service is away is sent again, under the same key."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp

from epassport_sandbox.client import Client, Response
from epassport_sandbox.road import Road
from epassport_sandbox.running import Session

PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 0.25
AWAY = (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
ANSWER_SECONDS = 10


class PatientClient(Client):
    """Every command carries its idempotency key, so that sending it again has no second effect."""

    async def _get(self, *asked: Any) -> Response:
        return await _patiently(lambda: super(PatientClient, self)._get(*asked))

    async def _post(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Response:
        return await _patiently(lambda: super(PatientClient, self)._post(url, body, headers))


async def _patiently(ask: Callable[[], Awaitable[Response]]) -> Response:
    clock = asyncio.get_running_loop()
    deadline = clock.time() + PATIENCE_SECONDS
    while True:
        try:
            answer = await ask()
            if answer.status not in AWAY or clock.time() > deadline:
                return answer
        except (aiohttp.ClientError, TimeoutError):
            if clock.time() > deadline:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def patient_road(session: Session) -> AsyncIterator[Road]:
    """The same country and captures, walked by patient people."""
    bound = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    connections = aiohttp.TCPConnector(keepalive_timeout=2)
    async with aiohttp.ClientSession(connector=connections, timeout=bound) as http:
        system = session.system
        client = PatientClient(system.urls, system.issuer, http)
        yield Road(client, session.country, session.road.captures, system.clock.now)
