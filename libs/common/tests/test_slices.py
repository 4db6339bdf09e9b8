"""What becomes of each record of a slice: pure rules, without Kafka or database."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka_notes import Notes, NoteTaken, Written, damaged, note

from epassport.backoff import Backoff
from epassport.breaker import CircuitBreaker
from epassport.errors import KeyPending, Poison, Unsafe
from epassport.faults import is_transient
from epassport.kafka import KafkaClients, KafkaSettings
from epassport.records import Cause, Incoming, RawRecord
from epassport.slices import Hold, Slot, StreamState, cut, plan, read_slot
from epassport_contracts import ServiceName
from epassport_contracts.registry import Cleanup, EventSpec, Topic

TOPIC = Topic("t", frozenset({ServiceName.ENROLLMENT}), (EventSpec(NoteTaken, frozenset()),))
COMPACTED = Topic(
    "c",
    frozenset({ServiceName.ENROLLMENT}),
    (EventSpec(NoteTaken, frozenset()),),
    Cleanup.COMPACTED,
    sequenced=False,
)
TYPES = frozenset({"NoteTaken"})


def slot(written: Written, offset: int = 0, topic: Topic = TOPIC) -> Slot:
    key, headers, value = written
    return read_slot(RawRecord("t", 0, offset, key, tuple(headers), value), topic, TYPES)


def slots(*written: Written) -> list[Slot]:
    return [slot(one, offset) for offset, one in enumerate(written)]


@given(st.lists(st.integers(1, 9), max_size=30), st.integers(0, 4))
def test_whatever_comes_what_is_applied_counts_on_without_a_gap(
    sequences: list[int], last: int
) -> None:
    done = plan(
        slots(*(note("a", sequence) for sequence in sequences)),
        {"a": StreamState(last)},
        sequenced=True,
    )
    applied = [record.sequence for record in done.apply]
    assert applied == list(range(last + 1, last + 1 + len(applied)))
    assert len(applied) + len(done.park) + done.duplicates == len(sequences)
    assert done.sequences == ({"a": applied[-1]} if applied else {})


def test_a_record_seen_before_is_neither_applied_nor_parked() -> None:
    done = plan(
        slots(note("a", 2), note("a", 3), note("a", 3)), {"a": StreamState(2)}, sequenced=True
    )
    assert [record.sequence for record in done.apply] == [3]
    assert (done.park, done.duplicates) == ([], 2)


@given(st.permutations(range(1, 7)))
def test_of_a_shuffled_stream_nothing_is_dropped(order: Sequence[int]) -> None:
    done = plan(slots(*(note("a", n) for n in order)), {}, sequenced=True)
    kept = {record.sequence for record in done.apply} | {raw.sequence for raw, _, _ in done.park}
    assert kept == set(order)


def test_a_missing_record_that_cannot_be_read_keeps_its_stream_held() -> None:
    done = plan(
        slots(note("a", 1), note("a", 3), damaged("a", 2), note("a", 4)), {}, sequenced=True
    )
    assert [record.sequence for record in done.apply] == [1]
    assert [(raw.sequence, cause) for raw, cause, _ in done.park] == [
        (3, Cause.GAP),
        (2, Cause.MALFORMED_EVENT),
        (4, Cause.BEHIND),
    ]
    assert done.drain == set()


def test_a_stream_with_a_fault_parks_all_that_follows_and_others_go_on() -> None:
    done = plan(
        slots(note("a", 5), note("b", 1)), {"a": StreamState(4, Hold.FAULT)}, sequenced=True
    )
    assert [(raw.stream_key, cause) for raw, cause, _ in done.park] == [("a", Cause.BEHIND)]
    assert [record.key for record in done.apply] == ["b"]
    assert done.faulty_offsets == []


def test_without_a_sequence_a_held_key_stays_in_order() -> None:
    compacted = [slot(note("a", None), 0, COMPACTED), slot(note("b", None), 1, COMPACTED)]
    done = plan(compacted, {"a": StreamState(0, Hold.WAITING)}, sequenced=False)
    assert [(raw.stream_key, cause) for raw, cause, _ in done.park] == [("a", Cause.BEHIND)]
    assert [record.key for record in done.apply] == ["b"]


HEADER_NAMES = [name for name, _ in note("a", 1)[1]]


@given(
    st.none() | st.binary(max_size=20),
    st.lists(
        st.tuples(
            st.sampled_from(HEADER_NAMES) | st.text(max_size=8),
            st.none() | st.binary(max_size=20) | st.sampled_from([o for _, o in note("a", 1)[1]]),
        ),
        max_size=12,
    ),
    st.none() | st.binary(max_size=60),
)
def test_any_record_ends_in_an_event_or_a_fault_with_its_cause(
    key: bytes | None, headers: list[tuple[str, bytes | None]], value: bytes | None
) -> None:
    read = slot((key, headers, value))
    assert (read.wanted is None) or (read.fault is None)
    if read.fault is not None:
        assert read.fault.cause in set(Cause)
    assert "\0" not in read.raw.stream_key


@given(st.text(max_size=50), st.integers(1, 2**31 - 1))
def test_a_written_note_is_read_as_it_was(text: str, sequence: int) -> None:
    read = slot(note("a", sequence, text or "-"))
    assert read.wanted is not None
    assert read.wanted.event == NoteTaken(at=read.wanted.time, text=text or "-")
    assert read.wanted.sequence == sequence
    recorded = read.wanted.as_recorded()
    assert (recorded.stream, recorded.version) == ("a", sequence)
    assert recorded.actor.subject == "enrollment"


class OnePerStream(Notes):
    one_per_stream = True


def test_a_piece_ends_before_a_stream_recurs_and_at_a_hundred() -> None:
    handler = OnePerStream()
    pieces = cut(slots(note("a", 1), note("b", 1), damaged("b", 2), note("a", 2)), handler)
    assert [len(piece) for piece in pieces] == [3, 1]
    assert [
        len(piece) for piece in cut(slots(*(note(f"{n}", 1) for n in range(201))), handler)
    ] == [
        100,
        100,
        1,
    ]
    assert [len(piece) for piece in cut(slots(note("a", 1), note("a", 2)), Notes())] == [2]


def test_a_piece_touches_at_most_a_hundred_streams_also_where_a_record_touches_several() -> None:
    class Threefold(OnePerStream):
        def streams_of(self, record: Incoming) -> frozenset[str]:
            return frozenset(f"{record.key}/{part}" for part in range(3))

    pieces = cut(slots(*(note(f"{n}", 1) for n in range(40))), Threefold())
    assert [len(piece) for piece in pieces] == [33, 7]


def test_a_breaker_trips_only_when_most_is_bad_and_enough_of_it() -> None:
    breaker = CircuitBreaker(least=20, window=200)
    assert not breaker.trips([True] * 19)
    assert breaker.trips([True] * 20)
    assert not breaker.trips([False] * 20 + [True] * 20)
    assert breaker.trips([True] * 20 + [False] * 480)  # whatever comes behind
    breaker.count([True] * 19)
    assert breaker.trips([True])
    assert not breaker.trips([False])
    breaker.count([False] * 200)
    assert not breaker.trips([True] * 100)
    assert breaker.trips([True] * 101)


def test_waiting_doubles_up_to_its_limit_and_begins_anew_after_a_reset() -> None:
    backoff = Backoff(timedelta(seconds=1), timedelta(seconds=4))
    for step in (1, 2, 4, 4):
        assert step / 2 <= backoff.seconds() <= step
    backoff.reset()
    assert backoff.seconds() <= 1


@pytest.mark.parametrize("fault", [Poison("x"), ValueError(), KeyError("a"), ZeroDivisionError()])
def test_a_fault_of_our_own_does_not_pass_by_itself(fault: Exception) -> None:
    assert not is_transient(fault)
    assert is_transient(KeyPending.__new__(KeyPending))


def test_a_producer_is_idempotent_and_one_of_a_fenced_shard_transactional() -> None:
    clients = KafkaClients(KafkaSettings("127.0.0.1:9092"), client_id="c")
    arguments = clients.producer_arguments(None)
    assert (arguments["acks"], arguments["enable_idempotence"]) == ("all", True)
    assert "transactional_id" not in arguments
    assert clients.producer_arguments("t")["transactional_id"] == "t"


def test_a_login_comes_from_a_file_and_is_asked_for_where_the_protocol_needs_it(
    tmp_path: Path,
) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    settings = KafkaSettings(
        "127.0.0.1:9092",
        security_protocol="SASL_PLAINTEXT",
        sasl_username="relay",
        sasl_password_file=password,
    )
    arguments = KafkaClients(settings, client_id="c").producer_arguments(None)
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == (
        "relay",
        "s3cret",
    )
    with pytest.raises(Unsafe, match="password file"):
        KafkaSettings("127.0.0.1:9092", security_protocol="SASL_SSL").login()


def test_an_incoming_record_names_where_it_came_from() -> None:
    wanted = slot(note("a", 1), 7).wanted
    assert isinstance(wanted, Incoming)
    assert (wanted.topic, wanted.partition, wanted.offset) == ("t", 0, 7)
    assert wanted.source is ServiceName.ENROLLMENT
