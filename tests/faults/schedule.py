"""Faults, and what a seed makes of them: which blow falls when, on whom, for how long. Pure.

The same fault and seed give the same schedule; where exactly a blow hits is up to the machine.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from signal import SIGINT, SIGKILL, SIGTERM, Signals

from tests.faults.proxy import Trouble

ROUND_SECONDS = 6.0
ZOMBIE_SECONDS = 8.5
"""Longer than a member's session (6 s), so that others have gone on when it wakes."""

TURN_SECONDS = 5.0
"""Longer than a timer's turn may take (3 s): another one has handled its deadlines meanwhile."""

FENCED_SECONDS = 12.0
"""Longer than a relay's session may stand idle (10 s)."""

CONSUMERS = ("receiver.consume", "receiver.all")
RELAYS = ("sender.relay", "receiver.relay", "sender.all", "receiver.all")
SERVERS = ("sender.serve", "sender.all")
PROJECTORS = ("sender.project", "receiver.project", "sender.all", "receiver.all")
WORKERS = ("sender.work", "sender.all")
TIMERS = ("sender.timers", "sender.all")
STAMPERS = (*RELAYS, *WORKERS)
"""Beside servers, who else reads a clock: a worker for its answer, a relay for its records, which
the broker refuses from the future."""

ANYBODY = ()


@dataclass(frozen=True)
class Kill:
    """pick: of the replicas of these roles, counted round and round."""

    roles: Sequence[str]
    pick: int
    down_seconds: float


@dataclass(frozen=True)
class Pause:
    roles: Sequence[str]
    pick: int
    seconds: float


@dataclass(frozen=True)
class Network:
    before: str  # "kafka" or "postgres"
    trouble: Trouble
    seconds: float


@dataclass(frozen=True)
class Restart:
    server: str
    signal: Signals
    down_seconds: float


@dataclass(frozen=True)
class Disk:
    """PostgreSQL's `syscall` fails with `error`, the `when`-th of each process from now on.

    lasts: so do all that come after it, until it is healed
    """

    syscall: str
    error: str
    when: int
    seconds: float
    lasts: bool


@dataclass(frozen=True)
class Clock:
    """Jumps of one replica's clock, one after the other."""

    roles: Sequence[str]
    pick: int
    offsets_seconds: Sequence[int]


@dataclass(frozen=True)
class Repeat:
    """Records that lie on the topics already are put there again."""

    share: float


@dataclass(frozen=True)
class Reorder:
    """What waits in the sender's outbox is sent by somebody who keeps no order, and twice."""

    seconds: float


@dataclass(frozen=True)
class Poison:
    records: int


@dataclass(frozen=True)
class Hold:
    """A busy stream is held by poison under its own key; discarded when all else is healed."""

    pick: int


@dataclass(frozen=True)
class Cross:
    """So often, a transaction with a low id commits after one with a high one (`crossing.py`)."""

    times: int


Act = Kill | Pause | Network | Restart | Disk | Clock | Repeat | Reorder | Poison | Hold | Cross


@dataclass(frozen=True)
class Blow:
    at: float
    act: Act


@dataclass(frozen=True)
class Fault:
    """plan: draws the blows of one round. twice: share of commands sent to both at once."""

    plan: Callable[[random.Random], list[Blow]]
    twice: float = 0.2
    seconds: float = ROUND_SECONDS


@dataclass(frozen=True)
class Schedule:
    fault: str
    seed: int
    blows: Sequence[Blow]
    seconds: float
    twice: float

    @property
    def reorders(self) -> bool:
        return any(isinstance(blow.act, Reorder) for blow in self.blows)


def schedule(fault: str, seed: int) -> Schedule:
    """Raises KeyError for a fault that nobody knows."""
    known = FAULTS[fault]
    draw = random.Random(f"{fault}/{seed}")
    blows = sorted(known.plan(draw), key=lambda blow: blow.at)
    return Schedule(fault, seed, blows, known.seconds, known.twice)


def _kills(roles: Sequence[str], *, times: int = 3) -> Callable[[random.Random], list[Blow]]:
    return lambda draw: [
        Blow(draw.uniform(0.5, 4.5), Kill(roles, draw.randrange(100), draw.uniform(0, 1)))
        for _ in range(times)
    ]


def _pauses(draw: random.Random) -> list[Blow]:
    return [
        Blow(draw.uniform(0.3, 4), Pause(ANYBODY, draw.randrange(100), draw.uniform(0.2, 2)))
        for _ in range(5)
    ]


def _zombie(roles: Sequence[str], seconds: float) -> Callable[[random.Random], list[Blow]]:
    def plan(draw: random.Random) -> list[Blow]:
        pick = draw.randrange(100)
        return [Blow(draw.uniform(0.5, 2), Pause(roles, pick, seconds + draw.uniform(0, 1)))]

    return plan


def _turns(draw: random.Random) -> list[Blow]:
    """One timer after the other."""
    pick = draw.randrange(100)
    return [
        Blow(at + draw.uniform(0, 1), Pause(TIMERS, pick + n, TURN_SECONDS + draw.uniform(0, 1)))
        for n, at in enumerate((0.5, 7.5))
    ]


def _network(
    before: str, trouble: Trouble, *, times: int = 1, longest: float = 2.5
) -> Callable[[random.Random], list[Blow]]:
    return lambda draw: [
        Blow(
            draw.uniform(0.5, 3),
            Network(before, _vary(trouble, draw), draw.uniform(longest / 2, longest)),
        )
        for _ in range(times)
    ]


def _vary(trouble: Trouble, draw: random.Random) -> Trouble:
    return replace(
        trouble,
        latency_seconds=trouble.latency_seconds * draw.uniform(0.5, 1.5),
        cut_after=int(trouble.cut_after * draw.uniform(0.5, 1.5)),
    )


def _restart(server: str, signal: Signals) -> Callable[[random.Random], list[Blow]]:
    return lambda draw: [Blow(draw.uniform(1, 3), Restart(server, signal, draw.uniform(0, 1.5)))]


def _disk(
    syscall: str, error: str, *, lasts: bool = False
) -> Callable[[random.Random], list[Blow]]:
    return lambda draw: [
        Blow(draw.uniform(0.5, 1.5), Disk(syscall, error, draw.randint(1, 4), 3.0, lasts))
    ]


def _clock(draw: random.Random) -> list[Blow]:
    return [
        Blow(draw.uniform(0.2, 0.6), Clock(roles, draw.randrange(100), _jumps(draw)))
        for roles in (SERVERS, STAMPERS)
    ]


def _jumps(draw: random.Random) -> list[int]:
    """One of a day, forth or back: tokens live shorter, and the broker's patience is shorter."""
    jumps = [draw.choice((-86_400, 86_400)), draw.choice((-3_600, 3_600)), draw.choice((-7, 7))]
    return draw.sample(jumps, len(jumps))


def _repeats(draw: random.Random) -> list[Blow]:
    return [Blow(at, Repeat(draw.uniform(0.2, 0.6))) for at in (2.0, 3.5, 5.0)]


def _reorder(draw: random.Random) -> list[Blow]:
    return [Blow(draw.uniform(0.5, 1.5), Reorder(draw.uniform(2, 3)))]


def _poison(draw: random.Random) -> list[Blow]:
    blows = [Blow(at, Poison(draw.randint(2, 6))) for at in (1.0, 2.5, 4.0)]
    return [*blows, Blow(draw.uniform(0.5, 2), Hold(draw.randrange(100)))]


def _crossings(draw: random.Random) -> list[Blow]:
    return [Blow(at + draw.uniform(0, 0.5), Cross(2)) for at in (0.5, 2.5, 4.5)]


def _everything(draw: random.Random) -> list[Blow]:
    """Several at once: what each alone leaves right, two together may not."""
    plans = draw.sample(
        [
            _kills(ANYBODY, times=4),
            _pauses,
            _zombie(CONSUMERS, ZOMBIE_SECONDS),
            _network("kafka", Trouble(latency_seconds=0.05)),
            _network("postgres", Trouble(cut_after=40_000)),
            _network("kafka", Trouble(cut_after=20_000)),
            _restart("kafka", SIGKILL),
            _restart("postgres", SIGKILL),
            _repeats,
            _poison,
        ],
        3,
    )
    return [blow for plan in plans for blow in plan(draw)]


FAULTS: Mapping[str, Fault] = {
    "kill -9 of a relay": Fault(_kills(RELAYS)),
    "kill -9 of a consumer": Fault(_kills(CONSUMERS)),
    "kill -9 of a server": Fault(_kills(SERVERS)),
    "kill -9 of a projector": Fault(_kills(PROJECTORS)),
    "kill -9 of a worker": Fault(_kills(WORKERS)),
    "kill -9 of a timer": Fault(_kills(TIMERS)),
    "SIGSTOP of anybody": Fault(_pauses),
    "a consumer paused beyond its session": Fault(_zombie(CONSUMERS, ZOMBIE_SECONDS), seconds=11),
    "a timer paused beyond its turn": Fault(_turns, seconds=15),
    "a relay paused beyond its session": Fault(_zombie(RELAYS, FENCED_SECONDS), seconds=15),
    "Kafka: slow network": Fault(
        _network("kafka", Trouble(latency_seconds=0.1, bytes_per_second=200_000), longest=4)
    ),
    "Kafka: connections lost": Fault(_network("kafka", Trouble(refuses=True), times=2)),
    "Kafka: connections half-open": Fault(_network("kafka", Trouble(half_open=True))),
    "Kafka: cut in a message": Fault(_network("kafka", Trouble(cut_after=20_000), times=3)),
    "Kafka: broker restarted": Fault(_restart("kafka", SIGTERM)),
    "Kafka: kill -9 of the broker": Fault(_restart("kafka", SIGKILL)),
    "PostgreSQL: slow network": Fault(
        _network("postgres", Trouble(latency_seconds=0.03, bytes_per_second=500_000), longest=4)
    ),
    "PostgreSQL: connections lost": Fault(_network("postgres", Trouble(refuses=True), times=2)),
    "PostgreSQL: connections half-open": Fault(_network("postgres", Trouble(half_open=True))),
    "PostgreSQL: cut in a message": Fault(_network("postgres", Trouble(cut_after=40_000), times=3)),
    "PostgreSQL: restarted": Fault(_restart("postgres", SIGINT)),
    "PostgreSQL: kill -9 of the server": Fault(_restart("postgres", SIGKILL)),
    "PostgreSQL: fsync fails (EIO)": Fault(_disk("fdatasync,fsync", "EIO")),
    "PostgreSQL: disk full (ENOSPC)": Fault(
        _disk("pwrite64,pwritev,fallocate", "ENOSPC", lasts=True)
    ),
    "clocks jump": Fault(_clock),
    "records repeated on the topics": Fault(_repeats),
    "records out of order and repeated": Fault(_reorder, seconds=7),
    "poison on the topics": Fault(_poison),
    "a transaction commits late": Fault(_crossings),
    "every command twice at once": Fault(_kills(SERVERS, times=2), twice=1.0),
    "several at once": Fault(_everything, seconds=11),
}
