"""The group against real PostgreSQL: claims, capacities, idempotency, order of reading."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from lock_waits import session
from shelf_aggregate import FULL, LABEL_TAKEN, NO_ROOM, AddRoom, BoxPut, PutBox, TakeBoxes, shelf

from epassport import Accepted, Conflict, DeadlinePassed, Rejected, StreamId, Token
from epassport.actor import service_actor
from epassport.catalog import Catalog
from epassport.clock import Clock
from epassport.commands import IDEMPOTENCY_KEY_REUSED, Envelope, Idempotency, Outcome
from epassport.database import Connection, Database
from epassport.events import Origin, encode_origin
from epassport.group import Group
from epassport.personal import Personal
from epassport.signals import Signals
from epassport.store import read_in_order
from epassport.testing import test_seal
from epassport_contracts import DataPurpose, Sealed, ServiceName
from epassport_contracts.events.keys import SubjectKey
from epassport_contracts.fields import FIELDS

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ORIGIN = Origin(service_actor("test"), uuid4())


@dataclass
class TestKeys:
    """Seals under the test seal: the keyring has tests of its own."""

    __test__ = False
    there: Collection[tuple[UUID, DataPurpose]]
    messages: tuple[SubjectKey, ...] = ()

    def can_seal(self, subject: UUID, field: str) -> bool:
        return (subject, FIELDS[field].purpose) in self.there

    def seal(self, subject: UUID, field: str, value: Any) -> Sealed[Any]:
        return test_seal(Personal(subject, field, value))


class TestSealer:
    __test__ = False

    async def sealing_keys(
        self,
        _connection: Connection,
        wanted: Collection[tuple[UUID, DataPurpose]],
        _optional: Collection[tuple[UUID, DataPurpose]] = (),
    ) -> TestKeys:
        """Whatever is wanted can be had; what is optional is never there."""
        return TestKeys(wanted)


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    connection = await asyncpg.connect(database)
    for script in sorted((files("epassport") / "migrations").iterdir(), key=lambda f: f.name):
        await connection.execute(script.read_text())
    await connection.close()
    opened = await Database.connect(database)
    yield opened
    await opened.close()


@pytest.fixture
def group(db: Database) -> Group:
    catalog = Catalog(ServiceName.ENROLLMENT, [shelf])
    return Group(catalog, db, TestSealer(), Clock(None), Signals())


def envelope(name: str, command: Any, **more: Any) -> Envelope:
    return Envelope(shelf.stream(name), command, ORIGIN, **more)


def key(text: str, body: bytes = b"body") -> Idempotency:
    return Idempotency("somebody|put", text, body)


async def one(group: Group, name: str, command: Any, **more: Any) -> Outcome:
    outcome = (await group.execute([envelope(name, command, **more)]))[0]
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def count(db: Database, table: str) -> int:
    async with db.connection() as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_each_command_of_a_group_gets_its_own_outcome(group: Group) -> None:
    for _ in range(3):
        await one(group, "full", PutBox(AT))
    outcomes = await group.execute([envelope("full", PutBox(AT)), envelope("free", PutBox(AT))])
    assert outcomes[0] == Rejected(FULL)
    assert isinstance(outcomes[1], Accepted)
    assert outcomes[1].version == 1


async def test_a_group_of_more_than_a_hundred_commands_is_a_fault_that_writes_nothing(
    group: Group, db: Database
) -> None:
    envelopes = [envelope(f"s{n}", PutBox(AT)) for n in range(101)]
    with pytest.raises(ValueError, match="101 commands"):
        async with db.transaction() as connection:
            await group.run(connection, envelopes)
    assert await count(db, "streams") == 0
    async with db.transaction() as connection:
        await group.run(connection, envelopes[:100])
    assert await count(db, "events") == 100


async def test_a_claim_taken_by_another_stream_refuses_and_writes_nothing_else(
    group: Group, db: Database
) -> None:
    await one(group, "a", PutBox(AT, label="winter"))
    assert await one(group, "b", PutBox(AT, label="winter")) == Rejected(LABEL_TAKEN)
    assert await count(db, "events") == 1
    await one(group, "a", TakeBoxes(AT, label="winter"))
    assert isinstance(await one(group, "b", PutBox(AT, label="winter")), Accepted)


async def test_of_two_claims_at_once_one_wins(group: Group, db: Database) -> None:
    for n in range(20):
        outcomes = await asyncio.gather(
            one(group, f"a{n}", PutBox(AT, label=f"l{n}")),
            one(group, f"b{n}", PutBox(AT, label=f"l{n}")),
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Accepted", "Rejected"]
    assert await count(db, "claims") == 20


async def test_two_claims_on_one_digest_in_one_group_have_one_winner(group: Group) -> None:
    outcomes = await group.execute(
        [envelope("a", PutBox(AT, label="same")), envelope("b", PutBox(AT, label="same"))]
    )
    assert isinstance(outcomes[0], Accepted)
    assert outcomes[1] == Rejected(LABEL_TAKEN)


async def test_a_capacity_is_never_oversold(group: Group, db: Database) -> None:
    await one(group, "owner", AddRoom(AT, 5))
    outcomes = await asyncio.gather(*(one(group, f"s{n}", PutBox(AT, room=1)) for n in range(12)))
    assert outcomes.count(Rejected(NO_ROOM)) == 7
    async with db.connection() as connection:
        assert await connection.fetchval("SELECT remaining FROM capacities") == 0


async def test_a_command_that_misses_a_capacity_gives_its_claims_back(
    group: Group, db: Database
) -> None:
    assert await one(group, "a", PutBox(AT, label="x", room=1)) == Rejected(NO_ROOM)
    assert await count(db, "claims") == 0


async def test_two_groups_that_fill_a_new_capacity_at_once_lose_nothing(
    group: Group, db: Database
) -> None:
    await asyncio.gather(*(one(group, f"s{n}", AddRoom(AT, 1)) for n in range(10)))
    async with db.connection() as connection:
        assert await connection.fetchval("SELECT remaining FROM capacities") == 10


async def test_the_same_command_twice_at_once_has_one_effect_and_one_answer(
    group: Group, db: Database
) -> None:
    for n in range(20):
        sent = [
            one(group, f"s{n}", PutBox(AT), idempotency=key(f"k{n}"), answer={"id": str(n)})
            for _ in range(2)
        ]
        first, second = await asyncio.gather(*sent)
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)
        assert (first.version, first.token, first.answer) == (
            second.version, second.token, second.answer,
        )  # fmt: skip
    assert await count(db, "events") == 20


async def test_the_same_key_on_another_stream_at_once_still_has_one_effect(
    group: Group, db: Database
) -> None:
    for n in range(20):
        outcomes = await asyncio.gather(
            *(
                one(group, f"{name}{n}", PutBox(AT), idempotency=key(f"k{n}"), answer={"id": name})
                for name in "ab"
            )
        )
        answers = [outcome.answer for outcome in outcomes if isinstance(outcome, Accepted)]
        assert answers[0] == answers[1]
    assert await count(db, "events") == 20


async def test_the_same_key_with_another_body_is_refused(group: Group) -> None:
    await one(group, "s", PutBox(AT), idempotency=key("k"))
    again = await one(group, "s", PutBox(AT), idempotency=key("k", b"other"))
    assert again == Rejected(IDEMPOTENCY_KEY_REUSED)


async def test_a_refusal_is_kept_and_a_conflict_is_not(group: Group) -> None:
    refused = await one(group, "s", PutBox(AT, room=1), idempotency=key("k"))
    await one(group, "other", AddRoom(AT, 1))
    assert refused == Rejected(NO_ROOM)
    assert await one(group, "s", PutBox(AT, room=1), idempotency=key("k")) == refused
    conflict = await one(group, "s", PutBox(AT), idempotency=key("c"), expected_version=7)
    assert conflict == Conflict(0)
    fits = await one(group, "s", PutBox(AT), idempotency=key("c"), expected_version=0)
    assert isinstance(fits, Accepted)


async def test_a_command_decides_on_the_streams_it_names_too(group: Group) -> None:
    for _ in range(3):
        await one(group, "read", PutBox(AT))
    refused = await one(group, "mine", PutBox(AT), reads=(shelf.stream("read"),))
    assert refused == Rejected(FULL)


async def test_two_groups_that_read_what_the_other_writes_do_not_wait_for_each_other(
    group: Group, db: Database
) -> None:
    async def cross(mine: str, other: str) -> None:
        first = envelope(mine, TakeBoxes(AT))
        second = envelope(f"{mine}-more", TakeBoxes(AT), reads=(shelf.stream(other),))
        async with db.transaction() as connection:
            await group.run(connection, [first, second])

    for n in range(30):
        await asyncio.gather(cross(f"a{n}", f"b{n}"), cross(f"b{n}", f"a{n}"))
    async with db.connection() as connection:
        deadlocks = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
    assert deadlocks == 0


async def test_a_late_commit_is_not_skipped(group: Group, db: Database, database: str) -> None:
    """A transaction that began first and commits last: its events must still be read."""
    async with session(database) as slow, slow.transaction():
        await group.run(slow, [envelope("slow", PutBox(AT))])
        await one(group, "quick", PutBox(AT))
        async with db.connection() as reader:
            early = await read_in_order(reader, _codec(), Token(0, 0), 10)
    assert [event.stream for event in early] == []
    async with db.connection() as reader:
        late = await read_in_order(reader, _codec(), Token(0, 0), 10)
    assert {event.stream for event in late} == {"shelf/slow", "shelf/quick"}


async def test_a_stream_is_never_read_in_reverse(group: Group, db: Database, database: str) -> None:
    """An older transaction id writes the later version: GREATEST keeps the reading order."""
    async with session(database) as older, older.transaction():
        await older.fetchval("SELECT pg_current_xact_id()")
        await one(group, "s", PutBox(AT))
        await group.run(older, [envelope("s", PutBox(AT))])
    async with db.connection() as reader:
        events = await read_in_order(reader, _codec(), Token(0, 0), 10)
    assert [event.version for event in events] == [1, 2]


async def test_events_are_read_in_the_order_of_numbers_when_transaction_ids_get_a_digit_more(
    db: Database,
) -> None:
    name, version, data = _codec().encode(BoxPut(AT))
    async with db.connection() as connection:
        for stream, transaction_id in (("late", "1000"), ("early", "999")):
            await connection.execute(
                "INSERT INTO events (transaction_id, stream_id, version, event_id, type,"
                " schema_version, data, metadata)"
                " VALUES ($1::text::xid8, $2, 1, gen_random_uuid(), $3, $4, $5, $6)",
                transaction_id,
                f"shelf/{stream}",
                name,
                version,
                data,
                encode_origin(ORIGIN),
            )
        events = await read_in_order(connection, _codec(), Token(0, 0), 10)
        after = await read_in_order(connection, _codec(), Token(999, events[0].position), 10)
    assert [event.stream for event in events] == ["shelf/early", "shelf/late"]
    assert [event.stream for event in after] == ["shelf/late"]


async def test_a_deadline_acts_once_and_not_after_its_wait_ended(
    group: Group, db: Database
) -> None:
    await one(group, "s", PutBox(AT))
    passed = DeadlinePassed("forgotten", 1, AT)
    first = await one(group, "s", passed)
    second = await one(group, "s", passed)
    assert isinstance(first, Accepted)
    assert first.version == 2
    assert isinstance(second, Accepted)
    assert second.version == 2
    assert await count(db, "deadlines") == 0


async def test_a_row_the_database_refuses_harms_only_its_own_command(
    group: Group, db: Database
) -> None:
    outcomes = await group.execute(
        [
            envelope("bad", PutBox(AT), idempotency=Idempotency("nul\x00", "k", b"")),
            envelope("good", PutBox(AT)),
        ]
    )
    assert isinstance(outcomes[0], asyncpg.DataError)
    assert isinstance(outcomes[1], Accepted)
    assert await count(db, "events") == 1


async def test_personal_data_reaches_the_store_sealed(group: Group, db: Database) -> None:
    owner = uuid4()
    await one(group, "s", PutBox(AT, owner=owner))
    async with db.connection() as reader:
        event = (await read_in_order(reader, _codec(), Token(0, 0), 1))[0]
    assert isinstance(event.fact, BoxPut)
    assert isinstance(event.fact.owner, Sealed)
    assert event.fact.owner.subject == owner


async def test_an_event_does_not_wait_for_the_key_of_a_value_that_is_not_required(
    group: Group, db: Database
) -> None:
    await one(group, "s", PutBox(AT, owner=uuid4(), owner_required=False))
    async with db.connection() as reader:
        event = (await read_in_order(reader, _codec(), Token(0, 0), 1))[0]
        stored = await reader.fetchval("SELECT data::text FROM events")
    assert event.fact == BoxPut(AT, None)
    assert "900123456" not in stored


async def test_events_cannot_be_changed_or_deleted(group: Group, db: Database) -> None:
    await one(group, "s", PutBox(AT))
    async with db.connection() as connection:
        for statement in ("UPDATE events SET type = 'x'", "DELETE FROM events"):
            with pytest.raises(asyncpg.RaiseError):
                await connection.execute(statement)


async def test_a_stream_has_each_version_once(group: Group, db: Database) -> None:
    await one(group, "s", PutBox(AT))
    async with db.connection() as connection:
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(
                "INSERT INTO events (transaction_id, stream_id, version, event_id, type,"
                " schema_version, data, metadata) SELECT transaction_id, stream_id, version,"
                " gen_random_uuid(), type, schema_version, data, metadata FROM events"
            )


def _codec() -> Any:
    return Catalog(ServiceName.ENROLLMENT, [shelf]).codec


def test_streams_are_named_by_kind_and_key() -> None:
    assert shelf.stream("a") == StreamId("shelf/a")
