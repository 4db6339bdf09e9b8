"""One seed, one fault, one set of rules: run to the end and say which invariants broke."""

from dataclasses import dataclass
from zlib import crc32

from tests.simulation.faults import FAULTS
from tests.simulation.invariants import broken
from tests.simulation.rules import KEPT, Rules
from tests.simulation.scheduler import Scheduler
from tests.simulation.system import System

STRIKES = 8
TROUBLED_TICKS = 800
HEALING_TICKS = 2_000
HASTE = 0.2
OUTSIDE_EVERY = 10


@dataclass(frozen=True)
class Result:
    """broken: invariant -> what was found. healing: steps from then until all was at rest.

    history: digest of what was written where, in which order
    """

    fault: str
    seed: int
    healing: int
    history: int
    broken: dict[int, str]


def run(fault: str, seed: int, rules: Rules = KEPT) -> Result:
    """Faults strike in the first part; afterwards nothing goes wrong any more."""
    scheduler = Scheduler(crc32(f"{fault}/{seed}".encode()))
    system = System(scheduler, rules)
    strikes = {scheduler.random.randrange(TROUBLED_TICKS) for _ in range(STRIKES)}
    owed = 0
    while scheduler.tick < TROUBLED_TICKS:
        _step(system)
        owed += scheduler.tick in strikes
        # Not at once: what is struck would always stand at the first step of what it does.
        if owed and scheduler.random.random() < HASTE and FAULTS[fault](system):
            owed -= 1
    system.broker.lose = system.broker.mishear = 0.0
    healed_at = scheduler.tick
    while (
        not (system.is_at_rest() or scheduler.bugs) and scheduler.tick - healed_at < HEALING_TICKS
    ):
        for _ in range(OUTSIDE_EVERY):
            _step(system)
    found = broken(system)
    if scheduler.bugs:
        found.setdefault(6, scheduler.bugs[0])
    elif not system.is_at_rest():
        found.setdefault(6, f"not at rest {HEALING_TICKS} steps after the last fault")
    return Result(fault, seed, scheduler.tick - healed_at, _digest(system), found)


def _digest(system: System) -> int:
    written = [sorted(d.table("events").items()) for d in (system.source, system.sink)]
    return crc32(repr((written, system.broker.topics)).encode())


def _step(system: System) -> None:
    system.scheduler.step()
    if system.scheduler.tick % OUTSIDE_EVERY == 0:
        system.outside()
