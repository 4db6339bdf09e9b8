"""A record that nobody can read stops its own stream only; everybody else's road goes on."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaProducer

from epassport.actor import Actor, Role
from epassport.parking import discard, parked_stream
from epassport_contracts import ServiceName
from epassport_sandbox.citizens import Citizen
from epassport_sandbox.client import until
from epassport_sandbox.running import Session

TOPIC = "internal.enrollment.application.v1"
OPERATOR = Actor("https://issuer.test", "on-call", frozenset({Role.ADMINISTRATOR}))

Consumers = set[tuple[ServiceName, str]]


async def test_a_broken_record_is_parked_by_everybody_who_hears_it_and_others_go_on(
    epassport: Session, newcomers: Iterator[Citizen], put_by_hand: set[str]
) -> None:
    key = f"application/{uuid4()}"
    put_by_hand.add(key)
    hearing = await _consumers(epassport, "consumer_offsets", "")
    assert {service for service, _ in hearing} >= {
        ServiceName.BIOMETRICS,
        ServiceName.CARD_PERSONALIZATION,
        ServiceName.CLOUD_PROFILE,
        ServiceName.VERIFICATION,
    }
    await _produce(epassport, key, b'{"at": "2026')
    await until(
        lambda: _consumers(epassport, "parked", key),
        lambda parked: parked == hearing,
        what="every consumer to park the broken record",
    )
    walk = await epassport.road.whole(next(newcomers))
    assert walk.document_ref is not None
    assert await _consumers(epassport, "parked", key) == hearing
    for service, consumer in hearing:
        await _discard(epassport, service, consumer, key)
    assert await _consumers(epassport, "parked", key) == set()


async def _produce(session: Session, key: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=session.system.stack.kafka.bootstrap, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(TOPIC, value, key=key.encode())
    finally:
        await producer.stop()


async def _consumers(session: Session, table: str, key: str) -> Consumers:
    """Who has a row about the topic there; of `parked`, about this key."""
    where = "topic = $1 AND key = $2" if key else "topic = $1"
    arguments = (TOPIC, key) if key else (TOPIC,)
    found: Consumers = set()
    for service in session.system.urls:
        connection = await asyncpg.connect(session.system.dsn(service))
        try:
            rows = await connection.fetch(
                f"SELECT DISTINCT consumer FROM {table} WHERE {where}",
                *arguments,
            )
        finally:
            await connection.close()
        found |= {(service, row["consumer"]) for row in rows}
    return found


async def _discard(session: Session, service: ServiceName, consumer: str, key: str) -> None:
    """As an operator does it, with a reason; the record stays readable in `discarded`."""
    connection = await asyncpg.connect(session.system.dsn(service))
    try:
        async with asyncio.timeout(10), connection.transaction():
            stream = await parked_stream(connection, consumer, TOPIC, key, sequenced=True)
            assert [record.is_fault for record in stream.records] == [True]
            await discard(connection, consumer, stream.records[0].raw, OPERATOR, "no record")
    finally:
        await connection.close()
