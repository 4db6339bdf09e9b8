"""Transactions that hold and transactions that wait: what tests of locks arrange and look at."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from kafka_notes import until

from epassport.commands import Envelope, Outcome
from epassport.group import Group


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """One that no pool of ours bounds: a test may hold it as long as its condition takes."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def in_own_transaction(dsn: str, group: Group, *envelopes: Envelope) -> list[Outcome]:
    async with session(dsn) as connection, connection.transaction():
        return await group.run(connection, envelopes)


async def waits_for_a_lock(dsn: str, task: "asyncio.Task[Any]", *, before: int = 0) -> bool:
    """Whether the task comes to wait for somebody's lock, rather than to its end.

    before: how many sessions waited already
    """
    async with session(dsn) as looking:

        async def known() -> bool:
            waiting = await looking.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return task.done() or waiting > before

        await until(known)
    return not task.done()
