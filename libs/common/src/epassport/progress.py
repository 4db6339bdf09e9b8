"""How far a long piece of work has come: a bar where somebody looks, else a line now and then."""

import sys
from time import monotonic

import structlog

LINE_SECONDS = 5.0
BAR_SECONDS = 0.2
WIDTH = 30

log = structlog.get_logger(__name__)


class Progress:
    """Says nothing itself."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, total: int) -> None:
        """total: pieces, as far as they are known by now; more may come."""
        self.total = total
        self.done = 0
        self.since = monotonic()

    def add(self, pieces: int) -> None:
        self.done += pieces

    def end(self) -> None:
        """All that was begun is done."""

    @property
    def rate(self) -> float:
        """Pieces a second."""
        return self.done / max(monotonic() - self.since, 0.001)

    @property
    def seconds_left(self) -> int:
        return round(max(self.total - self.done, 0) / max(self.rate, 0.001))


class ShownProgress(Progress):
    """On stderr: a bar on a terminal, lines of the log elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_watched = sys.stderr.isatty()
        super().__init__()

    def begin(self, total: int) -> None:
        super().begin(total)
        self._is_shown = total > 0
        self._shown_at = monotonic()

    def add(self, pieces: int) -> None:
        super().add(pieces)
        pause = BAR_SECONDS if self._is_watched else LINE_SECONDS
        if self._is_shown and monotonic() - self._shown_at > pause:
            self._show()

    def end(self) -> None:
        if self._is_shown:
            self._show()
        if self._is_shown and self._is_watched:
            sys.stderr.write("\n")
        self._is_shown = False

    def _show(self) -> None:
        self._shown_at = monotonic()
        total = max(self.total, self.done)
        if self._is_watched:
            sys.stderr.write(f"\r{bar(self.done, total)} {self.rate:,.0f}/s {self.seconds_left} s ")
            sys.stderr.flush()
        else:
            log.info(
                "progress",
                name=self._name,
                count=self.done,
                limit=total,
                rate=round(self.rate),
                seconds=self.seconds_left,
            )


def bar(done: int, total: int) -> str:
    share = done / total if total else 1.0
    full = int(share * WIDTH)
    return f"{'━' * full}{'╌' * (WIDTH - full)} {done:,} of {total:,}, {share:.0%}"
