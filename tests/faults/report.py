"""Results as a table: fault x invariant x rounds x seeds, and which planted bug was found when.

Every round and every caught bug is noted in build/faults as it ends, so that a run that is stopped
has lost nothing; the page is made of what stands there. Rows of the page for which nothing is noted
stay as they are, so that one fault can be played anew.
"""

import json
import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from tests.faults.campaign import LAG_GONE, Result
from tests.faults.checker import Invariant
from tests.faults.planted import Bug
from tests.faults.schedule import FAULTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
ROUNDS = ROOT / "build" / "faults" / "rounds.jsonl"
BUGS = ROOT / "build" / "faults" / "bugs.jsonl"
HOLDS = "holds"
HEAD = 2  # lines of a table above its first row
WIDTH = 110


@dataclass(frozen=True)
class Round:
    """One round as it is noted. broken: the invariants that did not hold."""

    fault: str
    seed: int
    operations: int
    lag_seconds: float | None
    broken: Sequence[str]

    @classmethod
    def of(cls, result: Result) -> "Round":
        broken = [invariant for invariant, found in result.findings.items() if found]
        plan = result.schedule
        return cls(plan.fault, plan.seed, result.acknowledged, result.lag_seconds, broken)


@dataclass(frozen=True)
class Caught:
    """rounds: until it was found, None where it was not. by: the invariants that were broken."""

    bug: str
    fault: str
    rounds: int | None
    by: Sequence[str] = ()
    finding: str = ""


def note(file: Path, what: Round | Caught) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lines:
        lines.write(json.dumps(asdict(what)) + "\n")


def noted(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def table(rounds: Iterable[Round]) -> list[str]:
    by_fault: dict[str, list[Round]] = defaultdict(list)
    for one in rounds:
        by_fault[one.fault].append(one)
    heads = ["fault", "rounds", "seeds", "operations", *Invariant, "lag gone after, worst"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for fault, played in by_fault.items():
        lags = [one.lag_seconds for one in played if one.lag_seconds is not None]
        cells = [
            fault,
            str(len(played)),
            _ranges({one.seed for one in played}),
            str(sum(one.operations for one in played)),
            *(_verdict(played, invariant) for invariant in Invariant),
            f"{max(lags):.1f} s" if lags else "-",
        ]
        lines.append(_line(cells))
    return lines


def bugs(caught: Iterable[Caught]) -> list[str]:
    heads = ["planted bug", "under", "found in round", "broken invariants", "first finding"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for one in caught:
        found = str(one.rounds) if one.rounds is not None else "NOT FOUND"
        lines.append(_line([one.bug, one.fault, found, ", ".join(one.by), one.finding]))
    return lines


def page(command: str, skipped: Sequence[str], before: str) -> str:
    """before: the page as it is."""
    played = with_rows_of(before, table(Round(**row) for row in noted(ROUNDS)), FAULTS)
    caught = {row["bug"]: Caught(**row) for row in noted(BUGS)}
    found = with_rows_of(before, bugs(caught.values()), Bug)
    rounds, operations = (sum(int(_cells(row)[n]) for row in played[HEAD:]) for n in (1, 3))
    paragraphs = [
        "# The runtime under fire",
        f"Written by `{command}`: {rounds} rounds, {operations:,} acknowledged operations, on"
        f" {os.cpu_count()} cores ({platform.machine()}), everything on one machine; each row as"
        " it was last played. The same fault and seed give the same schedule of blows:"
        ' `make faults FAULT="kill -9 of a relay" SEED=1`.',
        "Two services, a sender and a receiver with a database each, run on the real runtime, real"
        " PostgreSQL (fsync on) and real Kafka; of every process there are two. Clients count and"
        " send pictures, some of them at both replicas at once, while the fault strikes; then"
        " all is healed. What was acknowledged, stored, sent and applied must tell one story:",
        "\n".join(
            (
                "- **1** every acknowledged command has exactly one chain of events, decided on the"
                " state before it; versions have no gaps; a refused one left nothing; each task is"
                " answered once and each wait that no later one took the place of ends once;",
                "- **2** every published event is on its topic, in order per key, and had exactly"
                " one effect in the receiver, in order; what nobody can read is parked, all else"
                " flows;",
                "- **3** every read model is what the events make of it, and replaying gives it"
                " again byte for byte;",
                f"- **6** {LAG_GONE.total_seconds():.0f} s after the last fault has healed nothing"
                " is on its way any more, and every client has its answer.",
            )
        ),
        "\n".join(played),
        "Lag is counted from the healing; a killed process needs its time to start again (two"
        " cores start all of them at once after some faults), a member of a Kafka group that was"
        " killed keeps its partitions until its session ends (6 s here, 30 s as shipped), and a"
        " task whose worker was killed or cut off waits for the end of its lease (60 s).",
    ]
    if skipped:
        paragraphs += ["Not run here:", "\n".join(f"- {reason}" for reason in skipped)]
    if found[HEAD:]:
        paragraphs += [
            "## Does the checker see anything?",
            "Each of these runs took one rule out of the runtime, in the test's own processes.",
            "\n".join(found),
        ]
    return "\n\n".join(map(_wrapped, paragraphs)) + "\n"


def with_rows_of(before: str, table_: Sequence[str], names: Iterable[str]) -> list[str]:
    """In the order of `names`, each row as it is in the table or else as it was before."""
    rows = {_cells(line)[0]: line for line in before.splitlines() if line.startswith("| ")}
    rows |= {_cells(line)[0]: line for line in table_[HEAD:]}
    return [*table_[:HEAD], *(rows[name] for name in names if name in rows)]


def _wrapped(paragraph: str) -> str:
    """Lines of a table stay as they are."""
    lines = paragraph.split("\n")
    return "\n".join(line if line.startswith("|") else fill(line, WIDTH) for line in lines)


def _verdict(played: Sequence[Round], invariant: Invariant) -> str:
    broken = sum(invariant in one.broken for one in played)
    return f"**broken in {broken}**" if broken else HOLDS


def _ranges(seeds: set[int]) -> str:
    ordered = sorted(seeds)
    if ordered == list(range(ordered[0], ordered[-1] + 1)) and len(ordered) > 1:
        return f"{ordered[0]}-{ordered[-1]}"
    return ", ".join(map(str, ordered))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(line: str) -> list[str]:
    return line.strip("| ").split(" | ")
