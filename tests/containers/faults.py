"""`python -m tests.containers.faults`: containers are killed and paused under citizens on the road.

One run a fault: citizens start, the container is killed (and started again) or paused (and let
go on), the citizens arrive, and everything comes to rest within the stated time; then invariants
1 to 3 are checked over all data. Exit 1 where a cell is red. The images are those that `make
images` built. A run of one container writes its own rows and leaves those of the others.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from epassport_contracts import ServiceName
from epassport_sandbox.citizens import Citizen, citizens
from epassport_sandbox.client import TookTooLong
from epassport_sandbox.containers import ContainerServer, ContainerStack
from epassport_sandbox.invariants import (
    DELIVERY,
    REPLAYED,
    VERSIONS,
    check_invariants,
    settle,
)
from epassport_sandbox.kafka import broker_not_ready
from epassport_sandbox.postgres import server_not_ready
from epassport_sandbox.running import Session, open_session
from tests.containers.folder import run_in_folder
from tests.containers.patience import patient_road

PAGE = Path(__file__).parents[2] / "docs" / "faults-containers.md"
COMMAND = "make faults-containers"
SEED, FULL_AGE = 77, 18
PAUSE_SECONDS = 8.0
START = timedelta(seconds=180)
AT_REST = timedelta(seconds=60)
"""So long after the last fault has healed and the last citizen arrived, nothing is on its way."""

HEAD = """\
# Faults on containers

Written by `{command}`. {citizens} citizens walk the whole road in each run, half of them under way
when the fault strikes. The stack is durable (fsync on) and stays the same for all runs, so the last
one checks everybody's data. Killed containers are started again at once, paused ones go on after
{pause} s. At rest: no outbox row, no task, no consumer behind, counted from the last arrival;
stated bound {rest} s. The invariants have the numbers of
[faults.md](faults.md).

"""

KILL, PAUSE = "kill -9", "pause"
PARTS = (*ServiceName, "kafka", "postgres")
Cell = tuple[str, str]
CELLS: tuple[Cell, ...] = tuple((part, fault) for part in PARTS for fault in (KILL, PAUSE))
INVARIANTS = (VERSIONS, DELIVERY, REPLAYED)
NUMBERED = [f"{number} {name}" for number, name in enumerate(INVARIANTS, start=1)]


@dataclass(frozen=True)
class Result:
    """One run. rest_seconds: None where something was still on its way when the time was over."""

    part: str
    fault: str
    passports: int
    wanted: int
    violations: dict[str, int]
    rest_seconds: float | None

    @property
    def holds(self) -> bool:
        at_rest = self.rest_seconds is not None and self.passports == self.wanted
        return at_rest and not any(self.violations.values())


def row(runs: Sequence[Result]) -> str:
    """Of one fault of one container, over all its runs: sums, and the longest way to rest."""
    counts = [sum(run.violations[name] for run in runs) for name in INVARIANTS]
    rests = [run.rest_seconds for run in runs]
    worst = "never" if None in rests else f"{max(filter(None, rests)):.1f} s"
    arrived = f"{sum(run.passports for run in runs)} of {sum(run.wanted for run in runs)}"
    broken = " | ".join(f"{count} broken" if count else "holds" for count in counts)
    return f"| {runs[0].part} | {runs[0].fault} | {len(runs)} | {arrived} | {broken} | {worst} |"


async def play(session: Session, part: str, fault: str, people: Sequence[Citizen]) -> Result:
    """Half of the people are on the road when it strikes, the others set out during it."""
    async with patient_road(session) as road:
        walking = [asyncio.create_task(road.whole(citizen)) for citizen in people[::2]]
        await _a_step_is_taken(road.steps.seconds, walking)
        walking += [asyncio.create_task(road.whole(citizen)) for citizen in people[1::2]]
        await (_kill if fault == KILL else _pause)(session, part)
        walks = await asyncio.gather(*walking)
    started = time.perf_counter()
    rest: float | None = None
    try:
        await settle(session.system, within=AT_REST)
        rest = time.perf_counter() - started
    except TookTooLong as late:
        print(late, file=sys.stderr)
    found = await check_invariants(session.system)
    for name, told in found.violations.items():
        for one in told[:20]:
            print(f"{part}, {fault}: {name}: {one}", file=sys.stderr)
    counts = {name: len(found.violations.get(name, ())) for name in INVARIANTS}
    return Result(part, fault, len(walks), len(people), counts, rest)


async def _a_step_is_taken(steps: object, walking: "Sequence[asyncio.Task[object]]") -> None:
    async with asyncio.timeout(60):
        while not steps:
            if failed := next((task for task in walking if task.done()), None):
                failed.result()
            await asyncio.sleep(0.05)


async def _kill(session: Session, part: str) -> None:
    """By the engine, as a machine's memory limit does it; then what an orchestrator does."""
    system = session.system
    server = _server(session, part)
    child = system.processes.children[part] if server is None else server.child
    child.kill(signal.SIGKILL)
    await child.wait()
    if server is None:
        await system.start(ServiceName(part), within=START)
        return
    await server.start_again()
    await server.child.until_ready(_probe(session, part), within=START)


async def _pause(session: Session, part: str) -> None:
    server = _server(session, part)
    child = session.system.processes.children[part] if server is None else server.child
    child.kill(signal.SIGSTOP)
    await asyncio.sleep(PAUSE_SECONDS)
    child.kill(signal.SIGCONT)


def _server(session: Session, part: str) -> ContainerServer | None:
    stack = session.system.stack
    assert isinstance(stack, ContainerStack)
    return {"kafka": stack.kafka_server, "postgres": stack.postgres_server}.get(part)


def _probe(session: Session, part: str) -> Callable[[], Awaitable[str | None]]:
    stack = session.system.stack
    if part == "postgres":
        return lambda: server_not_ready(stack.postgres)
    return lambda: broker_not_ready(stack.kafka, int(stack.kafka.bootstrap.rpartition(":")[2]))


def rows_of(written: str) -> dict[Cell, str]:
    """The rows of a page, by container and fault."""
    rows: dict[Cell, str] = {}
    for line in written.splitlines():
        cells = line.strip("| ").split(" | ")
        if cells[0] in PARTS and cells[1] in (KILL, PAUSE):
            rows[cells[0], cells[1]] = line
    return rows


def page(results: Sequence[Result], citizens_each: int, others: Mapping[Cell, str]) -> str:
    """others: rows of what was not played this time."""
    heads = [*("container", "fault", "runs", "passports in force"), *NUMBERED, "6 at rest after"]
    of_one: dict[Cell, list[Result]] = {}
    for result in results:
        of_one.setdefault((result.part, result.fault), []).append(result)
    known = {**others, **{cell: row(runs) for cell, runs in of_one.items()}}
    rows = [known[cell] for cell in CELLS if cell in known]
    return (
        HEAD.format(
            command=f"{COMMAND} WRITE=1",
            citizens=citizens_each,
            pause=f"{PAUSE_SECONDS:g}",
            rest=f"{AT_REST.total_seconds():g}",
        )
        + f"| {' | '.join(heads)} |\n| {' | '.join('---' for _ in heads)} |\n"
        + "".join(f"{line}\n" for line in rows)
        + f"\n{sum(map(_is_green, rows))} of {len(rows)} rows hold.\n"
    )


def _is_green(line: str) -> bool:
    arrived, *invariants, rest = line.strip("| ").split(" | ")[3:]
    there, _, wanted = arrived.partition(" of ")
    return there == wanted and set(invariants) == {"holds"} and rest != "never"


async def run(options: argparse.Namespace, folder: Path) -> int:
    played = [cell for cell in CELLS if options.part in (None, cell[0])]
    written = rows_of(PAGE.read_text()) if PAGE.exists() else {}
    others = {cell: line for cell, line in written.items() if cell not in played}
    plan = played * options.rounds
    today_needs = options.citizens * len(plan)
    results: list[Result] = []
    async with (
        ContainerStack(folder, durable=True) as stack,
        open_session(folder / "system", fingers=today_needs, stack=stack) as session,
    ):
        today = session.system.clock.now().date()
        grown = (one for one in citizens(SEED, 10 * today_needs, today)
                 if one.age(today) >= FULL_AGE and one.paper_passport is not None)  # fmt: skip
        for part, fault in plan:
            people = list(islice(grown, options.citizens))
            results.append(await play(session, part, fault, people))
            print(row(results[-1:]), flush=True)
            if options.write:  # after each: a run that is ended has its page
                PAGE.write_text(page(results, options.citizens, others))
    return 0 if all(result.holds for result in results) else 1


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.containers.faults")
    options.add_argument("--citizens", type=int, default=4, help="in each run")
    options.add_argument("--rounds", type=int, default=1, help="of every fault")
    options.add_argument("--part", choices=PARTS, help="this container only")
    options.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    given = options.parse_args()
    return run_in_folder("faults-containers", lambda folder: run(given, folder))


if __name__ == "__main__":
    sys.exit(main())
