"""A transaction that began early and commits late, beside one that began later and did not wait.

A group of three streams has locked the first, and so has its transaction id, and waits for the
second, which somebody holds. Meanwhile another group changes the third alone and commits. Then the
waiting one changes the third too: its transaction id is the lower one, its version the higher one.
A reader in the order of bare transaction ids would get them in reverse.
"""

import asyncio
import contextlib

import asyncpg

from tests.faults.cluster import Cluster
from tests.faults.load import Load
from tests.faults.observe import connected

HELD_SECONDS = 0.7  # of the second that a group's transaction may last
LOOK_SECONDS = 0.01

_HOLD = "SELECT 1 FROM streams WHERE stream_id = $1 FOR UPDATE"
_WAITING = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock'
   AND pg_backend_pid() = ANY(pg_blocking_pids(pid))
"""


async def cross(cluster: Cluster, load: Load) -> bool:
    """Once; whether a group had to wait and another one overtook it."""
    first, held, last = load.busy[:3]
    await load.count([first, held, last], replica=0)
    begun: list[asyncio.Task[None]] = []
    async with connected(cluster.dsn("sender")) as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute(_HOLD, f"tally/{held}")
        begun.append(asyncio.create_task(load.count([first, held, last], replica=0)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HELD_SECONDS):
                await _until_somebody_waits(holder)
                begun.append(asyncio.create_task(load.count([last], replica=1)))
                await asyncio.wait(begun[1:])
        overtook = begun[-1].done()
        await transaction.rollback()
    await asyncio.gather(*begun)
    return overtook


async def _until_somebody_waits(holder: "asyncpg.Connection[asyncpg.Record]") -> None:
    while not await holder.fetchval(_WAITING):  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(LOOK_SECONDS)
