"""A slice applied to real PostgreSQL, without Kafka."""

from collections.abc import AsyncIterator, Sequence

import pytest_asyncio
from kafka_notes import NoteLost, Notes, NoteTaken, note, notes, parked, prepare

from epassport.applying import Applier
from epassport.database import Connection, Database
from epassport.errors import TransactionTooLong
from epassport.records import Incoming, RawRecord
from epassport_contracts import ServiceName
from epassport_contracts.registry import Classification, Cleanup, EventSpec, Topic

TOPIC = Topic(
    "test.notes.v1",
    frozenset({ServiceName.ENROLLMENT}),
    (EventSpec(NoteTaken, frozenset()), EventSpec(NoteLost, frozenset())),
    Cleanup.KEPT,
    Classification.INTERNAL,
    sequenced=True,
    partitions=1,
)


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    await prepare(database)
    opened = await Database.connect(database)
    yield opened
    await opened.close()


class OneAtATime(Notes):
    """More would not fit into one transaction."""

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        await super().apply(connection, records)
        if len(records) > 1:
            raise TransactionTooLong


async def test_a_slice_that_does_not_fit_into_a_transaction_is_applied_record_by_record(
    db: Database,
) -> None:
    applier = Applier(db, ServiceName.ENROLLMENT, OneAtATime(TOPIC), TOPIC)
    written = [note("a", 1), note("b", 1), note("a", 2)]
    raws = [
        RawRecord(TOPIC.name, 0, offset, key, tuple(headers), value)
        for offset, (key, headers, value) in enumerate(written)
    ]
    assert await applier.apply(0, await applier.next_offset(0), raws) == 3
    assert await notes(db) == ["a1", "b1", "a2"]
    assert await parked(db) == []
