"""A refused command against real PostgreSQL: what it took is given back, and nothing is written."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from shelf_aggregate import COLOUR_TAKEN, LABEL_TAKEN, NO_ROOM, AddRoom, PutBox, Relabel
from shelf_store import AT, accepted, envelope, group_of, opened, rows, send
from shelf_tasks import STARTERS

from epassport import Rejected
from epassport.commands import Envelope, Idempotency
from epassport.database import Database
from epassport.group import Group

Content = dict[str, list[str]]


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


@pytest_asyncio.fixture(loop_scope="session")
async def group(db: Database) -> Group:
    """Room for 5; "winter" and "blue" are another shelf's, "old" is this one's."""
    group = group_of(db, starters=STARTERS)
    await send(group, "owner", AddRoom(AT, 5))
    await send(group, "other", Relabel(AT, "none", "winter", "blue"))
    await send(group, "mine", PutBox(AT, label="old"))
    return group


async def content(db: Database) -> Content:
    """Every row of every table, as text."""
    tables = await rows(db, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {
        table: sorted(row for (row,) in await rows(db, f"SELECT t::text FROM {table} AS t"))
        for (table,) in tables
    }


def wants(*, label: str = "new", colour: str = "red", room: int = 2) -> Envelope:
    asked = Relabel(AT, "old", label, colour, room=room, frees=3)
    return envelope("mine", asked, idempotency=Idempotency("somebody|relabel", "k", b"body"))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (wants(label="winter"), LABEL_TAKEN),
        (wants(colour="blue"), COLOUR_TAKEN),
        (wants(room=6), NO_ROOM),
    ],
    ids=["second-claim", "first-claim", "capacity"],
)
async def test_who_loses_one_of_what_it_asks_for_leaves_the_database_as_it_was(
    group: Group, db: Database, asked: Envelope, reason: str
) -> None:
    """But for the refusal itself, and a capacity of nothing."""
    before = await content(db)
    assert await group.execute([asked]) == [Rejected(reason)]
    after = await content(db)
    assert await rows(db, "SELECT key, reason FROM idempotency") == [("k", reason)]
    after["idempotency"] = []
    after["capacities"] = [row for row in after["capacities"] if row != "(wall,0)"]
    assert after == before


async def test_who_gets_all_of_it_changes_every_part(group: Group, db: Database) -> None:
    before = await content(db)
    accepted((await group.execute([wants()]))[0])
    after = await content(db)
    assert await rows(db, "SELECT kind, remaining FROM capacities ORDER BY kind") == [
        ("room", 3), ("wall", 3),
    ]  # fmt: skip
    claims = "SELECT kind, convert_from(digest, 'UTF8') FROM claims WHERE stream_id = $1 ORDER BY 1"
    assert await rows(db, claims, "shelf/mine") == [("colour", "red"), ("label", "new")]
    assert len(after["events"]) == len(before["events"]) + 1


async def test_what_a_loser_gave_back_another_takes_in_the_next_group(
    group: Group, db: Database
) -> None:
    assert await group.execute([wants(label="winter")]) == [Rejected(LABEL_TAKEN)]
    taken = envelope("third", Relabel(AT, "none", "spring", "red"))
    accepted((await group.execute([taken]))[0])
    assert await rows(db, "SELECT stream_id FROM claims WHERE digest = 'red'") == [("shelf/third",)]
