"""Rests after work: one look then finds more, and what it finds costs less.

A transaction costs about the same for one event as for twenty, and whoever looks again at once
finds one. So a reader may rest for a multiple of the time that its work took: hardly where the
machine is free, up to `linger` where it is not. Answers come later by that at each hop, which is
why nobody rests unless told to (ADR 0039).
"""

import asyncio
from time import monotonic

TIMES = 10.0


class Rests:
    """Of one reader. linger: seconds at most; 0: none."""

    def __init__(self, linger: float = 0.0) -> None:
        self._linger = linger
        self._until = 0.0

    def worked(self, since: float) -> None:
        """From `since` (`monotonic`) until now, by the clock: waiting for a core counts."""
        now = monotonic()
        self._until = now + min(TIMES * (now - since), self._linger)

    async def over(self) -> None:
        """Return once the rest that is due has passed; at once where none is."""
        left = self._until - monotonic()
        if left > 0:
            await asyncio.sleep(left)
