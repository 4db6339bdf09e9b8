"""Members of a group that stand still for longer than their session and wake up: real processes.

The topic has no sequences, so that the offset stored in PostgreSQL alone decides: what a woken
member does with the records in its hands must have no effect, for others have applied them.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from kafka_notes import (
    Notes,
    consuming,
    new_topic,
    note,
    notes,
    prepare,
    stored_offset,
    until,
    write,
)

from epassport.database import Database
from epassport_contracts.registry import Cleanup, Topic
from epassport_sandbox.stack import Stack

pytestmark = pytest.mark.stack

STANDING_STILL = Path(__file__).with_name("consumer_that_stops.py")
KEYS = {0: "a", 1: "b", 2: "c"}
"""One in each partition."""


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    await prepare(database)
    opened = await Database.connect(database)
    yield opened
    await opened.close()


async def write_to_each(kafka: str, topic: Topic, first: int, last: int) -> None:
    for partition, key in KEYS.items():
        records = [note(key, None, f"{key}{n}") for n in range(first, last + 1)]
        await write(kafka, topic, *records, partition=partition)


@pytest.mark.parametrize(
    ("members", "where", "lasting"),
    [(2, "before", False), (2, "within", True), (3, "within", False), (3, "before", True)],
    ids=["2-before-dynamic", "2-within-static", "3-within-dynamic", "3-before-static"],
)
async def test_a_member_that_wakes_up_after_its_session_changes_nothing(
    db: Database, database: str, stack: Stack, members: int, where: str, *, lasting: bool
) -> None:
    kafka = stack.kafka.bootstrap
    topic = await new_topic(kafka, cleanup=Cleanup.COMPACTED, partitions=len(KEYS))
    await write_to_each(kafka, topic, 1, 10)
    frozen = await asyncio.create_subprocess_exec(
        *(sys.executable, STANDING_STILL, database, kafka, topic.name),
        *("one" if lasting else "-", where, "15"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await until(lambda: _is_stopped(frozen.pid))
        async with AsyncExitStack() as others:
            for number in range(1, members):
                member = f"other-{number}" if lasting else None
                handler = Notes(topic)
                await others.enter_async_context(
                    consuming(db, kafka, handler, topic, member=member)
                )
            await write_to_each(kafka, topic, 11, 20)
            await until(lambda: _all_applied(db, topic, 60))
            frozen.send_signal(signal.SIGCONT)
            await _hears(frozen, b"fenced")
            await write_to_each(kafka, topic, 21, 30)
            await until(lambda: _all_applied(db, topic, 90))
            assert frozen.returncode is None
    finally:
        frozen.kill()
        await frozen.wait()
    for key in KEYS.values():
        assert await notes(db, key) == [f"{key}{n}" for n in range(1, 31)]


async def _is_stopped(pid: int) -> bool:
    return " T " in await asyncio.to_thread(Path(f"/proc/{pid}/stat").read_text)


async def _all_applied(db: Database, topic: Topic, records: int) -> bool:
    return await stored_offset(db, topic) == records


async def _hears(process: asyncio.subprocess.Process, line: bytes) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while line not in await process.stdout.readline():
            assert not process.stdout.at_eof()
