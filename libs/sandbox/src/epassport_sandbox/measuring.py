"""What a run costs: CPU and memory of each process, events, octets in PostgreSQL and Kafka.

A service's worker process and its engine are counted by themselves: that is where images are.
"""

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from epassport_sandbox.processes import Child, cpu_seconds
from epassport_sandbox.stack import EmbeddedStack
from epassport_sandbox.system import System

DRIVER = "the people (this process)"
_ENGINE = "biometrics.engine.worker"


@dataclass(frozen=True)
class Snapshot:
    """All since the start of the run, by process or summed; postgres and kafka are of an embedded
    stack only.

    cpu: seconds; memory: octets, those shared between processes counted once; events, commits: in
    all stores; postgres: octets of all databases; wal: octets written to PostgreSQL's log; kafka:
    octets of all topics; loop_ms: CPU of one loop that is always the same, at this moment
    """

    cpu: Mapping[str, float]
    memory: Mapping[str, int]
    events: int
    commits: int
    postgres: int
    wal: int
    kafka: int
    loop_ms: float


async def look(system: System) -> Snapshot:
    cpu: dict[str, float] = defaultdict(float)
    memory: dict[str, int] = defaultdict(int)
    for part, process in _processes(system):
        try:
            used, held = cpu_seconds(process), process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue  # PostgreSQL's helpers come and go; their parent counts them
        cpu[part] += used
        memory[part] += held
    stored = await _stored(system)
    return Snapshot(dict(cpu), dict(memory), *stored, _topics(system), _loop_ms())


def costs(start: Snapshot, end: Snapshot, *, passports: int, seconds: float) -> dict[str, Any]:
    """As `result.json` has it."""
    spent = {name: end.cpu[name] - start.cpu.get(name, 0.0) for name in end.cpu}
    events = end.events - start.events
    return {
        "cpu_seconds": {name: round(used, 1) for name, used in spent.items()},
        "cpu_ms_per_passport": {
            **{name: round(1000 * used / passports, 1) for name, used in spent.items()},
            "all": round(1000 * sum(spent.values()) / passports, 1),
        },
        "events_per_second": round(events / seconds, 1),
        "events_per_passport": round(events / passports, 1),
        "commits_per_passport": round((end.commits - start.commits) / passports, 1),
        "bytes_per_passport": {
            "postgres": (end.postgres - start.postgres) // passports,
            "postgres_log": (end.wal - start.wal) // passports,
            "kafka": (end.kafka - start.kafka) // passports,
        },
    }


def loop_ms(snapshots: Mapping[str, Snapshot]) -> dict[str, float]:
    """What this machine was worth at each named moment: two runs compare where it is the same.

    A neighbour on the same core, seen or not, doubles it.
    """
    return {moment: round(snapshot.loop_ms, 1) for moment, snapshot in snapshots.items()}


def megabytes(snapshots: Mapping[str, Snapshot]) -> dict[str, dict[str, int]]:
    """Memory of each process at each named moment."""
    names = {name for snapshot in snapshots.values() for name in snapshot.memory}
    return {
        name: {
            moment: round(snapshot.memory.get(name, 0) / 1e6)
            for moment, snapshot in snapshots.items()
        }
        for name in sorted(names)
    }


def _processes(system: System) -> list[tuple[str, psutil.Process]]:
    found = [(DRIVER, psutil.Process())]
    for name, child in system.processes.children.items():
        if child.running:
            found += [(_part(name, process), process) for process in child.family()]
    if isinstance(stack := system.stack, EmbeddedStack):
        servers: dict[str, Child] = {
            "postgres": stack.postgres_server.child,
            "kafka": stack.kafka_server.child,
        }
        found += [(name, each) for name, child in servers.items() for each in child.family()]
    return [(part, process) for part, process in found if process.is_running()]


def _part(service: str, process: psutil.Process) -> str:
    command = process.cmdline()
    if _ENGINE in command:
        return f"{service}: engine"
    return f"{service}: work" if command[-1:] == ["work"] else service


def _loop_ms() -> float:
    before, total = time.thread_time(), 0
    for number in range(1_000_000):
        total += number * number
    return (time.thread_time() - before) * 1000


async def _stored(system: System) -> tuple[int, int, int, int]:
    """(events, commits, octets of the databases, octets of the log)"""
    events = commits = octets = wal = 0
    for service in system.urls:
        connection = await asyncpg.connect(system.dsn(service))
        try:
            row = await connection.fetchrow(
                """
                SELECT (SELECT count(*) FROM events) AS events,
                       (SELECT xact_commit FROM pg_stat_database
                         WHERE datname = current_database()) AS commits,
                       pg_database_size(current_database()) AS octets,
                       pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS wal
                """
            )
        finally:
            await connection.close()
        if row is None:
            raise AssertionError("one row")
        events, commits = events + row["events"], commits + row["commits"]
        octets, wal = octets + row["octets"], row["wal"]
    return events, commits, octets, wal


def _topics(system: System) -> int:
    if not isinstance(system.stack, EmbeddedStack):
        return 0
    return _size(system.stack.kafka_server.data)


def _size(folder: Path) -> int:
    """Octets on the disk: the broker makes its index files larger than what they hold."""
    return sum(
        (Path(root) / name).stat().st_blocks * 512
        for root, _, names in os.walk(folder)
        for name in names
        if name.endswith(".log")
    )
