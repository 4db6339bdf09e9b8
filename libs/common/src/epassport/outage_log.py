"""What a Kafka client says during an outage, as two lines: when it began, and when it was over.

Every client repeats the same few messages for every request and node, several a second. The first
is logged as `kafka-client-troubled`; the others are counted, until there was none for ten seconds:
then `kafka-client-calm` says for how long it went on, how many there were, and which.
"""

import asyncio
from collections import Counter

import structlog

LOGGERS = ("aiokafka", "epassport.kafka")
"""The second one is FastStream's, as `epassport.kafka` gives it a name."""

QUIET_SECONDS = 10.0

log = structlog.get_logger(__name__)


class OutageLog:
    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._counts: Counter[str] = Counter()
        self._began = self._last = 0.0

    def take(self, logger: str, template: str, *, explained: bool) -> bool:
        """False where it shall be a line of its own, too: outside an event loop, and the first
        of its kind that comes with an exception, whose frames nothing else tells.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if loop is not self._loop:
            self._loop, self._counts = loop, Counter()
        self._last = loop.time()
        if not self._counts:
            self._began = self._last
            log.warning("kafka-client-troubled", logger=logger, template=template)
            loop.call_later(QUIET_SECONDS, self._look, loop)
        self._counts[template] += 1
        return not (explained and self._counts[template] == 1)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        left = self._last + QUIET_SECONDS - loop.time()
        if left > 0:
            loop.call_later(left, self._look, loop)
            return
        log.warning(
            "kafka-client-calm",
            seconds=round(self._last - self._began, 1),
            count=self._counts.total(),
            errors=[f"{count} x {template}" for template, count in self._counts.most_common(10)],
        )
        self._counts.clear()
