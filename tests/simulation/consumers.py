"""A consumer of one topic, step by step: a model of `epassport.subscription`,
`epassport.applying` and `epassport.draining`; the plan of a slice, its cut and what may be
drained are the real ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from epassport.parking import ParkedRecord, ParkedStream
from epassport.records import RawRecord
from epassport.slices import Hold, Slot, StreamState, cut, plan
from tests.simulation import facts
from tests.simulation.group import CURRENT, FACTS, Envelope, run_group
from tests.simulation.kafka import Broker, Group, Stored
from tests.simulation.postgres import Database, Session
from tests.simulation.readers import IDLE_TICKS, fill, upsert
from tests.simulation.rules import Rules
from tests.simulation.scheduler import Disconnected, Process, Steps

SLICE = 4

Apply = Callable[[Session, Sequence["Heard"], Rules], Steps[None]]


class FenceLost(Exception):
    """Another worker has applied these records."""


@dataclass(frozen=True)
class Heard:
    """One record as a handler wants it; `stream` and `total` also for a projection."""

    stream: str
    total: int
    partition: int
    offset: int


@dataclass(frozen=True)
class Handler:
    """What `cut` asks of a `SliceHandler`, and what is done with the records."""

    name: str
    topic: str
    one_per_stream: bool
    effects: Apply

    @property
    def sequenced(self) -> bool:
        return self.topic == FACTS

    def streams_of(self, record: Heard) -> frozenset[str]:
        return frozenset({f"copy/{record.stream}"})


def _react(session: Session, records: Sequence[Heard], rules: Rules) -> Steps[None]:
    sends = [Envelope(f"copy/{r.stream}", facts.Follow(r.total)) for r in records]
    if sends:
        yield from run_group(session, facts.copy, sends, rules, publishes=False)


def _fill_model(session: Session, records: Sequence[Heard], rules: Rules) -> Steps[None]:
    yield from fill(session, "foreign_totals", records, rules)


def _note_current(session: Session, records: Sequence[Heard], rules: Rules) -> Steps[None]:
    """Unsequenced: what a record does may be done again by another record, but once by this one."""
    for record in records:
        place = (record.partition, record.offset)
        times = yield from session.lock("effects", place)
        session.put("effects", place, (times or 0) + 1)
        yield from upsert(session, "current", [(record.stream, record.total)], rules)


REACTIONS = Handler("reactions", FACTS, one_per_stream=True, effects=_react)
MODEL = Handler("model_v1", FACTS, one_per_stream=False, effects=_fill_model)
LATEST = Handler("latest_v1", CURRENT, one_per_stream=False, effects=_note_current)
HANDLERS = (REACTIONS, MODEL, LATEST)


@dataclass
class _Place:
    """Of one partition; the generation in which it was found."""

    offset: int
    generation: int


class Consumer:
    """One member of the handler's group."""

    def __init__(
        self, process: Process, database: Database, broker: Broker, handler: Handler, rules: Rules
    ) -> None:
        self._process = process
        self._database = database
        self._broker = broker
        self._handler = handler
        self._rules = rules
        self._places: dict[int, _Place] = {}

    @property
    def _group(self) -> Group:
        return self._broker.group(self._handler.name, self._handler.topic)

    def run(self) -> Steps[None]:
        while True:
            self._places.clear()
            session = Session(self._database, self._process)
            try:
                self._group.join(self._process.name)
                yield 0
                while self._group.heartbeat(self._process.name):
                    yield from self._poll(session)
            except (Disconnected, FenceLost):
                session.end()
                yield IDLE_TICKS

    def _poll(self, session: Session) -> Steps[None]:
        """Every partition once, and what waits in parked streams."""
        found = False
        generation = self._group.generation
        for partition in self._group.owned(self._process.name):
            place = self._places.get(partition)
            if place is None or place.generation != generation:
                offset = yield from self._stored_offset(session, partition)
                place = self._places[partition] = _Place(offset, generation)
            records = self._broker.fetch(self._handler.topic, partition, place.offset, SLICE)
            yield 0  # frozen here, it wakes up with records that others have applied meanwhile
            if records:
                found = True
                place.offset = yield from self._apply(session, partition, place.offset, records)
        if not found:
            yield from self._sweep(session)
            yield IDLE_TICKS
            session.touch()

    def _stored_offset(self, session: Session, partition: int) -> Steps[int]:
        yield 0
        return session.read("offsets", (self._handler.name, partition)) or 0

    def _apply(
        self, session: Session, partition: int, expected: int, records: Sequence[tuple[int, Stored]]
    ) -> Steps[int]:
        slots = [self._slot(partition, offset, stored) for offset, stored in records]
        for piece in cut(slots, self._handler):  # type: ignore[arg-type]
            expected = yield from self._piece(session, partition, expected, piece)
        return expected

    def _slot(self, partition: int, offset: int, stored: Stored) -> Slot:
        headers: tuple[tuple[str, bytes], ...] = ()
        if stored.sequence is not None:
            headers = (("ce_sequence", str(stored.sequence).encode()),)
        raw = RawRecord(
            self._handler.topic, partition, offset, stored.key.encode(), headers,
            str(stored.value).encode(),
        )  # fmt: skip
        return Slot(raw, wanted=_heard(raw))  # type: ignore[arg-type]

    def _piece(
        self, session: Session, partition: int, expected: int, slots: Sequence[Slot]
    ) -> Steps[int]:
        name = self._handler.name
        next_offset = slots[-1].raw.offset + 1
        stored = yield from session.lock("offsets", (name, partition))
        if self._rules.fence and (stored or 0) != expected:
            session.rollback()
            raise FenceLost
        session.put("offsets", (name, partition), next_offset)
        yield 0
        if not self._rules.offset_with_effects:
            session.commit()
            yield 0
        states = {slot.raw.stream_key: self._state(session, slot.raw.stream_key) for slot in slots}
        sequenced = self._handler.sequenced and self._rules.sequences
        todo = plan(slots, states, sequenced=sequenced)
        yield from self._handler.effects(session, todo.apply, self._rules)  # type: ignore[arg-type]
        yield from self._keep(session, todo.sequences)
        for raw, cause, _ in todo.park:
            yield from session.lock("parked", (name, raw.stream_key, raw.offset))
            session.put("parked", (name, raw.stream_key, raw.offset), ParkedRecord(raw, cause))
        session.commit()
        yield 0
        for key in sorted(todo.drain):
            yield from self._drain(session, partition, key)
        return next_offset

    def _state(self, session: Session, key: str) -> StreamState:
        last = session.read("sequences", (self._handler.name, key)) or 0
        return StreamState(last, Hold.WAITING if self._parked(session, key) else None)

    def _parked(self, session: Session, key: str) -> list[ParkedRecord]:
        rows = session.scan("parked").items()
        return [
            row for (name, of, _), row in sorted(rows) if (name, of) == (self._handler.name, key)
        ]

    def _keep(self, session: Session, sequences: dict[str, int]) -> Steps[None]:
        for key, sequence in sorted(sequences.items()):
            yield from session.lock("sequences", (self._handler.name, key))
            session.put("sequences", (self._handler.name, key), sequence)

    def _sweep(self, session: Session) -> Steps[None]:
        """Streams whose drain was cut short go on here."""
        keys = {
            (row.raw.partition, key)
            for (name, key, _), row in session.scan("parked").items()
            if name == self._handler.name
        }
        for partition, key in sorted(keys):
            yield from self._drain(session, partition, key)

    def _drain(self, session: Session, partition: int, key: str) -> Steps[None]:
        """Record by record, each in a transaction of its own, up to a missing one."""
        while True:
            yield from session.lock("offsets", (self._handler.name, partition))
            last = session.read("sequences", (self._handler.name, key)) or 0
            stream = ParkedStream(self._parked(session, key), last, self._handler.sequenced)
            for offset in stream.repeats:
                yield from self._unpark(session, key, offset)
            if stream.next is None or stream.waits_for_missing:
                session.commit()
                yield 0
                return
            raw = stream.next.raw
            yield from self._handler.effects(session, [_heard(raw)], self._rules)
            yield from self._unpark(session, key, raw.offset)
            yield from self._keep(session, {key: raw.sequence or 0})
            session.commit()
            yield 0

    def _unpark(self, session: Session, key: str, offset: int) -> Steps[None]:
        yield from session.lock("parked", (self._handler.name, key, offset))
        session.put("parked", (self._handler.name, key, offset), None)


def _heard(raw: RawRecord) -> Heard:
    return Heard(raw.stream_key, int(raw.value or b"0"), raw.partition, raw.offset)
