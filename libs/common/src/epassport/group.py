"""The group: the only way to change state.

At most 100 commands, one per stream and idempotency key, each with its own outcome, in one
transaction: (1) lock streams, read kept answers under the locks, (2) load, (3) decide one
after the other, (4) claims and capacities, (5) one statement writes everything. Nobody
needs to retry a version conflict; READ COMMITTED is enough.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import orjson

from epassport import loading, store
from epassport import signals as names
from epassport.catalog import Catalog, Publication
from epassport.clock import Clock
from epassport.commands import (
    GROUP_LIMIT,
    IDEMPOTENCY_KEY_REUSED,
    Accepted,
    Conflict,
    Envelope,
    Outcome,
    Rejected,
    Token,
)
from epassport.database import Connection, Database, after_commit
from epassport.decider import (
    Claim,
    DeadlinePassed,
    EndWait,
    Give,
    Refused,
    Release,
    StartWait,
    StreamId,
    Take,
)
from epassport.errors import Erased, GroupConflict, RecordTooLarge, TransactionTooLong
from epassport.events import Origin, Recorded, encode_origin
from epassport.ids import named_id, new_id
from epassport.outbox import as_written
from epassport.personal import Personal
from epassport.signals import Signals
from epassport.wire import MAX_RECORD_BYTES, Record, record_of
from epassport_contracts import DataPurpose, Sealed
from epassport_contracts.events.keys import SubjectKey
from epassport_contracts.registry import SUBJECT_KEYS

ATTEMPTS = 10


class SealingKeys(Protocol):
    @property
    def messages(self) -> Sequence[SubjectKey]: ...

    def can_seal(self, subject: UUID, field: str) -> bool: ...

    def seal(self, subject: UUID, field: str, value: Any) -> Sealed[Any]: ...


class Sealer(Protocol):
    """Where data keys come from: `epassport.keyring`."""

    async def sealing_keys(
        self,
        connection: Connection,
        wanted: Collection[tuple[UUID, DataPurpose]],
        optional: Collection[tuple[UUID, DataPurpose]] = (),
    ) -> SealingKeys: ...


@dataclass
class _Case:
    """One command on its way through a group."""

    envelope: Envelope
    head: store.Head
    state: Any = None
    facts: list[Any] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    takes: list[Take] = field(default_factory=list)
    gives: list[Give] = field(default_factory=list)
    passed_wait: store.DueWait | None = None
    decided: bool = False
    outcome: Outcome | None = None

    @property
    def stream(self) -> StreamId:
        return self.envelope.stream

    def refuse(self, reason: str) -> None:
        """It writes nothing else."""
        self.outcome = Rejected(reason)
        self.facts, self.claims, self.releases = [], [], []
        self.takes, self.gives = [], []


class Group:
    """Runs groups for one service; `run` inside an open transaction, `execute` in its own."""

    def __init__(
        self, catalog: Catalog, database: Database, sealer: Sealer, clock: Clock, signals: Signals
    ) -> None:
        self._catalog = catalog
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._signals = signals

    async def execute(self, envelopes: Sequence[Envelope]) -> list[Outcome | Exception]:
        """Each command's outcome, or the fault that hit it; a faulty one does not harm others.

        Data that the database refuses (SQLSTATE 22 or 23), a record too large, an erased
        person: the group goes through one by one, and only the culprit gets the fault.
        """
        try:
            return list(await self._attempt(envelopes))
        except RecordTooLarge:
            culprit: Outcome | Exception = Rejected("record-too-large")
            outage = False
        except Erased:
            culprit, outage = Rejected("holder-erased"), False
        except Exception as fault:  # noqa: BLE001 - handed to the callers, not swallowed
            culprit = fault
            # Whoever holds what a group waits for so long will keep its commands waiting alone.
            outage = isinstance(
                fault, (OSError, asyncpg.PostgresConnectionError, TransactionTooLong)
            )
        if len(envelopes) == 1 or outage:
            return [culprit] * len(envelopes)
        outcomes: list[Outcome | Exception] = []
        for envelope in envelopes:
            outcomes += await self.execute([envelope])
        return outcomes

    async def _attempt(self, envelopes: Sequence[Envelope]) -> list[Outcome]:
        for attempt in range(ATTEMPTS):
            try:
                async with self._database.transaction() as connection:
                    return await self.run(connection, envelopes)
            except GroupConflict:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def run(self, connection: Connection, envelopes: Sequence[Envelope]) -> list[Outcome]:
        """One group in the caller's transaction. Raises GroupConflict: roll back and run again."""
        if len(envelopes) > GROUP_LIMIT:
            raise ValueError(f"{len(envelopes)} commands in one group")
        cases = await self._lock_and_load(connection, envelopes)
        states = await self._states_read(connection, envelopes)
        now = self._clock.now()
        for case in cases:
            if case.outcome is None:
                self._decide(case, [states[stream] for stream in case.envelope.reads])
        await _settle_claims(connection, cases)
        capacities = await _settle_capacities(connection, cases)
        await self._write(connection, cases, capacities, now)
        return [_outcome_of(case) for case in cases]

    async def _lock_and_load(
        self, connection: Connection, envelopes: Sequence[Envelope]
    ) -> list[_Case]:
        streams = [envelope.stream for envelope in envelopes]
        if len(set(streams)) != len(streams):
            raise ValueError("a stream occurs twice in one group")
        read = {stream for envelope in envelopes for stream in envelope.reads}
        heads = await store.lock_streams(connection, streams, read - set(streams))
        cases = [_Case(envelope, heads[envelope.stream]) for envelope in envelopes]
        events, kept = await loading.load_with_answers(
            connection,
            self._catalog.codec,
            [case.stream for case in cases if case.head.version > 0],
            envelopes,
        )
        for case in cases:
            _answer_early(case, kept)
        open_cases = [case for case in cases if case.outcome is None]
        for case in open_cases:
            aggregate = self._catalog.aggregate_of(case.stream)
            case.state = aggregate.state_after(events.get(case.stream, ()))
        await _find_passed_waits(connection, open_cases)
        return cases

    async def _states_read(
        self, connection: Connection, envelopes: Sequence[Envelope]
    ) -> dict[StreamId, Any]:
        streams = {stream for envelope in envelopes for stream in envelope.reads}
        if not streams:
            return {}
        events = await loading.load(connection, self._catalog.codec, streams)
        return {
            stream: self._catalog.aggregate_of(stream).state_after(events[stream])
            for stream in streams
        }

    def _decide(self, case: _Case, others: Sequence[Any]) -> None:
        case.decided = True
        aggregate = self._catalog.aggregate_of(case.stream)
        decision = aggregate.decide(case.envelope.command, case.state, *others)
        if isinstance(decision, Refused):
            case.outcome = Rejected(str(decision.reason))
            return
        for item in decision:
            match item:
                case Claim():
                    case.claims.append(item)
                case Release():
                    case.releases.append(item)
                case Take():
                    case.takes.append(item)
                case Give():
                    case.gives.append(item)
                case _:
                    case.facts.append(item)

    async def _write(
        self,
        connection: Connection,
        cases: Sequence[_Case],
        capacities: dict[str, int],
        now: datetime,
    ) -> None:
        keys = await self._keys_for(connection, cases)
        rows = store.Write(capacities=capacities)
        for case in cases:
            self._add_rows(rows, case, keys, now)
        for message in keys.messages if keys is not None else ():
            self._add_key_message(rows, message, cases)
        if not (rows.events or rows.answers or rows.ended_waits or rows.capacities):
            return
        kept, positions = await store.write(connection, rows)
        if kept != len(rows.answers):
            raise GroupConflict("an idempotency key was taken by a group in flight")
        releases = [(case.stream, release) for case in cases for release in case.releases]
        if releases:
            await store.give_back_claims(connection, releases)
        _note_tokens(cases, json.loads(positions))
        written = _written(rows)
        after_commit(lambda: self._signals.committed(written))
        await self._run_effects(connection, cases, now)

    async def _keys_for(self, connection: Connection, cases: Sequence[_Case]) -> SealingKeys | None:
        secrets = [secret for case in cases for fact in case.facts for secret in _secrets_of(fact)]
        if not secrets:
            return None
        wanted = {(secret.subject, secret.purpose) for secret in secrets if secret.required}
        optional = {(secret.subject, secret.purpose) for secret in secrets} - wanted
        return await self._sealer.sealing_keys(connection, wanted, optional)

    def _add_rows(
        self, rows: store.Write, case: _Case, keys: SealingKeys | None, now: datetime
    ) -> None:
        aggregate = self._catalog.aggregate_of(case.stream)
        origin = case.envelope.origin
        version, sequence = case.head.version, case.head.sequence
        transaction_id = str(case.head.transaction_id)
        state = case.state
        waits: dict[str, tuple[StartWait | EndWait, int]] = {}
        metadata = encode_origin(origin)
        for fact in case.facts:
            version += 1
            sealed = _seal(fact, keys)
            state = aggregate.evolve(state, sealed)
            recorded = Recorded(
                sealed, case.stream, version, 0, case.head.transaction_id, new_id(), origin, now
            )
            name, schema_version, data = self._catalog.codec.encode(sealed)
            rows.events.append(
                (transaction_id, case.stream, version, recorded.event_id, name, schema_version,
                 data, metadata, now)
            )  # fmt: skip
            for publication in self._catalog.publications(recorded):
                sequence = self._add_publication(rows, publication, recorded, sequence)
            self._add_tasks(rows, recorded, state)
            waits |= {wait.kind: (wait, version) for wait in aggregate.waits(sealed)}
        _add_waits(rows, case, waits)
        if case.facts:
            rows.heads.append((case.stream, version, sequence, transaction_id))
        self._conclude(rows, case, version, transaction_id)

    def _conclude(self, rows: store.Write, case: _Case, version: int, transaction_id: str) -> None:
        """Settle the outcome and keep it under the idempotency key; conflicts are not kept."""
        answered_before = case.outcome is not None and not case.decided
        if case.outcome is None:
            case.outcome = Accepted(case.stream, version, None, case.envelope.answer)
        key = case.envelope.idempotency
        if key is None or answered_before:
            return
        rejected = isinstance(case.outcome, Rejected)
        rows.answers.append(
            (
                key.scope,
                key.key,
                key.body_hmac,
                case.outcome.reason if isinstance(case.outcome, Rejected) else None,
                version,
                transaction_id if case.facts else None,
                "{}" if rejected else orjson.dumps(dict(case.envelope.answer)).decode(),
                case.stream if case.facts else None,
            )
        )

    def _add_publication(
        self, rows: store.Write, publication: Publication, event: Recorded[Any], sequence: int
    ) -> int:
        """Returns the stream's last sequence on its own topic."""
        record = record_of(self._catalog.service, publication, event, sequence + 1)
        self._add_record(rows, str(event.transaction_id), publication, record)
        return sequence + 1 if record.sequenced else sequence

    def _add_key_message(
        self, rows: store.Write, message: SubjectKey, cases: Sequence[_Case]
    ) -> None:
        """New data keys travel with the append that needed them first."""
        first = next(case for case in cases if case.facts)
        cause = Recorded(
            message, first.stream, 0, 0, first.head.transaction_id, new_id(),
            first.envelope.origin, message.at,
        )  # fmt: skip
        publication = Publication(message, SUBJECT_KEYS, message.record_key())
        record = record_of(self._catalog.service, publication, cause, 0)
        self._add_record(rows, str(first.head.transaction_id), publication, record)

    def _add_record(
        self, rows: store.Write, transaction_id: str, publication: Publication, record: Record
    ) -> None:
        if len(record.payload) > MAX_RECORD_BYTES:
            raise RecordTooLarge(publication.topic, len(record.payload))
        rows.outbox.append(as_written(transaction_id, publication, record))

    def _add_tasks(self, rows: store.Write, event: Recorded[Any], state: Any) -> None:
        for start in self._catalog.tasks(event, state):
            follow_up = Origin(event.actor, event.origin.correlation_id, event.event_id)
            rows.tasks.append(
                (
                    named_id(event.event_id, start.kind),
                    start.kind,
                    event.stream,
                    orjson.dumps(start.input, option=orjson.OPT_NON_STR_KEYS).decode(),
                    encode_origin(follow_up),
                    start.step,
                    start.region,
                )
            )

    async def _run_effects(
        self, connection: Connection, cases: Sequence[_Case], now: datetime
    ) -> None:
        for case in cases:
            for fact in case.facts:
                effect = self._catalog.effects.get(type(fact))
                if effect is not None:
                    await effect(connection, fact, now)


def _answer_early(case: _Case, kept: loading.Answers) -> None:
    """A kept answer, or an If-Match that does not hold, ends a command before it is decided."""
    key = case.envelope.idempotency
    answer = kept.get((key.scope, key.key)) if key is not None else None
    if key is not None and answer is not None:
        if answer.body_hmac != key.body_hmac:
            case.outcome = Rejected(IDEMPOTENCY_KEY_REUSED)
        elif answer.reason is not None:
            case.outcome = Rejected(answer.reason)
        else:
            case.outcome = Accepted(
                case.stream, answer.version, answer.token, json.loads(answer.answer), replayed=True
            )
    elif case.envelope.expected_version not in (None, case.head.version):
        case.outcome = Conflict(case.head.version)


async def _find_passed_waits(connection: Connection, cases: Sequence[_Case]) -> None:
    """A deadline whose wait has ended, was started anew or is overdue already does nothing."""
    due = [case for case in cases if isinstance(case.envelope.command, DeadlinePassed)]
    if not due:
        return
    waits = await store.due_waits(connection, [case.stream for case in due])
    for case in due:
        command = case.envelope.command
        wait = waits.get((case.stream, command.kind))
        if wait is not None and wait.started_by_version == command.started_by_version:
            case.passed_wait = wait
        else:
            case.outcome = Accepted(case.stream, case.head.version, None, {})


def _add_waits(
    rows: store.Write, case: _Case, waits: Mapping[str, tuple[StartWait | EndWait, int]]
) -> None:
    """What this command's events start and end; each with the version of its event.

    A wait whose deadline has passed is overdue until an event ends it, also where its deadline
    starts it anew. One about which `decide` had nothing to say has ended with that.
    """
    passed = case.passed_wait
    for kind, (wait, version) in waits.items():
        if isinstance(wait, EndWait):
            rows.ended_waits.append((case.stream, kind))
        else:
            since = passed.overdue_since if passed is not None and passed.kind == kind else None
            rows.waits.append((case.stream, kind, version, wait.due_at, since))
    if passed is None or passed.kind in waits:
        return
    if case.facts:
        rows.waits.append(
            (case.stream, passed.kind, passed.started_by_version, None, passed.overdue_since)
        )
    else:
        rows.ended_waits.append((case.stream, passed.kind))


async def _settle_claims(connection: Connection, cases: Sequence[_Case]) -> None:
    """A command that loses one gets its refusal, and what it took already is given back."""
    wanted = [(case.stream, claim) for case in cases for claim in case.claims]
    if not wanted:
        return
    lost = await store.take_claims(connection, wanted)
    if not lost:
        return
    give_back: list[tuple[StreamId, Claim | Release]] = []
    for case in cases:
        losing = [c for c in case.claims if (case.stream, c.kind, c.digest) in lost]
        if losing:
            give_back += [(case.stream, claim) for claim in case.claims if claim not in losing]
            case.refuse(losing[0].refusal)
    if give_back:
        await store.give_back_claims(connection, give_back)


async def _settle_capacities(connection: Connection, cases: Sequence[_Case]) -> dict[str, int]:
    """Serve the takes in the order of the commands; returns what is left of each kind."""
    kinds = {take.kind for case in cases for take in case.takes}
    kinds |= {give.kind for case in cases for give in case.gives}
    if not kinds:
        return {}
    left = await store.lock_capacities(connection, kinds)
    before = dict(left)
    for case in cases:
        needed = Counter[str]()
        for take in case.takes:
            needed[take.kind] += take.n
        short = next((take for take in case.takes if left[take.kind] < needed[take.kind]), None)
        if short is not None:
            if case.claims:
                await store.give_back_claims(
                    connection, [(case.stream, claim) for claim in case.claims]
                )
            case.refuse(short.refusal)
            continue
        for take in case.takes:
            left[take.kind] -= take.n
        for give in case.gives:
            left[give.kind] += give.n
    return {kind: n for kind, n in left.items() if n != before[kind]}


def _secrets_of(fact: Any) -> list[Personal[Any]]:
    return [
        value
        for name in _members_of(type(fact))
        if isinstance(value := getattr(fact, name), Personal)
    ]


_MEMBERS: dict[type, tuple[str, ...]] = {}


def _members_of(event_type: type) -> tuple[str, ...]:
    """Asked for twice an event; `fields` makes them anew each time."""
    if event_type not in _MEMBERS:
        _MEMBERS[event_type] = tuple(item.name for item in fields(event_type))
    return _MEMBERS[event_type]


def _seal(fact: Any, keys: SealingKeys | None) -> Any:
    """The event with every `Personal` replaced by its envelope."""
    if keys is None:
        return fact
    changes = {
        name: keys.seal(value.subject, value.field, value.value)
        if value.required or keys.can_seal(value.subject, value.field)
        else None
        for name in _members_of(type(fact))
        if isinstance(value := getattr(fact, name), Personal)
    }
    return replace(fact, **changes) if changes else fact


def _note_tokens(cases: Sequence[_Case], positions: dict[str, int]) -> None:
    for case in cases:
        if case.facts and isinstance(case.outcome, Accepted):
            token = Token(case.head.transaction_id, positions[case.stream])
            case.outcome = Accepted(case.stream, case.outcome.version, token, case.envelope.answer)


def _written(rows: store.Write) -> set[str]:
    """Names of what readers may now find."""
    written = {names.EVENTS} if rows.events else set()
    written |= {names.outbox(shard) for _, shard, *_ in rows.outbox}
    return written | {names.task(kind) for _, kind, *_ in rows.tasks}


def _outcome_of(case: _Case) -> Outcome:
    if case.outcome is None:
        raise AssertionError("every command has an outcome once the group is written")
    return case.outcome
