"""What people and records get to know of a score: how far it lies over its threshold.

The number itself never leaves. Who sees numbers can mend a forged finger step by step, and an
adjudicator would read them as a probability, which they are not. The borders say how much room
is left before the threshold, nothing about how often either happens.
"""

from enum import StrEnum

CLEAR_FROM = 1.25  # times the threshold
STRONG_FROM = 2.0


class ScoreClass(StrEnum):
    BELOW = "below"
    WEAK = "weak"
    CLEAR = "clear"
    STRONG = "strong"


def score_class(share: float) -> ScoreClass:
    """share: of the threshold, 1 is just there."""
    if share < 1:
        return ScoreClass.BELOW
    if share < CLEAR_FROM:
        return ScoreClass.WEAK
    return ScoreClass.CLEAR if share < STRONG_FROM else ScoreClass.STRONG
