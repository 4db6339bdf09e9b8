"""The group, step by step: lock in id order, read kept answers, load, decide, write once.

A model of `epassport.group` and `epassport.store`: the aggregate is decided by the real
`Aggregate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from epassport.decider import Aggregate, Refused
from tests.simulation.postgres import Session
from tests.simulation.rules import Rules
from tests.simulation.scheduler import Steps

FACTS, CURRENT = "facts", "current"
SHARD_OF = {FACTS: 0, CURRENT: 1}
FENCED_SHARD = 1


@dataclass(frozen=True)
class Envelope:
    stream: str
    command: Any
    key: str | None = None  # idempotency key


@dataclass(frozen=True)
class Head:
    version: int = 0
    sequence: int = 0
    transaction_id: int = 0


@dataclass(frozen=True)
class Event:
    stream: str
    version: int
    transaction_id: int
    position: int
    fact: Any
    key: str | None

    @property
    def place(self) -> tuple[int, int]:
        return self.transaction_id, self.position


@dataclass(frozen=True)
class OutboxRow:
    position: int
    transaction_id: int
    topic: str
    key: str
    sequence: int | None
    value: int

    @property
    def place(self) -> tuple[int, int]:
        return self.transaction_id, self.position


@dataclass(frozen=True)
class Answer:
    """reason: None where the command was accepted."""

    version: int
    reason: str | None = None


def run_group(
    session: Session,
    aggregate: Aggregate,
    envelopes: Sequence[Envelope],
    rules: Rules,
    *,
    publishes: bool,
) -> Steps[list[Answer]]:
    """In the caller's transaction; the streams differ."""
    heads = yield from _lock(session, [envelope.stream for envelope in envelopes], rules)
    answers = []
    for envelope in envelopes:
        kept = (
            session.read("answers", envelope.key) if envelope.key and rules.kept_answers else None
        )
        if kept is not None:
            answers.append(kept)
            continue
        answer = yield from _command(
            session, aggregate, envelope, heads[envelope.stream], publishes=publishes
        )
        answers.append(answer)
    return answers


def _lock(session: Session, streams: Sequence[str], rules: Rules) -> Steps[dict[str, Head]]:
    """Missing ones inserted first; the transaction has its id before it waits for a lock."""
    for stream in sorted(streams):
        if session.read("streams", stream) is None:
            found = yield from session.lock("streams", stream)
            session.put("streams", stream, found or Head())
    own = session.transaction_id()
    yield 0
    heads = {}
    for stream in sorted(streams):
        head = yield from session.lock("streams", stream)
        last = head.transaction_id if rules.stream_transaction_ids else 0
        heads[stream] = Head(head.version, head.sequence, max(last, own))
    return heads


def load(session: Session, stream: str, version: int) -> list[Any]:
    return [session.read("events", (stream, number)).fact for number in range(1, version + 1)]


def _command(
    session: Session, aggregate: Aggregate, envelope: Envelope, head: Head, *, publishes: bool
) -> Steps[Answer]:
    state = aggregate.state_after(load(session, envelope.stream, head.version))
    yield 0
    decision = aggregate.decide(envelope.command, state)
    if isinstance(decision, Refused):
        answer = Answer(head.version, decision.reason)
    else:
        for fact in decision:
            head = yield from _append(session, envelope, fact, head, publishes=publishes)
        yield from session.lock("streams", envelope.stream)
        session.put("streams", envelope.stream, head)
        answer = Answer(head.version)
    if envelope.key is not None:
        yield from session.lock("answers", envelope.key)
        session.put("answers", envelope.key, answer)
    return answer


def _append(
    session: Session, envelope: Envelope, fact: Any, head: Head, *, publishes: bool
) -> Steps[Head]:
    """Beside the event its records: one numbered, one of a compacted topic."""
    version, sequence = head.version + 1, head.sequence + 1
    yield from session.lock("events", (envelope.stream, version))
    event = Event(
        envelope.stream, version, head.transaction_id, session.position(), fact, envelope.key
    )
    session.put("events", (envelope.stream, version), event)
    if publishes:
        for topic, number in ((FACTS, sequence), (CURRENT, None)):
            row = OutboxRow(
                session.position(), head.transaction_id, topic, envelope.stream, number, fact.total
            )
            yield from session.lock("outbox", row.position)
            session.put("outbox", row.position, row)
    return Head(version, sequence, head.transaction_id)
