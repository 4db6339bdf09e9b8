"""NIST's NFIQ 2 where its library loads: how well the captures of a finger will match, 0 to 100.

The library (`nbis-python`, with Debian's OpenCV) is native code that sees what a desk sent, so it
runs in a process of its own: what kills it costs one answer and a new process. It takes 0.2 s of a
core for each picture. NFIQ 2 grades fingers and finds no faults: it gives noise 34 and an inverted
picture a good mark, so it stands behind our own gate and never in its place.
"""

import asyncio
import importlib
import importlib.util
import io
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from multiprocessing import get_context
from typing import Any

from PIL import Image

from biometrics.engine.port import EngineUnavailable
from biometrics.engine.quality import at_500_dpi

PACKAGE = "nbis"
DISTRIBUTION = "nbis-python"
WITHIN_SECONDS = 30.0

_extractor: Any = None


class Nfiq2:
    """Use `await open_nfiq2()`; closed by `close`."""

    def __init__(self) -> None:
        self.name = f"nfiq2-nbis-{version(DISTRIBUTION)}"
        self._pool = _pool()

    async def score(self, png: bytes, *, dpi: int) -> int:
        """0 to 100; of an 8-bit gray PNG that passed our own gate. Raises EngineUnavailable."""
        for _ in range(2):
            try:
                async with asyncio.timeout(WITHIN_SECONDS):
                    scored = asyncio.get_running_loop().run_in_executor(
                        self._pool, _score, png, dpi
                    )
                    return await scored
            except (BrokenProcessPool, TimeoutError):
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = _pool()
        raise EngineUnavailable("NFIQ 2 died or did not answer, twice")

    @property
    def pids(self) -> list[int]:
        """Of the running process, if it runs: for limits and fault tests."""
        return list(self._pool._processes or ())

    async def load(self) -> None:
        """Raises OSError, ImportError or BrokenProcessPool where the library does not load."""
        await asyncio.get_running_loop().run_in_executor(self._pool, _load)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def picture_to_grade(png: bytes, *, dpi: int) -> bytes:
    """A PNG of 500 dpi: NFIQ 2 knows no other, and would take a finer scanner's picture for that
    of a finger with ridges twice as wide."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(png), formats=("PNG",)) as capture:
        at_500_dpi(capture, dpi).save(out, "PNG")
    return out.getvalue()


def is_installed() -> bool:
    return importlib.util.find_spec(PACKAGE) is not None


async def open_nfiq2() -> Nfiq2 | None:
    """None where the library is not installed or does not load: some of its releases need a newer
    C library than the system has, and say so only when they are imported."""
    if not is_installed():
        return None
    gate = Nfiq2()
    try:
        await gate.load()
    except (OSError, ImportError, BrokenProcessPool):
        gate.close()
        return None
    return gate


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def _load() -> None:
    global _extractor
    if _extractor is None:
        nbis = importlib.import_module(PACKAGE)
        _extractor = nbis.new_nbis_extractor(
            nbis.NbisExtractorSettings(
                min_quality=0.0,
                get_center=False,
                check_fingerprint=False,
                compute_nfiq2=True,
                ppi=500.0,
            )
        )


def _score(png: bytes, dpi: int) -> int:
    _load()
    try:
        return int(_extractor.extract_minutiae(picture_to_grade(png, dpi=dpi)).quality().score)
    except importlib.import_module(PACKAGE).NbisError:
        return 0  # nothing to grade: no ridge was found
