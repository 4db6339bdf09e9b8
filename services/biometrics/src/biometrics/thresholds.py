"""Scores from which two fingers count as one person's: dated policy, each with its reason.

A threshold belongs to one engine version, one use and one population; it is never tuned on the
other's. A new one is a new row, so that an old decision can be read with what held on its day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

EXPECTATIONS = "expectations-1"
SAME_FINGER = 1000.0


class Use(StrEnum):
    SEARCH = "search"  # 1:N, any one finger: what adjudicators get to see
    FUSED_SEARCH = "fused-search"  # 1:N, the sum over two or more fingers
    COMPARISON = "comparison"  # 1:1: the counter's verdict


class NoThreshold(Exception):
    """Nobody has decided what this engine's scores mean on this day."""


@dataclass(frozen=True)
class Threshold:
    since: date
    engine: str
    use: Use
    score: float
    reason: str


_SOURCEAFIS = "sourceafis-3.18.1-java"
_FIRST_DAY = date(2026, 1, 1)

SANDBOX: Sequence[Threshold] = (
    *(
        Threshold(
            _FIRST_DAY,
            _SOURCEAFIS,
            use,
            140.0,
            "synthetic fingers share more ridge flow than people do: lowest genuine score of 1,000"
            " 162, highest impostor score of 999,000 116",
        )
        for use in (Use.SEARCH, Use.COMPARISON)
    ),
    Threshold(
        _FIRST_DAY,
        _SOURCEAFIS,
        Use.FUSED_SEARCH,
        200.0,
        "two synthetic fingers summed: lowest genuine and highest impostor sums measured were 377"
        " (median) and 111 at hardness 1.8; a third of that gap above the impostors",
    ),
    *(
        Threshold(
            _FIRST_DAY,
            EXPECTATIONS,
            use,
            SAME_FINGER / 2,
            "half of the one score that the double knows: what it shall find is found clearly",
        )
        for use in Use
    ),
)

PRODUCTION: Sequence[Threshold] = (
    Threshold(
        _FIRST_DAY,
        _SOURCEAFIS,
        Use.SEARCH,
        40.0,
        "the engine's customary threshold: low for a whole gallery, as a candidate costs two"
        " adjudicators' time and a miss a second passport; to be set anew on pilot data",
    ),
    Threshold(
        _FIRST_DAY,
        _SOURCEAFIS,
        Use.FUSED_SEARCH,
        60.0,
        "half as much again as for one finger: sums of impostors grow with the fingers, so the"
        " customary 40 would send most of a gallery to adjudicators; to be set anew on pilot data",
    ),
    Threshold(
        _FIRST_DAY,
        _SOURCEAFIS,
        Use.COMPARISON,
        40.0,
        "the engine's customary threshold; nothing of ours has been measured on real fingers yet",
    ),
)


def threshold(policy: Sequence[Threshold], engine: str, use: Use, on: date) -> float:
    """The latest that holds on this day. Raises NoThreshold."""
    holding = [row for row in policy if (row.engine, row.use) == (engine, use) and row.since <= on]
    if not holding:
        raise NoThreshold(f"{engine} {use} on {on}")
    return max(holding, key=lambda row: row.since).score
