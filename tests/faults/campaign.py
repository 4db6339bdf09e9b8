"""Rounds of one fault each: load, blows, healing, waiting, checking."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from epassport.tasks import LEASE
from tests.faults.checker import Findings, Invariant, check
from tests.faults.cluster import Cluster
from tests.faults.load import Load, Operation
from tests.faults.nemesis import Nemesis
from tests.faults.observe import mark, observe
from tests.faults.schedule import Schedule
from tests.faults.settling import StillMoving, settle

LAG_GONE = LEASE + timedelta(seconds=30)
"""Stated: so long after the last fault has healed nothing is on its way any more. A task whose
worker was killed waits for the end of its lease; all else is done far sooner."""

FLOWS_ON_SECONDS = 1.0


@dataclass
class Result:
    """acknowledged, unanswered: operations. lag_seconds: from healing until nothing moved.

    missed: blows that hit nobody. ended: processes that ended meanwhile, with their codes
    """

    schedule: Schedule
    acknowledged: int = 0
    unanswered: int = 0
    lag_seconds: float | None = None
    findings: Findings = field(default_factory=dict)
    missed: Sequence[str] = ()
    ended: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        return not any(self.findings.values())

    def lines(self) -> list[str]:
        head = f"{self.schedule.fault}, seed {self.schedule.seed}"
        return [
            f"{head}: {invariant}: {finding}"
            for invariant, findings in self.findings.items()
            for finding in findings
        ]


async def play(cluster: Cluster, schedule: Schedule) -> Result:
    """One round; everything is healed when it ends, and what was lost stays lost."""
    since = await mark(cluster)
    before = {one.name: len(one.ends) for one in cluster.replicas}
    name = f"{schedule.fault}/{schedule.seed}"
    load = Load(cluster, name, twice=schedule.twice)
    nemesis = Nemesis(cluster, load, since, name)
    load.start()
    try:
        async with asyncio.TaskGroup() as round_:
            round_.create_task(asyncio.sleep(schedule.seconds))
            round_.create_task(nemesis.carry_out(schedule))
        healed = asyncio.get_running_loop().time()
        await asyncio.sleep(FLOWS_ON_SECONDS)
    finally:
        operations = await load.stop()
    result = Result(schedule, missed=nemesis.missed, ended=_ended(cluster, before))
    result.acknowledged = sum(bool(operation.answers) for operation in operations)
    result.unanswered = len(operations) - result.acknowledged
    late = await _settle(cluster, result, healed)
    seen = await observe(cluster, since, operations)
    seen.reordered = schedule.reorders
    result.findings = {**check(seen), Invariant.LAG: late + _unanswered(operations)}
    return result


async def _settle(cluster: Cluster, result: Result, healed: float) -> list[str]:
    try:
        await settle(cluster, within=LAG_GONE)
    except StillMoving as still:
        return [str(still)]
    result.lag_seconds = asyncio.get_running_loop().time() - healed
    try:
        await cluster.until_ready(within=LAG_GONE)
    except TimeoutError as missing:
        return [str(missing)]
    return []


def _unanswered(operations: Sequence[Operation]) -> list[str]:
    """Whoever asks again long enough is answered, once the fault is over."""
    left = [operation for operation in operations if not operation.answers]
    return [f"{len(left)} operations were never answered"] if left else []


def _ended(cluster: Cluster, before: dict[str, int]) -> list[str]:
    return [
        f"{one.name} {code}" for one in cluster.replicas for code in one.ends[before[one.name] :]
    ]
