"""Challenges: ours alone, for one station alone, with the time they were drawn at."""

from datetime import timedelta

import pytest
from counter import NOON, OFFICE, STATION
from hypothesis import given
from hypothesis import strategies as st

from enrollment.challenge import draw, drawn_at
from epassport.digests import SearchKey

KEY, OTHER_KEY = SearchKey(b"k" * 32), SearchKey(b"o" * 32)
RANDOM = bytes(range(16))
OURS = draw(KEY, OFFICE, STATION, NOON, RANDOM)


def test_a_challenge_says_when_it_was_drawn() -> None:
    half_a_second = timedelta(milliseconds=500)
    assert drawn_at(KEY, OURS, OFFICE, STATION) == NOON
    text = draw(KEY, OFFICE, STATION, NOON + half_a_second, RANDOM)
    assert drawn_at(KEY, text, OFFICE, STATION) == NOON


@pytest.mark.parametrize(
    ("key", "office", "station"),
    [(OTHER_KEY, OFFICE, STATION), (KEY, "office-2", STATION), (KEY, OFFICE, "station-2")],
)
def test_a_challenge_of_another_key_or_station_is_not_ours(
    key: SearchKey, office: str, station: str
) -> None:
    assert drawn_at(key, OURS, office, station) is None


@given(st.integers(0, len(OURS) - 1), st.characters(codec="ascii"))
def test_a_changed_challenge_is_not_ours(place: int, sign: str) -> None:
    changed = OURS[:place] + sign + OURS[place + 1 :]
    assert changed == OURS or drawn_at(KEY, changed, OFFICE, STATION) is None


@given(st.text())
def test_any_other_text_is_not_ours(text: str) -> None:
    assert drawn_at(KEY, text, OFFICE, STATION) is None
