"""Records that are sent again: the same ones, behind what was sent before, once for all."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
import shelf_publications
from kafka_notes import Notes, notes, parked
from shelf_aggregate import AddRoom, BoxPut, PutBox
from shelf_operations import OLEG, order
from shelf_publications import HOME, UNCOUNTED
from shelf_store import AT, SERVICE, envelope, group_of, opened, rows, send, shelf

from epassport.applying import Applier
from epassport.catalog import Catalog, Publication
from epassport.clock import Clock
from epassport.database import Connection, Database
from epassport.errors import NotThere
from epassport.events import Recorded
from epassport.operations import Operations
from epassport.progress import Progress
from epassport.records import Incoming, RawRecord
from epassport.refused import RefusedReactions
from epassport.republish import NumbersUnknown, Republisher
from epassport_contracts.events.enrollment import PausedStep, RolloutResumed
from epassport_contracts.registry import BY_NAME, CHIP_DATA

pytestmark = pytest.mark.stack

IN_ORDER = "ORDER BY transaction_id, position"


class Heard(Notes):
    """Notes how much room there is to be."""

    types = frozenset({"RolloutPaused"})

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        for record in records:
            await connection.execute(
                "INSERT INTO notes (key, text) VALUES ($1, $2)",
                record.key,
                str(len(record.event.reason)),  # type: ignore[attr-defined]
            )


class Country:
    """A producer and a consumer in one database, and the operator's side of both."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.catalog = catalog = Catalog(SERVICE, [shelf], [shelf_publications])
        self.group = group_of(db, known=catalog)
        self.applier = Applier(db, SERVICE, Heard(BY_NAME[HOME]), BY_NAME[HOME])
        refused = RefusedReactions(SERVICE, self.group, catalog.codec, {})
        self.operations = Operations(
            db, Clock(), [self.applier.parked], refused, Republisher(catalog)
        )

    async def relayed(self) -> list[RawRecord]:
        """What waits for the counted topic, in order, and waits no more."""
        waiting = await rows(
            self.db,
            f"SELECT aggregateid, headers, payload FROM outbox WHERE aggregatetype = $1 {IN_ORDER}",
            HOME,
        )
        await rows(self.db, "DELETE FROM outbox RETURNING position")
        return [
            RawRecord(
                HOME,
                0,
                0,
                key.encode(),
                tuple((name, text.encode()) for name, text in json.loads(headers).items()),
                payload,
            )
            for key, headers, payload in waiting
        ]

    async def receive(self, *records: RawRecord) -> None:
        place = await self.applier.next_offset(0)
        placed = [replace(record, offset=place + n) for n, record in enumerate(records)]
        await self.applier.apply(0, place, placed)


@pytest_asyncio.fixture(loop_scope="session")
async def country(database: str) -> AsyncIterator[Country]:
    async with opened(database) as db:
        yield Country(db)


async def waiting(db: Database, topic: str) -> list[tuple[Any, ...]]:
    return await rows(
        db,
        "SELECT shard, id, aggregateid, type, headers, payload FROM outbox"
        f" WHERE aggregatetype = $1 {IN_ORDER}",
        topic,
    )


async def test_the_same_records_wait_again_and_of_what_is_not_counted_the_latest(
    country: Country,
) -> None:
    for command in (AddRoom(AT, 1), PutBox(AT), AddRoom(AT, 2), AddRoom(AT, 3)):
        await send(country.group, "a", command)
    await send(country.group, "b", AddRoom(AT, 9))
    before = {topic: await waiting(country.db, topic) for topic in (HOME, UNCOUNTED)}
    await rows(country.db, "DELETE FROM outbox RETURNING position")
    given = order()
    for _ in range(2):
        assert await country.operations.republish(given, shelf.stream("a")) == {"records": 4}
    assert await waiting(country.db, HOME) == before[HOME][:3]
    assert await waiting(country.db, UNCOUNTED) == before[UNCOUNTED][2:3]
    assert await rows(country.db, "SELECT action, actor->>'subject' FROM operator_actions") == [
        ("republish", OLEG.subject)
    ]


async def test_a_stream_goes_on_that_waited_for_a_record_which_its_topic_has_lost(
    country: Country,
) -> None:
    for n in (1, 2, 3):
        await send(country.group, "a", AddRoom(AT, n))
    first, _lost, third = await country.relayed()
    await country.receive(first, third)
    assert [cause for _, _, cause in await parked(country.db)] == ["gap"]
    await country.operations.republish(order(), shelf.stream("a"))
    await country.receive(*await country.relayed())
    assert await notes(country.db) == ["1", "2", "3"]
    assert await parked(country.db) == []


async def test_who_discards_a_spoilt_record_gets_the_fact_from_the_one_that_was_sent_again(
    country: Country,
) -> None:
    for n in (1, 2, 3):
        await send(country.group, "a", AddRoom(AT, n))
    first, second, third = await country.relayed()
    await country.receive(first, replace(second, value=b"{"), third)
    await country.operations.republish(order(), shelf.stream("a"))
    await country.receive(*await country.relayed())
    (_, spoilt, _), *_ = await parked(country.db)
    async with country.db.transaction() as connection:
        await country.applier.parked.discard(connection, 0, spoilt, OLEG, "spoilt")
    await country.applier.parked.drain(0, shelf.stream("a"))
    assert await notes(country.db) == ["1", "2", "3"]
    assert await parked(country.db) == []


async def test_what_its_topic_has_forgotten_by_now_stays_forgotten(country: Country) -> None:
    def told(event: Recorded[Any]) -> Publication:
        resumed = RolloutResumed(at=event.fact.at, region="RU-TA", step=PausedStep.APPLY)
        return Publication(resumed, CHIP_DATA, event.stream)

    country.catalog.add_publisher(BoxPut, told)  # type: ignore[arg-type]
    await send(country.group, "a", PutBox(AT))
    sent = []
    for days in (29, 31):
        async with country.db.transaction() as connection:
            later = datetime.now(UTC) + timedelta(days=days)
            again = await Republisher(country.catalog).send(connection, [shelf.stream("a")], later)
            sent.append(again.records)
    assert sent == [1, 0]


async def test_what_is_decided_meanwhile_goes_out_behind(country: Country) -> None:
    """By a group whose transaction began before."""
    await send(country.group, "a", AddRoom(AT, 1))
    await country.relayed()
    async with country.db.transaction() as connection:
        await connection.execute("SELECT pg_current_xact_id()")
        await country.operations.republish(order(), shelf.stream("a"))
        await country.group.run(connection, [envelope("a", AddRoom(AT, 2))])
    assert [record.sequence for record in await country.relayed()] == [1, 2]


async def test_a_stream_that_has_used_other_numbers_is_left_out_and_told(country: Country) -> None:
    for name in ("a", "b", "c"):
        await send(country.group, name, AddRoom(AT, 1))
    await send(country.group, "nothing-told", PutBox(AT))
    await country.relayed()
    await rows(
        country.db,
        "UPDATE streams SET sequence = 7 WHERE stream_id = $1 RETURNING 1",
        shelf.stream("b"),
    )
    with pytest.raises(NumbersUnknown):
        await country.operations.republish(order(), shelf.stream("b"))
    for name in ("nothing-told", "unheard-of"):
        with pytest.raises(NotThere):
            await country.operations.republish(order(), shelf.stream(name))
    assert await country.relayed() == []
    found = await country.operations.republish_all(order(), Progress())
    assert found == {"streams": 4, "records": 4, "unknown": 1}
    assert [record.stream_key for record in await country.relayed()] == ["shelf/a", "shelf/c"]
