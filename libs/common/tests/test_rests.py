"""How long a reader rests after work."""

from time import monotonic

import pytest

from epassport.rests import Rests


def is_due(rests: Rests) -> bool:
    """Whether whoever asks is kept waiting at all; needs no clock."""
    waiting = rests.over()
    try:
        waiting.send(None)
    except StopIteration:
        return False
    waiting.close()
    return True


async def test_nobody_rests_unless_told_to() -> None:
    rests = Rests()
    rests.worked(monotonic() - 3600)
    assert not is_due(rests)


async def test_who_has_not_worked_does_not_rest() -> None:
    assert not is_due(Rests(3600.0))


@pytest.mark.parametrize(("worked", "rested"), [(0.001, 0.010), (0.002, 0.020), (5.0, 0.030)])
async def test_a_rest_is_ten_times_the_work_and_no_longer_than_told(
    worked: float, rested: float
) -> None:
    rests = Rests(0.030)
    start = monotonic()
    rests.worked(start - worked)
    assert is_due(rests)
    await rests.over()
    assert monotonic() - start > 0.9 * rested  # a timer may be a little early
