"""Ids of our own making against the standard library's."""

import time
from itertools import pairwise
from uuid import RFC_4122, UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport.ids import named_id, new_id, read_id


@given(st.uuids(), st.text())
def test_a_named_id_is_that_of_the_standard_library(namespace: UUID, name: str) -> None:
    made, expected = named_id(namespace, name), uuid5(namespace, name)
    assert (made, hash(made), str(made)) == (expected, hash(expected), str(expected))
    assert named_id(read_id(str(namespace)), name) == made


def test_a_new_id_says_when_it_was_made_and_no_two_are_alike() -> None:
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == 1000
    assert {(one.version, one.variant) for one in made} == {(7, RFC_4122)}
    times = [one.int >> 80 for one in made]
    assert before <= times[0] <= times[-1] <= after
    assert all(earlier <= later for earlier, later in pairwise(times))


@pytest.mark.parametrize("text", ["", "17", "6f1c1c2e-0000-4000-8000-00000000000g"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="UUID"):
        read_id(text)
