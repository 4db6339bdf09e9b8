"""How a process starts, hears signals and ends: real processes, real signals."""

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from epassport.entrypoints import Arguments, Command, parse_arguments
from epassport.rebuild_arguments import RebuildWanted

START = """
import asyncio, sys
from epassport.entrypoints import refusing_unsafe, run_once, run_processes
from epassport.errors import Unsafe
from epassport.telemetry import configure

configure("enrollment", "all", level="info")

async def steady():
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)

async def stubborn():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("ignored", flush=True)

async def dies():
    raise ValueError("Dostoyevskaya")

async def refuses():
    raise Unsafe("the trust file is another profile's")

async def ends():
    return None

def unsafe():
    raise Unsafe("production refuses clock_file")

"""


class Started:
    def __init__(self, call: str) -> None:
        code = START + textwrap.dedent(f"sys.exit({call})")
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, event: str) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if json.loads(line)["event"] == event:
                return
        raise AssertionError(f"ended without {event}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, list[dict[str, Any]]]:
        """Exit code, what it printed, and its remaining log lines."""
        printed, logged = self.process.communicate(timeout=20)
        return self.process.returncode, printed, [json.loads(x) for x in logged.splitlines()]


@pytest.fixture
def start() -> Iterator[Callable[[str], Started]]:
    started: list[Started] = []

    def begin(call: str) -> Started:
        started.append(Started(call))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


Start = Callable[[str], Started]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_every_part_and_waits_for_its_clean_up(
    start: Start, number: signal.Signals
) -> None:
    process = start('run_processes({"relay": steady, "timers": steady})')
    process.wait_for("started")
    process.send(number)
    code, printed, lines = process.end()
    assert (code, printed) == (0, "cleaned up\n" * 2)
    assert [line["event"] for line in lines] == ["stopping", "stopped"]
    assert lines[0]["signal"] == number.name


def test_a_second_signal_ends_the_process_at_once(start: Start) -> None:
    process = start('run_processes({"relay": stubborn})')
    process.wait_for("started")
    process.send(signal.SIGTERM)
    process.wait_for("stopping")
    process.send(signal.SIGTERM)
    assert process.end()[0] == 128 + signal.SIGTERM


def test_what_does_not_stop_in_time_is_named_and_left(start: Start) -> None:
    process = start('run_processes({"relay": stubborn, "timers": steady}, grace_seconds=0.2)')
    process.wait_for("started")
    process.send(signal.SIGTERM)
    code, _, lines = process.end()
    assert code == 1
    assert lines[-1]["event"] == "stop-overdue"
    assert lines[-1]["processes"] == ["relay"]


def test_a_part_that_dies_takes_the_others_down_and_is_told_in_one_line(start: Start) -> None:
    code, printed, lines = start('run_processes({"relay": dies, "timers": steady})').end()
    assert (code, printed) == (1, "cleaned up\n")
    (died,) = [line for line in lines if line["event"] == "process-died"]
    assert (died["name"], died["error"]) == ("relay", "builtins.ValueError")
    assert "Dostoyevskaya" not in json.dumps(lines)


def test_a_part_that_ends_by_itself_is_a_fault_too(start: Start) -> None:
    code, _, lines = start('run_processes({"relay": ends, "timers": steady})').end()
    assert code == 1
    assert "process-ended" in [line["event"] for line in lines]


def test_a_part_that_refuses_says_why_and_exits_with_2(start: Start) -> None:
    code, _, lines = start('run_processes({"relay": refuses})').end()
    assert code == 2
    assert lines[1]["refusal"] == "the trust file is another profile's"


def test_work_that_runs_once_ends_well(start: Start) -> None:
    assert start('run_once("migrate", ends)').end()[0] == 0


def test_work_that_runs_once_and_fails_exits_with_1(start: Start) -> None:
    assert start('run_once("migrate", dies)').end()[0] == 1


def test_work_that_runs_once_hears_signals(start: Start) -> None:
    process = start('run_once("rebuild", steady)')
    process.wait_for("started")
    process.send(signal.SIGTERM)
    assert process.end()[:2] == (0, "cleaned up\n")


def test_unsafe_settings_are_one_line_and_exit_with_2() -> None:
    code = START + "sys.exit(refusing_unsafe(unsafe))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == "refused to start: production refuses clock_file\n"


WITH_MORE_WORDS = {Command.REBUILD, Command.OPERATE}


@pytest.mark.parametrize("command", [c for c in Command if c not in WITH_MORE_WORDS])
def test_every_command_is_one_word(command: Command) -> None:
    assert parse_arguments("enrollment", [command.value]) == Arguments(command)


def test_rebuild_names_its_read_model() -> None:
    assert parse_arguments("enrollment", ["rebuild", "timeline"]) == Arguments(
        Command.REBUILD, RebuildWanted("timeline")
    )


@pytest.mark.parametrize("way", ["--accept-differences", "--back"])
def test_who_changes_what_is_read_says_who_and_why(
    way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["rebuild", "timeline", way]
    with pytest.raises(SystemExit) as ended:
        parse_arguments("enrollment", [*asked, "--operator", "o.petrov"])
    assert ended.value.code == 2
    assert "--reason" in capsys.readouterr().err
    read = parse_arguments("enrollment", [*asked, "--operator", "o.petrov", "--reason", "a drill"])
    assert read.rebuild is not None
    assert read.rebuild.order is not None
    assert (read.rebuild.back, read.rebuild.order.reason) == (way == "--back", "a drill")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["rebuild"],
        ["serve", "now"],
        ["operate"],
        ["rebuild", "a", "--back", "--drop"],
    ],
)
def test_what_is_no_command_prints_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments("enrollment", arguments)
    assert ended.value.code == 2
    assert "python -m enrollment" in capsys.readouterr().err
