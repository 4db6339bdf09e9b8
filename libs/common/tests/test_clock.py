"""The clock follows its file, and refuses to guess."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from epassport.clock import REREAD_SECONDS, Clock
from epassport.errors import Unsafe


def moved(file: Path, text: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, file)
    time.sleep(REREAD_SECONDS)  # the bound itself is what is promised here


def test_without_a_file_the_clock_tells_utc() -> None:
    before = datetime.now(UTC)
    assert before <= Clock().now() <= datetime.now(UTC)


def test_a_moved_clock_is_heard_within_its_bound(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text("3600.5\n")
    clock = Clock(file)
    assert clock.offset == timedelta(seconds=3600.5)
    moved(file, "-60")
    assert clock.offset == timedelta(seconds=-60)
    assert clock.now() < datetime.now(UTC)


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "1e30", "1 2", "١"])
def test_a_file_that_holds_no_number_of_seconds_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "clock"
    file.write_text(text)
    with pytest.raises(Unsafe, match="clock file"):
        Clock(file).now()


def test_a_file_that_vanishes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text("5")
    clock = Clock(file)
    assert clock.offset == timedelta(seconds=5)
    file.unlink()
    time.sleep(REREAD_SECONDS)
    with pytest.raises(Unsafe):
        clock.now()
