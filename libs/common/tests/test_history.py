"""The hash chain over events against real PostgreSQL and Kafka: whatever was changed is found,
where it was changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from kafka_notes import clients_of, until
from shelf_aggregate import PutBox, shelf
from shelf_service import SECRETS
from shelf_store import AT, SERVICE, group_of, opened, rows, send

from epassport import history, metrics
from epassport.audit import Audit, Change, Finding, audit
from epassport.database import Connection, Database
from epassport.history import History
from epassport.history_topic import read_published
from epassport.keyring import SubjectKeyring
from epassport.keystore import KeyStore
from epassport.relay import Relay
from epassport.signals import Signals
from epassport.trustfile import TrustContent, TrustFile
from epassport_contracts import ServiceName
from epassport_contracts.events.history import HistoryLinked
from epassport_contracts.registry import BY_NAME, history_topic
from epassport_sandbox.stack import Stack
from epassport_sandbox.topics import TopicSpec, create_topics

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
OWNER = UUID("6f1c1c2e-0000-4000-8000-00000000000a")
STREAMS = ("a", "b", "a", "c", "a", "b", "c", "b")
PAGE = 3


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """Eight events of three streams, in links of three, three and two."""
    monkeypatch.setattr(history, "PAGE", PAGE)
    async with opened(database) as database_:
        group = group_of(database_)
        for name in STREAMS:
            await send(group, name, PutBox(AT, owner=OWNER))
        await link_all(database_)
        yield database_


def chain(db: Database) -> History:
    return History(SERVICE, db, Signals(), lambda: NOON)


async def link_all(db: Database) -> None:
    while await chain(db).step():
        pass


async def published(connection: Connection) -> list[HistoryLinked]:
    """What the relay will send."""
    found = await connection.fetch(
        "SELECT payload FROM outbox WHERE aggregatetype = $1 ORDER BY position",
        history_topic(SERVICE),
    )
    return [HistoryLinked.model_validate_json(row["payload"]) for row in found]


async def audited(db: Database) -> Audit:
    async with db.connection() as connection:
        return await audit(connection, SERVICE, await published(connection))


class _Undo(Exception):
    pass


@asynccontextmanager
async def tampering(db: Database) -> AsyncIterator[Connection]:
    """A connection that may change what is append-only; everything is undone afterwards."""
    try:
        async with db.transaction() as connection:
            await connection.execute("SET LOCAL session_replication_role = replica")
            yield connection
            raise _Undo
    except _Undo:
        pass


async def found_after(db: Database, statement: str, *arguments: Any) -> list[Finding]:
    async with tampering(db) as connection:
        before = await published(connection)
        changed = await connection.execute(statement, *arguments)
        assert not changed.endswith(" 0"), "nothing was tampered with"
        return (await audit(connection, SERVICE, before)).findings
    raise AssertionError("unreachable")


async def places(db: Database) -> list[tuple[int, int, str, int]]:
    """(link, position, stream, version) of every event in reading order."""
    found = await rows(
        db,
        "SELECT position, stream_id, version FROM events ORDER BY transaction_id, position",
    )
    return [(index // PAGE + 1, *place) for index, place in enumerate(found)]


async def test_a_history_that_nobody_touched_has_no_finding(db: Database) -> None:
    result = await audited(db)
    assert (result.events, result.links, result.published, result.unlinked) == (8, 3, 3, 0)
    assert result.findings == []


CHANGES = {
    "data": 'data || \'{"at": "2020-01-01T00:00:00Z"}\'',
    "a sealed value": "jsonb_set(data, '{owner,ct}', '\"AAAA\"')",
    "metadata": "metadata || '{\"actor\": null}'",
    "type": "'BoxesTaken'",
    "schema_version": "schema_version + 1",
    "stream_id": "'shelf/z'",
    "version": "version + 100",
    "event_id": "gen_random_uuid()",
    "recorded_at": "recorded_at + interval '1 microsecond'",
}


async def test_a_change_to_any_column_of_any_event_is_found_at_that_event(db: Database) -> None:
    for link, position, *_ in await places(db):
        for what, value in CHANGES.items():
            column = "data" if what == "a sealed value" else what
            found = await found_after(
                db, f"UPDATE events SET {column} = {value} WHERE position = $1", position
            )
            assert [(what, one.change, one.link, one.position) for one in found] == [
                (what, Change.ALTERED, link, position)
            ]


async def test_any_removed_event_is_found_where_it_was(db: Database) -> None:
    for link, position, *_ in await places(db):
        assert await found_after(db, "DELETE FROM events WHERE position = $1", position) == [
            Finding(Change.REMOVED, link, position)
        ]


async def test_an_event_added_beside_any_other_is_found_in_its_page(db: Database) -> None:
    """It gets the transaction id and a position just before an event that was linked."""
    everything = await places(db)
    for link, position, *_ in everything:
        found = await found_after(
            db,
            """
            INSERT INTO events (position, transaction_id, stream_id, version, event_id, type,
                                schema_version, data, metadata)
            OVERRIDING SYSTEM VALUE
            SELECT -7, transaction_id, 'shelf/new', 1, gen_random_uuid(), type, schema_version,
                   data, metadata FROM events WHERE position = $1
            """,
            position,
        )
        assert found == [Finding(Change.ADDED, link, -7, "shelf/new", 1)]


async def test_two_events_that_changed_places_are_both_found(db: Database) -> None:
    everything = await places(db)
    swap = """
        UPDATE events AS e SET transaction_id = o.transaction_id, position = o.position
          FROM events AS o WHERE (e.position, o.position) IN (($1, $2), ($2, $1))
        """
    for (link, first, *_), (other, second, *_) in pairwise(everything):
        async with tampering(db) as connection:
            before = await published(connection)
            await connection.execute("ALTER TABLE events ALTER position DROP IDENTITY")
            await connection.execute(swap, first, second)
            found = (await audit(connection, SERVICE, before)).findings
            assert [(one.change, one.link, one.position) for one in found] == [
                (Change.ALTERED, link, first),
                (Change.ALTERED, other, second),
            ]


async def test_an_event_moved_to_the_end_is_missing_where_it_was(db: Database) -> None:
    (link, position, *_), *_ = await places(db)
    found = await found_after(
        db,
        "UPDATE events SET transaction_id = (SELECT max(transaction_id) FROM events)"
        " WHERE position = $1",
        position,
    )
    assert found[0] == Finding(Change.REMOVED, link, position)
    assert [(one.change, one.link, one.position) for one in found[1:]] == [
        (Change.ADDED, 3, position)
    ]


async def test_changes_in_two_links_are_both_found(db: Database) -> None:
    everything = await places(db)
    first, last = everything[1], everything[-1]
    found = await found_after(
        db, "DELETE FROM events WHERE position = ANY($1::bigint[])", [first[1], last[1]]
    )
    assert found == [
        Finding(Change.REMOVED, first[0], first[1]),
        Finding(Change.REMOVED, last[0], last[1]),
    ]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "UPDATE history_links SET head = sha256(head) WHERE link = 2",
            [
                Finding(Change.LINK_ALTERED, 2),
                Finding(Change.PUBLISHED_OTHERWISE, 2),
                Finding(Change.LINK_ALTERED, 3),
            ],
        ),
        (
            "UPDATE history_links SET events = events + 1 WHERE link = 3",
            [Finding(Change.LINK_ALTERED, 3), Finding(Change.PUBLISHED_OTHERWISE, 3)],
        ),
        ("DELETE FROM history_links WHERE link = 3", [Finding(Change.LINK_MISSING, 3)]),
        ("DELETE FROM history_links", [Finding(Change.LINK_MISSING, n) for n in (1, 2, 3)]),
    ],
)
async def test_a_chain_that_was_touched_is_found(
    db: Database, statement: str, expected: list[Finding]
) -> None:
    assert await found_after(db, statement) == expected


async def test_a_missing_link_is_found_and_the_rest_is_still_compared(db: Database) -> None:
    found = await found_after(db, "DELETE FROM history_links WHERE link = 2")
    assert found[0] == Finding(Change.LINK_MISSING, 2)
    assert {one.change for one in found[1:]} == {Change.ADDED}
    assert {one.link for one in found[1:]} == {3}


async def test_a_chain_made_anew_over_changed_events_is_known_by_its_published_heads(
    db: Database,
) -> None:
    """Who owns the database can compute every hash again, but not take a record back."""
    (_, position, *_), *_ = await places(db)
    async with db.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE events SET type = 'Other' WHERE position = $1", position)
        await connection.execute("DELETE FROM history_links")
    await link_all(db)
    result = await audited(db)
    assert result.findings == [Finding(Change.PUBLISHED_OTHERWISE, link) for link in (1, 2, 3)]


async def test_a_link_that_was_never_published_between_others_is_found(db: Database) -> None:
    async with db.connection() as connection:
        first, _, third = await published(connection)
        result = await audit(connection, SERVICE, [first, third, third])
    assert result.findings == [Finding(Change.NOT_PUBLISHED, 2)]


async def test_a_chain_of_another_service_is_not_accepted(db: Database) -> None:
    async with db.connection() as connection:
        result = await audit(connection, ServiceName.BIOMETRICS, [])
    assert result.findings == [Finding(Change.LINK_ALTERED, 1)]


async def test_events_without_a_link_are_counted_and_linked_next(db: Database) -> None:
    await send(group_of(db), "d", PutBox(AT))
    result = await audited(db)
    assert (result.events, result.unlinked, result.findings) == (8, 1, [])
    await metrics.sample(db)
    assert metrics.HISTORY_UNLINKED_SECONDS.collect()[0].samples[0].value > 0
    await link_all(db)
    result = await audited(db)
    assert (result.events, result.unlinked, result.findings) == (9, 0, [])
    await metrics.sample(db)
    assert metrics.HISTORY_UNLINKED_SECONDS.collect()[0].samples[0].value == 0


async def test_an_event_of_a_transaction_still_open_is_linked_before_later_ones(
    db: Database,
) -> None:
    async with db.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO events (transaction_id, stream_id, version, event_id, type, schema_version,
                                data, metadata)
            SELECT pg_current_xact_id(), 'shelf/slow', 1, gen_random_uuid(), type, schema_version,
                   data, metadata FROM events LIMIT 1
            """
        )
        await send(group_of(db), "quick", PutBox(AT))
        assert await chain(db).step() == 0
    await link_all(db)
    assert (await audited(db)).findings == []
    ((positions,),) = await rows(db, "SELECT positions FROM history_links WHERE link = 4")
    ordered = await rows(
        db, "SELECT position FROM events WHERE stream_id IN ('shelf/slow', $1) ORDER BY"
        " transaction_id", shelf.stream("quick"),
    )  # fmt: skip
    assert positions == [position for (position,) in ordered]


async def test_of_two_replicas_one_writes_a_link_and_publishes_it(db: Database) -> None:
    for name in STREAMS:
        await send(group_of(db), f"more-{name}", PutBox(AT))
    for _ in range(4):
        await asyncio.gather(chain(db).step(), chain(db).step())
    links = await rows(db, "SELECT link, events FROM history_links ORDER BY link")
    assert links == [(1, 3), (2, 6), (3, 8), (4, 11), (5, 14), (6, 16)]
    async with db.connection() as connection:
        assert [fact.link for fact in await published(connection)] == [1, 2, 3, 4, 5, 6]
    assert (await audited(db)).findings == []


async def test_an_erased_persons_history_stands(db: Database) -> None:
    keystore = KeyStore(SERVICE, {}, SECRETS, sandbox=True)
    content = TrustContent(
        issuer="test", sandbox=True, issued_at=NOON, signing_keys=(), hpke_keys=()
    )
    keyring = SubjectKeyring(SERVICE, keystore, TrustFile(content), lambda: NOON)
    async with db.transaction() as connection:
        await connection.execute(
            "INSERT INTO subject_keys (subject, purpose, generation, owner, wrapped)"
            " VALUES ($1, 'identity', 1, $2, 'key')",
            OWNER,
            SERVICE,
        )
        await keyring.destroy(connection, OWNER, NOON)
    assert await rows(db, "SELECT count(*) FROM subject_keys") == [(0,)]
    assert (await audited(db)).findings == []


async def test_links_cannot_be_changed_by_mistake(db: Database) -> None:
    for statement in ("UPDATE history_links SET link = 9", "DELETE FROM history_links"):
        with pytest.raises(Exception, match="append-only"):
            await rows(db, statement)


async def test_heads_are_on_the_topic_as_the_chain_has_them(db: Database, stack: Stack) -> None:
    topic = BY_NAME[history_topic(SERVICE)]
    kafka = stack.kafka.bootstrap
    await create_topics(kafka, [TopicSpec(topic.name, topic.partitions, topic.config)])
    clients = clients_of(kafka)
    ((dsn,),) = await rows(db, "SELECT current_database()")
    async with db.connection() as connection:
        written = await published(connection)
    async with asyncio.TaskGroup() as parent:
        relay = parent.create_task(
            Relay(stack.postgres.dsn(dsn), SERVICE, clients, Signals()).run()
        )

        async def sent() -> bool:
            return await rows(db, "SELECT count(*) FROM outbox") == [(0,)]

        await until(sent)
        relay.cancel()
    read = await read_published(clients, SERVICE)
    assert sorted(read, key=lambda fact: fact.link) == written
    async with db.connection() as connection:
        result = await audit(connection, SERVICE, read)
    assert (result.published, result.findings) == (3, [])


def test_findings_name_link_event_and_stream() -> None:
    finding = Finding(Change.ADDED, 4, 17, "shelf/a", 2)
    assert str(finding) == "link 4, event at position 17 (shelf/a version 2): added"
    assert str(Finding(Change.LINK_MISSING, 4)) == "link 4: link-missing"
