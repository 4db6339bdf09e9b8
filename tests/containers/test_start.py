"""A container that cannot work says why in one line and ends; one that can is ready in seconds."""

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import timedelta

import asyncpg
import pytest

from epassport.entrypoints import DIED, REFUSED
from epassport_contracts import ServiceName
from epassport_sandbox.ports import free_port
from epassport_sandbox.processes import Child
from epassport_sandbox.running import Session
from epassport_sandbox.system import database_of, package_of

SERVICE = ServiceName.ENROLLMENT
ENDS_WITHIN_SECONDS = 90
READY_SECONDS = 5.0


async def _start(session: Session, name: str, changed: Mapping[str, str]) -> Child:
    environment = {**session.system.environments[SERVICE], **changed}
    child = await session.system.processes.start(
        name, package_of(SERVICE), "all", environment=environment
    )
    child.expected_to_end = True
    return child


async def _end_of(child: Child) -> tuple[int, list[str]]:
    """Exit code and lines that say why: not those of an orderly start and stop."""
    try:
        async with asyncio.timeout(ENDS_WITHIN_SECONDS):
            code = await child.wait()
    finally:
        await child.stop()
    lines = child.log.read_text().splitlines()
    return code, [line for line in lines if _says_why(line)]


def _says_why(line: str) -> bool:
    if not line.startswith("{"):
        return True
    return bool(json.loads(line)["level"] == "error")


async def test_a_missing_secret_is_named(epassport: Session) -> None:
    changed = {"EPASSPORT_KEY_STORE_PASSPHRASE_FILE": "/run/secrets/keys/passphrase"}
    code, lines = await _end_of(await _start(epassport, "without-secret", changed))
    assert (code, len(lines)) == (REFUSED, 1), lines
    assert "EPASSPORT_KEY_STORE_PASSPHRASE_FILE" in lines[0]


async def test_an_unreachable_kafka_is_a_finding_of_check(epassport: Session) -> None:
    """A service itself waits, not ready, and says why: Kafka may come up after it."""
    environment = {
        **epassport.system.environments[SERVICE],
        "EPASSPORT_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}",
    }
    child = await epassport.system.processes.start(
        "check-without-kafka", package_of(SERVICE), "check", environment=environment
    )
    child.expected_to_end = True
    async with asyncio.timeout(ENDS_WITHIN_SECONDS):
        code = await child.wait()
    findings = [line for line in child.log.read_text().splitlines() if line.startswith("kafka: ")]
    assert code == DIED
    assert findings == ["kafka: cannot be reached (KafkaConnectionError)"]


async def test_a_used_port_is_named(epassport: Session) -> None:
    """The service itself runs there."""
    code, lines = await _end_of(await _start(epassport, "used-port", {}))
    assert code == REFUSED
    port = epassport.system.environments[SERVICE]["EPASSPORT_HTTP_PORT"]
    named = [line for line in lines if f"cannot listen on 127.0.0.1:{port}: " in line]
    assert len(named) == 1, lines


@pytest.mark.parametrize("schema", ["old", "new"])
async def test_another_schema_is_refused(epassport: Session, schema: str) -> None:
    connection = await asyncpg.connect(epassport.system.stack.postgres.dsn(database_of(SERVICE)))
    changed = {"EPASSPORT_HTTP_PORT": str(free_port())}
    try:
        if schema == "old":
            name = await connection.fetchval("SELECT max(name) FROM schema_migrations")
            await connection.execute("DELETE FROM schema_migrations WHERE name = $1", name)
        else:
            name = "9999_of_the_next_build.sql"
            await connection.execute("INSERT INTO schema_migrations (name) VALUES ($1)", name)
        code, lines = await _end_of(await _start(epassport, f"{schema}-schema", changed))
    finally:
        change = "INSERT INTO schema_migrations (name) VALUES ($1)"
        if schema == "new":
            change = "DELETE FROM schema_migrations WHERE name = $1"
        await connection.execute(change, name)
        await connection.close()
    assert code == REFUSED
    assert any("schema is" in line and name in line for line in lines), lines


async def test_a_service_is_ready_soon_after_kafka_and_postgres(epassport: Session) -> None:
    """On a machine that does nothing else; here only an order of magnitude is asserted."""
    system = epassport.system
    child = system.processes.children[SERVICE]
    await child.stop(grace=timedelta(seconds=30))
    started = time.perf_counter()
    await system.start(SERVICE)
    assert time.perf_counter() - started < 4 * READY_SECONDS
