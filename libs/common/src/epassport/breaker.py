"""A circuit breaker: a consumer stands still rather than empty a bad topic into the parking."""

from collections import deque


class CircuitBreaker:
    """Trips where at least `least` of the last `window` records were bad, and most of them."""

    def __init__(self, *, least: int = 20, window: int = 200) -> None:
        self._least = least
        self._bad: deque[bool] = deque(maxlen=window)

    def trips(self, records: int, faults: int) -> bool:
        """Count one slice; a breaker that has tripped begins anew."""
        self._bad.extend([True] * faults + [False] * (records - faults))
        bad = sum(self._bad)
        if bad < self._least or bad * 2 <= len(self._bad):
            return False
        self._bad.clear()
        return True
