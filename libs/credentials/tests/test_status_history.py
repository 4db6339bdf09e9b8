import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.status_history import (
    MAX_AGGREGATION_BYTES,
    MAX_LISTS,
    MAX_URI_CHARACTERS,
    Statement,
    read_aggregation,
    status_said_at,
    write_aggregation,
)
from epassport_credentials.status_list import Status, StatusListToken, pack_statuses

URI = "https://status.epassport.test/1"
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


def said(
    status: Status, issued_at: datetime, life: timedelta | None = HOUR, uri: str = URI
) -> StatusListToken:
    until = issued_at + life if life is not None else None
    return StatusListToken(uri, issued_at, until, pack_statuses([0, status]))


def test_the_latest_list_before_a_moment_answers_for_it(now: datetime) -> None:
    valid, revoked = said(Status.VALID, now), said(Status.INVALID, now + HOUR / 2)
    for tokens in ([valid, revoked], [revoked, valid]):
        before = status_said_at(tokens, 1, at=now + HOUR / 2 - SECOND)
        assert before == Statement(Status.VALID, now, now + HOUR)
        after = status_said_at(tokens, 1, at=now + HOUR / 2)
        assert after == Statement(Status.INVALID, now + HOUR / 2, now + HOUR * 1.5)


def test_a_moment_that_no_list_covers_has_no_answer(now: datetime) -> None:
    tokens = [said(Status.VALID, now), said(Status.INVALID, now + 3 * HOUR)]
    assert status_said_at(tokens, 1, at=now + HOUR - SECOND).status is Status.VALID
    for at in (now - SECOND, now + HOUR, now + 2 * HOUR, now + 4 * HOUR):
        assert reason_of(status_said_at, tokens, 1, at=at) is Reason.NO_STATUS_THEN
    assert reason_of(status_said_at, [], 1, at=now) is Reason.NO_STATUS_THEN


def test_an_earlier_list_does_not_answer_in_the_place_of_a_later_one(now: datetime) -> None:
    long_lived = said(Status.VALID, now, 9 * HOUR)
    ended = said(Status.INVALID, now + HOUR)
    refused = reason_of(status_said_at, [long_lived, ended], 1, at=now + 3 * HOUR)
    assert refused is Reason.NO_STATUS_THEN


def test_of_two_lists_of_one_second_the_last_counts(now: datetime) -> None:
    tokens = [said(Status.VALID, now), said(Status.INVALID, now)]
    assert status_said_at(tokens, 1, at=now).status is Status.INVALID


def test_a_list_without_end_speaks_until_the_next(now: datetime) -> None:
    tokens = [said(Status.SUSPENDED, now, None)]
    assert status_said_at(tokens, 1, at=now + 9 * HOUR) == Statement(Status.SUSPENDED, now, None)


def test_lists_of_two_addresses_are_no_history(now: datetime) -> None:
    tokens = [said(Status.VALID, now), said(Status.VALID, now, uri=URI + "0")]
    with pytest.raises(ValueError, match="one address"):
        status_said_at(tokens, 1, at=now)


@given(st.lists(st.text(max_size=30), max_size=10))
def test_an_aggregation_brings_back_every_address(uris: list[str]) -> None:
    assert list(read_aggregation(write_aggregation(uris).encode())) == uris


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b"[]", Reason.MALFORMED),
        (b"{}", Reason.MALFORMED),
        (b'{"status_lists":"x"}', Reason.MALFORMED),
        (b'{"status_lists":[1]}', Reason.MALFORMED),
        (b'{"status_lists":[' + b'"",' * MAX_LISTS + b'""]}', Reason.TOO_LONG),
        (b'{"status_lists":["' + b"x" * (MAX_URI_CHARACTERS + 1) + b'"]}', Reason.TOO_LONG),
        (b" " * (MAX_AGGREGATION_BYTES + 1), Reason.TOO_LONG),
    ],
    ids=lambda value: value[:24].decode() if isinstance(value, bytes) else value,
)
def test_an_aggregation_of_another_shape_is_refused(data: bytes, reason: Reason) -> None:
    assert reason_of(read_aggregation, data) is reason


def test_an_aggregation_that_nobody_would_read_is_not_written() -> None:
    for uris in ([""] * (MAX_LISTS + 1), ["x" * (MAX_URI_CHARACTERS + 1)]):
        with pytest.raises(ValueError, match="lists"):
            write_aggregation(uris)


@given(st.binary(max_size=60))
def test_any_bytes_end_in_addresses_or_our_own_error(data: bytes) -> None:
    with contextlib.suppress(InvalidCredential):
        read_aggregation(data)
