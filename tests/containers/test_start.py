"""A container that cannot work says why in one line and ends; one that can is ready in seconds."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from epassport.database import OLDEST_POSTGRES
from epassport.entrypoints import DIED, REFUSED
from epassport_contracts import ServiceName
from epassport_sandbox.ports import free_port
from epassport_sandbox.processes import Child
from epassport_sandbox.running import Session
from epassport_sandbox.system import database_of, package_of
from tests.containers.bounds import READY_SECONDS
from tests.containers.older_postgres import older_postgres
from tests.containers.startup import seconds_to_ready

SERVICE = ServiceName.ENROLLMENT
ENDS_WITHIN_SECONDS = 90


async def _start(
    session: Session, name: str, changed: Mapping[str, str], *, command: str = "all"
) -> Child:
    environment = {**session.system.environments[SERVICE], **changed}
    child = await session.system.processes.start(
        name, package_of(SERVICE), command, environment=environment
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


@pytest.mark.parametrize("command", ["migrate", "all"])
async def test_an_older_database_server_is_refused(
    epassport: Session, tmp_path: Path, command: str
) -> None:
    server = urlsplit(epassport.system.dsn(SERVICE))
    assert server.hostname is not None
    assert server.port is not None
    async with older_postgres(server.hostname, server.port, major=OLDEST_POSTGRES - 1) as port:
        at = server._replace(netloc=f"{server.username}:{server.password}@{server.hostname}:{port}")
        dsn = tmp_path / "postgres-dsn"
        dsn.write_text(f"{at.geturl()}?sslmode=disable")
        changed = {
            "EPASSPORT_POSTGRES_DSN_FILE": str(dsn),
            "EPASSPORT_HTTP_PORT": str(free_port()),
        }
        child = await _start(epassport, f"{command}-on-older-server", changed, command=command)
        code, lines = await _end_of(child)
    assert code == REFUSED
    told = f"PostgreSQL {OLDEST_POSTGRES - 1} is too old: {OLDEST_POSTGRES} or newer"
    assert [told in line for line in lines] == [True], lines


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


async def test_a_service_needs_no_more_than_seconds_of_a_core_to_be_ready(
    epassport: Session,
) -> None:
    """How long it takes `make startup-containers` measures, where nothing else runs."""
    system = epassport.system
    await seconds_to_ready(system, SERVICE)
    assert system.processes.children[SERVICE].cpu_seconds() < READY_SECONDS
