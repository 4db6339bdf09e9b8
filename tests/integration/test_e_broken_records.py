"""A record that nobody can read stops its own stream only; everybody else's road goes on."""

import json
from collections.abc import Iterator
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaProducer

from epassport_contracts import ServiceName
from epassport_sandbox.citizens import Citizen
from epassport_sandbox.client import until
from epassport_sandbox.pytest_plugin import NewPassport
from epassport_sandbox.running import Session

APPLICATIONS = "internal.enrollment.application.v1"
CARDS = "internal.card-personalization.card.v1"

Consumers = set[tuple[ServiceName, str]]


async def test_a_broken_record_is_parked_by_everybody_who_hears_it_and_others_go_on(
    epassport: Session, newcomers: Iterator[Citizen], put_by_hand: set[tuple[str, int, int]]
) -> None:
    key = f"application/{uuid4()}"
    hearing = await _consumers(epassport, "consumer_offsets", APPLICATIONS)
    assert {service for service, _ in hearing} >= {
        ServiceName.BIOMETRICS,
        ServiceName.CARD_PERSONALIZATION,
        ServiceName.CLOUD_PROFILE,
        ServiceName.VERIFICATION,
    }
    put_by_hand.add(await _produce(epassport, APPLICATIONS, key, b'{"at": "2026'))
    await until(
        lambda: _consumers(epassport, "parked", APPLICATIONS, key),
        lambda parked: parked == hearing,
        what="every consumer to park the broken record",
    )
    walk = await epassport.road.whole(next(newcomers))
    assert walk.document_ref is not None
    assert await _consumers(epassport, "parked", APPLICATIONS, key) == hearing
    for service, _ in hearing:
        await _discard(epassport, service, key)
    assert await _consumers(epassport, "parked", APPLICATIONS, key) == set()


async def test_a_document_is_unknown_until_an_operator_has_put_its_broken_record_away(
    epassport: Session, active_passport: NewPassport, put_by_hand: set[tuple[str, int, int]]
) -> None:
    passport = await active_passport()
    key = f"card/{passport.document_ref}"
    road, hearing = epassport.road, await _consumers(epassport, "consumer_offsets", CARDS)
    assert (await road.age_check(passport.small_code))["outcome"] == "good"
    put_by_hand.add(await _produce(epassport, CARDS, key, b'{"at": "2026'))
    await until(
        lambda: _consumers(epassport, "parked", CARDS, key),
        lambda parked: parked == hearing,
        what="every consumer to park the broken record",
    )
    for code in (passport.small_code, passport.phone.code()):
        seen = await road.age_check(code)
        assert (seen["outcome"], seen["reason"]) == ("unknown", "presentation-status-held")
    for service, _ in hearing:
        await _discard(epassport, service, key)
    for code in (passport.small_code, passport.phone.code()):
        assert (await road.age_check(code))["outcome"] == "good"


async def _produce(session: Session, topic: str, key: str, value: bytes) -> tuple[str, int, int]:
    """Topic, partition and offset."""
    producer = AIOKafkaProducer(bootstrap_servers=session.system.stack.kafka.bootstrap, acks="all")
    await producer.start()
    try:
        sent = await producer.send_and_wait(topic, value, key=key.encode())
        return sent.topic, sent.partition, sent.offset
    finally:
        await producer.stop()


async def _consumers(session: Session, table: str, topic: str, key: str = "") -> Consumers:
    """Who has a row about the topic there; of `parked`, about this key."""
    where = "topic = $1 AND key = $2" if key else "topic = $1"
    arguments = (topic, key) if key else (topic,)
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


async def _discard(session: Session, service: ServiceName, key: str) -> None:
    """As an operator does it on the command line, for each consumer that holds the stream."""
    code, told = await session.system.run_once(service, "operate", "parked")
    assert code == 0, told
    lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    held = [line for line in lines if line.get("stream") == key]
    for line in held:
        assert (line["records"], line["cause"]) == (1, "bad-header")
        place = [str(line[name]) for name in ("consumer", "topic", "partition", "offset")]
        code, told = await session.system.run_once(
            service, "operate", "discard", *place,
            "--operator", "on-call", "--reason", "nobody wrote this record",
        )  # fmt: skip
        assert code == 0, told
