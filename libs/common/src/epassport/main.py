"""Entrypoints of every service: `python -m <package> <command>`."""

import argparse
import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence

import structlog

from epassport.audit import audit
from epassport.database import Database, migrate
from epassport.entrypoints import (
    Arguments,
    Command,
    Factory,
    parse_arguments,
    refusing_unsafe,
    run_once,
    run_processes,
)
from epassport.errors import EndsProcess, Unsafe
from epassport.events import EventCodec
from epassport.history_topic import read_published
from epassport.kafka import KafkaClients
from epassport.keyring_stream import KEYRING
from epassport.operate import operate
from epassport.operations import Order
from epassport.preflight import findings
from epassport.progress import ShownProgress
from epassport.rebuild import Source
from epassport.rebuild_command import carry_out
from epassport.restore import accept, restore
from epassport.service import Running, Service, running
from epassport.telemetry import configure

log = structlog.get_logger(__name__)

PARENT = "EPASSPORT_PARENT_PROCESS"
_PR_SET_PDEATHSIG = 1  # prctl(2)


def main(package: str, build: Callable[[], Service], arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code; see `entrypoints`."""
    read = parse_arguments(package, sys.argv[1:] if arguments is None else arguments)

    def start() -> int:
        _end_with_parent()
        service = build()
        configure(service.name, read.command, level=service.settings.log_level)
        return _run(service, read)

    return refusing_unsafe(start)


def _run(service: Service, read: Arguments) -> int:
    match read.command:
        case Command.MIGRATE:
            return run_once("migrate", lambda: _migrate(service))
        case Command.REBUILD:
            return run_once("rebuild", lambda: _rebuild(service, read))
        case Command.RESTORE:
            return run_once("restore", lambda: _restore(service, read.lost))
        case Command.AUDIT:
            return run_once("audit", lambda: _audit(service))
        case Command.CHECK:
            return run_once("check", lambda: _check(service))
        case Command.OPERATE if read.operation is not None:
            asked = read.operation
            return run_once("operate", lambda: _operate(service, asked))
        case Command.ALL:
            return run_processes(_all(service))
        case Command.CEREMONY:
            raise Unsafe("the ceremony is held for all services: python -m epassport.ceremony")
        case Command.WORK if not service.works:
            raise Unsafe(f"{service.name} has no tasks, so nothing to work on")
        case command:
            return run_processes({command.value: lambda: _one(service, command)})


async def _migrate(service: Service) -> None:
    applied = await migrate(service.settings.postgres_dsn(), service.package)
    log.info("migrated", applied=applied)


async def _rebuild(service: Service, read: Arguments) -> None:
    """Needs the database, the topics that the model hears, and none of the service's keys."""
    if read.rebuild is None:
        raise AssertionError("rebuild is asked for with its arguments")
    source = Source(
        service.settings.postgres_dsn(),
        EventCodec([*service.aggregates, KEYRING]),
        service.name,
        KafkaClients(service.settings.kafka(), client_id="epassport-rebuild"),
    )
    await carry_out(read.rebuild, service.read_models, source)


async def _restore(service: Service, lost: Order | None) -> None:
    """Prints what was found; the service starts once what it has lost is settled."""
    async with running(service, restoring=True) as opened:
        essentials = opened.essentials
        found = await restore(
            essentials.database,
            service.settings.postgres_dsn(),
            essentials.keyring,
            next(handler for handler in opened.handlers() if handler.name == "reactions"),
            service.name,
            opened.kafka,
            ShownProgress("restore"),
        )
        for name, count in vars(found).items():
            sys.stdout.write(f"{name}: {count}\n")
        sys.stdout.flush()
        await accept(essentials.database, opened.history(), found.lost_links, lost)
    log.info("restored", service=service.name)


async def _operate(service: Service, asked: argparse.Namespace) -> None:
    async with running(service) as opened:
        await operate(opened.operations(), opened.essentials.database, asked)


async def _audit(service: Service) -> None:
    """Needs the database and the history topic, and none of the service's keys."""
    clients = KafkaClients(service.settings.kafka(), client_id="epassport-audit")
    published = await read_published(clients, service.name)
    database = await Database.connect(service.settings.postgres_dsn(), connections=1)
    try:
        async with database.connection() as connection:
            result = await audit(connection, service.name, published)
    finally:
        await database.close()
    for line in result.lines():
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    if result.findings:
        raise EndsProcess(f"{len(result.findings)} findings, each a line of its own")


async def _check(service: Service) -> None:
    found = await findings(service)
    for finding in found:
        sys.stdout.write(f"{finding}\n")
    sys.stdout.flush()
    if found:
        raise EndsProcess(f"{len(found)} findings, each a line of its own")
    log.info("checked", service=service.name)


def _part(opened: Running, command: Command) -> Factory:
    return {
        Command.SERVE: opened.serve,
        Command.CONSUME: opened.consume,
        Command.PROJECT: opened.project,
        Command.RELAY: opened.relay,
        Command.WORK: opened.work,
        Command.TIMERS: opened.timers,
    }[command]


async def _one(service: Service, command: Command) -> None:
    """The part alone; beside it the hints and, where a port is set and the part has none, its
    health."""
    async with running(service) as opened, asyncio.TaskGroup() as parent:
        beside = [parent.create_task(opened.hints(), name="hints")]
        if command is not Command.SERVE and service.settings.health_port > 0:
            beside.append(parent.create_task(opened.health(command), name="health"))
        try:
            await _part(opened, command)()
        finally:
            for one in beside:
                one.cancel()


def _all(service: Service) -> dict[str, Factory]:
    """Everything in one event loop, but `work` in a process of its own: heartbeats share
    the loop, and work may be heavy."""
    shared = (Command.SERVE, Command.CONSUME, Command.PROJECT, Command.RELAY, Command.TIMERS)
    may_work = asyncio.Event()

    async def in_one_loop() -> None:
        async with running(service) as opened, asyncio.TaskGroup() as parent:
            parent.create_task(opened.hints(), name="hints")
            for command in shared:
                parent.create_task(_part(opened, command)(), name=command.value)
            if service.before_work is not None:
                await service.before_work(opened.app)
            may_work.set()

    async def work() -> None:
        await may_work.wait()
        await _work_process(service)

    parts: dict[str, Factory] = {"service": in_one_loop}
    if service.works:
        parts["work"] = work
    return parts


def _end_with_parent() -> None:
    """Started by `all`, work ends when that process does, also after kill -9 (Linux)."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        raise SystemExit("the process that started this one has ended already")


async def _work_process(service: Service) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", service.package, Command.WORK.value),
        env={**os.environ, PARENT: str(os.getpid())},
    )
    try:
        code = await child.wait()
        raise ChildProcessError(f"work ended with {code}")
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()
