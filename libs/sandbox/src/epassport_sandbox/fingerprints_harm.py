"""What happens to a finger, and to a capture of it: scars, parts of a finger, negatives.

Applied to impressions, so that the impressions themselves stay the ones that are cached.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from epassport_sandbox.fingerprints_capture import GLASS, HEIGHT, WIDTH, Image

SCAR_WIDTH_PIXELS = (5.0, 11.0)  # at 500 dpi: 0.25 to 0.55 mm, a healed cut
SCAR_LENGTH_PIXELS = (90.0, 260.0)

_Plane = NDArray[np.floating]


@dataclass(frozen=True)
class Scar:
    """A white line across ridges, slightly bent; places in pixels of the impression."""

    x: float
    y: float
    angle: float
    length: float
    width: float
    bend: float


def scars_of(seed: int, count: int) -> list[Scar]:
    """The same for every impression of a finger, in places of the sensor: ridges wander below
    them by as much as impressions are shifted and turned."""
    rng = np.random.default_rng([seed, 7])
    return [
        Scar(
            float(rng.uniform(0.25, 0.75) * WIDTH),
            float(rng.uniform(0.25, 0.75) * HEIGHT),
            float(rng.uniform(0, np.pi)),
            float(rng.uniform(*SCAR_LENGTH_PIXELS)),
            float(rng.uniform(*SCAR_WIDTH_PIXELS)),
            float(rng.normal(0, 0.0012)),
        )
        for _ in range(count)
    ]


def scarred(image: Image, scars: Sequence[Scar]) -> Image:
    """Ridges end at a scar, which adds minutiae that the finger did not have."""
    height, width = image.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    gray = image.astype(np.float32)
    for scar in scars:
        along = (x - scar.x) * np.cos(scar.angle) + (y - scar.y) * np.sin(scar.angle)
        across = (y - scar.y) * np.cos(scar.angle) - (x - scar.x) * np.sin(scar.angle)
        across = across - scar.bend * along**2
        beside, beyond = scar.width / 2 - np.abs(across), scar.length / 2 - np.abs(along)
        depth = _edge(beside) * _edge(beyond / 6)
        gray += depth * (GLASS - gray)
    return np.asarray(np.clip(gray, 0, 255), dtype=np.uint8)


def partial(image: Image, share: float) -> Image:
    """The upper part of a finger alone, as a hasty one: the rest is untouched glass."""
    kept = image.copy()
    kept[round(share * image.shape[0]) :] = int(GLASS)
    return kept


def shifted(image: Image, right: int, down: int) -> Image:
    """Put down beside the middle; what leaves the sensor is lost."""
    moved = np.full_like(image, int(GLASS))
    height, width = image.shape
    source = image[max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
    top, left = max(down, 0), max(right, 0)
    moved[top : top + source.shape[0], left : left + source.shape[1]] = source
    return moved


def negative(image: Image) -> Image:
    """A device set up wrongly: ridges are bright."""
    return np.asarray(255 - image, dtype=np.uint8)


def _edge(distance: _Plane) -> _Plane:
    """1 well inside, 0 outside, in between over about a pixel."""
    return np.asarray(np.clip(distance + 0.5, 0, 1))
