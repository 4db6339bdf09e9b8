"""NFIQ 2 in its own process; skipped where `nbis-python` is not installed."""

import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from biometrics.capture import OWN_GATE, Capturing
from biometrics.engine.expectations import ExpectationsEngine
from biometrics.engine.nfiq2 import PACKAGE, Nfiq2, is_installed, open_nfiq2
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
    good = await nfiq2.score(png(impression(Finger(1), 0)))
    assert good > await nfiq2.score(png(worn(1))) >= 0
    assert await nfiq2.score(png(blank())) == 0


async def test_a_killed_process_costs_no_answer(nfiq2: Nfiq2) -> None:
    picture = png(impression(Finger(1), 0))
    before = await nfiq2.score(picture)
    for pid in nfiq2.pids:
        os.kill(pid, signal.SIGKILL)
    assert await nfiq2.score(picture) == before


async def test_the_gate_is_named(nfiq2: Nfiq2) -> None:
    engine = ExpectationsEngine(empty_gallery)
    assert Capturing(engine).gate == OWN_GATE
    assert Capturing(engine, nfiq2).gate == "epassport-1+nfiq2-nbis-0.1.8"


async def test_without_the_library_there_is_no_gate() -> None:
    if is_installed():
        pytest.skip(f"{PACKAGE} is installed")
    assert await open_nfiq2() is None
