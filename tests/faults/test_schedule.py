"""A fault and a seed say which blows fall when; so a round that failed can be had again."""

import pytest

from tests.faults.schedule import FAULTS, Blow, Pause, schedule
from tests.faults.settings import SESSION

EVERY = list(FAULTS)


def test_there_are_at_least_twelve_faults() -> None:
    assert len(EVERY) >= 12


@pytest.mark.parametrize("fault", EVERY)
def test_the_same_seed_gives_the_same_blows_and_another_one_others(fault: str) -> None:
    assert schedule(fault, 1) == schedule(fault, 1)
    assert schedule(fault, 1).blows != schedule(fault, 2).blows


@pytest.mark.parametrize("fault", EVERY)
def test_every_blow_falls_within_its_round_and_in_order(fault: str) -> None:
    for plan in (schedule(fault, seed) for seed in range(20)):
        times = [blow.at for blow in plan.blows]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= plan.seconds


def test_a_zombie_outlives_its_session() -> None:
    for seed in range(20):
        blows = schedule("a consumer paused beyond its session", seed).blows
        assert [is_long(blow) for blow in blows] == [True]


def is_long(blow: Blow) -> bool:
    return isinstance(blow.act, Pause) and blow.act.seconds > SESSION.total_seconds() + 2
