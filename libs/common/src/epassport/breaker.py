"""A circuit breaker: a consumer stands still rather than empty a bad topic into the parking.

It is asked before anything of a slice is written, so that a slice which would trip it leaves
neither a parked record nor a moved offset: when our own build is at fault, the mended one goes on
as if nothing had been. Where the records themselves are bad, an operator says how many more may
be parked (`circuit_allowances`).
"""

from collections import deque
from collections.abc import Iterable, Sequence

from epassport.database import Connection
from epassport.errors import Transient


class CircuitOpen(Transient):
    """Too large a share is bad; nothing was written."""


class CircuitBreaker:
    """Trips where at least `least` of the last `window` records were bad, and most of them."""

    def __init__(self, *, least: int = 20, window: int = 200) -> None:
        self._least = least
        self._bad: deque[bool] = deque(maxlen=window)

    def trips(self, records: Iterable[bool]) -> bool:
        """Whether it would after any of these, in order; True is a bad one. Counts nothing."""
        seen = deque(self._bad, self._bad.maxlen)
        for is_bad in records:
            seen.append(is_bad)
            bad = sum(seen) if is_bad else 0
            if bad >= self._least and bad * 2 > len(seen):
                return True
        return False

    def count(self, records: Iterable[bool]) -> None:
        """What was written."""
        self._bad.extend(records)


async def is_allowed(connection: Connection, consumer: str, topic: str, faults: int) -> bool:
    """Use up an operator's allowance, in the transaction that parks."""
    status = await connection.execute(
        "UPDATE circuit_allowances SET remaining = remaining - $3"
        " WHERE consumer = $1 AND topic = $2 AND remaining >= $3",
        consumer,
        topic,
        faults,
    )
    return status == "UPDATE 1"


def bad_ones(offsets: Sequence[int], faulty: Iterable[int]) -> list[bool]:
    wrong = set(faulty)
    return [offset in wrong for offset in offsets]
