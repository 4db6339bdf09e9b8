"""How far a long piece of work has come, by a clock of the test's own."""

import io
import sys
from dataclasses import dataclass

import pytest
from log_lines import logged

from epassport.progress import ShownProgress, bar


@dataclass
class Clock:
    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("epassport.progress.monotonic", clock)
    return clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_shows_how_much_of_it_is_done() -> None:
    assert bar(250, 1000).endswith("250 of 1,000, 25%")
    assert bar(0, 0).endswith("0 of 0, 100%")
    assert bar(3, 3).startswith("━" * 30)


def test_a_line_now_and_then_tells_rate_and_time_left(clock: Clock) -> None:
    with logged() as lines:
        progress = ShownProgress("shelves_v1")
        progress.begin(1_000)
        for seconds, pieces in ((4.0, 100), (2.0, 50), (4.0, 100), (2.0, 450), (3.0, 300)):
            clock.seconds += seconds
            progress.add(pieces)
        clock.seconds += 5.0
        progress.end()
        told = [
            (
                line["event"],
                line["name"],
                line["count"],
                line["limit"],
                line["rate"],
                line["seconds"],
            )
            for line in lines.read_all()
        ]
    assert told == [
        ("progress", "shelves_v1", 150, 1_000, 25, 34),
        ("progress", "shelves_v1", 700, 1_000, 58, 5),
        ("progress", "shelves_v1", 1_000, 1_000, 50, 0),
    ]


def test_on_a_terminal_one_line_is_written_over_and_ends(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    progress = ShownProgress("shelves_v1")
    progress.begin(1_000)
    clock.seconds += 0.1
    progress.add(10)
    clock.seconds += 9.9
    progress.add(240)
    clock.seconds += 10.0
    progress.add(1_750)  # more than was known of
    progress.end()
    lines = screen.getvalue().split("\r")
    assert lines[0] == ""
    assert lines[1] == f"{bar(250, 1_000)} 25/s 30 s "
    assert lines[2:] == [f"{bar(2_000, 2_000)} 100/s 0 s ", f"{bar(2_000, 2_000)} 100/s 0 s \n"]


def test_where_nothing_is_to_be_done_nothing_is_shown(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    progress = ShownProgress("shelves_v1")
    progress.begin(0)
    clock.seconds += 60.0
    progress.add(3)
    progress.end()
    assert screen.getvalue() == ""
