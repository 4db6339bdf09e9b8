"""What the group locks, against real PostgreSQL: one transaction holds, another one comes."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from lock_waits import in_own_transaction, session, waits_for_a_lock
from shelf_aggregate import AddRoom, PutBox, Relabel, TakeBoxes, shelf
from shelf_store import AT, accepted, envelope, group_of, opened, send

from epassport import Accepted
from epassport.commands import Envelope, Idempotency
from epassport.database import Database
from epassport.errors import GroupConflict
from epassport.group import Group

KEY = Idempotency("somebody|put", "k", b"body")


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


@pytest.fixture
def group(db: Database) -> Group:
    return group_of(db)


async def test_who_comes_second_to_a_stream_waits_also_while_the_first_has_written_nothing_yet(
    group: Group, database: str
) -> None:
    """The first one waits for a claim, between its decision and what it writes."""
    await send(group, "s", PutBox(AT))
    async with session(database) as third:
        undecided = third.transaction()
        await undecided.start()
        await third.execute("INSERT INTO claims VALUES ('label', 'winter', 'shelf/third')")
        first = asyncio.create_task(
            in_own_transaction(database, group, envelope("s", PutBox(AT, label="winter")))
        )
        assert await waits_for_a_lock(database, first)
        second = asyncio.create_task(in_own_transaction(database, group, envelope("s", PutBox(AT))))
        assert await waits_for_a_lock(database, second, before=1)
        await undecided.rollback()
        assert [accepted(*await task).version for task in (first, second)] == [2, 3]


async def test_a_twin_in_flight_is_waited_for_and_its_answer_given_without_a_second_attempt(
    group: Group, database: str
) -> None:
    await send(group, "s", PutBox(AT))
    twin = envelope("s", PutBox(AT), idempotency=KEY, answer={"id": "7"})
    async with session(database) as first:
        async with first.transaction():
            (sent,) = await group.run(first, [twin])
            second = asyncio.create_task(in_own_transaction(database, group, twin))
            assert await waits_for_a_lock(database, second)
        (again,) = await second
    token = accepted(sent).token
    assert again == Accepted(shelf.stream("s"), 2, token, {"id": "7"}, replayed=True)


async def test_a_stream_that_a_command_reads_is_not_written_before_that_command_has_ended(
    group: Group, database: str
) -> None:
    await send(group, "read", PutBox(AT))
    async with session(database) as reading:
        async with reading.transaction():
            await group.run(reading, [envelope("mine", PutBox(AT), reads=(shelf.stream("read"),))])
            writing = asyncio.create_task(
                in_own_transaction(database, group, envelope("read", TakeBoxes(AT)))
            )
            assert await waits_for_a_lock(database, writing)
        (outcome,) = await writing
    assert accepted(outcome).version == 2


async def test_two_commands_read_one_stream_at_once(group: Group, database: str) -> None:
    await send(group, "read", PutBox(AT))
    reads = (shelf.stream("read"),)
    async with session(database) as first, first.transaction():
        await group.run(first, [envelope("mine", PutBox(AT), reads=reads)])
        second = asyncio.create_task(
            in_own_transaction(database, group, envelope("other", PutBox(AT), reads=reads))
        )
        assert not await waits_for_a_lock(database, second)
        (outcome,) = await second
    assert accepted(outcome).version == 1


@pytest.mark.parametrize(
    ("held", "first", "second"),
    [
        (
            "INSERT INTO streams (stream_id) VALUES ('shelf/m')",
            [envelope(name, PutBox(AT)) for name in "amz"],
            [envelope(name, PutBox(AT)) for name in "za"],
        ),
        (
            "INSERT INTO claims VALUES ('label', 'm', 'shelf/third')",
            [envelope(f"first-{name}", PutBox(AT, label=name)) for name in "amz"],
            [envelope(f"second-{name}", PutBox(AT, label=name)) for name in "za"],
        ),
    ],
    ids=["streams", "claims"],
)
async def test_groups_that_want_the_same_in_another_order_wait_for_each_other_in_one_direction(
    group: Group, database: str, held: str, first: list[Envelope], second: list[Envelope]
) -> None:
    """The first has its "a" and waits for "m"; a second that took "z" now would block both."""
    async with session(database) as third:
        undecided = third.transaction()
        await undecided.start()
        await third.execute(held)
        waiting = asyncio.create_task(in_own_transaction(database, group, *first))
        assert await waits_for_a_lock(database, waiting)
        coming = asyncio.create_task(in_own_transaction(database, group, *second))
        assert await waits_for_a_lock(database, coming, before=1)
        await undecided.rollback()
        assert all(isinstance(outcome, Accepted) for outcome in await waiting)
        assert len(await coming) == 2


async def test_a_stream_made_meanwhile_puts_no_group_out_of_order(
    group: Group, database: str
) -> None:
    """It has locked "z" by then; whoever has "a" and wants "z" would wait for it in vain."""
    await send(group, "z", PutBox(AT))
    wanted = [envelope(name, PutBox(AT)) for name in "az"]
    async with session(database) as third:
        undecided = third.transaction()
        await undecided.start()
        await third.execute("INSERT INTO streams (stream_id) VALUES ('shelf/a')")
        once = asyncio.create_task(in_own_transaction(database, group, *wanted))
        assert await waits_for_a_lock(database, once)
        until_done = asyncio.create_task(group.execute(wanted))
        assert await waits_for_a_lock(database, until_done, before=1)
        await undecided.commit()
        with pytest.raises(GroupConflict):
            await once
        assert [accepted(outcome).version for outcome in await until_done] == [1, 2]


async def test_capacities_are_locked_in_the_order_of_their_kinds(
    group: Group, database: str
) -> None:
    """Who waits for "room" has not taken "wall" yet, in whatever order it wants them."""
    await send(group, "s", AddRoom(AT, 5))
    await send(group, "s", Relabel(AT, "old", "first", "red", frees=5))
    async with session(database) as third:
        held = third.transaction()
        await held.start()
        await third.execute("SELECT FROM capacities WHERE kind = 'room' FOR UPDATE")
        wants_both = envelope("t", Relabel(AT, "old", "new", "blue", room=1, frees=1))
        waiting = asyncio.create_task(in_own_transaction(database, group, wants_both))
        assert await waits_for_a_lock(database, waiting)
        await third.execute("SELECT FROM capacities WHERE kind = 'wall' FOR UPDATE NOWAIT")
        await held.rollback()
        (outcome,) = await waiting
    assert isinstance(outcome, Accepted)
