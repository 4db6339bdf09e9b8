"""The largest read model filled from the own store, against a bare loop that leaves the same rows.

Applications of enrollment, whose first and later events carry sealed identities; several hundred
are under way at once. The bare loop reads the same pages, decodes JSON, folds what a page says of
a stream in a dictionary, and writes two statements a page: whoever keeps both tables writes that.
"""

import json
import random
import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

from asyncpg import Record

from enrollment import application
from enrollment.application_commands import HolderCheck, Presence
from enrollment.application_events import (
    ApplicationApproved,
    ApplicationSubmitted,
    BiometricsNoted,
    CardAtOffice,
    HandoverCompleted,
    HolderCheckNoted,
    TicketIssued,
)
from enrollment.office import OfficerId
from enrollment.readmodel import applications
from epassport.actor import service_actor
from epassport.database import Connection, Database
from epassport.events import EventCodec, Origin, encode_origin
from epassport.projector import PAGE, projector
from epassport.sealing import new_data_key, seal
from epassport.signals import Signals
from epassport_contracts import Sealed, ServiceName
from epassport_contracts.desk import TicketPurpose
from epassport_contracts.events.biometrics import ComparisonMethod
from epassport_contracts.events.enrollment import ApplicationKind
from epassport_sandbox.citizens import citizens
from epassport_sandbox.road import identity_of
from epassport_sandbox.stack import EmbeddedStack
from tests.benchmarks.harness import Better, Row
from tests.benchmarks.servers import (
    Fresh,
    Schemas,
    Spent,
    checkpointed,
    count_statements,
    median_of,
    run,
    spending,
)

APPLICATIONS = 3_000
UNDER_WAY = 300
ROUNDS = 3
SEED = 4
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
VALID_UNTIL = date(2036, 11, 22)
OFFICER = OfficerId("https://issuer.test", "olga")

Stored = tuple[str, int, UUID, str, int, str, str]


def rows() -> Iterator[Row]:
    yield run(_measure)


async def _measure(stack: EmbeddedStack) -> Row:
    codec = EventCodec([application.aggregate])
    events = list(_stored(codec))
    schemas = Schemas(stack, "enrollment")
    ours, bare = [], []
    counts: dict[str, float] = {}
    for _ in range(ROUNDS):
        async with schemas.fresh(connections=1) as fresh:
            await _fill(fresh, events)
            await checkpointed(stack)
            statements = await count_statements(fresh.database)
            ours.append(await _ours(stack, fresh, codec))
            counts = {
                "statements": round(statements.count / len(events), 4),
                "commits": round(statements.commits / len(events), 4),
            }
            made = await _made(fresh.database)
        async with schemas.fresh(connections=1) as fresh:
            await _fill(fresh, events)
            await checkpointed(stack)
            bare.append(await _bare(stack, fresh.database))
            assert await _made(fresh.database) == made, "both make the same tables"
    ratios = [b.cpu / o.cpu for o, b in zip(ours, bare, strict=True)]
    micro = [round(median_of(kind, spent) / len(events) * 1e6)
             for spent in (ours, bare) for kind in ("here", "server")]  # fmt: skip
    return Row(
        "projector",
        len(events) / median_of("seconds", ours),
        len(events) / median_of("seconds", bare),
        statistics.median(ratios),
        0.50,
        Better.HIGHER,
        "/s",
        f"sealed events into `{applications.name}`: {micro[0]} us of client CPU and"
        f" {micro[1]} us of PostgreSQL's for each; bare: decode and two upserts a page of {PAGE}:"
        f" {micro[2]} us and {micro[3]} us",
        counts,
        hoped=10_000,
    )


def _stored(codec: EventCodec) -> Iterator[Stored]:
    """As rows of the store, lives of applications mixed as they come."""
    chance = random.Random(SEED)
    metadata = encode_origin(Origin(service_actor(ServiceName.ENROLLMENT), uuid4(), uuid4()))
    coming = _lives()
    alive = [(_new(), 0, life) for life in islice(coming, UNDER_WAY)]
    while alive:
        place = chance.randrange(len(alive))
        stream, version, life = alive[place]
        fact = life[version]
        name, schema_version, data = codec.encode(fact)
        yield stream, version + 1, uuid4(), name, schema_version, data, metadata
        if version + 1 < len(life):
            alive[place] = stream, version + 1, life
        elif (following := next(coming, None)) is not None:
            alive[place] = _new(), 0, following
        else:
            del alive[place]


def _new() -> str:
    return str(application.stream(uuid4()))


def _lives() -> Iterator[list[Any]]:
    for citizen in islice(citizens(SEED, APPLICATIONS, AT.date()), APPLICATIONS):
        holder, ref, check = uuid4(), uuid4(), uuid4()
        key = new_data_key()
        identity: Sealed[Any] = seal(key, 1, holder, "identity", identity_of(citizen))
        number: Sealed[Any] = seal(key, 1, holder, "document-number", "900123456")
        region, office, kind = citizen.region, f"{citizen.region}-1", ApplicationKind.FIRST
        times = [AT + timedelta(minutes=n) for n in range(8)]
        yield [
            ApplicationSubmitted(
                times[0], OFFICER, holder, kind, region, office, "1", identity, None, None, (),
                True, Presence("challenge", times[0], bytes(64)), None,
            ),
            BiometricsNoted(times[1], False),
            ApplicationApproved(
                times[2], holder, kind, region, office, ref, number, None, identity, None,
                VALID_UNTIL, OFFICER,
            ),
            CardAtOffice(times[3], ref, office),
            TicketIssued(times[4], OFFICER, uuid4(), TicketPurpose.HAND_OVER, "1", times[7]),
            HolderCheckNoted(times[5], _check(check, times[5], office)),
            HandoverCompleted(
                times[6], OFFICER, "1", check, holder, kind, office, ref, number, None, identity,
                VALID_UNTIL,
            ),
        ]  # fmt: skip


def _check(check_id: UUID, at: datetime, office: str) -> HolderCheck:
    return HolderCheck(
        check_id, at, True, ComparisonMethod.FINGERS, None, OFFICER.subject, office, "1"
    )


async def _fill(fresh: Fresh, events: Sequence[Stored]) -> None:
    """A transaction for each page, as appends would have left them."""
    async with fresh.unbounded() as connection:
        for start in range(0, len(events), PAGE):
            await connection.execute(
                """
                INSERT INTO events (transaction_id, stream_id, version, event_id, type,
                                    schema_version, data, metadata)
                SELECT pg_current_xact_id(), s, v, i, y, w, d::jsonb, m::jsonb
                  FROM unnest($1::text[], $2::int[], $3::uuid[], $4::text[], $5::int[],
                              $6::text[], $7::text[]) AS n (s, v, i, y, w, d, m)
                """,
                *zip(*events[start : start + PAGE], strict=True),
            )
        await connection.execute("VACUUM ANALYZE events")


async def _ours(stack: EmbeddedStack, fresh: Fresh, codec: EventCodec) -> Spent:
    reader = projector(applications, fresh.database, codec, Signals())
    with spending(stack) as spent:
        while await reader.step():
            pass
    return spent


async def _bare(stack: EmbeddedStack, database: Database) -> Spent:
    place = ("0", 0)
    rows: dict[str, list[Any]] = {}
    with spending(stack) as spent:
        async with database.connection() as connection:
            while page := await connection.fetch(_READ, *place, PAGE):
                place = page[-1]["read_as"], page[-1]["position"]
                async with connection.transaction():
                    await connection.execute("SET LOCAL synchronous_commit = off")
                    await _write(connection, page, rows)
    return spent


async def _write(
    connection: Connection, page: Sequence[Record], rows: dict[str, list[Any]]
) -> None:
    """rows: of every application so far, as they stand in the table."""
    told, touched = [], {}
    for record in page:
        stream, fact = record["stream_id"], json.loads(record["data"])
        key, actor = UUID(stream.partition("/")[2]), json.loads(record["metadata"])["actor"]
        at = datetime.fromisoformat(fact["at"])
        name = f"{actor['issuer']}#{actor['subject']}"
        told.append((key, record["version"], record["type"], at, name))
        if record["type"] == ApplicationSubmitted.__name__:
            rows[stream] = _first(key, fact, at)
        touched[stream] = rows[stream]
        _change(rows[stream], record["type"], record["version"], fact, at)
    await connection.execute(_TIMELINE, *zip(*told, strict=True))
    await connection.execute(_APPLICATIONS, *zip(*touched.values(), strict=True))


def _first(key: UUID, fact: dict[str, Any], at: datetime) -> list[Any]:
    identity = json.dumps(fact["identity"])
    who = [key, UUID(fact["holder_id"]), fact["kind"], fact["region"], fact["office"], identity, at]
    return [*who, "submitted", "awaited", False, None, None, None, None, at, 1]


def _change(row: list[Any], name: str, version: int, fact: dict[str, Any], at: datetime) -> None:
    match name:
        case BiometricsNoted.__name__:
            row[8] = "accepted"
        case ApplicationApproved.__name__:
            row[7], row[9], row[12] = "approved", False, "under-way"
            row[10], row[11] = UUID(fact["document_ref"]), date.fromisoformat(fact["valid_until"])
        case CardAtOffice.__name__:
            row[12] = "at-office"
        case HandoverCompleted.__name__:
            row[7] = "handed-over"
    row[14], row[15] = at, version


_READ = """
SELECT transaction_id::text AS read_as, position, stream_id, version, type, data, metadata
  FROM events
 WHERE (transaction_id, position) > ($1::text::xid8, $2)
   AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())
 ORDER BY transaction_id, position LIMIT $3
"""
_TIMELINE = """
INSERT INTO application_event_v1 (application_id, version, event, at, actor)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::text[])
"""
_APPLICATIONS = """
INSERT INTO application_v1 (application_id, holder_id, kind, region, office, identity, submitted_at,
                            status, biometrics, information_missing, document_ref, valid_until,
                            card, overdue, changed_at, version)
SELECT i, h, k, r, o, d::jsonb, s, t, b, m, f, u, c, w, a, v
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
              $7::timestamptz[], $8::text[], $9::text[], $10::boolean[], $11::uuid[], $12::date[],
              $13::text[], $14::text[], $15::timestamptz[], $16::int[])
       AS n (i, h, k, r, o, d, s, t, b, m, f, u, c, w, a, v)
    ON CONFLICT (application_id) DO UPDATE
   SET status = excluded.status, biometrics = excluded.biometrics,
       information_missing = excluded.information_missing, document_ref = excluded.document_ref,
       valid_until = excluded.valid_until, card = excluded.card, overdue = excluded.overdue,
       changed_at = excluded.changed_at, version = excluded.version
"""


async def _made(database: Database) -> list[str]:
    """A digest of each of the model's tables."""
    async with database.connection() as connection:
        return [
            await connection.fetchval(
                f"SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM {table}_v1 AS t"
            )
            for table in applications.tables
        ]
