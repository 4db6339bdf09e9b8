"""A broker that is killed while a relay's batches are on their way to it, and comes back.

It is a broker of this test's own: nobody else loses theirs.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from kafka_notes import SERVICE, new_topic, prepare, put_out, read_topic, until, waiting_in_outbox
from test_relay import first_times, life

from epassport.kafka import KafkaClients, KafkaSettings
from epassport.relay import Relay
from epassport.signals import Signals
from epassport_sandbox.errors import StackUnavailable
from epassport_sandbox.kafka import EmbeddedKafka

pytestmark = pytest.mark.stack

KEYS = [f"k{n}" for n in range(8)]
EACH = 200
KILLED_AT = 150  # records confirmed by then, of the 1,600 that the relay's shards have in hand


@pytest_asyncio.fixture(loop_scope="session")
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedKafka]:
    own = EmbeddedKafka(tmp_path / "kafka", log=tmp_path / "kafka.log")
    try:
        await own.start()
    except StackUnavailable as missing:
        pytest.skip(f"no broker of our own: {missing}")
    yield own
    await own.stop()


class Blow:
    """Kills the broker as soon as so many records have been confirmed."""

    def __init__(self, broker: EmbeddedKafka, at: int) -> None:
        self._broker = broker
        self._left = at

    async def has_fallen(self) -> bool:
        return self._left <= 0

    def confirmed(self, _confirmation: object) -> None:
        self._left -= 1
        if self._left == 0:
            self._broker.child.kill(signal.SIGKILL)


class WatchedProducer(AIOKafkaProducer):  # type: ignore[misc]
    def __init__(self, blow: Blow, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._blow = blow

    async def send(self, *arguments: Any, **named: Any) -> Any:
        confirmation = await super().send(*arguments, **named)
        confirmation.add_done_callback(self._blow.confirmed)
        return confirmation


class WatchedClients(KafkaClients):
    def __init__(self, bootstrap: str, blow: Blow) -> None:
        super().__init__(KafkaSettings(bootstrap), client_id="watched")
        self._blow = blow

    def producer(self, *, transactional_id: str | None = None) -> AIOKafkaProducer:
        return WatchedProducer(self._blow, **self.producer_arguments(transactional_id))


async def test_a_broker_killed_in_the_middle_of_a_batch_loses_nothing_and_reorders_nothing(
    database: str, broker: EmbeddedKafka
) -> None:
    await prepare(database)
    kafka = broker.bootstrap
    topic = await new_topic(kafka, partitions=2)
    for key in KEYS:
        await put_out(database, topic, life(key, 1, EACH))
    blow = Blow(broker, KILLED_AT)
    relay = asyncio.create_task(
        Relay(database, SERVICE, WatchedClients(kafka, blow), Signals()).run()
    )
    try:
        await until(blow.has_fallen)
        await broker.child.wait()
        assert await waiting_in_outbox(database) > 0
        await broker.start()

        async def is_empty() -> bool:
            return relay.done() or await waiting_in_outbox(database) == 0

        await until(is_empty)
    finally:
        relay.cancel()
        await asyncio.wait({relay})
    assert relay.cancelled()
    written = await read_topic(kafka, topic)
    for key in KEYS:
        of_key = [text for written_key, text in written if written_key == key]
        assert first_times(of_key) == [text for _, _, text in life(key, 1, EACH)]
