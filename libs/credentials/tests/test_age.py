"""The one borderline day of an age."""

from datetime import date

import pytest

from epassport_credentials.identity import has_reached, is_over_18


@pytest.mark.parametrize(
    ("born", "today", "adult"),
    [
        (date(2008, 5, 17), date(2026, 5, 17), False),
        (date(2008, 5, 17), date(2026, 5, 18), True),
        (date(2008, 2, 29), date(2026, 3, 1), False),
        (date(2008, 2, 29), date(2026, 3, 2), True),
    ],
)
def test_eighteen_is_reached_on_the_day_after_the_birthday(
    born: date, today: date, adult: bool
) -> None:
    assert has_reached(18, born, today) is is_over_18(born, today) is adult
