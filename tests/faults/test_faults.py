"""A short run on the real stack: some faults with a seed each, chosen to be quick and different.

The long run and its table: `make faults`, docs/faults.md.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from epassport_sandbox.errors import StackUnavailable
from tests.faults.campaign import play
from tests.faults.cluster import TOGETHER, Cluster, open_cluster
from tests.faults.load import Load
from tests.faults.nemesis import Nemesis, why_not
from tests.faults.observe import BEGINNING
from tests.faults.schedule import FAULTS, Blow, Pause, Schedule, schedule

pytestmark = pytest.mark.stack

SEED = 1
QUICK = (
    "kill -9 of a server",
    "SIGSTOP of anybody",
    "Kafka: connections lost",
    "PostgreSQL: cut in a message",
    "records out of order and repeated",
    "poison on the topics",
    "a transaction commits late",
    "every command twice at once",
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    try:
        async with open_cluster(tmp_path_factory.mktemp("faults"), roles=TOGETHER) as opened:
            yield opened
    except StackUnavailable as error:
        pytest.skip(f"no stack: {error}")


@pytest.mark.parametrize("fault", QUICK)
async def test_the_invariants_hold_under(cluster: Cluster, fault: str) -> None:
    plan = schedule(fault, SEED)
    if (lacking := why_not([blow.act for blow in plan.blows])) is not None:
        pytest.skip(lacking)
    result = await play(cluster, plan)
    assert result.acknowledged > 0
    assert result.holds, "\n".join([*result.lines(), f"logs: {cluster.folder}"])


async def test_a_blow_that_finds_nobody_standing_has_missed(cluster: Cluster) -> None:
    """Three at once on two replicas."""
    blows = [Blow(0, Pause(("sender.all",), pick=0, seconds=0.2))] * 3
    nemesis = Nemesis(cluster, Load(cluster, "nobody"), BEGINNING, "nobody")
    await nemesis.carry_out(Schedule("three at once", SEED, blows, seconds=1, twice=0))
    assert nemesis.missed == ["nobody was up: Pause of sender.all"]


def test_what_is_run_here_is_part_of_the_long_run() -> None:
    assert set(QUICK) <= FAULTS.keys()
