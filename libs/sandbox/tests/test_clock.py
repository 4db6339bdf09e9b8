from datetime import UTC, datetime, timedelta
from pathlib import Path

from epassport_sandbox.clock import MovableClock


def test_a_new_clock_shows_real_time(tmp_path: Path) -> None:
    clock = MovableClock(tmp_path / "clock")
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert float(clock.file.read_text()) == 0


def test_moves_add_up_and_are_one_number_in_the_file(tmp_path: Path) -> None:
    clock = MovableClock(tmp_path / "clock")
    clock.move(timedelta(days=1))
    clock.move(timedelta(seconds=-0.5))
    assert clock.file.read_text() == "86399.500000\n"
    assert abs(clock.now() - datetime.now(UTC) - clock.offset) < timedelta(seconds=5)


def test_a_clock_that_was_moved_stays_moved(tmp_path: Path) -> None:
    MovableClock(tmp_path / "clock").move(timedelta(hours=2))
    again = MovableClock(tmp_path / "clock")
    assert again.offset == timedelta(hours=2)
    assert again.environment() == {"EPASSPORT_CLOCK_FILE": str(tmp_path / "clock")}
