"""The processes of a real service as a platform runs them: each by itself, asked from outside."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from runbook_commands import commands

from epassport_contracts import ServiceName
from epassport_sandbox.ports import free_port
from epassport_sandbox.stack import Stack
from epassport_sandbox.system import System, open_system

pytestmark = pytest.mark.stack

SERVICE, PACKAGE = ServiceName.VERIFICATION, "verification"
ALONE = ("relay", "consume", "project", "work", "timers")
WITHIN = timedelta(seconds=90)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    folder = tmp_path_factory.mktemp("processes")
    async with open_system(stack, folder, services=[SERVICE]) as opened:
        yield opened


async def run(
    system: System, *arguments: str, **changed: str
) -> tuple[int, list[str], list[Mapping[str, object]]]:
    """Exit code, lines on stdout, log lines."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", PACKAGE, *arguments),
        env={**system.environments[SERVICE], "PATH": "", **changed},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN.total_seconds()):
        told, logged = await process.communicate()
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith(b"{")]
    return process.returncode or 0, told.decode().splitlines(), lines


async def test_every_process_alone_answers_health_and_metrics_on_its_own_port(
    system: System,
) -> None:
    ports = {command: free_port() for command in ALONE}
    async with asyncio.TaskGroup() as starting:
        for command, port in ports.items():
            environment = {**system.environments[SERVICE], "EPASSPORT_HEALTH_PORT": str(port)}
            starting.create_task(
                system.processes.start(
                    f"alone-{command}", PACKAGE, command, environment=environment,
                    ready_url=f"http://127.0.0.1:{port}/readyz", within=WITHIN,
                )
            )  # fmt: skip
    async with httpx.AsyncClient(trust_env=False) as client:
        for port in ports.values():
            alive = await client.get(f"http://127.0.0.1:{port}/livez")
            metrics = await client.get(f"http://127.0.0.1:{port}/metrics")
            assert (alive.status_code, metrics.status_code) == (200, 200)
            assert "epassport_deadlines_failing" in metrics.text
    for command in ALONE:
        child = system.processes.children[f"alone-{command}"]
        child.expected_to_end = True
        await child.stop()


async def test_a_health_port_that_is_taken_ends_the_process(system: System) -> None:
    port = system.urls[SERVICE].rsplit(":", 1)[1]
    code, told, lines = await run(system, "timers", EPASSPORT_HEALTH_PORT=port)
    assert (code, told) == (2, [])
    (died,) = [line for line in lines if line["event"] == "process-died"]
    assert "cannot listen on" in str(died["refusal"])


async def test_check_finds_nothing_where_all_is_well(system: System) -> None:
    code, told, _ = await run(system, "check")
    assert (code, told) == (0, [])


async def test_check_tells_that_kafka_cannot_be_reached_and_exits_with_1(system: System) -> None:
    code, told, lines = await run(system, "check", EPASSPORT_KAFKA_BOOTSTRAP="127.0.0.1:1")
    assert code == 1
    assert told == ["kafka: cannot be reached (KafkaConnectionError)"]
    assert lines[-2]["refusal"] == "1 findings, each a line of its own"


async def test_check_tells_of_the_database_and_of_keys(system: System, tmp_path: Path) -> None:
    nowhere = tmp_path / "dsn"
    nowhere.write_text("postgresql://nobody@127.0.0.1:1/none")
    code, told, _ = await run(system, "check", EPASSPORT_POSTGRES_DSN_FILE=str(nowhere))
    assert (code, told) == (1, ["database: cannot be used (ConnectionRefusedError)"])
    code, told, _ = await run(system, "check", EPASSPORT_KEY_STORE=str(nowhere))
    assert code == 1
    assert [line.partition(":")[0] for line in told] == ["settings and keys"]


async def test_an_operator_is_answered_in_lines_of_json_and_an_order_in_vain_ends_with_1(
    system: System,
) -> None:
    code, told, _ = await run(system, "operate", "actions")
    assert (code, told) == (0, [])
    order = ("--operator", "oleg", "--reason", "the build is mended")
    code, told, lines = await run(
        system, "operate", "replay", "reactions", "internal.enrollment.application.v1",
        "0", "7", *order,
    )  # fmt: skip
    assert (code, told) == (1, [])
    assert "nothing is parked there" in [line.get("refusal") for line in lines]


IN_VAIN = (
    *("replay", "discard", "retry-task", "abandon-task", "retry-deadline", "close-refusal"),
    *("retry", "override", "reject", "republish", "begin-again"),
)


async def test_the_runbooks_commands_work_on_a_real_service(system: System) -> None:
    """What looks, answers; what orders is understood, and finds nothing to do here."""
    at_once, alone = asyncio.Semaphore(3), asyncio.Semaphore(1)

    async def end(*arguments: str) -> tuple[int, bool]:
        async with alone if arguments[0] in ("rebuild", "restore") else at_once:
            code, told, lines = await run(system, *arguments)
        refused = any(line["event"] == "process-ends" for line in lines)
        return code, refused and not told

    asked = [words[1:] for words in commands()]
    ends = await asyncio.gather(*(end(*arguments) for arguments in asked))
    for arguments, ended in zip(asked, ends, strict=True):
        in_vain = not {*IN_VAIN, "parked-records", "--back", "--drop"}.isdisjoint(arguments)
        assert ended == ((1, True) if in_vain else (0, False)), arguments
