"""NFIQ 2 in its own process; skipped where `nbis-python` is not installed."""

import os
import signal
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from biometrics.capture import OWN_GATE, Capturing
from biometrics.engine.expectations import ExpectationsEngine
from biometrics.engine.nfiq2 import PACKAGE, Nfiq2, is_installed, open_nfiq2, picture_to_grade
from biometrics.engine.quality import read_capture
from biometrics.engine.sourceafis import empty_gallery
from epassport_sandbox.fingerprints import Finger, blank, impression, png, worn


@pytest_asyncio.fixture(scope="module")
async def nfiq2() -> AsyncIterator[Nfiq2]:
    if not is_installed():
        pytest.skip(f"{PACKAGE} is not installed: pip install 'epassport-biometrics[nfiq2]'")
    gate = await open_nfiq2()
    if gate is None:
        pytest.skip(f"{PACKAGE} does not load: it needs Debian's libopencv-{{core,imgproc,ml}}406")
    yield gate
    gate.close()


async def test_a_good_finger_grades_higher_than_a_worn_and_a_blank_one(nfiq2: Nfiq2) -> None:
    good = await nfiq2.score(png(impression(Finger(1), 0)), dpi=500)
    assert good > await nfiq2.score(png(worn(1)), dpi=500) >= 0
    assert await nfiq2.score(png(blank()), dpi=500) == 0


@pytest.mark.parametrize(("dpi", "size"), [(500, (400, 480)), (1000, (200, 240))])
def test_what_is_graded_has_500_dpi(dpi: int, size: tuple[int, int]) -> None:
    seen = read_capture(picture_to_grade(png(impression(Finger(1), 0)), dpi=dpi), dpi=500)
    assert (seen.width, seen.height) == size


async def test_a_finer_picture_of_a_finger_grades_like_the_customary_one(nfiq2: Nfiq2) -> None:
    once = impression(Finger(1), 0)
    twice = png(np.asarray(Image.fromarray(once).resize((800, 960), Image.Resampling.BICUBIC)))
    customary = await nfiq2.score(png(once), dpi=500)
    assert await nfiq2.score(twice, dpi=1000) == pytest.approx(customary, abs=10)


async def test_a_killed_process_costs_no_answer(nfiq2: Nfiq2) -> None:
    picture = png(impression(Finger(1), 0))
    before = await nfiq2.score(picture, dpi=500)
    for pid in nfiq2.pids:
        os.kill(pid, signal.SIGKILL)
    assert await nfiq2.score(picture, dpi=500) == before


async def test_the_gate_is_named(nfiq2: Nfiq2) -> None:
    engine = ExpectationsEngine(empty_gallery)
    assert Capturing(engine).gate == OWN_GATE
    assert Capturing(engine, nfiq2).gate == "epassport-1+nfiq2-nbis-0.1.8"


async def test_without_the_library_there_is_no_gate() -> None:
    if is_installed():
        pytest.skip(f"{PACKAGE} is installed")
    assert await open_nfiq2() is None
