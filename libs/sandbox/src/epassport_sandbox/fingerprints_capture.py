"""What a scanner sees of a synthetic finger: good impressions, and captures that must be refused.

An impression is the grown finger, warped as skin is on glass, turned, shifted, pressed more or less
hard, in contact within a ragged ellipse, with dry patches and sensor noise. One number, `hardness`,
scales all of it: 1.0 is a supervised desk capture, 1.8 a poor one.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from epassport_sandbox.fingerprints_growth import GROWN_HEIGHT, GROWN_WIDTH, Field, smooth_noise

Image = NDArray[np.uint8]  # rows from the top, 0 is black

WIDTH, HEIGHT, DPI = 400, 480, 500
SHAPE = (HEIGHT, WIDTH)
GLASS = 244.0  # gray of the untouched sensor


def enlarged(field: Field) -> Field:
    """The grown field at 500 dpi, by zero-padding its spectrum: exact for a band-limited field."""
    spectrum = fft.rfft2(field)
    padded = np.zeros((2 * GROWN_HEIGHT, GROWN_WIDTH + 1), dtype=spectrum.dtype)
    half, columns = GROWN_HEIGHT // 2, spectrum.shape[1]
    padded[:half, :columns] = spectrum[:half]
    padded[-half:, :columns] = spectrum[-half:]
    return np.asarray(4 * fft.irfft2(padded, s=(2 * GROWN_HEIGHT, 2 * GROWN_WIDTH)), np.float32)


def press(field: Field, rng: np.random.Generator, hardness: float, wear: float = 0.0) -> Image:
    """One impression of an enlarged field; `wear` rubs ridges off: at 1 some patches are left."""
    ridges = ndimage.map_coordinates(field, _where(rng, hardness), order=1, mode="reflect")
    if wear:
        ridges *= np.clip(1 - wear * (1.2 + 0.5 * smooth_noise(rng, SHAPE, 9)), 0, 1)
    level = 0.06 * hardness * rng.standard_normal(dtype=np.float32)
    ridges -= level + 0.15 * hardness * smooth_noise(rng, SHAPE, 4)  # pressure and moisture
    ridges += 0.88 * hardness * ndimage.gaussian_filter(_white(rng), 1.5)  # pores, dry spots
    darkness = 15.0 + 82.0 * (1 + np.tanh(2.2 * ridges))
    gray = GLASS - _contact(rng, hardness) * darkness + 3.0 * hardness * _white(rng)
    return np.asarray(np.clip(gray, 0, 255), dtype=np.uint8)


def blank() -> Image:
    """Nobody touched the sensor."""
    return np.full(SHAPE, int(GLASS), dtype=np.uint8)


def noise(seed: int) -> Image:
    """A broken sensor: no ridge, but enough texture that an engine finds minutiae in it."""
    rng = np.random.default_rng(seed)
    return np.asarray(np.clip(128 + 60 * _white(rng), 0, 255), dtype=np.uint8)


def _white(rng: np.random.Generator) -> Field:
    return rng.standard_normal(SHAPE, dtype=np.float32)


def _where(rng: np.random.Generator, hardness: float) -> tuple[Field, Field]:
    """For each pixel of the impression, the place on the finger that it shows."""
    angle = np.deg2rad(rng.normal(0, 5 * hardness))
    shift_y, shift_x = rng.normal(0, 8 * hardness, size=2)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    y, x = y - HEIGHT / 2, x - WIDTH / 2
    stretch = 3.0 * hardness  # pixels; a quarter of a ridge period locally
    y += stretch * smooth_noise(rng, SHAPE, 2)
    x += stretch * smooth_noise(rng, SHAPE, 2)
    rows = np.cos(angle) * y - np.sin(angle) * x + GROWN_HEIGHT + shift_y
    columns = np.sin(angle) * y + np.cos(angle) * x + GROWN_WIDTH + shift_x
    return rows.astype(np.float32), columns.astype(np.float32)


def _contact(rng: np.random.Generator, hardness: float) -> Field:
    """1 where skin touches glass, 0 outside, ragged in between."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    centre_y, centre_x = HEIGHT / 2 + rng.normal(0, 8), WIDTH / 2 + rng.normal(0, 8)
    half_y = HEIGHT * rng.uniform(0.44, 0.49) * (1 - 0.10 * (hardness - 1))
    half_x = WIDTH * rng.uniform(0.43, 0.48) * (1 - 0.10 * (hardness - 1))
    distance = np.hypot((y - centre_y) / half_y, (x - centre_x) / half_x)
    distance += 0.04 * smooth_noise(rng, SHAPE, 7)
    return np.asarray(np.clip((1 - distance) * 14, 0, 1), dtype=np.float32)
