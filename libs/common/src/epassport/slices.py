"""A slice: consecutive records of one partition, and what is to become of each. Pure.

On a sequenced topic the records of a key count 1, 2, 3 ...: a lower number than the next was
seen before, the next is applied, a higher one waits, and so does every later record of its
stream. A record that cannot be read is parked with all that follow it in its stream; other
streams go on.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from epassport.database import Connection
from epassport.errors import Poison
from epassport.records import WAITING, Cause, Incoming, RawRecord, read_event, read_head
from epassport_contracts.registry import Cleanup, Topic

PIECE_LIMIT = 100


class SliceHandler(Protocol):
    """What a service does with records: called inside the slice's transaction.

    name: the consumer's, as in its Kafka group: "reactions", "keys", "<model>_v<n>"
    types: event types it cares for; of others only offset and sequence are kept
    one_per_stream: a transaction may touch no own stream twice (`streams_of`)

    can_wait: of a record with that key, whatever its type, nothing follows here; it is applied all
    the same, only not at once

    apply raises Transient or a database's passing fault to be called again later, Poison for
    a record that can never be applied; anything else is taken for a bug.
    """

    @property
    def name(self) -> str: ...

    @property
    def topics(self) -> tuple[str, ...]: ...

    @property
    def types(self) -> frozenset[str]: ...

    @property
    def one_per_stream(self) -> bool: ...

    def streams_of(self, record: Incoming) -> frozenset[str]: ...

    def can_wait(self, key: bytes) -> bool: ...

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None: ...


@dataclass(frozen=True)
class Slot:
    """One record as far as it could be read.

    wanted: set where the handler cares for it; fault: set where it could not be read
    is_tombstone: says only that a compacted topic forgets a key
    """

    raw: RawRecord
    wanted: Incoming | None = None
    fault: Poison | None = None
    is_tombstone: bool = False


class Hold(StrEnum):
    """Why a stream has parked records."""

    WAITING = "waiting"  # for the missing one, or to be drained
    FAULT = "fault"  # for an operator


@dataclass(frozen=True)
class StreamState:
    """What the consumer knows of a key. last: sequence applied last, 0 before the first."""

    last: int = 0
    hold: Hold | None = None


@dataclass
class Plan:
    """drain: keys whose parked records may go on, as the one they waited for is applied."""

    apply: list[Incoming] = field(default_factory=list)
    park: list[tuple[RawRecord, str, str]] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)
    drain: set[str] = field(default_factory=set)
    passed: int = 0
    duplicates: int = 0

    @property
    def faulty_offsets(self) -> list[int]:
        """Of records that are parked for what they are, not for waiting."""
        return [raw.offset for raw, cause, _ in self.park if cause not in WAITING]


def read_slot(raw: RawRecord, topic: Topic, types: Collection[str]) -> Slot:
    if raw.value is None and raw.key is not None and topic.cleanup is Cleanup.COMPACTED:
        return Slot(raw, is_tombstone=True)
    try:
        head = read_head(raw, topic)
        if head.type_name not in types:
            return Slot(raw)
        return Slot(raw, wanted=read_event(raw, head))
    except Poison as fault:
        return Slot(raw, fault=fault)


def plan(slots: Sequence[Slot], states: Mapping[str, StreamState], *, sequenced: bool) -> Plan:
    """states: of every key in the slice; a key that is missing is new."""
    result = Plan()
    known = dict(states)
    for slot in slots:
        if slot.is_tombstone:
            result.passed += 1
            continue
        key = slot.raw.stream_key
        state = known.get(key, StreamState())
        known[key] = (_step_in_sequence if sequenced else _step)(slot, state, result)
    return result


def _step(slot: Slot, state: StreamState, result: Plan) -> StreamState:
    if state.hold is not None:
        result.park.append((slot.raw, Cause.BEHIND, ""))
        return state
    if slot.fault is not None:
        result.park.append((slot.raw, slot.fault.cause, slot.fault.detail))
        return StreamState(state.last, Hold.FAULT)
    _take(slot, result)
    return state


def _step_in_sequence(slot: Slot, state: StreamState, result: Plan) -> StreamState:
    sequence = slot.raw.sequence
    if sequence is not None and sequence <= state.last:
        result.duplicates += 1
        return state
    is_next = sequence == state.last + 1
    if state.hold is Hold.FAULT or (state.hold is Hold.WAITING and not is_next):
        result.park.append((slot.raw, Cause.BEHIND, ""))
        return state
    if sequence is not None and not is_next:
        result.park.append((slot.raw, Cause.GAP, ""))
        return StreamState(state.last, Hold.WAITING)
    if slot.fault is not None or sequence is None:
        fault = slot.fault or Poison(Cause.BAD_HEADER, "ce_sequence")
        result.park.append((slot.raw, fault.cause, fault.detail))
        return StreamState(state.last, Hold.FAULT)
    _take(slot, result)
    key = slot.raw.stream_key
    result.sequences[key] = sequence
    if state.hold is Hold.WAITING:
        result.drain.add(key)
    return StreamState(sequence, state.hold)


def _take(slot: Slot, result: Plan) -> None:
    if slot.wanted is None:
        result.passed += 1
    else:
        result.apply.append(slot.wanted)


def cut(slots: Sequence[Slot], handler: SliceHandler) -> list[Sequence[Slot]]:
    """Consecutive pieces, one transaction each.

    Where a transaction may touch an own stream only once, a piece ends before the record that
    would touch one again, or the 101st.
    """
    if not handler.one_per_stream:
        return [slots]
    pieces: list[Sequence[Slot]] = []
    piece: list[Slot] = []
    touched: set[str] = set()
    for slot in slots:
        streams = handler.streams_of(slot.wanted) if slot.wanted is not None else frozenset()
        is_full = len(touched) + len(streams) > PIECE_LIMIT
        if piece and (is_full or not touched.isdisjoint(streams)):
            pieces.append(piece)
            piece, touched = [], set()
        piece.append(slot)
        touched |= streams
    return [*pieces, piece]
