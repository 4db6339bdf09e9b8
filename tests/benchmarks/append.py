"""Groups of commands against one bare statement that writes the same rows.

Documents of verification: half of a group's commands expect a new one, half give one that was
expected before its entry of the status list: a claim, an event, an outbox row, a kept answer; a
wait and a task that begin, a wait that ends. What the bare statement writes was taken down as
the group wrote it, so both leave the same rows behind.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

from epassport import store
from epassport.actor import service_actor
from epassport.catalog import Catalog
from epassport.clock import Clock
from epassport.commands import Accepted, Envelope, Idempotency
from epassport.database import Connection, Database
from epassport.decider import Claim, StreamId
from epassport.events import Origin
from epassport.group import Group
from epassport.signals import Signals
from epassport.tasks import starters_of
from epassport_contracts import ServiceName
from epassport_sandbox.stack import EmbeddedStack
from tests.benchmarks.harness import Better, Row
from tests.benchmarks.servers import (
    Schemas,
    Spent,
    checkpointed,
    count_statements,
    median_of,
    rows_in,
    run,
    spending,
)
from verification import document_status, publications, work
from verification.document_status_commands import ExpectDocument, RegisterDocument

CONNECTIONS = 8
ROUNDS = 3
COMMANDS = {64: 10_240, 16: 6_400, 1: 1_280}  # by size of the groups
TARGETS = {64: 0.70, 16: 0.0, 1: 0.0}  # small groups are shown
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIST = "https://status.epassport.test/1"
TABLES = ("events", "outbox", "streams", "claims", "tasks", "deadlines", "idempotency")

Groups = Sequence[Sequence[Envelope]]


class NothingSealed:
    """A status holds nothing personal, so nobody asks for keys."""

    async def sealing_keys(self, *_wanted: object) -> Any:
        raise AssertionError("a document's status holds nothing personal")


@dataclass
class Written:
    """What one group changed."""

    rows: store.Write
    claims: Sequence[tuple[StreamId, Claim]]


def rows() -> Iterator[Row]:
    yield from run(_measure)


async def _measure(stack: EmbeddedStack) -> list[Row]:
    schemas = Schemas(stack, "verification")
    return [await _row(stack, schemas, size) for size in COMMANDS]


async def _row(stack: EmbeddedStack, schemas: Schemas, size: int) -> Row:
    counts = await _counts(schemas, size)
    ours, bare = [], []
    for _ in range(ROUNDS):
        await checkpointed(stack)
        async with schemas.fresh(connections=CONNECTIONS) as fresh:
            with _taken_down() as written:
                ours.append(await _ours(stack, fresh.database, _lanes(size)))
            left = await _left(fresh.database)
        await checkpointed(stack)
        async with schemas.fresh(connections=CONNECTIONS) as fresh:
            bare.append(await _bare(stack, fresh.database, written))
            assert await _left(fresh.database) == left, "both leave the same rows behind"
    ratios = [b.cpu / o.cpu for o, b in zip(ours, bare, strict=True)]
    commands = COMMANDS[size]
    return Row(
        "append" if size == 64 else f"append-{size}",
        commands / median_of("seconds", ours),
        commands / median_of("seconds", bare),
        statistics.median(ratios),
        TARGETS[size],
        Better.HIGHER,
        "/s",
        f"commands in groups of {size} on {CONNECTIONS} connections: {_micro(ours, size)};"
        f" bare: one asyncpg statement that writes the same rows: {_micro(bare, size)}",
        counts,
    )


def _micro(spent: Sequence[Spent], size: int) -> str:
    here, server = (median_of(kind, spent) / COMMANDS[size] * 1e6 for kind in ("here", "server"))
    return f"{here:.0f} us of client CPU and {server:.0f} us of PostgreSQL's for each"


async def _counts(schemas: Schemas, size: int) -> dict[str, float]:
    """Of a group in which every command has one event, once its streams are there."""
    async with schemas.fresh(connections=1) as fresh:
        group = _group(fresh.database)
        first, second = _lane(size, 1)
        await _execute(group, first)
        statements = await count_statements(fresh.database)
        await _execute(group, second)
        await asyncio.sleep(0)  # the driver tells of a statement in the turn after it
        return {
            "statements": round(statements.count / size, 4),
            "commits": round(statements.commits / size, 4),
        }


def _group(database: Database) -> Group:
    catalog = Catalog(
        ServiceName.VERIFICATION,
        [document_status.aggregate],
        [publications],
        starters_of([work.DRAW_STATUS_INDEX]),
    )
    return Group(catalog, database, NothingSealed(), Clock(), Signals())


def _lanes(size: int) -> list[Groups]:
    groups = COMMANDS[size] // size
    return [_lane(size, groups // CONNECTIONS, lane) for lane in range(CONNECTIONS)]


def _lane(size: int, groups: int, lane: int = 0) -> Groups:
    """Each document that one group expects is registered by the next."""
    made, known = [], [uuid4() for _ in range(max(1, size // 2))]
    first_index = lane * 100_000
    made.append([_expect(ref) for ref in known])
    for n in range(1, groups + 1):
        fresh = [uuid4() for _ in range(size // 2)] if size > 1 else []
        indexes = range(first_index + n * size, first_index + (n + 1) * size)
        group = [_register(ref, index) for ref, index in zip(known, indexes, strict=False)]
        group += [_expect(ref) for ref in fresh]
        if size == 1:
            known = [] if group else [uuid4()]
            group = group or [_expect(known[0])]
        else:
            known = fresh
        made.append(group)
    return made


def _expect(ref: UUID) -> Envelope:
    command = ExpectDocument(AT, uuid4(), uuid4(), "RU-MOW", date(2036, 11, 22), None)
    return _envelope(ref, command)


def _register(ref: UUID, index: int) -> Envelope:
    return _envelope(ref, RegisterDocument(AT, LIST, index))


def _envelope(ref: UUID, command: Any) -> Envelope:
    origin = Origin(service_actor(ServiceName.VERIFICATION), uuid4(), uuid4())
    key = Idempotency("https://issuer.test|service|register", str(uuid4()), bytes(32))
    return Envelope(
        document_status.stream(ref), command, origin, idempotency=key, answer={"id": str(ref)}
    )


async def _execute(group: Group, envelopes: Sequence[Envelope]) -> None:
    for outcome in await group.execute(envelopes):
        assert isinstance(outcome, Accepted), outcome


async def _ours(stack: EmbeddedStack, database: Database, lanes: Sequence[Groups]) -> Spent:
    """Each lane begins with a group that is not measured: then its statements are prepared."""
    group = _group(database)

    async def walk(groups: Groups) -> None:
        for envelopes in groups:
            await _execute(group, envelopes)

    return await _in_lanes(stack, walk, lanes)


async def _bare(
    stack: EmbeddedStack, database: Database, lanes: Sequence[Sequence[Written]]
) -> Spent:
    """The same, each lane on a connection of its own; arguments are made before."""
    async with AsyncExitStack() as held:
        own = [await held.enter_async_context(database.connection()) for _ in lanes]
        prepared = [
            [(connection, _arguments(written)) for written in lane]
            for connection, lane in zip(own, lanes, strict=True)
        ]

        async def walk(statements: Sequence[tuple[Connection, Sequence[Any]]]) -> None:
            for connection, arguments in statements:
                await connection.fetchval(_BARE, *arguments)

        return await _in_lanes(stack, walk, prepared)


async def _in_lanes(
    stack: EmbeddedStack,
    walk: Callable[[Sequence[Any]], Awaitable[None]],
    lanes: Sequence[Sequence[Any]],
) -> Spent:
    await asyncio.gather(*(_named(n, walk(lane[:1])) for n, lane in enumerate(lanes)))
    with spending(stack) as spent:
        await asyncio.gather(*(_named(n, walk(lane[1:])) for n, lane in enumerate(lanes)))
    return spent


def _named(lane: int, walk: Awaitable[None]) -> "asyncio.Task[None]":
    async def walking() -> None:
        await walk

    return asyncio.create_task(walking(), name=str(lane))


@contextmanager
def _taken_down() -> Iterator[list[list[Written]]]:
    """By lane, what the groups write while the block runs."""
    lanes: list[list[Written]] = [[] for _ in range(CONNECTIONS)]
    claims: list[list[tuple[StreamId, Claim]]] = [[] for _ in range(CONNECTIONS)]
    write, take_claims = store.write, store.take_claims

    async def noting_claims(
        connection: Connection, wanted: Sequence[tuple[StreamId, Claim]]
    ) -> set[tuple[StreamId, str, bytes]]:
        claims[_lane_now()] = list(wanted)
        return await take_claims(connection, wanted)

    async def noting(connection: Connection, rows: store.Write) -> Any:
        lane = _lane_now()
        lanes[lane].append(Written(rows, claims[lane]))
        claims[lane] = []
        return await write(connection, rows)

    store.write, store.take_claims = noting, noting_claims
    try:
        yield lanes
    finally:
        store.write, store.take_claims = write, take_claims


def _lane_now() -> int:
    task = asyncio.current_task()
    assert task is not None
    return int(task.get_name())


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * width


def _arguments(written: Written) -> list[Any]:
    rows, claims = written.rows, written.claims
    *events, recorded_at = _columns(rows.events, 9)
    return [
        *events,
        *_columns(rows.heads, 4),
        *_columns(rows.outbox, 8),
        *_columns(rows.tasks, 7),
        *_columns(rows.waits, 5),
        *_columns(rows.ended_waits, 2),
        *_columns(rows.answers, 8),
        *_columns(
            [(claim.kind, claim.digest, stream, claim.subject) for stream, claim in claims], 4
        ),
        recorded_at,
    ]


_BARE = """
WITH e AS (
    INSERT INTO events (transaction_id, stream_id, version, event_id, type, schema_version,
                        data, metadata, recorded_at)
    SELECT pg_current_xact_id(), s, v, i, y, w, d::jsonb, m::jsonb, r
      FROM unnest($1::text[], $2::text[], $3::int[], $4::uuid[], $5::text[], $6::int[],
                  $7::text[], $8::text[], $47::timestamptz[]) AS n (t, s, v, i, y, w, d, m, r)
), h AS (
    INSERT INTO streams (stream_id, version, sequence, last_transaction_id)
    SELECT s, v, q, pg_current_xact_id()
      FROM unnest($9::text[], $10::int[], $11::int[], $12::text[]) AS n (s, v, q, t)
        ON CONFLICT (stream_id) DO UPDATE
       SET version = excluded.version, sequence = excluded.sequence,
           last_transaction_id = excluded.last_transaction_id
), o AS (
    INSERT INTO outbox (transaction_id, shard, id, aggregatetype, aggregateid, type, headers,
                        payload)
    SELECT pg_current_xact_id(), s, i, a, k, y, h::jsonb, p
      FROM unnest($13::text[], $14::int[], $15::uuid[], $16::text[], $17::text[], $18::text[],
                  $19::text[], $20::bytea[]) AS n (t, s, i, a, k, y, h, p)
), j AS (
    INSERT INTO tasks (task_id, kind, stream_id, input, metadata, step, region)
    SELECT i, k, s, n::jsonb, m::jsonb, p, r
      FROM unnest($21::uuid[], $22::text[], $23::text[], $24::text[], $25::text[], $26::text[],
                  $27::text[]) AS n (i, k, s, n, m, p, r)
), d AS (
    INSERT INTO deadlines (stream_id, kind, started_by_version, due_at, overdue_since)
    SELECT * FROM unnest($28::text[], $29::text[], $30::int[], $31::timestamptz[],
                         $32::timestamptz[])
), x AS (
    DELETE FROM deadlines AS d USING unnest($33::text[], $34::text[]) AS n (s, k)
     WHERE d.stream_id = n.s AND d.kind = n.k
), k AS (
    INSERT INTO idempotency (scope, key, body_hmac, reason, version, transaction_id, answer)
    SELECT c, k, b, r, v, pg_current_xact_id(), a::jsonb
      FROM unnest($35::text[], $36::text[], $37::bytea[], $38::text[], $39::int[], $40::text[],
                  $41::text[], $42::text[]) AS n (c, k, b, r, v, t, a, s)
)
INSERT INTO claims (kind, digest, stream_id, subject)
SELECT * FROM unnest($43::text[], $44::bytea[], $45::text[], $46::uuid[])
"""


async def _left(database: Database) -> dict[str, int]:
    async with database.connection() as connection:
        return {table: await rows_in(connection, table) for table in TABLES}
