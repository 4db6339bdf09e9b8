"""A country whose topics were lost: every service sends again what it has ever decided."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator

import asyncpg

from epassport_contracts import ServiceName
from epassport_contracts.registry import BY_NAME, PUBLIC_STATUS_CURRENT
from epassport_sandbox.citizens import Citizen
from epassport_sandbox.invariants import settle
from epassport_sandbox.observer import Seen, read_topics
from epassport_sandbox.running import Session

Counted = dict[tuple[str, str, int], list[Seen]]


async def test_what_was_ever_published_is_sent_again_as_it_was_and_changes_nothing(
    epassport: Session, newcomers: Iterator[Citizen]
) -> None:
    """Everything that other tests did before is among it."""
    system = epassport.system
    walk = await epassport.road.whole(next(newcomers))
    await settle(system)
    before, events = _counted(await _read(epassport)), await _events(epassport)
    for service in ServiceName:
        code, told = await system.run_once(
            service, "operate", "republish-all",
            "--operator", "on-call", "--reason", "all disks of the brokers are lost",
        )  # fmt: skip
        assert code == 0, told
        (answer,) = [json.loads(line) for line in told.splitlines() if line.startswith('{"action')]
        assert answer["found"]["unknown"] == 0, service
        assert answer["found"]["records"] > 0, service
    await settle(system)
    seen = await _read(epassport)
    after = _counted(seen)
    assert after.keys() == before.keys()
    for place, records in after.items():
        assert len(records) > len(before[place]), place
        assert len({(one.raw.headers, one.raw.value) for one in records}) == 1, place
    states = [one for one in seen if one.topic == PUBLIC_STATUS_CURRENT]
    own = [one for one in states if one.raw.key == str(walk.document_ref).encode()]
    assert len({_payload(one) for one in own}) == len(own) - 1
    assert _payload(own[-1]) == _payload(own[-2])
    assert await _events(epassport) == events


async def _read(session: Session) -> list[Seen]:
    return await read_topics(session.system.stack.kafka.bootstrap)


def _counted(seen: Iterable[Seen]) -> Counted:
    """Records by topic, key and sequence; those that tests put there by hand count as nothing."""
    found: Counted = defaultdict(list)
    for one in seen:
        if BY_NAME[one.topic].sequenced and one.raw.sequence is not None:
            found[one.topic, one.raw.stream_key, one.raw.sequence].append(one)
    return found


def _payload(record: Seen) -> bytes:
    """Of a compact JWS; its signature is another one each time."""
    assert record.raw.value is not None
    return record.raw.value.split(b".")[1]


async def _events(session: Session) -> dict[ServiceName, int]:
    found = {}
    for service in ServiceName:
        connection = await asyncpg.connect(session.system.dsn(service))
        try:
            found[service] = await connection.fetchval("SELECT count(*) FROM events")
        finally:
            await connection.close()
    return found
