"""`python -m <package> <command>`: arguments, signals, and how a process ends.

Exit codes: 0 stopped as asked, 1 a part died, ended by its own judgement or did not stop in
time, 2 unsafe settings or
a schema that does not fit. A second signal ends the process at once.
"""

import argparse
import asyncio
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
import uvloop

from epassport.database import SchemaMismatch
from epassport.errors import EndsProcess, Unsafe
from epassport.operate import add_who_and_why, order_of, parse_operation
from epassport.operations import Order
from epassport.rebuild_arguments import RebuildWanted, add_rebuild_arguments, rebuild_of
from epassport.telemetry import describe

log = structlog.get_logger(__name__)

GARBAGE_BEFORE_COLLECTION = 10_000  # a slice or a group makes that much at once
GRACE_SECONDS = 15.0

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
PICTURE_BYTES, KEPT_BYTES = 32 << 20, 128 << 20  # the most that glibc takes; what stays at hand

STOPPED, DIED, REFUSED = 0, 1, 2

Factory = Callable[[], Coroutine[Any, Any, None]]


class Command(StrEnum):
    SERVE = "serve"
    CONSUME = "consume"
    PROJECT = "project"
    RELAY = "relay"
    WORK = "work"
    TIMERS = "timers"
    ALL = "all"
    MIGRATE = "migrate"
    REBUILD = "rebuild"
    RESTORE = "restore"
    AUDIT = "audit"
    CHECK = "check"
    OPERATE = "operate"
    CEREMONY = "ceremony"


_HELP = {
    Command.SERVE: "answer HTTP commands and queries",
    Command.CONSUME: "take in the events of other services",
    Command.PROJECT: "fill the read models",
    Command.RELAY: "send the outbox to Kafka",
    Command.WORK: "run tasks with effects",
    Command.TIMERS: "send deadlines that have passed",
    Command.ALL: "everything above in one process",
    Command.MIGRATE: "bring the database's schema to this build's",
    Command.REBUILD: "fill a read model anew beside the one that is read, compare and switch",
    Command.RESTORE: "make a database that came back from a backup fit to be served",
    Command.AUDIT: "compare every stored event with the hash chain and its published heads",
    Command.CHECK: "check settings, keys, database and Kafka, then exit",
    Command.OPERATE: "what operators see and do: parked streams, stuck tasks, overdue deadlines",
    Command.CEREMONY: "make the service's keys and the signed trust file",
}


@dataclass(frozen=True)
class Arguments:
    """rebuild: what `rebuild` is asked for. operation: what `operate` is asked for.

    lost: whose order it is that `restore` goes on without what the store has lost.
    """

    command: Command
    rebuild: RebuildWanted | None = None
    operation: argparse.Namespace | None = None
    lost: Order | None = None


def parse_arguments(program: str, arguments: Sequence[str]) -> Arguments:
    """Prints usage and exits with 2 where they do not fit."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for command in Command:
        one = commands.add_parser(command.value, help=_HELP[command])
        if command is Command.REBUILD:
            add_rebuild_arguments(one)
        elif command is Command.RESTORE:
            one.add_argument(
                "--accept-lost", action="store_true", help="what the store has lost is settled"
            )
            add_who_and_why(one, required=False)
    if arguments[:1] == [Command.OPERATE.value]:
        return Arguments(Command.OPERATE, operation=parse_operation(program, arguments[1:]))
    read = parser.parse_args(arguments)
    command = Command(read.command)
    if command is Command.REBUILD:
        return Arguments(command, rebuild_of(parser, read))
    if command is Command.RESTORE and read.accept_lost:
        if read.operator is None or read.reason is None:
            parser.error("--accept-lost needs --operator and --reason")
        return Arguments(command, lost=order_of(read))
    return Arguments(command)


def refusing_unsafe(start: Callable[[], int]) -> int:
    """Run `start`; unsafe settings end it with one line on stderr and exit code 2."""
    try:
        return start()
    except (Unsafe, SchemaMismatch) as error:
        sys.stderr.write(f"refused to start: {error}\n")
        return REFUSED


def run_processes(processes: Mapping[str, Factory], *, grace_seconds: float = GRACE_SECONDS) -> int:
    """Run all until SIGTERM or SIGINT, then cancel them and wait for their clean-up.

    If one ends by itself, the others are stopped and the exit code is not 0: a service
    without its relay must not look healthy.
    """
    return _run(processes, may_end=False, grace_seconds=grace_seconds)


def run_once(name: str, work: Factory, *, grace_seconds: float = GRACE_SECONDS) -> int:
    """Run one piece of work to its end, or until a signal."""
    return _run({name: work}, may_end=True, grace_seconds=grace_seconds)


def _run(processes: Mapping[str, Factory], *, may_end: bool, grace_seconds: float) -> int:
    gc.freeze()  # modules and models stay for good: the collector need not walk them each time
    gc.set_threshold(GARBAGE_BEFORE_COLLECTION)
    _keep_freed_memory()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code, overdue = runner.run(_until_stopped(processes, may_end, grace_seconds))
        if overdue:
            # What ignores a cancellation would hold up the loop's own end as well.
            sys.stderr.flush()
            os._exit(DIED)
        return code


def _keep_freed_memory() -> None:
    """Pictures come and go: giving each one's memory back to the kernel, which then clears it for
    the next, is a third of the gate's time. glibc's alone; others have no such call."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, PICTURE_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


async def _until_stopped(
    processes: Mapping[str, Factory], may_end: bool, grace_seconds: float
) -> tuple[int, bool]:
    """(exit code, whether some did not stop in time)"""
    asyncio.get_running_loop().set_exception_handler(_log_lost_exception)
    stop = _stop_on_signals()
    tasks = [asyncio.create_task(start(), name=name) for name, start in processes.items()]
    stopping = asyncio.create_task(stop.wait(), name="signals")
    log.info("started", processes=list(processes), pid=os.getpid())
    await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    ended = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    _, overdue = await asyncio.wait(tasks, timeout=grace_seconds)
    code = max(_exit_code(task, may_end=may_end or task not in ended) for task in tasks)
    if overdue:
        log.error("stop-overdue", processes=[task.get_name() for task in overdue])
        return DIED, True
    log.info("stopped", processes=list(processes))
    return code, False


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()

    def hear(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info("stopping", signal=number.name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, hear, number)
    return stop


def _exit_code(task: "asyncio.Task[None]", *, may_end: bool) -> int:
    if not task.done() or task.cancelled():
        return STOPPED
    error = task.exception()
    if error is None:
        if may_end:
            return STOPPED
        log.error("process-ended", name=task.get_name())
        return DIED
    # Only our own judgements have texts that are known to hold nothing personal.
    if (judged := member_of(error, EndsProcess)) is not None:
        log.error("process-ends", name=task.get_name(), refusal=str(judged))
        return DIED
    if (refused := member_of(error, Unsafe, SchemaMismatch)) is not None:
        log.error("process-died", name=task.get_name(), refusal=str(refused), **describe(error))
        return REFUSED
    log.error("process-died", name=task.get_name(), **describe(error))
    return DIED


def member_of(error: BaseException, *wanted: type[Exception]) -> BaseException | None:
    """The first of its kind: the parts of one loop end in a group of errors."""
    if isinstance(error, wanted):
        return error
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((found for one in members if (found := member_of(one, *wanted))), None)


def _log_lost_exception(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    described = describe(error) if isinstance(error, BaseException) else {}
    log.error("lost-exception", **described)
