"""A database that came back from a backup: a real dump in a new cluster, a copy of a day ago."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from backups import all_sent, as_it_was
from kafka_notes import (
    AT,
    Notes,
    clients_of,
    consuming,
    new_topic,
    note,
    notes,
    parked,
    put_out,
    read_topic,
    stored_offset,
    until,
    waiting_in_outbox,
    write,
)
from shelf_aggregate import PutBox
from shelf_service import SECRETS
from shelf_store import SERVICE, catalog, envelope, group_of, opened, rows, shelves

from epassport.actor import service_actor
from epassport.audit import Audit, Change, audit
from epassport.database import Database
from epassport.errors import EndsProcess, Unsafe
from epassport.history import History
from epassport.history_topic import read_published
from epassport.keyring import SubjectKeyring
from epassport.keystore import KeyStore
from epassport.operations import Order
from epassport.own_topics import Compared, OwnTopics
from epassport.progress import Progress
from epassport.projector import projector
from epassport.restore import (
    accept,
    advance_transaction_ids,
    refuse_unrestored,
    restore,
    rewind_offsets,
)
from epassport.signals import Signals
from epassport.trustfile import TrustContent, TrustFile
from epassport_contracts import ServiceName
from epassport_contracts.events.history import HistoryLinked
from epassport_contracts.registry import BY_NAME, Topic, history_topic
from epassport_sandbox.postgres import EmbeddedPostgres
from epassport_sandbox.scratch import scratch_folder
from epassport_sandbox.stack import Stack
from epassport_sandbox.topics import TopicSpec, create_topics

pytestmark = pytest.mark.stack

OWNER = ServiceName.CLOUD_PROFILE
"""Of histories whose heads these tests publish: other tests write those of enrollment."""


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


def order() -> Order:
    return Order(uuid4(), service_actor("operator"), "entered again from the topic")


def keyring() -> SubjectKeyring:
    """Of a service that sends and gets no keys."""
    content = TrustContent(issuer="test", sandbox=True, issued_at=AT, signing_keys=(), hpke_keys=())
    keystore = KeyStore(SERVICE, {}, SECRETS, sandbox=True)
    return SubjectKeyring(SERVICE, keystore, TrustFile(content), lambda: AT)


def chain(db: Database) -> History:
    return History(OWNER, db, Signals(), lambda: AT)


async def put_boxes(db: Database, *names: str) -> None:
    for name in names:
        await group_of(db).execute([envelope(name, PutBox(AT))])


@asynccontextmanager
async def new_cluster() -> AsyncIterator[tuple[EmbeddedPostgres, str]]:
    """The server, and the dsn of an empty database in it."""
    with scratch_folder() as folder:
        server = EmbeddedPostgres(folder / "pg", folder, log=folder / "log", durable=False)
        try:
            started = await server.start()
            yield server, await started.create_database("restored")
        finally:
            await server.stop()


async def run(program: Path, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(str(program), *arguments)
    async with asyncio.timeout(120):
        assert await process.wait() == 0


async def project(db: Database) -> int:
    reading = projector(shelves, db, catalog().codec, Signals())
    read = 0
    while applied := await reading.step():
        read += applied
    return read


async def test_a_dump_in_a_new_cluster_is_refused_until_it_is_restored_and_then_loses_nothing(
    db: Database, database: str, tmp_path: Path
) -> None:
    await rows(db, "DO $$ BEGIN FOR i IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT;"
                   " END LOOP; END $$")  # fmt: skip
    await put_boxes(db, "a", "b", "a")
    await project(db)
    await put_boxes(db, "c")
    await refuse_unrestored(db)
    async with new_cluster() as (server, dsn):
        dump = str(tmp_path / "dump")
        await run(server.binaries / "pg_dump", "--format=custom", f"--file={dump}", database)
        await run(server.binaries / "pg_restore", f"--dbname={dsn}", dump)
        restored = await Database.connect(dsn)
        try:
            with pytest.raises(Unsafe, match="run restore first"):
                await refuse_unrestored(restored)
            assert await project(restored) == 0  # readers wait for ids that are far away
            assert await advance_transaction_ids(dsn, Progress()) > 1_000
            await accept(restored, chain(restored), 0, None)
            await refuse_unrestored(restored)
            assert await project(restored) == 1
            await put_boxes(restored, "a", "d")
            assert await project(restored) == 2
            assert await rows(restored, "SELECT stream, boxes FROM shelf_v1 ORDER BY stream") == [
                *(("shelf/a", 3), ("shelf/b", 1)),
                *(("shelf/c", 1), ("shelf/d", 1)),
            ]
            assert await advance_transaction_ids(dsn, Progress()) <= 1
        finally:
            await restored.close()


async def test_ids_that_are_too_far_behind_are_told_with_what_to_run(
    db: Database, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = 2**32 + 5 * 2**20 + 17
    await rows(db, "INSERT INTO checkpoints VALUES ('somebody', $1::text::xid8, 1)", str(far))
    with pytest.raises(EndsProcess, match=r"--epoch=1 --next-transaction-id=6291456"):
        await advance_transaction_ids(database, Progress())
    monkeypatch.setattr("epassport.restore.BURNT_AT_MOST", 10)
    await rows(db, "DELETE FROM checkpoints")
    assert await advance_transaction_ids(database, Progress()) == 0


async def test_what_the_store_has_lost_is_kept_for_an_operator_and_no_sequence_means_two_facts(
    db: Database, database: str, stack: Stack
) -> None:
    """Of three records the first was there at the backup, the second waited in the outbox."""
    kafka = stack.kafka.bootstrap
    topic = await new_topic(kafka)
    await rows(db, "INSERT INTO streams (stream_id, version, sequence) VALUES ('a', 2, 2)")
    await put_out(database, topic, [("a", 1, "a1")])
    await all_sent(database, kafka)
    await put_out(database, topic, [("a", 2, "a2")])
    async with as_it_was(db, database, stack) as copy:
        await put_out(database, topic, [("a", 3, "a3"), ("b", 1, "b1")])
        await all_sent(database, kafka)
        restored = await Database.connect(copy)
        try:
            assert await waiting_in_outbox(copy) == 1
            for again in range(2):
                consumer = clients_of(kafka).reader()
                await consumer.start()
                try:
                    own = OwnTopics(SERVICE, restored, keyring(), consumer, [topic])
                    found = await own.compare(Progress())
                finally:
                    await consumer.stop()
                assert found == (Compared() if again else Compared(already_sent=1, lost=2))
            lost = "SELECT stream_id, sequence, type FROM lost_publications ORDER BY stream_id"
            assert await rows(restored, lost) == [("a", 3, "NoteTaken"), ("b", 1, "NoteTaken")]
            heads = "SELECT stream_id, sequence FROM streams ORDER BY stream_id"
            assert await rows(restored, heads) == [("a", 3), ("b", 1)]
            with pytest.raises(EndsProcess, match="2 published records"):
                await accept(restored, chain(restored), 0, None)
            given = order()
            await accept(restored, chain(restored), 0, given)
            await accept(restored, chain(restored), 0, None)
            assert await rows(restored, "SELECT DISTINCT settled_by FROM lost_publications") == [
                (given.action_id,)
            ]
            await put_out(copy, topic, [("a", 4, "a4")])
            await all_sent(copy, kafka)
        finally:
            await restored.close()
    read = await read_topic(kafka, topic)  # its partitions in any order
    assert [value for key, value in read if key == "a"] == ["a1", "a2", "a3", "a4"]
    assert [value for key, value in read if key == "b"] == ["b1"]


async def test_links_that_a_restore_has_lost_are_a_gap_with_its_reason_and_no_finding(
    db: Database, database: str, stack: Stack
) -> None:
    """Of four links two were there at the backup; two more were published."""
    kafka, topic = stack.kafka.bootstrap, BY_NAME[history_topic(OWNER)]
    await create_topics(kafka, [TopicSpec(topic.name, topic.partitions, topic.config)])
    await link_boxes(db, "a", "b")
    async with as_it_was(db, database, stack) as copy:
        async with connected(database) as lived_on:
            await link_boxes(lived_on, "c", "d")
        await all_sent(database, kafka, service=OWNER)
        async with connected(copy) as restored:

            async def restoring(given: Order | None) -> int:
                found = await restore(
                    *(restored, copy, keyring(), Notes(), OWNER, clients_of(kafka)),
                    Progress(),
                    topics=[topic],
                )
                await accept(restored, chain(restored), found.lost_links, given)
                return found.lost_links

            with pytest.raises(EndsProcess, match="2 links of the history"):
                await restoring(None)
            assert await restoring(order()) == 2
            assert await restoring(None) == 0
            await link_boxes(restored, "e", "f")
            await all_sent(copy, kafka, service=OWNER)
            heads = await read_published(clients_of(kafka), OWNER)
            assert [fact.link for fact in heads if fact.follows is not None] == [5]
            result = await audited(restored, heads)
            assert (result.findings, result.links, result.events) == ([], 7, 4)
            assert list(map(str, result.gaps)) == [
                "links 3 to 4: lost in a restore,"
                " accepted by operator: entered again from the topic"
            ]
            for statement, expected in TAMPERINGS.items():
                async with restored.connection() as connection:
                    changing = connection.transaction()
                    await changing.start()
                    await connection.execute("SET LOCAL session_replication_role = replica")
                    assert await connection.execute(statement) != "UPDATE 0"
                    result = await audit(connection, OWNER, heads)
                    await changing.rollback()
                told = [(one.change, one.link) for one in result.findings]
                assert (statement, told) == (statement, expected)


TAMPERINGS = {
    "UPDATE events SET type = 'Other' WHERE stream_id = 'shelf/a'": [(Change.ALTERED, 1)],
    "UPDATE events SET type = 'Other' WHERE stream_id = 'shelf/f'": [(Change.ALTERED, 7)],
    "DELETE FROM events WHERE stream_id = 'shelf/e'": [(Change.REMOVED, 6)],
    "UPDATE operator_actions SET reason = 'another'": [(Change.LINK_ALTERED, 5)],
    "UPDATE history_links SET accepted_by = NULL WHERE link = 5": [
        *((Change.LINK_MISSING, 3), (Change.LINK_MISSING, 4)),
        *((Change.LINK_ALTERED, 5), (Change.PUBLISHED_OTHERWISE, 5)),
    ],
    # as if a restore had lost more than it did, told by a link that the topic has otherwise
    "WITH gone AS (DELETE FROM history_links WHERE link < 5)"
    " UPDATE history_links SET events = 0, transaction_id = '0', position = 0 WHERE link = 5": [
        *((Change.LINK_ALTERED, 5), (Change.PUBLISHED_OTHERWISE, 5)),
        *((Change.ADDED, 6), (Change.ADDED, 6)),
    ],
}


async def link_boxes(db: Database, *names: str) -> None:
    for name in names:
        await put_boxes(db, name)
        await chain(db).step()


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Database]:
    db = await Database.connect(dsn)
    try:
        yield db
    finally:
        await db.close()


async def audited(db: Database, heads: Sequence[HistoryLinked]) -> Audit:
    async with db.connection() as connection:
        return await audit(connection, OWNER, heads)


async def test_an_offset_behind_kafka_is_read_again_and_one_beyond_its_end_goes_back_to_it(
    db: Database, stack: Stack
) -> None:
    kafka = stack.kafka.bootstrap
    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 1), note("a", 2))
    async with consuming(db, kafka, Notes(topic), topic):
        await until(lambda: _reached(db, topic, 2))
    await rows(db, "UPDATE consumer_offsets SET next_offset = 9")
    consumer = clients_of(kafka).reader()
    await consumer.start()
    try:
        assert await rewind_offsets(db, consumer, Progress()) == 1
        assert await rewind_offsets(db, consumer, Progress()) == 0
    finally:
        await consumer.stop()
    await write(kafka, topic, note("a", 2), note("a", 4), note("b", 1))
    async with consuming(db, kafka, Notes(topic), topic):
        await until(lambda: _reached(db, topic, 5))
    assert await notes(db) == ["a1", "a2", "b1"]
    assert await parked(db) == [("a", 3, "gap")]  # what Kafka lost is missed, and told


async def _reached(db: Database, topic: Topic, offset: int) -> bool:
    return await stored_offset(db, topic) >= offset
