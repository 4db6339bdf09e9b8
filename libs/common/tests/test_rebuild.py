"""A read model filled anew beside the one that is read, against real PostgreSQL and Kafka."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from heard_notes import heard, mended
from kafka_notes import (
    clients_of,
    damaged,
    new_topic,
    note,
    until,
    write,
)
from shelf_aggregate import BoxPut, PutBox, TakeBoxes
from shelf_store import AT, SERVICE, catalog, envelope, group_of, opened, rows, shelves

from epassport import beside, refill
from epassport.actor import service_actor
from epassport.beside import Comparison
from epassport.consumer import ConsumerRunner
from epassport.database import Database
from epassport.draining import ParkedStreams
from epassport.errors import EndsProcess, NotThere, TransactionTooLong
from epassport.events import Recorded
from epassport.operations import Order
from epassport.progress import Progress
from epassport.projector import ForeignProjection, StoreReader, projector
from epassport.readmodel import ReadModel, Tables
from epassport.rebuild import Different, Source, drop_kept, rebuild, return_to_kept
from epassport.signals import Signals
from epassport_contracts.registry import Topic
from epassport_sandbox.stack import Stack

HERE = Path(__file__).parent
TEXT = "SELECT t::text FROM shelf_v1 AS t ORDER BY t::text"
BESIDE = TEXT.replace("shelf_v1", "shelf_v1_beside")


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        await rows(database_, "ALTER TABLE shelf_v1 SET (fillfactor = 80)")
        await rows(database_, "CREATE INDEX shelf_v1_by_time ON shelf_v1 (last_at) WHERE boxes > 0")
        yield database_


@pytest.fixture
def source(database: str) -> Source:
    return Source(database, catalog().codec, SERVICE)


def order(reason: str = "the projection was mended") -> Order:
    return Order(uuid4(), service_actor("operator"), reason)


def live_reader(db: Database, model: ReadModel = shelves) -> StoreReader:
    return projector(model, db, catalog().codec, Signals())


async def project(db: Database, model: ReadModel = shelves) -> None:
    reading = live_reader(db, model)
    while await reading.step():
        pass


async def fill_store(db: Database, n: int, *, shelves_in_use: int = 5) -> None:
    """Each shelf in its turn gets two boxes and is emptied: n events."""
    group = group_of(db)
    for i in range(n):
        command = TakeBoxes(AT) if i % 3 == 2 else PutBox(AT + timedelta(seconds=i))
        await group.execute([envelope(f"s{i // 3 % shelves_in_use}", command)])


@asynccontextmanager
async def running(*readers: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(reader.run()) for reader in readers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks), tasks


async def test_a_rebuilt_read_model_is_the_live_one_byte_for_byte(
    db: Database, source: Source
) -> None:
    await fill_store(db, 60)
    await project(db)
    before = await rows(db, TEXT)
    (found,) = await rebuild(shelves, source, Progress())
    assert found.is_equal
    assert (found.rows, found.rows_beside) == (len(before), len(before))
    assert await rows(db, TEXT) == before
    await fill_store(db, 5)
    await project(db)
    assert await rows(db, BESIDE) == before
    assert sum(row[0] != old[0] for row, old in zip(await rows(db, TEXT), before, strict=True)) > 0


async def test_the_new_set_has_the_names_indexes_and_storage_of_the_old_one(
    db: Database, source: Source
) -> None:
    shape = """
        SELECT c.relname, c.reloptions, i.relname, pg_get_indexdef(i.oid)
          FROM pg_class AS c JOIN pg_index AS x ON x.indrelid = c.oid
          JOIN pg_class AS i ON i.oid = x.indexrelid
         WHERE c.relname = 'shelf_v1' ORDER BY i.relname
        """
    before = await rows(db, shape)
    await fill_store(db, 10)
    await project(db)
    oid = "SELECT 'shelf_v1'::regclass::oid"
    for _ in range(2):  # the second time, what was kept goes first
        old = await rows(db, oid)
        await rebuild(shelves, source, Progress())
        assert await rows(db, oid) != old
        assert await rows(db, shape) == before


async def test_no_read_fails_or_goes_back_while_a_model_is_rebuilt_under_load(
    db: Database, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts of boxes only grow, and the live projector loses and repeats nothing. It goes on also
    between snapshot and comparison, for as long as that takes."""
    counting = ReadModel("shelves", version=1, tables=("shelf",))
    counting.projections = {BoxPut: shelves.projections[BoxPut]}
    await fill_store(db, 300, shelves_in_use=40)
    await project(db, counting)
    seen: list[int] = []
    written = asyncio.Event()
    compare = beside.compare

    async def compare_late(*arguments: Any) -> list[Comparison]:
        enough = seen[-1] + 50

        async def has_grown() -> bool:
            return seen[-1] >= enough

        await until(has_grown)
        return await compare(*arguments)

    monkeypatch.setattr(beside, "compare", compare_late)

    async def read() -> None:
        while not written.is_set():
            async with db.connection() as connection:
                tables = counting.on(connection)
                seen.append(await tables.fetchval("SELECT sum(boxes)::int FROM {shelf}"))

    async def load() -> None:
        while not written.is_set():
            await fill_store(db, 3, shelves_in_use=40)

    async with running(live_reader(db, counting)), asyncio.TaskGroup() as parent:
        parent.create_task(read())
        parent.create_task(load())
        while len(set(seen)) < 4:  # the live reader has gone on meanwhile
            assert all(one.is_equal for one in await rebuild(counting, source, Progress()))
        written.set()
    await project(db, counting)
    ((boxes,),) = await rows(db, "SELECT count(*)::int FROM events WHERE type = 'BoxPut'")
    assert await rows(db, "SELECT sum(boxes)::int FROM shelf_v1") == [(boxes,)]
    assert seen == sorted(seen)


GATE = """
    CREATE FUNCTION wait_at_the_gate() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN
        WHILE current_query() LIKE '%RENAME%' AND NOT pg_try_advisory_xact_lock(1) LOOP
            PERFORM pg_sleep(0.01);
        END LOOP;
    END $$;
    CREATE EVENT TRIGGER gate ON ddl_command_start EXECUTE FUNCTION wait_at_the_gate();
    """


async def test_what_comes_as_the_sets_change_places_is_in_the_one_that_is_read_then(
    db: Database, source: Source
) -> None:
    """A gate in the database holds the switch before its first renaming."""
    await fill_store(db, 30)
    await project(db)
    place = "SELECT position FROM checkpoints WHERE reader = 'shelves_v1'"
    before = await rows(db, place)

    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%RENAME%'"

    async def is_at_the_gate() -> bool:
        return await rows(db, waits) != []

    async def has_gone_on_or_cannot() -> bool:
        """A transaction that has an id hides from every reader what is appended after it began."""
        hidden = await rows(db, f"{waits} AND backend_xid IS NOT NULL") != []
        return hidden or await rows(db, place) != before

    gate = await asyncpg.connect(source.dsn)
    await gate.execute(GATE)
    await gate.execute("SELECT pg_advisory_lock(1)")
    switching = asyncio.create_task(rebuild(shelves, source, Progress()))
    await until(is_at_the_gate)
    await fill_store(db, 3)
    async with running(live_reader(db, shelves)):
        await until(has_gone_on_or_cannot)
        await gate.execute("SELECT pg_advisory_unlock(1)")
        await switching
    await gate.close()
    await project(db)
    (found,) = await rebuild(shelves, source, Progress())
    assert found.is_equal


@pytest.mark.parametrize(
    "moment",
    [("filling", "30"), ("filled",), ("compared",), ("switching",)],
    ids=lambda m: m[0],
)
async def test_a_rebuild_that_was_killed_goes_on_where_it_stood(
    db: Database, source: Source, database: str, moment: tuple[str, ...]
) -> None:
    await fill_store(db, 50)
    await project(db)
    before = await rows(db, TEXT)
    await killed(database, *moment)
    assert await rows(db, TEXT) == before
    done = "SELECT position FROM checkpoints WHERE reader = 'shelves_v1_beside'"
    ((reached,),) = await rows(db, done)
    assert reached >= 29
    heard = Progress()
    await rebuild(shelves, source, heard)
    assert heard.done <= 50 - reached + 1
    assert await rows(db, TEXT) == before
    assert await rows(db, BESIDE) == before


async def test_a_drop_that_was_killed_is_finished_before_anything_is_filled(
    db: Database, source: Source, database: str
) -> None:
    await fill_store(db, 20)
    await project(db)
    await rebuild(shelves, source, Progress())
    await killed(database, "dropping")
    assert await rows(db, "SELECT phase FROM rebuilds") == [("dropping",)]
    (found,) = await rebuild(shelves, source, Progress())
    assert found.is_equal
    assert await rows(db, "SELECT phase FROM rebuilds") == [("kept",)]


async def killed(dsn: str, *moment: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "rebuild_that_stops.py"), dsn, *moment
    )
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL


async def test_where_the_sets_differ_nothing_is_switched_until_somebody_says_so(
    db: Database, source: Source
) -> None:
    await fill_store(db, 30)
    await project(db)
    right = await rows(db, TEXT)
    await rows(db, "UPDATE shelf_v1 SET boxes = 99 WHERE stream = 'shelf/s0'")
    await rows(db, "DELETE FROM shelf_v1 WHERE stream = 'shelf/s1'")
    await rows(db, "INSERT INTO shelf_v1 VALUES ('shelf/nobody', 1, now())")
    wrong = await rows(db, TEXT)
    with pytest.raises(Different) as refused:
        await rebuild(shelves, source, Progress())
    (found,) = refused.value.found
    assert (found.missing, found.additional, found.different) == (1, 1, 1)
    assert found.checksum != found.checksum_beside
    assert await rows(db, TEXT) == wrong
    given = order()
    await rebuild(shelves, source, Progress(), accept=given)
    assert await rows(db, TEXT) == right
    assert await rows(db, "SELECT action_id, action, reason FROM operator_actions") == [
        (given.action_id, "switch-read-model", given.reason)
    ]


async def test_what_was_read_before_is_read_again_with_what_came_since(
    db: Database, source: Source
) -> None:
    await fill_store(db, 30)
    await project(db)
    await rows(db, "UPDATE shelf_v1 SET boxes = boxes + 100")
    await rebuild(shelves, source, Progress(), accept=order())
    await fill_store(db, 3)
    await project(db)
    with_what_came = await rows(db, TEXT)
    await return_to_kept(shelves, source, Progress(), order("it was right before"))
    boxes = "SELECT stream, boxes FROM shelf_v1 ORDER BY stream"
    assert await rows(db, boxes) == [("shelf/s0", 0), *((f"shelf/s{n}", 100) for n in range(1, 5))]
    assert await rows(db, BESIDE) == with_what_came
    await fill_store(db, 2)
    await project(db)
    await return_to_kept(shelves, source, Progress(), order("and forth"))
    (found,) = await rebuild(shelves, source, Progress())
    assert found.is_equal


@pytest.mark.parametrize(
    "moment", [("filling", "4"), ("compared",), ("switching",)], ids=lambda m: m[0]
)
async def test_a_return_that_was_killed_goes_on_where_it_stood(
    db: Database, source: Source, database: str, moment: tuple[str, ...]
) -> None:
    await fill_store(db, 30)
    await project(db)
    await rows(db, "UPDATE shelf_v1 SET boxes = boxes + 100")
    await rebuild(shelves, source, Progress(), accept=order())
    await fill_store(db, 12)
    await project(db)
    before = await rows(db, TEXT)
    await killed(database, "--back", *moment)
    assert await rows(db, TEXT) == before
    assert await rows(db, "SELECT phase FROM rebuilds") == [("kept",)]
    told = Progress()
    await return_to_kept(shelves, source, told, order())
    assert told.done == (8 if moment[0] == "filling" else 0)
    assert await rows(db, BESIDE) == before
    boxes = "SELECT stream, boxes FROM shelf_v1 ORDER BY stream"
    assert await rows(db, boxes) == [*((f"shelf/s{n}", 0) for n in range(4)), ("shelf/s4", 100)]


async def test_what_was_never_kept_cannot_be_returned_to(db: Database, source: Source) -> None:
    await fill_store(db, 5)
    await project(db)
    with pytest.raises(NotThere):
        await return_to_kept(shelves, source, Progress(), order())
    with pytest.raises(NotThere):
        await drop_kept(shelves, source)
    await rebuild(shelves, source, Progress())
    await rows(db, "ALTER TABLE shelf_v1 ADD COLUMN colour text")
    with pytest.raises(NotThere, match="migration"):
        await return_to_kept(shelves, source, Progress(), order())
    await drop_kept(shelves, source)
    assert await rows(db, "SELECT to_regclass('shelf_v1_beside')") == [(None,)]
    assert await rows(db, "SELECT reader FROM checkpoints") == [("shelves_v1",)]


async def test_an_unfinished_set_that_a_migration_left_behind_is_made_anew(
    db: Database, source: Source, database: str
) -> None:
    await fill_store(db, 40)
    await project(db)
    await killed(database, "filling", "20")
    await rows(db, "ALTER TABLE shelf_v1 ADD COLUMN colour text DEFAULT 'grey'")
    (found,) = await rebuild(shelves, source, Progress())
    assert found.is_equal


async def test_a_version_that_nobody_reads_yet_is_filled_in_its_own_tables(
    db: Database, source: Source
) -> None:
    await fill_store(db, 40)
    assert await rebuild(shelves, source, Progress()) == []
    filled = await rows(db, TEXT)
    assert len(filled) == 5
    await project(db)
    assert await rows(db, TEXT) == filled
    assert await rows(db, "SELECT to_regclass('shelf_v1_beside')") == [(None,)]


async def test_a_first_filling_that_was_killed_goes_on_to_the_end_and_compares_nothing(
    db: Database, source: Source, database: str
) -> None:
    """Half of it would look like a set that is read."""
    await fill_store(db, 40)
    await killed(database, "filling", "25")
    told = Progress()
    assert await rebuild(shelves, source, told) == []
    assert told.done == 15
    filled = await rows(db, TEXT)
    await project(db)
    assert await rows(db, TEXT) == filled
    assert await rows(db, "SELECT to_regclass('shelf_v1_beside')") == [(None,)]
    (found,) = await rebuild(shelves, source, Progress())
    assert found.is_equal


async def test_two_rebuilds_of_one_model_exclude_each_other(db: Database, source: Source) -> None:
    await fill_store(db, 20)
    await project(db)

    class Second(Progress):
        refused = False

        async def starts(self) -> None:
            with pytest.raises(EndsProcess, match="already"):
                await rebuild(shelves, source, Progress())
            self.refused = True

        def add(self, pieces: int) -> None:
            super().add(pieces)
            if not hasattr(self, "task"):
                self.task = asyncio.get_running_loop().create_task(self.starts())

    second = Second()
    await rebuild(shelves, source, second)
    await second.task
    assert second.refused


async def test_a_switch_waits_for_a_reader_that_holds_the_table_and_keeps_no_other_waiting(
    db: Database, source: Source
) -> None:
    await fill_store(db, 20)
    await project(db)
    before = await rows(db, "SELECT 'shelf_v1'::regclass::oid")
    reader = await asyncpg.connect(source.dsn)
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT * FROM shelf_v1")
    switching = asyncio.create_task(rebuild(shelves, source, Progress()))

    async def waits_for_the_table() -> bool:
        return await rows(db, "SELECT 1 FROM pg_locks WHERE NOT granted") != []

    for _ in range(3):
        await until(waits_for_the_table)
        async with asyncio.timeout(5):
            assert len(await rows(db, "SELECT * FROM shelf_v1")) == 5
    assert not switching.done()
    assert await rows(db, "SELECT 'shelf_v1'::regclass::oid") == before
    await reading.rollback()
    await reader.close()
    await switching
    assert await rows(db, "SELECT 'shelf_v1'::regclass::oid") != before


async def test_a_page_that_takes_too_long_is_written_in_smaller_parts(
    db: Database, source: Source
) -> None:
    parts: list[int] = []
    model = ReadModel("shelves", version=1, tables=("shelf",))

    @model.projects(BoxPut)
    async def put_two(wave: Sequence[Recorded[BoxPut]], tables: Tables) -> int:
        if len(wave) > 2:
            raise TransactionTooLong
        parts.append(len(wave))
        return int(await shelves.projections[BoxPut][0].fill(wave, tables))

    group = group_of(db)
    for n in range(9):
        await group.execute([envelope(f"s{n}", PutBox(AT))])
    assert await rebuild(model, source, Progress()) == []
    assert sum(parts) == 9
    assert await rows(db, "SELECT sum(boxes)::int FROM shelf_v1") == [(9,)]


# --- models that hear other services ---------------------------------------------------------

NOTES = "SELECT stream, text, notes FROM note_v1 ORDER BY stream"


@pytest_asyncio.fixture(loop_scope="session")
async def topic(db: Database, stack: Stack) -> Topic:
    await rows(db, "CREATE TABLE note_v1 (stream text PRIMARY KEY, text text, notes int)")
    return await new_topic(stack.kafka.bootstrap, partitions=2)


def hearing(source: Source, stack: Stack, topic: Topic) -> Source:
    clients = clients_of(stack.kafka.bootstrap)
    return replace(source, clients=clients, topics={topic.name: topic})


@asynccontextmanager
async def consumed(
    db: Database, source: Source, model: ReadModel, topic: Topic
) -> AsyncIterator[None]:
    assert source.clients is not None
    handler = ForeignProjection(model, [topic])
    runner = ConsumerRunner(db, SERVICE, [handler], source.clients, topics={topic.name: topic})
    await runner.start()
    try:
        yield
    finally:
        await runner.stop()


async def applied(db: Database, topic: Topic, records: int, consumer: str = "heard_v1") -> None:
    async def done() -> bool:
        found = await rows(
            db,
            "SELECT coalesce(sum(next_offset), 0)::int FROM consumer_offsets"
            " WHERE consumer = $1 AND topic = $2",
            consumer,
            topic.name,
        )
        return found == [(records,)]

    await until(done)


async def test_foreign_events_are_read_again_from_their_topic_and_the_consumer_goes_on(
    db: Database, source: Source, stack: Stack, topic: Topic
) -> None:
    kafka, source = stack.kafka.bootstrap, hearing(source, stack, topic)
    await write(kafka, topic, *(note(f"a{n % 7}", n // 7 + 1) for n in range(70)))
    await write(kafka, topic, *(note(f"b{n}", 1) for n in range(30)), partition=1)
    async with consumed(db, source, heard, topic):
        await applied(db, topic, 100)
        before = await rows(db, NOTES)
        (found,) = await rebuild(heard, source, Progress())
        assert found.is_equal
        assert found.rows == 37
        assert await rows(db, NOTES) == before
        await write(kafka, topic, *(note(f"a{n}", 11) for n in range(7)), note("a0", 11))
        await applied(db, topic, 108)
        assert await rows(db, "SELECT sum(notes)::int FROM note_v1") == [(107,)]
        await return_to_kept(heard, source, Progress(), order("once more"))
        assert await rows(db, "SELECT sum(notes)::int FROM note_v1") == [(107,)]
    assert await rows(db, "SELECT count(*) FROM parked") == [(0,)]


@pytest.mark.parametrize("moment", ["filling", "applying"])
async def test_a_rebuild_that_was_killed_among_foreign_events_goes_on_where_it_stood(
    db: Database, source: Source, database: str, stack: Stack, topic: Topic, moment: str
) -> None:
    kafka, source = stack.kafka.bootstrap, hearing(source, stack, topic)
    await write(kafka, topic, *(note(f"a{n % 7}", n // 7 + 1) for n in range(70)))
    await write(kafka, topic, *(note(f"b{n}", 1) for n in range(30)), partition=1)
    async with consumed(db, source, heard, topic):
        await applied(db, topic, 100)
    before = await rows(db, NOTES)
    await killed(database, "--hears", kafka, topic.name, moment, "40")
    assert await rows(db, NOTES) == before
    reached = 40 if moment == "filling" else 39
    await applied(db, topic, reached, "heard_v1_beside")
    told = Progress()
    (found,) = await rebuild(heard, source, told)
    assert found.is_equal
    assert told.done == 100 - reached
    assert await rows(db, NOTES) == before


async def test_a_rebuild_that_was_killed_as_it_settled_drains_what_waits(
    db: Database, source: Source, database: str, stack: Stack, topic: Topic
) -> None:
    kafka, source = stack.kafka.bootstrap, hearing(source, stack, topic)
    await write(kafka, topic, note("a", 1), damaged("a", 2), note("a", 3))
    async with consumed(db, source, heard, topic):
        await applied(db, topic, 3)
    parked = ParkedStreams(db, SERVICE, ForeignProjection(heard, [topic]), topic)
    async with db.transaction() as connection:
        await parked.discard(connection, 0, 1, service_actor("operator"), "written by hand")
    await parked.drain(0, "a")
    before = await rows(db, NOTES)
    await killed(database, "--hears", kafka, topic.name, "settling")
    state = "SELECT record_offset::int FROM {} WHERE consumer = 'heard_v1_beside'"
    assert await rows(db, state.format("discarded")) == [(1,)]
    assert await rows(db, state.format("parked")) == [(2,)]
    (found,) = await rebuild(heard, source, Progress())
    assert found.is_equal
    assert await rows(db, NOTES) == before == [("a", "a3", 2)]
    assert await rows(db, "SELECT count(*) FROM parked") == [(0,)]


async def test_what_was_parked_and_can_be_applied_now_is_applied_by_the_rebuild(
    db: Database, source: Source, stack: Stack, topic: Topic
) -> None:
    """Its stream goes on after the switch; of a discarded record the order is kept."""
    kafka, source = stack.kafka.bootstrap, hearing(source, stack, topic)
    await write(
        kafka,
        topic,
        *(note("a", 1), note("a", 2, "!a2"), note("a", 3)),
        *(note("b", 1), damaged("b", 2), note("b", 3)),
        *(note("c", 1), damaged("c", 2), note("c", 3)),
        note("d", 2),
    )
    async with consumed(db, source, heard, topic):
        await applied(db, topic, 10)
    parked = ParkedStreams(db, SERVICE, ForeignProjection(heard, [topic]), topic)
    async with db.transaction() as connection:
        await parked.discard(connection, 0, 4, service_actor("operator"), "written by hand")
    await parked.drain(0, "b")
    told = "SELECT count(*) FROM outbox WHERE type = 'dead-letter'"
    letters = await rows(db, told)

    with pytest.raises(Different) as refused:
        await rebuild(mended, source, Progress())
    assert [one.different for one in refused.value.found] == [1]
    await rebuild(mended, source, Progress(), accept=order())
    assert await rows(db, NOTES) == [("a", "a3", 3), ("b", "b3", 2), ("c", "c1", 1)]
    held = "SELECT key, cause FROM parked WHERE consumer = $1 ORDER BY record_offset"
    assert await rows(db, held, "heard_v1") == [
        ("c", "malformed-event"),
        ("c", "behind"),
        ("d", "gap"),
    ]
    assert ("a", "bug") in await rows(db, held, "heard_v1_beside")
    assert await rows(db, told) == letters

    await write(kafka, topic, note("a", 4), note("b", 4), note("c", 4), note("d", 1))
    async with consumed(db, source, mended, topic):
        await applied(db, topic, 14)

        async def drained() -> bool:
            return ("d", "d2", 2) in await rows(db, NOTES)

        await until(drained)
    assert await rows(db, NOTES) == [
        *(("a", "a4", 4), ("b", "b4", 3)),
        *(("c", "c1", 1), ("d", "d2", 2)),
    ]


async def test_a_topic_that_lost_what_was_read_from_it_ends_the_rebuild(
    db: Database, source: Source, stack: Stack, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refill, "STANDSTILL_SECONDS", 3.0)
    kafka, source = stack.kafka.bootstrap, hearing(source, stack, topic)
    await write(kafka, topic, note("a", 1))
    async with consumed(db, source, heard, topic):
        await applied(db, topic, 1)
    await rows(db, "UPDATE consumer_offsets SET next_offset = 5 WHERE partition = 0")
    with pytest.raises(EndsProcess, match="holds less"):
        await rebuild(heard, source, Progress())


async def test_what_stands_beside_is_dropped_a_few_rows_at_a_time(
    db: Database, source: Source, stack: Stack, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka, source = stack.kafka.bootstrap, hearing(source, stack, topic)
    await write(kafka, topic, *(note(f"a{n}", 1) for n in range(25)))
    async with consumed(db, source, heard, topic):
        await applied(db, topic, 25)
    await rebuild(heard, source, Progress())
    monkeypatch.setattr("epassport.beside.DROP_ROWS", 10)
    await drop_kept(heard, source)
    for table in ("consumer_sequences", "consumer_offsets"):
        assert await rows(db, f"SELECT DISTINCT consumer FROM {table}") == [("heard_v1",)]
