"""What the hash chain costs: `python libs/common/tests/history_cost.py [events]`.

CPU of this process and of the database's, per 1,000 events, for linking and for the audit,
over events with about 500 bytes of data. Beside them the same for reading the events bare.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import psutil
from shelf_store import SERVICE, opened

from epassport.audit import audit
from epassport.database import Database
from epassport.history import EVENT_AS_TEXT, History
from epassport.signals import Signals
from epassport_sandbox.stack import open_stack

FILL = """
    INSERT INTO events (transaction_id, stream_id, version, event_id, type, schema_version, data,
                        metadata)
    SELECT (n / 100 + 1)::text::xid8, 'shelf/' || n % 10000, n / 10000 + 1, gen_random_uuid(),
           'BoxPut', 1, jsonb_build_object('at', now(), 'label', n, 'owner', jsonb_build_object(
               'v', 1, 'subject', gen_random_uuid(), 'purpose', 'identity', 'generation', 1,
               'field', 'identity', 'nonce', 'AAAAAAAAAAAAAAAA', 'ct', repeat(md5(n::text), 8))),
           '{"actor": {"issuer": "https://issuer.test", "subject": "olga", "roles": ["operator"],
             "channel": "desk"}, "correlation_id": "6f1c1c2e-0000-4000-8000-000000000001"}'
      FROM generate_series(0, $1 - 1) AS n
"""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


async def bare(db: Database) -> None:
    """Every event in reading order, page by page, as any reader fetches them."""
    transaction, position = "0", 0
    while True:
        async with db.connection() as connection:
            found = await connection.fetch(
                f"SELECT {EVENT_AS_TEXT} FROM events"
                " WHERE (transaction_id, position) > ($1::text::xid8, $2)"
                " ORDER BY transaction_id, position LIMIT 1000",
                transaction,
                position,
            )
        if not found:
            return
        transaction, position = found[-1]["read_as"], int(found[-1]["at"])


async def link(db: Database) -> None:
    chain = History(SERVICE, db, Signals(), lambda: datetime.now(UTC))
    while await chain.step():
        pass


async def check(db: Database) -> None:
    async with db.connection() as connection:
        result = await audit(connection, SERVICE, [])
    assert not result.findings, result.findings[:3]


async def cost(
    what: str, count: int, db: Database, work: Callable[[Database], Awaitable[None]]
) -> None:
    async with db.connection() as connection:
        server = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
    ours, theirs = time.process_time(), sum(server.cpu_times()[:2])
    await work(db)
    ours, theirs = time.process_time() - ours, sum(server.cpu_times()[:2]) - theirs
    per_thousand = 1_000_000 / count
    say(f"{what:8} {ours * per_thousand:6.1f} ms here, {theirs * per_thousand:6.1f} ms there")


async def main(count: int) -> None:
    async with open_stack(durable=False, announce=say) as stack:
        dsn = await stack.postgres.create_database("history_cost")
        async with opened(dsn) as filled:
            async with filled.connection() as connection:
                await connection.execute("SET statement_timeout = 0")
                await connection.execute(FILL, count, timeout=600)
                await connection.execute("VACUUM ANALYZE events")
                size = await connection.fetchval("SELECT avg(length(data::text)) FROM events")
            say(f"{count} events, data of {size:.0f} bytes; CPU per 1,000 events")
        db = await Database.connect(dsn, connections=1)
        for what, work in (("read", bare), ("link", link), ("audit", check), ("read", bare)):
            await cost(what, count, db, work)
        async with db.connection() as connection:
            stored = await connection.fetchval("SELECT pg_total_relation_size('history_links')")
        say(f"history_links: {stored / count:.1f} bytes per event")
        await db.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000))
