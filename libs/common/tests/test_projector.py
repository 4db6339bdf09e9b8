"""Readers of the own store against real PostgreSQL: every event once, whoever reads it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from kafka_notes import until
from shelf_aggregate import AddRoom, BoxesTaken, BoxPut, PutBox, shelf
from shelf_store import (
    AT,
    SERVICE,
    catalog,
    envelope,
    events_of,
    group_of,
    opened,
    rows,
    send,
    shelves,
)

from epassport import StreamId
from epassport.actor import service_actor
from epassport.commands import Token
from epassport.database import Connection, Database
from epassport.errors import NotVisibleYet, TransactionTooLong
from epassport.events import Origin, Recorded
from epassport.projector import (
    START,
    OwnPages,
    OwnReactions,
    StoreReader,
    advance,
    projector,
    wait_for,
)
from epassport.reactions import Send
from epassport.readmodel import LostRow, ReadModel, Tables, fill, waves
from epassport.rests import Rests
from epassport.signals import Signals

LIVE = "SELECT stream, boxes FROM shelf_v1 ORDER BY stream"


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


def reader(db: Database, model: ReadModel = shelves) -> StoreReader:
    """Of another process each time."""
    return projector(model, db, catalog().codec, Signals())


async def to_the_end(*readers: StoreReader) -> None:
    """Each of them until it finds nothing new, all at once."""

    async def one(reading: StoreReader) -> None:
        for _ in range(1000):
            if not await reading.step():
                return
        raise AssertionError("there is always something new")

    await asyncio.gather(*(one(reading) for reading in readers))


async def put_boxes(db: Database, *names: str) -> Token:
    group = group_of(db)
    for name in names:
        token = (await send(group, name, PutBox(AT))).token
    assert token is not None
    return token


async def test_a_page_that_another_reader_read_tells_how_old_it_is(db: Database) -> None:
    """Who believed that it is as new as its own look would sleep over what came in between."""
    await put_boxes(db, "a")
    pages = OwnPages(db, catalog().codec)
    assert (await pages.after(START, 5)).signals == 5
    await put_boxes(db, "b")
    kept = await pages.after(START, 6)
    assert (len(kept.events), kept.signals) == (1, 5)
    last = Token(kept.events[-1].transaction_id, kept.events[-1].position)
    following = await pages.after(last, 6)
    assert (len(following.events), following.signals) == (1, 6)


async def test_readers_at_the_end_ask_once_until_a_signal_or_the_shortest_pause(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = OwnPages(db, catalog().codec)
    monkeypatch.setattr("epassport.projector.SOONEST_SECONDS", 3600.0)
    assert not (await pages.after(START, 5)).events
    await put_boxes(db, "a")
    assert not (await pages.after(START, 5)).events
    assert len((await OwnPages(db, catalog().codec).after(START, 5)).events) == 1
    assert len((await pages.after(START, 6)).events) == 1


async def test_an_end_is_looked_for_anew_after_the_shortest_pause(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = OwnPages(db, catalog().codec)
    monkeypatch.setattr("epassport.projector.SOONEST_SECONDS", 0.0)
    assert not (await pages.after(START, 5)).events
    await put_boxes(db, "a")
    assert len((await pages.after(START, 5)).events) == 1


async def test_what_comes_while_a_reader_rests_is_one_page(db: Database) -> None:
    rests = Rests(3.0)
    pages = OwnPages(db, catalog().codec, rests)
    rests.worked(monotonic() - 1)
    page = asyncio.create_task(pages.after(START, 0))
    await asyncio.wait({page}, timeout=0.5)  # whoever does not rest has read nothing by now
    for name in ("a", "b", "c"):
        await put_boxes(db, name)
    assert len((await page).events) == 3


async def test_a_page_says_that_more_is_there_which_may_not_be_read_yet(db: Database) -> None:
    pages = OwnPages(db, catalog().codec)
    async with db.pool.acquire() as late, late.transaction():
        await late.execute("SELECT pg_current_xact_id()")
        await put_boxes(db, "a")
        page = await pages.after(START, 0)
        assert (len(page.events), page.hidden) == (0, True)
    page = await pages.after(START, 1)
    assert (len(page.events), page.hidden) == (1, False)


async def test_checkpoints_of_readers_whom_a_page_does_not_concern_move_together(
    db: Database,
) -> None:
    seen = await put_boxes(db, "a")
    async with db.transaction() as connection:
        for name in ("one", "two", "three"):
            await advance(connection, name, START, seen, derived=False)
    last = await put_boxes(db, "b")
    passing = OwnPages(db, catalog().codec).passing

    async def moved() -> list[bool]:
        asked = (passing.move(name, seen, last) for name in ("one", "two", "three"))
        return await asyncio.gather(*asked)

    async with db.pool.acquire() as other, other.transaction():
        # Another replica is about to move this one: it is not waited for.
        await other.execute("SELECT FROM checkpoints WHERE reader = 'two' FOR UPDATE")
        assert await moved() == [True, False, True]
    assert await moved() == [False, True, False]


async def test_a_reader_whom_a_page_does_not_concern_waits_for_no_other_replica(
    db: Database,
) -> None:
    async def never(_connection: Connection, _events: Sequence[Recorded[Any]]) -> None:
        raise AssertionError("nothing concerns it")

    reading = StoreReader(
        "idle", db, catalog().codec, Signals(), never, concerns=lambda _event: False
    )
    await put_boxes(db, "a")
    assert await reading.step() == 1
    await put_boxes(db, "b")
    async with db.pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM checkpoints WHERE reader = 'idle' FOR UPDATE")
        assert await reading.step() == 0
    assert await reading.step() == 1


async def test_a_projector_that_starts_again_applies_nothing_twice(db: Database) -> None:
    await put_boxes(db, "a", "b", "a")
    await to_the_end(reader(db))
    await to_the_end(reader(db))
    await put_boxes(db, "b")
    await to_the_end(reader(db))
    assert await rows(db, LIVE) == [("shelf/a", 2), ("shelf/b", 2)]


async def test_a_projector_that_dies_before_its_commit_has_applied_nothing(db: Database) -> None:
    await put_boxes(db, "a", "b")

    async def dies(connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        await fill(shelves, connection, events)
        raise MemoryError

    dying = StoreReader(shelves.reader, db, catalog().codec, Signals(), dies)
    with pytest.raises(MemoryError):
        await dying.step()
    assert await rows(db, LIVE) == []
    await to_the_end(reader(db))
    assert await rows(db, LIVE) == [("shelf/a", 1), ("shelf/b", 1)]


async def test_two_projectors_at_once_apply_every_event_once(db: Database) -> None:
    names = [f"s{n:02}" for n in range(20)]
    await put_boxes(db, *names)
    writing = asyncio.create_task(put_boxes(db, *names))
    while not writing.done():
        await to_the_end(reader(db), reader(db), reader(db))
    await to_the_end(reader(db), reader(db))
    assert await rows(db, LIVE) == [(f"shelf/{name}", 2) for name in names]


@pytest.mark.parametrize("rows_changed", [0, 2])
async def test_a_projection_that_changes_more_or_fewer_rows_than_its_wave_holds_changes_none(
    db: Database, rows_changed: int
) -> None:
    wrong = ReadModel("wrong", version=1, tables=("shelf",))

    @wrong.projects(BoxPut)
    async def put(wave: Sequence[Recorded[BoxPut]], tables: Tables) -> int:
        return await tables.upsert(
            "INSERT INTO {shelf} SELECT n::text FROM generate_series(1, $1) AS n", rows_changed
        )

    await put_boxes(db, "a")
    with pytest.raises(LostRow):
        await reader(db, wrong).step()
    assert await rows(db, LIVE) == []
    assert await rows(db, "SELECT reader FROM checkpoints") == []


async def test_a_page_that_does_not_fit_into_a_transaction_is_read_in_smaller_ones(
    db: Database,
) -> None:
    pages: list[int] = []

    async def fits_two(connection: Connection, events: Sequence[Recorded[Any]]) -> None:
        if len(events) > 2:
            raise TransactionTooLong
        pages.append(len(events))
        await fill(shelves, connection, events)

    await put_boxes(db, *"abcde")
    reading = StoreReader(shelves.reader, db, catalog().codec, Signals(), fits_two)
    running = asyncio.create_task(reading.run())
    try:
        ((last,),) = await rows(db, "SELECT max(position) FROM events")
        ((transaction_id,),) = await rows(db, "SELECT max(transaction_id::text) FROM events")
        await wait_for(db, shelves.reader, Token(int(transaction_id), last), within=30)
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert sum(pages) == 5
    assert await rows(db, LIVE) == [(f"shelf/{name}", 1) for name in "abcde"]


async def test_what_a_token_names_is_seen_once_the_reader_has_reached_it(db: Database) -> None:
    first = await put_boxes(db, "a")
    await to_the_end(reader(db))
    await wait_for(db, shelves.reader, first, within=0)
    second = await put_boxes(db, "a")
    with pytest.raises(NotVisibleYet):
        await wait_for(db, shelves.reader, second, within=0.05)
    waiting = asyncio.create_task(wait_for(db, shelves.reader, second, within=30))
    await asyncio.sleep(0)
    await to_the_end(reader(db))
    await waiting
    assert await rows(db, LIVE) == [("shelf/a", 2)]


@pytest.mark.parametrize(
    ("token", "is_reached"),
    [
        (Token(5, 100), True),
        (Token(5, 101), False),
        (Token(4, 200), True),  # a long transaction took its positions late
        (Token(6, 50), False),  # and a quick one before it took lower ones
    ],
    ids=str,
)
async def test_a_token_is_compared_as_a_pair_of_transaction_and_position(
    db: Database, token: Token, is_reached: bool
) -> None:
    await rows(db, "INSERT INTO checkpoints VALUES ($1, '5', 100)", shelves.reader)
    with nullcontext() if is_reached else pytest.raises(NotVisibleYet):
        await wait_for(db, shelves.reader, token, within=0)


async def test_a_token_of_an_event_that_no_projection_names_is_reached_too(db: Database) -> None:
    token = (await send(group_of(db), "a", AddRoom(AT, 1))).token
    assert token is not None
    await to_the_end(reader(db))
    await wait_for(db, shelves.reader, token, within=0)


def room_for_each_box(event: Recorded[BoxPut]) -> list[Send]:
    """Two boxes of one page may ask for the same stream: the page is cut there."""
    return [Send(shelf.stream("store-room"), AddRoom(event.fact.at, 1))]


def reacting(db: Database) -> OwnReactions:
    reactions: dict[type, list[Any]] = {BoxPut: [room_for_each_box]}
    return OwnReactions(db, catalog().codec, Signals(), reactions, group_of(db))


async def test_a_projector_that_runs_while_its_checkpoint_is_removed_skips_nothing(
    db: Database,
) -> None:
    running = reader(db)
    await put_boxes(db, "a", "b")
    await to_the_end(running)
    async with db.connection() as connection:  # as a rebuild begins
        await connection.execute("TRUNCATE shelf_v1")
        await connection.execute("DELETE FROM checkpoints WHERE reader = $1", shelves.reader)
    await put_boxes(db, "c")
    assert await running.step() == 0
    await to_the_end(running)
    assert await rows(db, LIVE) == [("shelf/a", 1), ("shelf/b", 1), ("shelf/c", 1)]


async def test_a_reaction_to_an_own_event_happens_once_also_with_two_replicas_and_a_restart(
    db: Database,
) -> None:
    await put_boxes(db, *(f"s{n}" for n in range(12)))
    for _ in range(2):
        await until_reacted(db, 12, reacting(db), reacting(db))
    await put_boxes(db, "later")
    await until_reacted(db, 13, reacting(db))


async def test_reactions_to_own_events_are_sent_in_groups_of_at_most_a_hundred(
    db: Database,
) -> None:
    def room_of_its_own(event: Recorded[BoxPut]) -> list[Send]:
        return [Send(shelf.stream(f"of-{event.stream[6:]}"), AddRoom(event.fact.at, 1))]

    boxes = [envelope(f"s{n}", PutBox(AT)) for n in range(120)]
    for part in (boxes[:60], boxes[60:]):
        await group_of(db).execute(part)
    reacting = OwnReactions(
        db, catalog().codec, Signals(), {BoxPut: [room_of_its_own]}, group_of(db)
    )
    running = asyncio.create_task(reacting.run())
    rooms = "SELECT count(*) FROM events WHERE type = 'RoomAdded'"

    async def all_sent() -> bool:
        return await rows(db, rooms) == [(120,)]

    try:
        await until(all_sent)
    finally:
        running.cancel()
        await asyncio.wait({running})
    groups = await rows(db, f"{rooms} GROUP BY xmin::text ORDER BY count(*) DESC")
    assert groups == [(100,), (20,)]


async def until_reacted(db: Database, n: int, *replicas: OwnReactions) -> None:
    """Runs the replicas until own reactions have read everything; then n rooms were added."""
    running = [asyncio.create_task(replica.run()) for replica in replicas]
    async with db.connection() as connection:
        row = await connection.fetchrow(
            "SELECT transaction_id::text, position FROM events"
            " ORDER BY events.transaction_id DESC, position DESC LIMIT 1"
        )
    assert row is not None
    try:
        token = Token(int(row["transaction_id"]), row["position"])
        await wait_for(db, "own-reactions", token, within=30)
    finally:
        for task in running:
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended
    rooms = [event for event in await events_of(db) if event[0] == "shelf/store-room"]
    assert [version for _, version, _ in rooms] == list(range(1, n + 1))


def event(stream: str, version: int) -> Recorded[Any]:
    return Recorded(
        fact=BoxPut(AT),
        stream=StreamId(f"shelf/{stream}"),
        version=version,
        position=0,
        transaction_id=0,
        event_id=UUID(int=version),
        origin=Origin(service_actor(SERVICE), UUID(int=1)),
        recorded_at=AT,
    )


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_a_wave_holds_a_stream_once_and_waves_keep_every_streams_order(streams: list[str]) -> None:
    counts: dict[str, int] = {}
    events = []
    for name in streams:
        counts[name] = counts.get(name, 0) + 1
        events.append(event(name, counts[name]))
    found = waves(events)
    for wave in found:
        assert len({one.stream for one in wave}) == len(wave)
    for name, count in counts.items():
        kept = [one.version for wave in found for one in wave if one.stream == f"shelf/{name}"]
        assert kept == list(range(1, count + 1))
    assert len(found) == max(counts.values(), default=0)


async def test_order_is_kept_by_waves_and_rows_of_ones_own_come_in_one_call(db: Database) -> None:
    model = ReadModel("calls", version=1, tables=())
    calls: list[tuple[str, list[tuple[str, str, int]]]] = []

    def noting(name: str) -> Any:
        async def note(wave: Sequence[Recorded[Any]], _tables: Tables) -> int:
            calls.append((name, [(type(e.fact).__name__, e.stream, e.version) for e in wave]))
            return len(wave)

        return note

    model.projects(BoxPut, BoxesTaken, apart=True)(noting("apart"))
    model.projects(BoxPut, BoxesTaken)(noting("ordered"))
    put, taken = event("a", 1), replace(event("a", 2), fact=BoxesTaken(AT))
    other = replace(event("b", 1), fact=BoxesTaken(AT))
    async with db.connection() as connection:
        await fill(model, connection, [put, taken, other])
    first = [("BoxPut", "shelf/a", 1), ("BoxesTaken", "shelf/b", 1)]
    second = [("BoxesTaken", "shelf/a", 2)]
    assert calls == [
        ("apart", [first[0], second[0], first[1]]),
        ("ordered", first),
        ("ordered", second),
    ]


async def test_what_one_function_folds_comes_together_until_another_has_its_turn(
    db: Database,
) -> None:
    model = ReadModel("calls", version=1, tables=())
    calls: list[tuple[str, list[tuple[str, int]]]] = []

    def noting(name: str, rows: int) -> Any:
        async def note(wave: Sequence[Recorded[Any]], _tables: Tables) -> int:
            calls.append((name, [(e.stream, e.version) for e in wave]))
            return rows

        return note

    model.projects(BoxPut, folds=True)(noting("fold", 2))
    model.projects(BoxesTaken)(noting("one by one", 1))
    model.projects(BoxPut, BoxesTaken, changes="any", apart=True)(noting("apart", 0))
    taken = replace(event("a", 3), fact=BoxesTaken(AT))
    events = [event("a", 1), event("b", 1), event("a", 2), taken, event("b", 2)]
    async with db.connection() as connection:
        await fill(model, connection, events)
        assert calls[1:] == [
            ("fold", [("shelf/a", 1), ("shelf/b", 1), ("shelf/a", 2), ("shelf/b", 2)]),
            ("one by one", [("shelf/a", 3)]),
        ]
        with pytest.raises(LostRow):  # two rows for the one stream that is left
            await fill(model, connection, [taken, event("a", 4), event("a", 5)])
    assert calls[-2:] == [
        ("one by one", [("shelf/a", 3)]),
        ("fold", [("shelf/a", 4), ("shelf/a", 5)]),
    ]


async def test_a_second_function_that_keeps_the_order_gets_a_folding_one_event_after_event(
    db: Database,
) -> None:
    model = ReadModel("calls", version=1, tables=())
    calls: list[tuple[str, int]] = []

    def noting(name: str) -> Any:
        async def note(wave: Sequence[Recorded[Any]], _tables: Tables) -> int:
            calls.extend((name, e.version) for e in wave)
            return len(wave)

        return note

    model.projects(BoxPut, folds=True)(noting("fold"))
    model.projects(BoxPut)(noting("other"))
    async with db.connection() as connection:
        await fill(model, connection, [event("a", 1), event("a", 2)])
    assert calls == [("fold", 1), ("other", 1), ("fold", 2), ("other", 2)]
