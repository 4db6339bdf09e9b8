"""What an append writes for others, against real PostgreSQL: ids, sequence, size of records."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid5

import pytest
import pytest_asyncio
import shelf_publications
from shelf_aggregate import AddRoom, PutBox
from shelf_publications import HOME, UNCOUNTED
from shelf_store import AT, SERVICE, accepted, envelope, group_of, opened, rows, send, shelf

from epassport import Rejected
from epassport.catalog import Catalog
from epassport.database import Database
from epassport.group import Group

LARGEST_RECORD_OCTETS = 900_000
IN_ORDER = "ORDER BY o.transaction_id, o.position"


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


def publishing(db: Database) -> Group:
    return group_of(db, known=Catalog(SERVICE, [shelf], [shelf_publications]))


@pytest.fixture
def group(db: Database) -> Group:
    return publishing(db)


async def test_the_records_of_a_stream_are_numbered_without_gaps_in_the_order_of_its_versions(
    db: Database,
) -> None:
    """Three shelves, three processes at once; every second command publishes nothing."""
    processes = [publishing(db) for _ in range(3)]
    await asyncio.gather(
        *(
            send(process, f"s{n % 3}", PutBox(AT) if n % 2 else AddRoom(AT, 1))
            for process in processes
            for n in range(6)
        )
    )
    for name in ("s0", "s1", "s2"):
        numbered = await rows(
            db,
            "SELECT headers->>'ce_sequence', headers->>'ce_causationid' FROM outbox AS o"
            f" WHERE aggregatetype = $1 AND aggregateid = $2 {IN_ORDER}",
            HOME,
            f"shelf/{name}",
        )
        published = await rows(
            db,
            "SELECT event_id::text FROM events WHERE stream_id = $1 AND type = 'RoomAdded'"
            " ORDER BY version",
            f"shelf/{name}",
        )
        assert len(published) == 3
        assert numbered == [(str(n), event) for n, (event,) in enumerate(published, start=1)]


async def test_a_record_on_a_topic_that_is_not_counted_carries_no_number_and_uses_none_up(
    group: Group, db: Database
) -> None:
    for _ in range(2):
        await send(group, "s", AddRoom(AT, 1))
    told = f"SELECT aggregatetype, headers->>'ce_sequence' FROM outbox AS o {IN_ORDER}"
    assert await rows(db, told) == [(HOME, "1"), (UNCOUNTED, None), (HOME, "2"), (UNCOUNTED, None)]


async def test_a_record_has_the_id_that_its_event_and_its_topic_make(
    group: Group, db: Database
) -> None:
    await send(group, "s", AddRoom(AT, 1))
    ((event_id,),) = await rows(db, "SELECT event_id FROM events")
    sent = "SELECT aggregatetype, id, headers->>'ce_id' FROM outbox ORDER BY position"
    assert await rows(db, sent) == [
        (topic, uuid5(event_id, topic), str(uuid5(event_id, topic))) for topic in (HOME, UNCOUNTED)
    ]


async def test_a_record_of_900_kb_is_sent_and_one_octet_more_is_refused_without_harm_to_others(
    group: Group, db: Database
) -> None:
    await send(group, "s", AddRoom(AT, 0))
    ((frame,),) = await rows(
        db, "SELECT octet_length(payload) FROM outbox WHERE aggregatetype = $1", HOME
    )
    fits = LARGEST_RECORD_OCTETS - frame
    too_large, other = await group.execute(
        [envelope("s", AddRoom(AT, fits + 1)), envelope("other", AddRoom(AT, 1))]
    )
    assert too_large == Rejected("record-too-large")
    assert accepted(other).version == 1
    await send(group, "s", AddRoom(AT, fits))
    written = "SELECT version FROM events WHERE stream_id = 'shelf/s' ORDER BY version"
    assert await rows(db, written) == [(1,), (2,)]
    largest = "SELECT max(octet_length(payload)) FROM outbox"
    assert await rows(db, largest) == [(LARGEST_RECORD_OCTETS,)]


async def test_an_outgoing_record_stands_under_the_names_of_debeziums_event_router(
    db: Database, group: Group
) -> None:
    await send(group, "s", AddRoom(AT, 1))
    ((topic, key, kind, has_id, has_payload),) = await rows(
        db,
        "SELECT aggregatetype, aggregateid, type, id IS NOT NULL, payload IS NOT NULL FROM outbox"
        " WHERE aggregatetype = $1",
        HOME,
    )
    assert (topic, key, has_id, has_payload) == (HOME, "shelf/s", True, True)
    assert kind
