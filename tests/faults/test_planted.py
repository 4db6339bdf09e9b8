"""A planted bug needs its fault: one that harms by itself is not the bug that the table names."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from epassport_sandbox.errors import StackUnavailable
from tests.faults.checker import check
from tests.faults.cluster import TOGETHER, Cluster, open_cluster
from tests.faults.load import Load
from tests.faults.observe import mark, observe
from tests.faults.planted import VARIABLE, Bug
from tests.faults.settling import settle

pytestmark = pytest.mark.stack

SOON = timedelta(seconds=60)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    try:
        folder = tmp_path_factory.mktemp("planted")
        async with open_cluster(folder, roles=TOGETHER, replicas=1) as opened:
            yield opened
    except StackUnavailable as error:
        pytest.skip(f"no stack: {error}")


@pytest.mark.parametrize("bug", list(Bug))
async def test_a_planted_bug_harms_nothing_while_nothing_else_happens(
    cluster: Cluster, bug: Bug
) -> None:
    """One operation on each of a few streams."""
    async with asyncio.timeout(SOON.total_seconds()):
        planting = (one.start_anew(cluster.http, {VARIABLE: bug}) for one in cluster.replicas)
        await asyncio.gather(*planting)
    since = await mark(cluster)
    load = Load(cluster, bug)
    async with asyncio.timeout(SOON.total_seconds()):
        await load.count(load.busy, replica=0)
    await settle(cluster, within=SOON)
    findings = check(await observe(cluster, since, load.operations))
    assert not any(findings.values()), f"{findings}, logs: {cluster.folder}"
    assert all(operation.answers for operation in load.operations)
