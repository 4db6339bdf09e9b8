"""Minutiae of a SourceAFIS template, for what SourceAFIS itself does not do.

A template is CBOR: a version, the picture's size at 500 dpi, and a column for each property.
"""

from dataclasses import dataclass

import cbor2
import numpy as np
from numpy.typing import NDArray

from biometrics.engine.port import TemplateRefused

DPI = 500


@dataclass(frozen=True)
class Minutiae:
    """x to the right and y downwards, in pixels of 500 dpi. directions: radians, 0 to 2 pi,
    counted clockwise on the picture as y points down; they point along the ridge, away from it
    where it ends. endings: True for a ridge ending, False for a bifurcation."""

    width: int
    height: int
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    directions: NDArray[np.float32]
    endings: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.x)


def minutiae_of(template: bytes) -> Minutiae:
    """Raises TemplateRefused."""
    try:
        tree = cbor2.loads(template)
        types = str(tree["types"])
        x, y, directions = (
            np.asarray(tree[name], dtype=np.float32)
            for name in ("positionsX", "positionsY", "directions")
        )
        endings = np.array([each == "E" for each in types], dtype=bool)
        minutiae = Minutiae(int(tree["width"]), int(tree["height"]), x, y, directions, endings)
    except (cbor2.CBORDecodeError, KeyError, TypeError, ValueError) as unreadable:
        raise TemplateRefused("not a template") from unreadable
    if any(column.shape != endings.shape for column in (x, y, directions)):
        raise TemplateRefused("not a template")
    return minutiae
