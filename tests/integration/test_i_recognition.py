"""Fingers are still told apart: fixed seeds, poor captures. No claim about people."""

import numpy as np
import pytest

from tests.benchmarks.recognition import EER_LIMIT, HARDER, Measured, measure


async def test_the_equal_error_rate_of_poor_captures_stays_under_its_limit() -> None:
    measured = await measure(HARDER)
    assert (len(measured.genuine), len(measured.impostor)) == (100, 9900)
    assert measured.equal_error_rate() <= EER_LIMIT


@pytest.mark.parametrize(
    ("genuine", "impostor", "rate"),
    [([3, 4, 5], [0, 1, 2], 0.0), ([3, 5, 7, 9], [0, 1, 2, 4], 0.25), ([1, 2], [3, 4], 1.0)],
)
def test_the_rate_is_where_both_errors_meet(
    genuine: list[float], impostor: list[float], rate: float
) -> None:
    assert Measured(HARDER, np.array(genuine), np.array(impostor)).equal_error_rate() == rate
