"""Work for a new JVM, so that the first citizen does not wait for its compiler.

The first extraction costs ten times what the sixth does: classes are loaded and hot loops
compiled. The pictures are waves with phase singularities, which are minutiae to an engine.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import jpype
import numpy as np
from numpy.typing import NDArray

EXTRACTIONS, COMPARISONS = 6, 300

_WIDTH, _HEIGHT, _DPI, _RIDGE_PERIOD = 400, 480, 500.0, 9.0
_FIRST_SIDE, _MINUTIAE = 120, 40


def warm_up(extractor: Any) -> Iterator[None]:
    """In steps. extractor: the Java class.

    The first is one whole answer about a small cutting: all classes are there then, for a third of
    what a first picture of full size takes, and that comes next.
    """
    _extract(extractor, wave_pattern(EXTRACTIONS)[:_FIRST_SIDE, :_FIRST_SIDE])
    yield
    templates = []
    for seed in range(EXTRACTIONS):
        templates.append(_extract(extractor, wave_pattern(seed)))
        yield
    # Never with itself: the compiler keeps what it sees first, and hardly a search meets its like.
    for probe, reference in pairwise(templates):
        extractor.compareOften(probe, reference, COMPARISONS // (EXTRACTIONS - 1))


def _extract(extractor: Any, gray: NDArray[np.uint8]) -> Any:
    height, width = gray.shape
    return extractor.extract(jpype.JArray(jpype.JByte)(gray.tobytes()), width, height, _DPI)


def wave_pattern(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:_HEIGHT, 0:_WIDTH].astype(np.float32)
    tilt = rng.uniform(0, np.pi)
    phase = 2 * np.pi * (x * np.cos(tilt) + y * np.sin(tilt)) / _RIDGE_PERIOD
    for _ in range(_MINUTIAE):
        at_x, at_y = rng.uniform(0, _WIDTH), rng.uniform(0, _HEIGHT)
        phase += rng.choice([-1, 1]) * np.arctan2(y - at_y, x - at_x)
    return np.asarray(128 + 100 * np.cos(phase), dtype=np.uint8)
