"""What tests of a restored service share: a copy of its database, its relay, its outbox."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
from kafka_notes import SERVICE, clients_of, until, waiting_in_outbox

from epassport.database import Database
from epassport.relay import Relay
from epassport.signals import Signals
from epassport_contracts import ServiceName
from epassport_sandbox.stack import Stack


@asynccontextmanager
async def as_it_was(db: Database, database: str, stack: Stack) -> AsyncIterator[str]:
    """A copy of the database as it is now, file by file, to be gone back to later.

    Nobody may be connected meanwhile: `db` is closed.
    """
    name = f"copy_{uuid4().hex}"
    await db.pool.expire_connections()
    await db.close()
    admin = await asyncpg.connect(stack.postgres.dsn("postgres"))
    try:
        source = database.rpartition("/")[2]
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {source}")
        yield stack.postgres.dsn(name)
    finally:
        await admin.close()
        await stack.postgres.drop_database(name)


async def all_sent(dsn: str, kafka: str, *, service: ServiceName = SERVICE) -> None:
    """Let the service's relay send what waits in the outbox."""

    async def sent() -> bool:
        return await waiting_in_outbox(dsn) == 0

    relay = asyncio.create_task(Relay(dsn, service, clients_of(kafka), Signals()).run())
    try:
        await until(sent)
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
