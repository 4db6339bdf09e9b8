"""A million events of enrollment's applications, its largest read model, rebuilt while it is read.

Meanwhile 100 commands a second come in by the clock, the live projector runs, and desks read:
how long their commands take to be seen and how many reads fail are rows of their own. The store
is filled by SQL with the golden events of a whole road, eight to an application; the first fill,
of tables that nobody reads yet, runs alone and is shown beside it.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from enrollment import application, readmodel
from enrollment.application_commands import NoteBiometrics
from epassport.actor import service_actor
from epassport.catalog import Catalog
from epassport.clock import Clock
from epassport.commands import Accepted, CommandBus, Envelope, Token
from epassport.database import Database
from epassport.entrypoints import run_once
from epassport.errors import NotVisibleYet, TransactionTooLong
from epassport.events import EventCodec, Origin, encode_origin
from epassport.group import Group
from epassport.progress import Progress
from epassport.projector import projector, wait_for
from epassport.rebuild import Source, rebuild
from epassport.signals import Signals
from epassport_contracts import ServiceName
from epassport_sandbox.stack import Stack
from tests.benchmarks.harness import Better, Row
from tests.benchmarks.servers import Fresh, Schemas, checkpointed, run

EVENTS = 1_000_000
COMMANDS_PER_SECOND = 100
READS_PER_SECOND = 50
TARGET_SECONDS = 90.0
STALE_MS = 1_500.0  # the moment in which the live reader stands still, and its usual delay
CHUNK = 12_500  # applications a transaction

ROAD = (
    *("ApplicationSubmitted", "TicketIssued", "BiometricsNoted", "ApplicationApproved"),
    *("CardAtOffice", "TicketIssued", "HolderCheckNoted", "HandoverCompleted"),
)
GOLDEN = Path(__file__).parents[2] / "services" / "enrollment" / "tests" / "events"
FRESH = 20_000  # applications that only wait for biometrics: what the commands are about
SERVICE = ServiceName.ENROLLMENT


def rows() -> Iterator[Row]:
    yield from run(lambda stack: measure(stack, EVENTS))


@dataclass
class Seen:
    """What went on beside. delays, reads: in seconds."""

    delays: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    accepted: int = 0
    put_off: int = 0


async def measure(stack: Stack, events: int) -> list[Row]:
    async with Schemas(stack, "enrollment").fresh() as fresh:
        async with fresh.unbounded() as connection:
            await _fill_store(connection, events // len(ROAD))
        await checkpointed(stack)
        alone = await _rebuild(fresh.dsn)
        seen, under_load = await _under_load(fresh)
    how = (
        f"{events:,} events filled, compared, switched while {COMMANDS_PER_SECOND} commands/s ran"
        f" ({seen.accepted} accepted, {seen.put_off} put off); bare: the first fill alone;"
        f" ratio: to {TARGET_SECONDS:.0f} s"
    )
    ratio = under_load / TARGET_SECONDS
    return [
        Row("rebuild", under_load, alone, ratio, 1.0, Better.LOWER, "s", how, hoped=30),
        _visible(seen),
        _failed(seen),
    ]


def _visible(seen: Seen) -> Row:
    """bare: what 99 of 100 commands took at most."""
    slowest = 1000 * max(seen.delays)
    how = (
        f"the slowest of {len(seen.delays)} commands, from when it was due until the model that is"
        " being rebuilt shows it; bare: p99; ratio: to its bound"
    )
    return Row(
        *("rebuild-visible", slowest, _p99(seen.delays), slowest / STALE_MS, 1.0, Better.LOWER),
        *("ms", how),
    )


def _failed(seen: Seen) -> Row:
    """None may."""
    failed = len(seen.failed)
    how = f"reads that failed of {len(seen.reads)}, {_p99(seen.reads):.0f} ms p99"
    if seen.failed:
        how += f"; the first: {seen.failed[0]}"
    return Row("rebuild-failed", failed, 0, failed, 0.0, Better.LOWER, "reads", how)


async def _rebuild(dsn: str) -> float:
    """In a process of its own, as an operator runs it; seconds from start to end."""
    started = time.monotonic()
    command = (sys.executable, "-m", __name__, dsn)
    process = await asyncio.create_subprocess_exec(*command, stdout=sys.stderr)
    if await process.wait() != 0:
        raise AssertionError("the rebuild did not come to its end")
    return time.monotonic() - started


async def _under_load(fresh: Fresh) -> tuple[Seen, float]:
    database, signals = fresh.database, Signals()
    catalog = Catalog(SERVICE, [application.aggregate], starters={})
    sealer: Any = None  # none of these commands seals
    bus = CommandBus(Group(catalog, database, sealer, Clock(), signals).execute)
    live = projector(readmodel.applications, database, catalog.codec, signals)
    seen = Seen()
    beside = [
        asyncio.create_task(part)
        for part in (bus.run(), live.run(), _commands(bus, database, seen), _reads(database, seen))
    ]
    try:
        seconds = await _rebuild(fresh.dsn)
        for task in beside:
            if task.done():
                task.result()
        return seen, seconds
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _commands(bus: CommandBus, database: Database, seen: Seen) -> None:
    """By the clock, whatever the ones before took; each is waited for until it can be read."""
    started = time.monotonic()
    async with asyncio.TaskGroup() as parent:
        for n in range(FRESH):
            due = started + n / COMMANDS_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            parent.create_task(_command(bus, database, seen, n, due))


async def _command(bus: CommandBus, database: Database, seen: Seen, n: int, due: float) -> None:
    stream = application.aggregate.stream(_fresh(n))
    at = datetime.now(UTC)
    origin = Origin(service_actor(SERVICE), uuid4())
    command = NoteBiometrics(at, by_exception=False)
    while True:
        try:
            outcome = await bus.execute(Envelope(stream, command, origin))
            break
        except TransactionTooLong:  # answered 503, and sent again by whoever sent it
            seen.put_off += 1
    if not isinstance(outcome, Accepted) or outcome.token is None:
        raise AssertionError(outcome)
    seen.accepted += 1
    if n % 10 == 0:
        await _until_visible(database, outcome.token)
        seen.delays.append(time.monotonic() - due)


async def _until_visible(database: Database, token: Token) -> None:
    try:
        await wait_for(database, readmodel.applications.reader, token, within=10)
    except NotVisibleYet:
        raise AssertionError("not visible within ten seconds") from None


async def _reads(database: Database, seen: Seen) -> None:
    """What a desk asks: one application, and its queue."""
    started, n = time.monotonic(), 0
    while True:
        await asyncio.sleep(max(0.0, started + n / READS_PER_SECOND - time.monotonic()))
        asked = time.monotonic()
        try:
            async with database.connection() as connection:
                tables = readmodel.applications.on(connection)
                found = await readmodel.application(tables, _fresh(n % FRESH))
                await readmodel.queue(tables, "RU-MOW-0117", "ready-for-decision")
            if found is None:
                raise LookupError("an application was not there")
        except Exception as fault:  # noqa: BLE001 - counted, and the run fails
            seen.failed.append(repr(fault))
        seen.reads.append(time.monotonic() - asked)
        n += 1


def _p99(seconds: Sequence[float]) -> float:
    """In milliseconds."""
    return 1000 * statistics.quantiles(seconds, n=100)[-1]


def _fresh(n: int) -> UUID:
    return UUID(int=(0xF << 124) + n)


async def _fill_store(connection: "asyncpg.Connection[asyncpg.Record]", applications: int) -> None:
    for first in range(0, applications, CHUNK):
        await _append(connection, ROAD, first, min(CHUNK, applications - first), "0")
    await _append(connection, ROAD[:1], 0, FRESH, "f")
    await connection.execute("VACUUM ANALYZE events, streams")


async def _append(
    connection: "asyncpg.Connection[asyncpg.Record]",
    road: Sequence[str],
    first: int,
    count: int,
    digit: str,
) -> None:
    """Applications first .. first + count, each with all events of its road, in one transaction."""
    await connection.execute(
        """
        WITH applications AS (
            SELECT (($5 || lpad(to_hex(n), 31, '0'))::uuid)::text AS id
              FROM generate_series($3::int, $3::int + $4::int - 1) AS n
        ), known AS (
            INSERT INTO streams (stream_id, version, sequence, last_transaction_id)
            SELECT 'application/' || id, cardinality($1::text[]), 0, pg_current_xact_id()
              FROM applications)
        INSERT INTO events (transaction_id, stream_id, version, event_id, type, schema_version,
                            data, metadata)
        SELECT pg_current_xact_id(), 'application/' || id, version, gen_random_uuid(), type, 1,
               data::jsonb, $6::jsonb
          FROM applications,
               unnest($1::text[], $2::text[]) WITH ORDINALITY AS road (type, data, version)
         ORDER BY id, version
        """,
        list(road),
        [_golden(event) for event in road],
        first,
        count,
        digit,
        encode_origin(Origin(service_actor(SERVICE), UUID(int=1))),
    )


def _golden(event: str) -> str:
    return json.dumps(json.loads((GOLDEN / event / "1.json").read_text())["data"])


async def _carry_out(dsn: str) -> None:
    source = Source(dsn, EventCodec([application.aggregate]), SERVICE)
    for found in await rebuild(readmodel.applications, source, Progress()):
        sys.stderr.write(f"{found.line()}\n")


if __name__ == "__main__":
    sys.exit(run_once("rebuild", lambda: _carry_out(sys.argv[1])))
