"""Readers of the own store and the relay, step by step: models of `epassport.projector` and
`epassport.relay`, with the real cut into waves and the real rule of confirmed prefixes.
"""

from collections.abc import Sequence
from typing import Any

from epassport.readmodel import waves
from epassport.sending import Outgoing, confirmed_prefixes
from tests.simulation.group import FENCED_SHARD, SHARD_OF, Event, OutboxRow
from tests.simulation.kafka import Broker, Fenced, Producer
from tests.simulation.postgres import Database, Session
from tests.simulation.rules import Rules
from tests.simulation.scheduler import Disconnected, Process, Steps

PAGE = 4
BATCH = 3
IDLE_TICKS = 9
START = (0, 0)


class CardinalityViolation(Exception):
    """ON CONFLICT DO UPDATE cannot affect a row a second time in one statement."""


class LostRow(Exception):
    """A projection changed fewer rows than its wave holds."""


class WentBack(Exception):
    """A row of a read table shows something older than before."""


def upsert(
    session: Session, table: str, rows: Sequence[tuple[str, int]], rules: Rules
) -> Steps[int]:
    """One statement: (key, total) into a table, guarded by what it has seen; rows changed."""
    keys = [key for key, _ in rows]
    if len(set(keys)) != len(keys):
        raise CardinalityViolation(table)
    changed = 0
    for key, total in rows:
        known = yield from session.lock(table, key)
        if rules.version_guard and known is not None and known >= total:
            continue
        if known is not None and known > total:
            raise WentBack(f"{table}: {key}")
        session.put(table, key, total)
        changed += 1
    return changed


def fill(session: Session, table: str, events: Sequence[Any], rules: Rules) -> Steps[None]:
    """events: with `stream` and `total`."""
    apart: Sequence[Sequence[Any]] = waves(events) if rules.waves else [events]
    for wave in apart:
        changed = yield from upsert(session, table, [(e.stream, e.total) for e in wave], rules)
        if changed != len(wave):
            raise LostRow(f"{table}: {changed} of {len(wave)}")


class _Applied:
    """An own event as a projection wants it."""

    def __init__(self, event: Event) -> None:
        self.stream = event.stream
        self.total = event.fact.total


def in_order(
    session: Session, table: str, after: tuple[int, int], limit: int, rules: Rules
) -> list[Any]:
    """Rows behind a place, in (transaction id, position) order, none that may be overtaken."""
    horizon = session.horizon()
    seen = [
        row
        for row in session.scan(table).values()
        if row.place > after and (row.transaction_id < horizon or not rules.horizon)
    ]
    return sorted(seen, key=lambda row: row.place)[:limit]


def project(process: Process, database: Database, rules: Rules) -> Steps[None]:
    """Two replicas may read the same page; one of them moves the checkpoint."""
    while True:
        try:
            session = Session(database, process)
            while True:
                yield from _page(session, rules)
        except Disconnected:
            yield IDLE_TICKS


def _page(session: Session, rules: Rules) -> Steps[None]:
    seen = session.read("checkpoints", "totals") or START
    page = in_order(session, "events", seen, PAGE, rules)
    if not page:
        yield IDLE_TICKS
        session.touch()
        return
    yield 0
    now = yield from session.lock("checkpoints", "totals")
    if (now or START) != seen:
        session.rollback()
        return
    session.put("checkpoints", "totals", page[-1].place)
    yield 0
    yield from fill(session, "totals", [_Applied(event) for event in page], rules)
    session.commit()
    yield 0


def relay(
    process: Process, database: Database, broker: Broker, shard: int, rules: Rules
) -> Steps[None]:
    """Whoever holds the shard's lock sends it; the lock ends with the session."""
    while True:
        session = Session(database, process)
        try:
            while not session.try_advisory(("shard", shard)):
                yield IDLE_TICKS
            fenced = shard == FENCED_SHARD
            # Not fenced: each relay's producer has an id of its own, and none shuts another out.
            name = f"relay-{shard}" if rules.fenced_producer else f"relay-{shard}-{process.name}"
            producer = Producer(broker, process, name if fenced else None)
            yield 0
            while True:
                yield from _cycle(session, producer, shard, rules)
        except (Disconnected, Fenced):
            session.end()
            yield IDLE_TICKS


def _cycle(session: Session, producer: Producer, shard: int, rules: Rules) -> Steps[None]:
    rows = [r for r in in_order(session, "outbox", START, 99, rules) if SHARD_OF[r.topic] == shard]
    rows = rows[:BATCH]
    if not rows:
        yield IDLE_TICKS
        session.touch()
        return
    yield 0
    if not rules.publish_then_delete:
        yield from _forget(session, [row.position for row in rows])
        yield 0
    send = _send_in_transaction if shard == FENCED_SHARD else _send_pipelined
    confirmed = yield from send(producer, rows)
    if rules.confirmed_prefix:
        forgotten = confirmed_prefixes([_outgoing(row) for row in rows], confirmed)
    else:
        forgotten = [row.position for row in rows] if any(confirmed) else []
    yield 0
    if rules.publish_then_delete:
        yield from _forget(session, forgotten)
    yield 0
    if not all(confirmed):
        raise Disconnected("not everything of a batch was confirmed; the shard starts over")


def _send_pipelined(producer: Producer, rows: Sequence[OutboxRow]) -> Steps[list[bool]]:
    confirmed = []
    for row in rows:
        confirmed.append(producer.append(row.topic, row.key, row.sequence, row.value))
        yield 0
    return confirmed


def _send_in_transaction(producer: Producer, rows: Sequence[OutboxRow]) -> Steps[list[bool]]:
    """All or none; where it is not known which, they are sent again."""
    stored = yield from _send_pipelined(producer, rows)
    if all(stored):
        return [producer.commit()] * len(rows)
    producer.abort()
    return [False] * len(rows)


def _outgoing(row: OutboxRow) -> Outgoing:
    return Outgoing(row.position, row.topic, row.key.encode(), [], str(row.value).encode())


def _forget(session: Session, positions: Sequence[int]) -> Steps[None]:
    for position in positions:
        yield from session.lock("outbox", position)
        session.put("outbox", position, None)
    session.commit()
