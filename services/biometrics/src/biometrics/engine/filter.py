"""The filter before the engine: which references are worth a comparison of minutiae.

A finger becomes 128 numbers: a histogram over pairs of near minutiae (their distance, the bearing
from the one to the other, the turn between their directions), projected by a trained matrix. None
of these changes when the finger is turned or shifted. Vectors of unit length are compared by their
inner product, exactly, against every reference: at 100,000 that is some milliseconds, so there is
no approximate index that could lose somebody unseen.

What the filter does not let through is never compared. Each such miss adds to the false negatives
of the search, which `audit` counts by searching exhaustively.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from biometrics.engine.minutiae import Minutiae, minutiae_of
from biometrics.engine.positions import FingerPosition

Vectors = NDArray[np.float32]

NEAR_PIXELS = 130.0  # of 500 dpi: further apart, skin stretches too much between them
BINS = (8, 16, 8)  # distance, bearing, turn
LENGTH = 128
PENETRATION = 0.01  # the share that is compared, at 100,000 persons within a second of a core
AT_LEAST = 400  # below this many references the filter would save nothing worth a miss
MODEL = "filter_model.npz"


class GalleryFilter:
    """A vector for each finger of each row of the engine's gallery, kept in step with it."""

    def __init__(self) -> None:
        self._size = 0
        self._planes: dict[int, Vectors] = {}  # by position; a row of zeros: no such finger

    def put(self, row: int, positions: Sequence[int], vectors: Sequence[Vectors]) -> None:
        self._size = max(self._size, row + 1)
        for plane in self._planes.values():
            if row < len(plane):
                plane[row] = 0
        for position, vector in zip(positions, vectors, strict=True):
            self._plane(position)[row] = vector

    def take(self, row: int) -> None:
        """The last row moves into the one that is free."""
        self._size -= 1
        for plane in self._planes.values():
            if self._size < len(plane):
                if row < len(plane):
                    plane[row] = plane[self._size]
                plane[self._size] = 0
            elif row < len(plane):
                plane[row] = 0

    def shortlist(self, positions: Sequence[int], templates: Sequence[bytes]) -> NDArray[np.int32]:
        """Rows in their order, those that are likest over all fingers together."""
        wanted = max(AT_LEAST, int(np.ceil(self._size * PENETRATION)))
        if wanted >= self._size:
            return np.arange(self._size, dtype=np.int32)
        like, crossed = (np.zeros(self._size, dtype=np.float32) for _ in range(2))
        for position, template in zip(positions, templates, strict=True):
            probe = vector_of(minutiae_of(template))
            mirrored = FingerPosition.of_code(position).mirrored.code
            for total, of in ((like, position), (crossed, mirrored)):
                plane = self._planes.get(of)
                if plane is not None:
                    known = min(self._size, len(plane))
                    total[:known] += plane[:known] @ probe
        likeness = np.maximum(like, crossed)
        best = np.argpartition(likeness, self._size - wanted)[-wanted:]
        return np.sort(best).astype(np.int32)  # as they lie in memory

    def _plane(self, position: int) -> Vectors:
        """Grown by doubling, as the engine's rows are."""
        plane = self._planes.get(position, np.zeros((0, LENGTH), dtype=np.float32))
        if len(plane) < self._size:
            grown = np.zeros((max(1024, 2 * self._size), LENGTH), dtype=np.float32)
            grown[: len(plane)] = plane
            plane = grown
        self._planes[position] = plane
        return plane


def vector_of(minutiae: Minutiae) -> Vectors:
    """Unit length; zeros where there are no two near minutiae."""
    mean, projection = _model()
    return normalised(np.asarray((histogram(minutiae) - mean) @ projection, dtype=np.float32))


def histogram(minutiae: Minutiae) -> Vectors:
    """Square roots of the shares of the pairs in each bin."""
    dx = minutiae.x[None, :] - minutiae.x[:, None]
    dy = minutiae.y[None, :] - minutiae.y[:, None]
    distance = np.hypot(dx, dy)
    one, other = np.nonzero((distance < NEAR_PIXELS) & (distance > 0))
    direction = minutiae.directions
    bearing = np.arctan2(dy[one, other], dx[one, other]) - direction[one]
    turn = direction[other] - direction[one]
    near = distance[one, other] / NEAR_PIXELS * BINS[0]
    counts = np.zeros(BINS, dtype=np.float32)
    # Shared between two neighbouring bins of each measure: a minutia moves a little every time.
    parts = [
        _shared(near - 0.5, BINS[0], circular=False),
        _shared(bearing / (2 * np.pi) * BINS[1], BINS[1], circular=True),
        _shared(turn / (2 * np.pi) * BINS[2], BINS[2], circular=True),
    ]
    for at_near, share_near in parts[0]:
        for at_bearing, share_bearing in parts[1]:
            for at_turn, share_turn in parts[2]:
                share = share_near * share_bearing * share_turn
                np.add.at(counts, (at_near, at_bearing, at_turn), share)
    return np.sqrt(counts.ravel() / max(len(one), 1), dtype=np.float32)


def normalised(vector: Vectors) -> Vectors:
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length > 0 else vector, dtype=np.float32)


def _shared(
    place: NDArray[np.floating], bins: int, *, circular: bool
) -> list[tuple[NDArray[np.intp], NDArray[np.floating]]]:
    below = np.floor(place)
    share = place - below
    low = below.astype(np.intp)
    if circular:
        return [(low % bins, 1 - share), ((low + 1) % bins, share)]
    return [(np.clip(low, 0, bins - 1), 1 - share), (np.clip(low + 1, 0, bins - 1), share)]


@cache
def _model() -> tuple[Vectors, Vectors]:
    """Mean histogram and projection, of the training that `filter_training` did last."""
    with (files("biometrics.engine") / MODEL).open("rb") as file, np.load(file) as arrays:
        return arrays["mean"].astype(np.float32), arrays["projection"].astype(np.float32)
