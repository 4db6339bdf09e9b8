"""Work for a new JVM, so that the first citizen does not wait for its compiler.

The first extraction costs ten times what the sixth does: classes are loaded and hot loops
compiled. The pictures are waves with phase singularities, which are minutiae to an engine.
"""

from itertools import pairwise
from typing import Any

import jpype
import numpy as np
from numpy.typing import NDArray

EXTRACTIONS, COMPARISONS = 6, 300

_WIDTH, _HEIGHT, _DPI, _RIDGE_PERIOD = 400, 480, 500.0, 9.0
_MINUTIAE = 40


def warm_up(extractor: Any) -> None:
    """extractor: the Java class."""
    templates = [
        extractor.extract(
            jpype.JArray(jpype.JByte)(wave_pattern(seed).tobytes()), _WIDTH, _HEIGHT, _DPI
        )
        for seed in range(EXTRACTIONS)
    ]
    # Never with itself: the compiler keeps what it sees first, and hardly a search meets its like.
    for probe, reference in pairwise(templates):
        extractor.compareOften(probe, reference, COMPARISONS // (EXTRACTIONS - 1))


def wave_pattern(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:_HEIGHT, 0:_WIDTH].astype(np.float32)
    tilt = rng.uniform(0, np.pi)
    phase = 2 * np.pi * (x * np.cos(tilt) + y * np.sin(tilt)) / _RIDGE_PERIOD
    for _ in range(_MINUTIAE):
        at_x, at_y = rng.uniform(0, _WIDTH), rng.uniform(0, _HEIGHT)
        phase += rng.choice([-1, 1]) * np.arctan2(y - at_y, x - at_x)
    return np.asarray(128 + 100 * np.cos(phase), dtype=np.uint8)
