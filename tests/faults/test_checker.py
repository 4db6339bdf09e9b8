"""The checker finds what it is there for: a right history has no findings, each harm has one."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from uuid import UUID

import pytest

from tests.faults.checker import Invariant, Observed, Sent, Stored, check
from tests.faults.load import Answer, Operation

TALLY, OTHER = UUID(int=7), UUID(int=8)
STREAM, ECHO = f"tally/{TALLY}", f"echo/{TALLY}"
FIRST, SECOND, PICTURE, REFUSED = (UUID(int=n) for n in (11, 12, 13, 14))
COUNTED = "2a12000945540dd1ada63e8995083c0c"
ECHOED = "bafb4ebedcf6c75e0e193fdc1582d7cc"
"""md5(md5(a) || md5(b)) and so on, as PostgreSQL makes them of the operations above."""


def right() -> Observed:
    """One operation of one step, one of two, a picture, and one that lost its label."""
    sender = [
        Stored(STREAM, 1, "Counted", FIRST, total=1, label="red"),
        Stored(STREAM, 2, "Counted", SECOND, total=2),
        Stored(STREAM, 3, "Counted", SECOND, total=3),
        Stored(STREAM, 4, "Pictured", PICTURE),
        Stored(STREAM, 5, "Checked", FIRST),
        Stored(STREAM, 6, "Reminded", FIRST, since=1),
    ]
    receiver = [
        Stored(ECHO, 1, "Echoed", FIRST, what="count"),
        Stored(ECHO, 2, "Echoed", PICTURE, what="picture"),
        Stored(ECHO, 3, "Echoed", SECOND, what="count"),
        Stored(ECHO, 4, "Echoed", SECOND, what="count"),
    ]
    rows = {
        "tally_v1": {STREAM: (3, COUNTED)},
        "heard_v1": {STREAM: (3, COUNTED)},
        "echoes_v1": {ECHO: (4, ECHOED)},
    }
    return Observed(
        [
            Operation(FIRST, TALLY, "counts", 1, "red", answers=[Answer(1)]),
            Operation(SECOND, TALLY, "counts", 2, answers=[Answer(3), Answer(3)]),
            Operation(PICTURE, TALLY, "pictures", answers=[Answer(4)]),
            Operation(REFUSED, OTHER, "counts", 1, "red", answers=[Answer(None, "label-taken")]),
        ],
        sender,
        receiver,
        counts=[
            Sent(STREAM, 1, FIRST, b"1"),
            Sent(STREAM, 2, SECOND, b"2"),
            Sent(STREAM, 1, FIRST, b"1"),
            Sent(STREAM, 3, SECOND, b"3"),
        ],
        pictures=[Sent(STREAM, None, PICTURE, b"p")],
        rows=rows,
        replayed=deepcopy(rows),
        keys_made=frozenset({TALLY}),
        keys_received={TALLY: 1},
    )


def test_a_right_history_has_no_findings() -> None:
    assert not any(check(right()).values()), check(right())


Harm = Callable[[Observed], None]


def acknowledged_and_lost(seen: Observed) -> None:
    seen.sender = [event for event in seen.sender if event.operation != SECOND]


def done_twice(seen: Observed) -> None:
    seen.sender = [*seen.sender, replace(seen.sender[3], version=7)]


def refused_and_done(seen: Observed) -> None:
    seen.sender = [*seen.sender, Stored(f"tally/{OTHER}", 1, "Counted", REFUSED, total=1)]


def half_done(seen: Observed) -> None:
    seen.sender = [event for event in seen.sender if event.version != 3]


def two_answers(seen: Observed) -> None:
    seen.operations[1].answers.append(Answer(2))


def wrong_answer(seen: Observed) -> None:
    seen.operations[0].answers = [Answer(2)]


def two_owners_of_a_label(seen: Observed) -> None:
    other = Operation(UUID(int=15), OTHER, "counts", 1, "red", answers=[Answer(1)])
    seen.operations = [*seen.operations, other]
    event = Stored(other.stream, 1, "Counted", other.operation, total=1, label="red")
    task = Stored(other.stream, 2, "Checked", other.operation)
    reminder = Stored(other.stream, 3, "Reminded", other.operation, since=1)
    seen.sender = [*seen.sender, event, task, reminder]


def refused_without_cause(seen: Observed) -> None:
    seen.operations[3].label = "green"


def task_answered_twice(seen: Observed) -> None:
    seen.sender = [*seen.sender, Stored(STREAM, 7, "Checked", FIRST)]


def not_reminded(seen: Observed) -> None:
    seen.sender = seen.sender[:5]


def reminded_twice(seen: Observed) -> None:
    seen.sender = [*seen.sender, replace(seen.sender[5], version=7)]


def reminded_of_a_wait_that_was_begun_anew(seen: Observed) -> None:
    """As if the second step were labelled, too."""
    first, second, *others = seen.sender
    task = Stored(STREAM, 7, "Checked", SECOND)
    seen.sender = [first, replace(second, label="blue"), *others, task]
    seen.operations[1].label = "blue"


def read_in_reverse(seen: Observed) -> None:
    first, second, *others = seen.sender
    seen.sender = [second, first, *others]


def decided_on_a_stale_state(seen: Observed) -> None:
    seen.sender = [replace(e, total=2) if e.total == 3 else e for e in seen.sender]


def nobody_asked(seen: Observed) -> None:
    seen.operations = seen.operations[1:]


def not_sent(seen: Observed) -> None:
    seen.counts = seen.counts[:3]


def sent_out_of_order(seen: Observed) -> None:
    seen.counts = [seen.counts[1], seen.counts[0], *seen.counts[2:]]


def sent_again_with_other_octets(seen: Observed) -> None:
    seen.counts = [*seen.counts, replace(seen.counts[0], octets=b"x")]


def applied_twice(seen: Observed) -> None:
    seen.receiver = [*seen.receiver, Stored(ECHO, 5, "Echoed", SECOND, what="count")]


def not_applied(seen: Observed) -> None:
    seen.receiver = seen.receiver[:3]


def applied_out_of_order(seen: Observed) -> None:
    first, picture, second, third = seen.receiver
    seen.receiver = [
        replace(second, version=1), picture, replace(first, version=3), third,
    ]  # fmt: skip


def picture_applied_twice(seen: Observed) -> None:
    seen.receiver = [*seen.receiver, Stored(ECHO, 5, "Echoed", PICTURE, what="picture")]


def picture_not_sent(seen: Observed) -> None:
    seen.pictures = []


def key_not_received(seen: Observed) -> None:
    seen.keys_received = {}


def row_counts_too_much(seen: Observed) -> None:
    seen.rows["heard_v1"][STREAM] = (4, seen.rows["heard_v1"][STREAM][1])  # type: ignore[index]


def row_in_another_order(seen: Observed) -> None:
    seen.rows["tally_v1"][STREAM] = (3, "another digest")  # type: ignore[index]


def replayed_differently(seen: Observed) -> None:
    seen.replayed["echoes_v1"][ECHO] = (4, "another digest")  # type: ignore[index]


HARMS = {
    Invariant.CHAINS: (
        acknowledged_and_lost, done_twice, refused_and_done, half_done, two_answers, wrong_answer,
        two_owners_of_a_label, refused_without_cause, task_answered_twice, not_reminded,
        reminded_twice, reminded_of_a_wait_that_was_begun_anew, read_in_reverse,
        decided_on_a_stale_state, nobody_asked,
    ),
    Invariant.DELIVERY: (
        not_sent, sent_out_of_order, sent_again_with_other_octets, applied_twice, not_applied,
        applied_out_of_order, picture_applied_twice, picture_not_sent, key_not_received,
    ),
    Invariant.REPLAY: (row_counts_too_much, row_in_another_order, replayed_differently),
}  # fmt: skip


@pytest.mark.parametrize(
    ("invariant", "harm"),
    [(invariant, harm) for invariant, harms in HARMS.items() for harm in harms],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_each_harm_is_found_under_its_invariant(invariant: Invariant, harm: Harm) -> None:
    seen = right()
    harm(seen)
    assert check(seen)[invariant]


def test_what_was_put_out_of_order_on_purpose_is_no_finding_on_the_topic() -> None:
    seen = right()
    sent_out_of_order(seen)
    seen.reordered = True
    assert not any(check(seen).values())


def test_a_deadline_that_is_still_to_come_is_no_finding() -> None:
    seen = right()
    not_reminded(seen)
    seen.waiting = frozenset({STREAM})
    assert not any(check(seen).values())


def test_an_operation_without_an_answer_is_done_or_not_but_never_half() -> None:
    seen = right()
    seen.operations[1].answers.clear()
    assert not any(check(seen).values())
    half_done(seen)
    assert check(seen)[Invariant.CHAINS]
