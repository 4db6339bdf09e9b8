"""The watchdog against real Kafka and PostgreSQL: who gets nowhere is told, nobody else is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from hypothesis import given
from hypothesis import strategies as st
from kafka_notes import (
    SERVICE,
    Notes,
    clients_of,
    damaged,
    make_anew,
    new_topic,
    note,
    notes,
    prepare,
    until,
    write,
)
from structlog.testing import capture_logs

from epassport.consumer import ConsumerRunner
from epassport.database import Connection, Database
from epassport.entrypoints import member_of
from epassport.errors import EndsProcess, Transient
from epassport.records import Incoming
from epassport.watchdog import Patience, Standing, Watchdog, is_waiting
from epassport_contracts.registry import Topic
from epassport_sandbox.stack import Stack

GIVE_UP = 3.0


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    await prepare(database)
    opened = await Database.connect(database)
    yield opened
    await opened.close()


@pytest.fixture
def kafka(stack: Stack) -> str:
    return stack.kafka.bootstrap


class NeverReady(Notes):
    """Asks to be called later, for ever."""

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        raise Transient


def runner_of(
    db: Database, kafka: str, handler: Notes, topic: Topic, give_up: float = GIVE_UP
) -> ConsumerRunner:
    return ConsumerRunner(
        db, SERVICE, [handler], clients_of(kafka),
        topics={topic.name: topic}, give_up_seconds=give_up,
    )  # fmt: skip


@asynccontextmanager
async def running(runner: ConsumerRunner) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(runner.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def told(task: "asyncio.Task[None]") -> str:
    """The one line with which the process ends."""
    async with asyncio.timeout(90):
        (error,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(error, BaseException)
    judged = member_of(error, EndsProcess)
    assert judged is not None, error
    return str(judged)


@pytest.mark.stack
async def test_a_consumer_that_polls_and_applies_nothing_ends_and_was_not_ready_before(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 1))
    runner = runner_of(db, kafka, NeverReady(topic), topic)
    async with running(runner) as task:

        async def suspect() -> bool:
            return any("gets nowhere" in why for why in runner.unready())

        await until(suspect)
        assert not task.done()
        assert await told(task) == f"notes on {topic.name}/0 gets nowhere for 3 seconds"


@pytest.mark.stack
async def test_a_consumer_whose_poll_loop_has_died_ends_when_records_wait(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka)
    runner = runner_of(db, kafka, Notes(topic), topic)
    await write(kafka, topic, note("a", 1))
    async with running(runner) as task:
        await until(_applied(db, 1))
        for polling in runner._subscriptions[0]._subscriber.tasks:
            polling.cancel()
        await write(kafka, topic, note("a", 2))
        assert await told(task) == f"notes on {topic.name}/0 gets nowhere for 3 seconds"


@pytest.mark.stack
async def test_a_consumer_that_is_out_of_its_group_without_noticing_ends(
    db: Database, kafka: str
) -> None:
    """As after aiokafka's issue 1154: its coordination stands still, its fetches go on.

    A second consumer of the same process is well: the watchdog looks at both of them.
    """
    topic, other = await new_topic(kafka), await new_topic(kafka)
    await write(kafka, topic, note("a", 1))
    runner = ConsumerRunner(
        db, SERVICE, [Notes(topic), Notes(other)], clients_of(kafka),
        topics={topic.name: topic, other.name: other}, give_up_seconds=GIVE_UP,
    )  # fmt: skip
    async with running(runner) as task:
        await until(_applied(db, 1))
        coordinator = runner._subscriptions[0]._consumer._coordinator
        coordinator._coordination_task.cancel()
        coordinator._heartbeat_task.cancel()
        line = await told(task)
    assert line == f"notes on {topic.name} is out of its group for 3 seconds"


@pytest.mark.stack
async def test_nobody_is_blamed_who_has_nothing_to_do(db: Database, kafka: str) -> None:
    """Behind a transaction's marker, which has an offset; and as a group's spare member."""
    topic = await new_topic(kafka)
    key, headers, value = note("a", 1)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic.name)
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(topic.name, value, key=key, headers=list(headers))
    await producer.stop()
    working, spare = (runner_of(db, kafka, Notes(topic), topic, 1.5) for _ in range(2))
    async with running(working) as first, running(spare) as second:
        await until(_applied(db, 1))

        async def shared() -> bool:
            states = [one.state().subscriptions[0] for one in (working, spare)]
            return sorted(len(state.partitions) for state in states) == [0, 1]

        await until(shared)
        await asyncio.wait([first, second], timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert not first.done()
        assert not second.done()
        assert working._watchdog.suspects() == spare._watchdog.suspects() == []


@pytest.mark.stack
async def test_a_circuit_that_stands_open_is_unready_and_no_reason_to_end(
    db: Database, kafka: str
) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, *(damaged(f"bad{n}", 1) for n in range(60)))
    runner = runner_of(db, kafka, Notes(topic), topic, 1.5)
    async with running(runner) as task:

        async def stands() -> bool:
            return runner.unready() == [f"notes on {topic.name} stands still: too much is bad"]

        await until(stands)
        await asyncio.wait([task], timeout=4)
        assert not task.done()


@pytest.mark.stack
async def test_a_topic_that_is_made_anew_while_it_is_read_is_noticed_though_nothing_comes(
    db: Database, kafka: str
) -> None:
    """By the consumer itself, or by the process that ends: its next start looks at the place."""
    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 1), note("b", 1))
    runner = runner_of(db, kafka, Notes(topic), topic)
    async with running(runner) as task:
        await until(_applied(db, 2))
        await make_anew(kafka, topic)

        async def noticed() -> bool:
            return task.done() or any("made anew" in why for why in runner.unready())

        await until(noticed)


@pytest.mark.stack
async def test_while_kafka_cannot_be_asked_nobody_is_blamed(db: Database, kafka: str) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, note("a", 1))
    runner = runner_of(db, kafka, NeverReady(topic), topic, 600)
    blind = Watchdog(runner._subscriptions, clients_of("127.0.0.1:1"), db, give_up_seconds=1)
    with capture_logs() as lines:
        async with running(runner):
            looking = asyncio.create_task(blind.run())
            await asyncio.wait([looking], timeout=4)
            assert not looking.done()
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
    assert "watchdog-sees-nothing" in [line["event"] for line in lines]


def _applied(db: Database, count: int) -> Callable[[], "asyncio.Future[bool]"]:
    async def holds() -> bool:
        return len(await notes(db)) >= count

    return holds  # type: ignore[return-value]


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30))
def test_patience_ends_only_for_who_was_in_trouble_at_one_place_all_the_time(
    looks: list[tuple[int, bool]],
) -> None:
    patience = Patience()
    for now, (progress, in_trouble) in enumerate(looks):
        patience.note("a", progress, in_trouble=in_trouble, now=float(now))
    same = 0
    for look in reversed(looks):
        if look != looks[-1] or not look[1]:
            break
        same += 1
    lost = bool(looks) and patience.longer_than(3.0, float(len(looks) - 1)) == ["a"]
    assert lost == (same >= 4)


@pytest.mark.parametrize(
    ("standing", "waits"),
    [
        (Standing(position=5, delivered=0, excused=False), True),
        (Standing(position=None, delivered=0, excused=False), True),
        (Standing(position=8, delivered=8, excused=False), True),
        (Standing(position=8, delivered=5, excused=False), False),
        (Standing(position=5, delivered=0, excused=True), False),
    ],
)
def test_records_wait_where_they_are_not_fetched_or_not_applied(
    standing: Standing, waits: bool
) -> None:
    assert is_waiting(standing, reached=5, end=8) is waits
    assert is_waiting(standing, reached=8, end=8) is False


@pytest.mark.parametrize("excused", [True, False])
def test_a_topic_that_ends_before_what_was_applied_is_waited_for_by_nobody_but_who_knows(
    excused: bool,
) -> None:
    standing = Standing(position=8, delivered=8, excused=excused)
    assert is_waiting(standing, reached=9, end=8) is not excused
