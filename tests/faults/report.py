"""Results as a table: fault x invariant x rounds x seeds, and which planted bug was found when."""

import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.campaign import LAG_GONE, Result
from tests.faults.checker import Invariant
from tests.faults.planted import Bug

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
HOLDS = "holds"


@dataclass(frozen=True)
class Caught:
    """rounds: until it was found, None where it was not. by: the invariants that were broken."""

    bug: Bug
    fault: str
    rounds: int | None
    by: Sequence[str] = ()
    finding: str = ""


def table(results: Iterable[Result]) -> list[str]:
    rounds: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        rounds[result.schedule.fault].append(result)
    heads = ["fault", "rounds", "seeds", "operations", *Invariant, "lag gone after, worst"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for fault, played in rounds.items():
        lags = [result.lag_seconds for result in played if result.lag_seconds is not None]
        cells = [
            fault,
            str(len(played)),
            _ranges({result.schedule.seed for result in played}),
            str(sum(result.acknowledged for result in played)),
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


def page(
    command: str, results: Sequence[Result], caught: Sequence[Caught], skipped: Sequence[str]
) -> str:
    operations = sum(result.acknowledged for result in results)
    paragraphs = [
        "# The runtime under fire",
        f"Written by `{command}`: {len(results)} rounds, {operations:,} acknowledged operations, on"
        f" {os.cpu_count()} cores ({platform.machine()}), everything on one machine. The same"
        " fault and seed give the same schedule of blows:"
        ' `make faults FAULT="kill -9 of a relay" SEED=1`.',
        "Two services, a sender and a receiver with a database each, run on the real runtime, real"
        " PostgreSQL (fsync on) and real Kafka; of every process there are two. Clients count and"
        " send pictures, some of them at both replicas at once, while the fault strikes; then"
        " all is healed. What was acknowledged, stored, sent and applied must tell one story:",
        "\n".join(
            (
                "- **1** every acknowledged command has exactly one chain of events, decided on the"
                " state before it; versions have no gaps; a refused one left nothing;",
                "- **2** every published event is on its topic, in order per key, and had exactly"
                " one effect in the receiver, in order; what nobody can read is parked, all else"
                " flows;",
                "- **3** every read model is what the events make of it, and replaying gives it"
                " again byte for byte;",
                f"- **6** {LAG_GONE.total_seconds():.0f} s after the last fault has healed nothing"
                " is on its way any more, and every client has its answer.",
            )
        ),
        "\n".join(table(results)),
        "Lag is counted from the healing; a killed process needs its time to start again (two"
        " cores start all of them at once after some faults), a member of a Kafka group"
        " that was killed keeps its partitions until its session ends (6 s here, 30 s as shipped).",
    ]
    if skipped:
        paragraphs += ["Not run here:", "\n".join(f"- {reason}" for reason in skipped)]
    if caught:
        paragraphs += [
            "## Does the checker see anything?",
            "Each of these runs took one rule out of the runtime, in the test's own processes.",
            "\n".join(bugs(caught)),
        ]
    return "\n\n".join(paragraphs) + "\n"


def _verdict(played: Sequence[Result], invariant: Invariant) -> str:
    broken = sum(bool(result.findings.get(invariant)) for result in played)
    return f"**broken in {broken}**" if broken else HOLDS


def _ranges(seeds: set[int]) -> str:
    ordered = sorted(seeds)
    if ordered == list(range(ordered[0], ordered[-1] + 1)) and len(ordered) > 1:
        return f"{ordered[0]}-{ordered[-1]}"
    return ", ".join(map(str, ordered))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
