import asyncio
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from epassport_contracts import ServiceName
from epassport_sandbox.client import Client, TookTooLong, Usual, until
from epassport_sandbox.oidc import Issuer


async def test_a_query_is_asked_again_where_the_service_is_away_for_a_moment() -> None:
    asked = 0

    async def answer(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 1:
            return web.json_response({"reason": "unavailable"}, status=503)
        return web.json_response({"adjudications": []})

    service = web.Application()
    service.router.add_get("/v1/adjudications", answer)
    async with TestServer(service) as server, aiohttp.ClientSession() as http, Issuer() as issuer:
        urls = {ServiceName.BIOMETRICS: f"http://127.0.0.1:{server.port}"}
        client = Client(urls, issuer, http)
        told = await client.query(ServiceName.BIOMETRICS, "/adjudications", None)
    assert (told, asked) == ({"adjudications": []}, 2)


async def test_who_knows_how_long_it_takes_does_not_ask_before() -> None:
    asked = 0
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, done.set)

    async def ask() -> bool:
        nonlocal asked
        asked += 1
        return done.is_set()

    usual = Usual(0.4)
    assert await until(ask, lambda answer: answer, what="it", usual=usual)
    assert asked == 1


async def test_what_it_took_is_learnt_and_the_last_counts_most() -> None:
    usual = Usual()
    usual.learn(8.0)
    assert usual.seconds == 2.0
    usual.learn(2.0)
    assert usual.seconds == 2.0


async def test_nobody_waits_beyond_the_bound_for_what_usually_takes_longer() -> None:
    async def ask() -> bool:
        return False

    within = timedelta(seconds=0.1)
    async with asyncio.timeout(20):
        with pytest.raises(TookTooLong, match=r"it: not within 0\.1 s"):
            await until(ask, lambda answer: answer, what="it", within=within, usual=Usual(3600))
