"""The embedded stack is real, and leaves nothing behind."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from epassport_sandbox.errors import StackUnavailable
from epassport_sandbox.scratch import scratch_folder
from epassport_sandbox.stack import (
    KAFKA_VARIABLE,
    POSTGRES_VARIABLE,
    EmbeddedStack,
    Stack,
    open_stack,
)
from epassport_sandbox.topics import TopicSpec, create_topics

GONE_SECONDS = 15


def family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def names(processes: list[psutil.Process]) -> set[str]:
    return {process.name() for process in processes}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Unlike tmp_path one that the database server's user may enter when root runs the tests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def abandoned(folder: Path) -> list[Path]:
    return list(folder.glob("epassport-*"))


@pytest.mark.stack
async def test_a_record_comes_back_with_its_key_and_headers(stack: Stack) -> None:
    topic = "internal.sandbox.round-trip.v1"
    assert await create_topics(stack.kafka.bootstrap, [TopicSpec(topic, 3)]) == [topic]
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.kafka.bootstrap, acks="all", enable_idempotence=True
    )
    async with producer:
        await producer.send_and_wait(topic, b"value", key=b"key", headers=[("ce_id", b"1")])
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=stack.kafka.bootstrap, auto_offset_reset="earliest"
    )
    async with consumer, asyncio.timeout(10):
        record = await consumer.getone()
    assert (record.key, record.value, record.headers) == (b"key", b"value", (("ce_id", b"1"),))
    assert len(consumer.partitions_for_topic(topic) or ()) == 3


@pytest.mark.stack
async def test_topics_that_exist_are_left_alone(stack: Stack) -> None:
    spec = TopicSpec("internal.sandbox.twice.v1", 2, {"cleanup.policy": "compact"})
    assert await create_topics(stack.kafka.bootstrap, [spec]) == [spec.name]
    assert await create_topics(stack.kafka.bootstrap, [spec]) == []


@pytest.mark.stack
async def test_a_database_is_empty_and_sorts_by_bytes(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_stat_user_tables") == 0
        assert await connection.fetchval("SELECT 'B' < 'a'")
        assert await connection.fetchval("SHOW max_connections") == "300"
    finally:
        await connection.close()


@pytest.mark.stack
async def test_data_survive_a_stop_and_nothing_keeps_running(folder: Path) -> None:
    async with EmbeddedStack(folder) as first:
        await first.postgres.create_database("kept")
        await create_topics(first.kafka.bootstrap, [TopicSpec("kept")])
        running = [first.postgres_server.child.pid, first.kafka_server.child.pid]
        running += [child.pid for pid in running for child in family(pid)]
    assert not [pid for pid in running if psutil.pid_exists(pid)]
    async with EmbeddedStack(folder) as second:
        connection = await asyncpg.connect(second.postgres.dsn("kept"))
        assert await connection.fetchval("SHOW fsync") == "on"
        await connection.close()
        assert await create_topics(second.kafka.bootstrap, [TopicSpec("kept")]) == []


def _hear_ctrl_c() -> None:
    """What a shell starts in the background ignores SIGINT, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.stack
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_no_server_outlives_its_parent(number: signal.Signals, folder: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(folder)}
    for given in (POSTGRES_VARIABLE, KAFKA_VARIABLE):
        environment.pop(given, None)
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "epassport_sandbox.stack", str(folder / "data")),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=_hear_ctrl_c,
    )
    assert parent.stdout is not None
    async with asyncio.timeout(60):
        assert (await parent.stdout.readline()).startswith(b"export EPASSPORT_TEST_POSTGRES=")
    children = family(parent.pid)
    assert names(children) >= {"postgres", "java"}
    parent.send_signal(number)
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=GONE_SECONDS)
    assert not alive
    await parent.communicate()
    assert len(abandoned(folder)) == (1 if number is signal.SIGKILL else 0)


def test_the_next_scratch_folder_removes_abandoned_ones_but_not_those_in_use(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    (folder / "epassport-abandoned").mkdir()
    (folder / "epassport-abandoned" / "lock").touch()
    with scratch_folder() as first, scratch_folder() as second:
        assert set(abandoned(folder)) == {first, second}
    assert abandoned(folder) == []


async def test_a_missing_java_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(StackUnavailable, match=r"^Java is missing: Kafka needs Java 17 or newer$"):
        async with EmbeddedStack(durable=False):
            pass


async def test_one_address_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POSTGRES_VARIABLE, "postgresql://nobody@127.0.0.1/postgres")
    monkeypatch.delenv(KAFKA_VARIABLE, raising=False)
    with pytest.raises(StackUnavailable, match="give both"):
        async with open_stack():
            pass


async def test_given_addresses_are_used_and_told(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(POSTGRES_VARIABLE, stack.postgres.superuser_dsn)
    monkeypatch.setenv(KAFKA_VARIABLE, stack.kafka.bootstrap)
    told: list[str] = []
    async with open_stack(announce=told.append) as given:
        assert (given.postgres, given.kafka) == (stack.postgres, stack.kafka)
    version = await stack.postgres.version()
    assert told == [f"stack: PostgreSQL {version} and Kafka as given ({stack.kafka.bootstrap})"]
