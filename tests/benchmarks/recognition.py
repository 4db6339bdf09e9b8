"""How well SourceAFIS tells generated fingers apart: a guard against regressions, no more.

Whoever changes the generator, the gate, the way pictures reach the engine, or the engine's
version sees here whether fingers are still told apart. It is **no claim about accuracy on
people**: generated fingers share more ridge flow than people do and know neither dirt nor age.

`make report-biometrics` draws the scores and the errors into build/biometrics/.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from biometrics.engine.port import Fingers, SearchLimits
from biometrics.engine.positions import FingerPosition
from biometrics.engine.process import WorkerSettings
from biometrics.engine.sourceafis import SourceAfis
from epassport_sandbox.fingerprints import DPI, fingerprint_set
from tests.benchmarks.harness import Better, Row

CACHE = Path(os.environ.get("EPASSPORT_CACHE") or Path(__file__).parents[2] / ".cache")
LIBS, CLASSES = CACHE / "sourceafis-libs", CACHE / "sourceafis-classes"
INDEX = FingerPosition.RIGHT_INDEX

DESK, HARDER = 1.0, 1.8  # hardness: a supervised capture, a poor one
FINGERS = 100
EER_LIMIT = 0.02  # at the harder level

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Second impressions against first ones. genuine: of one finger; impostor: of two."""

    hardness: float
    genuine: Scores
    impostor: Scores

    def rates(self) -> tuple[Scores, Scores, Scores]:
        """(thresholds, false matches, false non-matches): the errors as shares of 1."""
        thresholds = np.unique(np.concatenate([self.genuine, self.impostor, [0.0, np.inf]]))
        genuine, impostor = np.sort(self.genuine), np.sort(self.impostor)
        missed = np.searchsorted(genuine, thresholds, side="left") / len(genuine)
        matched = 1 - np.searchsorted(impostor, thresholds, side="left") / len(impostor)
        return thresholds, matched, missed

    def equal_error_rate(self) -> float:
        """Where the two errors meet: the mean of both at the threshold where they are nearest."""
        _, matched, missed = self.rates()
        nearest = int(np.argmin(np.abs(matched - missed)))
        return float((matched[nearest] + missed[nearest]) / 2)


def rows() -> Iterator[Row]:
    measured = asyncio.run(measure(HARDER))
    rate = 100 * measured.equal_error_rate()
    yield Row(
        "identify-eer", rate, 100 * EER_LIMIT, rate / (100 * EER_LIMIT), 1.0, Better.LOWER, "%",
        f"equal error rate of {FINGERS} generated fingers, poor captures against poor ones, seeds"
        " fixed; bare: the limit. A guard against regressions, nothing about people",
    )  # fmt: skip


async def measure(hardness: float, fingers: int = FINGERS) -> Measured:
    """Every second impression against every first one, in the direction of a search."""
    everybody, pictures = range(fingers), fingerprint_set(fingers, 2, hardness=hardness)
    settings = WorkerSettings(LIBS, CLASSES)
    async with SourceAfis(settings) as extractor:
        first, second = [
            await asyncio.gather(*(_template(extractor, pictures.image(n, i)) for n in everybody))
            for i in (0, 1)
        ]

    async def refill() -> AsyncIterator[tuple[str, Fingers]]:
        for n, template in enumerate(first):
            yield str(n), {INDEX: template}

    async with SourceAfis(settings, refill) as engine:
        table = np.array([await _scores(engine, probe, fingers) for probe in second])
    same = np.eye(fingers, dtype=bool)
    return Measured(hardness, table[same], table[~same])


async def _template(engine: SourceAfis, gray: NDArray[np.uint8]) -> bytes:
    height, width = gray.shape
    made = await engine.extract(gray.tobytes(), width=width, height=height, dpi=DPI)
    return made.data


async def _scores(engine: SourceAfis, probe: bytes, fingers: int) -> Sequence[float]:
    """Of every finger in the gallery: no threshold leaves one out."""
    limits = SearchLimits(threshold=0.0, fused=0.0, at_most=fingers)
    found = await engine.search({INDEX: probe}, limits)
    by_finger = {int(each.reference_id): each.score for each in found.candidates}
    return [by_finger[n] for n in range(fingers)]
