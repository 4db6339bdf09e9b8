"""The gate before the engine: is this a usable capture of a finger?

SourceAFIS refuses nothing: a blank image gives no minutiae, noise gives a hundred, an inverted
picture even scores. The gate is our own and no NFIQ 2: it tells unusable from usable, and orders
captures of one finger, no more. Limits are checked before the image is decoded, the image before
anything is measured.

A picture without any background (skin to all four edges) cannot be told from its negative here.
"""

import io
import struct
import zlib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Gray = NDArray[np.uint8]  # rows from the top, 0 is black
Plane = NDArray[np.float32]

MAX_BYTES = 512 * 1024
MIN_PIXELS, MAX_PIXELS = 200, 1000
CUSTOMARY_DPI = 500
MIN_DPI, MAX_DPI = 490, 1020  # the engine scales to 500; below that ridges are lost

BLOCK_MM = 0.8  # about two ridges: the unit of every measure below
RIDGE_DEVIATION = 14.0  # gray levels within a block that shows ridges; sensor noise is below 10
MIN_COHERENCE = (
    0.5  # of gradient directions; the sandbox's noise 0.25, worn fingers 0.37, poor 0.83
)
RIDGE_PERIOD_MM = (0.30, 0.65)  # adults 0.4 to 0.55; a dpi wrong by a factor of 1.5 falls outside
BLANK_SHARE = 0.02
MIN_RIDGE_AREA_MM2 = 90.0  # a quarter of a well placed finger
GOOD_RIDGE_AREA_MM2 = 300.0
_RINGS = 200  # to one cycle a pixel
CUT_OFF_EDGE, CUT_OFF_SHIFT = 0.55, 0.07  # shares of an edge and of the picture's side
MIN_MINUTIAE = 12


class CaptureFault(StrEnum):
    TOO_MANY_BYTES = "capture-too-many-bytes"
    NOT_A_PNG = "capture-not-a-png"
    DAMAGED = "capture-damaged"
    NOT_GRAY_8_BIT = "capture-not-gray-8-bit"
    WRONG_SIZE = "capture-wrong-size"
    WRONG_RESOLUTION = "capture-wrong-resolution"
    BLANK = "capture-blank"
    NO_RIDGES = "capture-no-ridges"
    INVERTED = "capture-inverted"
    CONTACT_TOO_SMALL = "capture-contact-too-small"
    CUT_OFF = "capture-cut-off"
    TOO_FEW_MINUTIAE = "capture-too-few-minutiae"
    POOR_QUALITY = "capture-poor-quality"
    SAME_FINGER_TWICE = "capture-same-finger-twice"
    OTHER_HAND = "capture-other-hand"


class CaptureRejected(Exception):
    """A capture that must be taken again; the operator sees the fault."""

    def __init__(self, fault: CaptureFault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True)
class Capture:
    """A decoded image; `gray.tobytes()` is what the engine takes."""

    gray: Gray
    dpi: int

    @property
    def width(self) -> int:
        return int(self.gray.shape[1])

    @property
    def height(self) -> int:
        return int(self.gray.shape[0])


@dataclass(frozen=True)
class Quality:
    """What was measured, for the quality report; none of it identifies anybody."""

    ridge_area_mm2: float
    coherence: float  # 0 to 1, median over ridge blocks
    ridge_period_mm: float


@dataclass(frozen=True)
class _Blocks:
    """Measures of each block of a capture, as planes of equal shape."""

    mean: Plane
    deviation: Plane
    coherence: Plane


def read_capture(png: bytes, *, dpi: int) -> Capture:
    """Decode an 8-bit gray PNG of 200 to 1,000 pixels a side and at most 512 kB.

    Raises CaptureRejected: TOO_MANY_BYTES, WRONG_RESOLUTION, NOT_A_PNG, NOT_GRAY_8_BIT, WRONG_SIZE,
    DAMAGED.
    """
    if len(png) > MAX_BYTES:
        raise CaptureRejected(CaptureFault.TOO_MANY_BYTES)
    if not MIN_DPI <= dpi <= MAX_DPI:
        raise CaptureRejected(CaptureFault.WRONG_RESOLUTION)
    width, height = _announced_size(png)
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            if image.size != (width, height) or image.mode != "L":  # a second, different header
                raise CaptureRejected(CaptureFault.DAMAGED)
            gray = np.asarray(image)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,  # a second header may promise more than the first
    ) as unreadable:
        raise CaptureRejected(CaptureFault.DAMAGED) from unreadable
    return Capture(gray, dpi)


def only_pixels(png: bytes) -> bytes:
    """The picture that was measured, as a PNG that holds nothing else.

    A capture may also hold what a browser shows and the engine never saw: frames of an animation,
    a transparent gray, a gamma, a turn. png: a capture that passed the gate.
    """
    out = io.BytesIO()
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        Image.fromarray(np.asarray(image)).save(out, "PNG")
    return out.getvalue()


def at_500_dpi(picture: Image.Image, dpi: int) -> Image.Image:
    """For what knows fingers at no other resolution: WSQ on chips, NFIQ 2."""
    if dpi == CUSTOMARY_DPI:
        return picture
    factor = CUSTOMARY_DPI / dpi
    size = (round(picture.width * factor), round(picture.height * factor))
    return picture.resize(size, Image.Resampling.LANCZOS)


def examine(capture: Capture) -> Quality:
    """Measure a capture before extraction.

    Raises CaptureRejected: BLANK, NO_RIDGES (noise, worn, smudged), INVERTED, WRONG_RESOLUTION
    (ridges too near or too far apart for the stated dpi), CONTACT_TOO_SMALL, CUT_OFF.
    """
    side = round(BLOCK_MM * capture.dpi / 25.4)
    blocks = _measure(capture.gray, side)
    touched = blocks.deviation >= RIDGE_DEVIATION
    if touched.mean() < BLANK_SHARE:
        raise CaptureRejected(CaptureFault.BLANK)
    coherence = float(np.median(blocks.coherence[touched]))
    if coherence < MIN_COHERENCE:
        raise CaptureRejected(CaptureFault.NO_RIDGES)
    if _is_inverted(blocks, touched):
        raise CaptureRejected(CaptureFault.INVERTED)
    period = _ridge_period(capture.gray, touched, side) * 25.4 / capture.dpi
    if not RIDGE_PERIOD_MM[0] <= period <= RIDGE_PERIOD_MM[1]:
        raise CaptureRejected(CaptureFault.WRONG_RESOLUTION)
    area = float(touched.sum()) * (side * 25.4 / capture.dpi) ** 2
    if area < MIN_RIDGE_AREA_MM2:
        raise CaptureRejected(CaptureFault.CONTACT_TOO_SMALL)
    if _is_cut_off(touched):
        raise CaptureRejected(CaptureFault.CUT_OFF)
    return Quality(area, coherence, period)


def grade(quality: Quality) -> int:
    """0 to 100, to choose among captures of one finger; it predicts nothing about others."""
    clear = np.clip((quality.coherence - MIN_COHERENCE) / (1 - MIN_COHERENCE), 0, 1)
    large = np.clip(quality.ridge_area_mm2 / GOOD_RIDGE_AREA_MM2, 0, 1)
    return round(100 * float(clear * large))


def check_minutiae(count: int) -> None:
    """After extraction. Raises CaptureRejected: TOO_FEW_MINUTIAE."""
    if count < MIN_MINUTIAE:
        raise CaptureRejected(CaptureFault.TOO_FEW_MINUTIAE)


def _announced_size(png: bytes) -> tuple[int, int]:
    """Width and height as the header states them (PNG 3rd edition, 11.2.1), within our limits."""
    if len(png) < 26 or png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR":
        raise CaptureRejected(CaptureFault.NOT_A_PNG)
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    if not all(MIN_PIXELS <= side <= MAX_PIXELS for side in (width, height)):
        raise CaptureRejected(CaptureFault.WRONG_SIZE)
    if (depth, colour) != (8, 0):
        raise CaptureRejected(CaptureFault.NOT_GRAY_8_BIT)
    return width, height


def _measure(gray: Gray, side: int) -> _Blocks:
    smooth = _smoothed(gray)
    down, right = np.gradient(smooth, axis=0), np.gradient(smooth, axis=1)
    xx, yy, xy = (_by_block(p, side) for p in (right * right, down * down, right * down))
    strength = np.maximum(xx + yy, 1e-6)
    coherence = np.hypot(xx - yy, 2 * xy) / strength
    mean = _by_block(smooth, side)
    deviation = np.sqrt(np.maximum(_by_block(smooth * smooth, side) - mean * mean, 0))
    return _Blocks(mean, deviation, coherence)


def _smoothed(gray: Gray) -> Plane:
    """A 3 x 3 binomial mean: takes sensor noise down to a third, a ridge by a tenth."""
    plane: Plane = gray.astype(np.float32)
    for axis in (0, 1):
        neighbours = np.roll(plane, 1, axis) + np.roll(plane, -1, axis)
        plane = np.asarray((neighbours + 2 * plane) / 4, dtype=np.float32)
    return plane


def _by_block(plane: NDArray[np.floating], side: int) -> Plane:
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    whole = plane[: rows * side, : columns * side]
    # One axis after the other: both at once takes four times as long.
    bands = whole.reshape(rows, side, columns * side).mean(axis=1)
    return np.asarray(bands.reshape(rows, columns, side).mean(axis=2), dtype=np.float32)


def _is_inverted(blocks: _Blocks, touched: NDArray[np.bool_]) -> bool:
    """Skin is darker than untouched glass; in a negative it is lighter."""
    if touched.mean() > 1 - BLANK_SHARE:
        return False
    return bool(np.median(blocks.mean[~touched]) < np.median(blocks.mean[touched]))


def _is_cut_off(touched: NDArray[np.bool_]) -> bool:
    """The finger lies over the left, right or upper edge, and towards it as a whole. Towards
    the lower edge every finger goes on, and a large one may reach both sides."""
    rows, columns = np.nonzero(touched)
    height, width = touched.shape
    sideways = (columns.mean() + 0.5) / width - 0.5
    upwards = 0.5 - (rows.mean() + 0.5) / height
    edges = (
        (touched[:, :2], -sideways),
        (touched[:, -2:], sideways),
        (touched[:2, :], upwards),
    )
    return any(edge.mean() > CUT_OFF_EDGE and shifted > CUT_OFF_SHIFT for edge, shifted in edges)


def _ridge_period(gray: Gray, touched: NDArray[np.bool_], side: int) -> float:
    """Pixels from ridge to ridge: the strongest ring of the spectrum of the touched area."""
    mask = np.kron(touched, np.ones((side, side), dtype=bool))
    plane = gray[: mask.shape[0], : mask.shape[1]].astype(np.float32)
    plane = np.where(mask, plane - plane[mask].mean(), 0)
    power = np.abs(np.fft.rfft2(plane)) ** 2
    energy = np.bincount(_rings(*plane.shape), power.ravel())
    lowest = _RINGS // (2 * side)  # slower than two blocks is shading, not ridges
    return _RINGS / (lowest + int(np.argmax(energy[lowest:])))


@lru_cache(4)  # a desk's scanner has one size of picture
def _rings(rows: int, columns: int) -> NDArray[np.intp]:
    """Of each place of a spectrum, its distance from the middle: flat, as `rfft2` orders it."""
    v, u = np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :]
    return np.asarray(np.round(np.hypot(u, v) * _RINGS), dtype=np.intp).ravel()
