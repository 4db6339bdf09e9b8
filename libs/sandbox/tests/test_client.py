import asyncio
from datetime import timedelta

import pytest

from epassport_sandbox.client import TookTooLong, Usual, until


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
