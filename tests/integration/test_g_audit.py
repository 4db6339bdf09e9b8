"""The audit over five services that have lived: nothing is found, and then one change is."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg

from epassport.history import LINK_SECONDS
from epassport_contracts import ServiceName
from epassport_sandbox.citizens import Citizen
from epassport_sandbox.client import until
from epassport_sandbox.running import Session

LINKED_WITHIN = timedelta(seconds=6 * LINK_SECONDS)


async def test_the_history_of_every_service_stands(
    epassport: Session, newcomers: Iterator[Citizen]
) -> None:
    """Whatever happened before in this run, erasures among it."""
    await epassport.road.whole(next(newcomers))
    for service in ServiceName:
        code, lines = await until(
            lambda service=service: _audit(epassport, service),
            lambda answer: "; 0 events wait for a link" in answer[1],
            within=LINKED_WITHIN,
            what=f"every event of {service} to be linked",
        )
        assert (code, ", 0 findings;" in lines) == (0, True), lines


async def test_an_event_changed_behind_the_services_back_is_named(epassport: Session) -> None:
    connection = await asyncpg.connect(epassport.system.dsn(ServiceName.VERIFICATION))
    try:
        async with _another_type(connection) as (position, stream, version):
            code, lines = await _audit(epassport, ServiceName.VERIFICATION)
    finally:
        await connection.close()
    (finding,) = [line for line in lines.splitlines() if line.startswith("link ")]
    assert finding.endswith(f"event at position {position} ({stream} version {version}): altered")
    assert code == 1


@asynccontextmanager
async def _another_type(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> AsyncIterator[tuple[int, str, int]]:
    """The oldest event under another name, as the database's owner could do it; then mended."""
    change = "UPDATE events SET type = $2 WHERE position = $1"
    event = await connection.fetchrow(
        "SELECT position, stream_id, version, type FROM events ORDER BY position LIMIT 1"
    )
    assert event is not None
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(change, event["position"], "NeverHappened")
    try:
        yield event["position"], event["stream_id"], event["version"]
    finally:
        await connection.execute(change, event["position"], event["type"])


async def _audit(epassport: Session, service: ServiceName) -> tuple[int, str]:
    """Exit code and what it says, as an auditor runs it."""
    return await epassport.system.run_once(service, "audit")
