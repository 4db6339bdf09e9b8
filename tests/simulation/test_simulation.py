"""A short exploration in every run of the unit tests; `make simulation` makes the long one."""

import pytest

from tests.simulation.faults import FAULTS
from tests.simulation.rules import PLANTED
from tests.simulation.run import Result, run

SEEDS = 5
SEEDS_FOR_A_BUG = 40


@pytest.mark.parametrize("fault", FAULTS)
def test_the_invariants_hold_under_every_interleaving_of(fault: str) -> None:
    results = [run(fault, seed) for seed in range(SEEDS)]
    assert {result.seed: result.broken for result in results if result.broken} == {}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug: str) -> None:
    """Seed by seed under every fault, until one shows it."""
    tried = (run(f, seed, PLANTED[bug]) for seed in range(SEEDS_FOR_A_BUG) for f in FAULTS)
    assert next((result for result in tried if result.broken), None) is not None


def test_a_seed_gives_the_same_interleaving_each_time() -> None:
    def twice(seed: int) -> list[Result]:
        return [run("everything at once", seed) for _ in range(2)]

    for seed in range(10):
        first, second = twice(seed)
        assert first == second


def test_seeds_give_different_interleavings() -> None:
    assert len({run("everything at once", seed).history for seed in range(10)}) == 10
