"""How long to wait before trying again: doubling, with jitter, up to a limit."""

import random
from datetime import timedelta


class Backoff:
    """Jitter keeps replicas that failed together from coming back together."""

    def __init__(self, first: timedelta, limit: timedelta) -> None:
        self._first = first.total_seconds()
        self._limit = limit.total_seconds()
        self._next = self._first

    def seconds(self) -> float:
        """Between half and the whole of the current step; the step after it is twice as long."""
        step = self._next
        self._next = min(step * 2, self._limit)
        return step * random.uniform(0.5, 1)

    def reset(self) -> None:
        self._next = self._first
