"""Wake-ups inside one process: somebody committed, so look now rather than at the next poll.

Only a hint. Another process commits without telling us, so polling stays the truth.
"""

import asyncio
from collections import Counter
from typing import Literal, get_args

Name = Literal["outbox", "events", "tasks"]


class Signals:
    def __init__(self) -> None:
        self._marks: Counter[str] = Counter()
        self._events = {name: asyncio.Event() for name in get_args(Name)}

    def committed(self) -> None:
        """After a commit that may have written to any of the three."""
        for name, event in self._events.items():
            self._marks[name] += 1
            self._events[name] = asyncio.Event()
            event.set()

    def mark(self, name: Name) -> int:
        """Taken before one looks and given to `wait`: a commit in between ends the wait at once."""
        return self._marks[name]

    async def wait(self, name: Name, timeout: float, *, since: int | None = None) -> bool:  # noqa: ASYNC109
        """Whether there was a signal within `timeout` seconds."""
        if since is not None and self._marks[name] != since:
            return True
        event = self._events[name]
        try:
            async with asyncio.timeout(timeout):
                await event.wait()
        except TimeoutError:
            return False
        return True
