"""How a synthetic finger gets its ridges: an orientation field, then growth from noise.

Everything happens at 250 dpi, half the resolution of an impression: a ridge period is then 4 to 5
pixels, still above the sampling limit, and the transforms cost a quarter. Orientation is filtered
steerably (a bank of angular harmonics, recombined per pixel) rather than by quantised Gabor
filters: the same eleven inverse transforms serve every orientation exactly.

The result is a smooth oscillating field, not a picture: ridges are where it is positive. Its
dislocations are the minutiae; their places come from the noise alone, so two fingers of one class
share their flow and little else.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Field = NDArray[np.float32]

GROWN_WIDTH, GROWN_HEIGHT = (
    256,
    300,
)  # a margin around 200 x 240, so that a shifted finger has no edge
HARMONICS = 6
GROWTH_STEPS = 6
SHARPNESS = 3.0  # of the saturation between steps

# Natural frequencies of the five pattern classes.
CLASSES = ("left_loop", "right_loop", "whorl", "arch", "tented_arch")
FREQUENCIES = (0.338, 0.317, 0.279, 0.037, 0.029)


@dataclass(frozen=True)
class Ridges:
    """The whole finger pad; `field` oscillates between about -1 and 1."""

    pattern: str
    period: float  # pixels at 250 dpi
    field: Field


def grow(rng: np.random.Generator) -> Ridges:
    """One finger from one generator state; about 0.1 s on one core."""
    pattern = CLASSES[int(rng.choice(len(CLASSES), p=FREQUENCIES))]
    orientation = _orientation(pattern, rng)
    period = float(rng.uniform(4.1, 5.2))
    steering = _steering(orientation)
    transfer = _filters(round(period, 1))
    field = rng.standard_normal((GROWN_HEIGHT, GROWN_WIDTH), dtype=np.float32)
    for _ in range(GROWTH_STEPS):
        field = _filtered(field, transfer, steering)
        field = np.tanh(field * np.float32(SHARPNESS / field.std()), dtype=np.float32)
    # The last pass removes the corners that saturation left: enlarging would ring on them.
    field = _filtered(field, transfer, steering)
    return Ridges(pattern, period, np.asarray(field / (field.std() * 1.4), dtype=np.float32))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Field:
    """Unit-variance noise that varies over about 1/cells of the height and of the width."""
    coarse = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32)
    # Not `@`: BLAS starts its threads for this little work, and they burn twice the CPU spinning.
    rows = np.einsum("ik,kl->il", _splines(shape[0], cells), coarse)
    fine = np.einsum("il,jl->ij", rows, _splines(shape[1], cells))
    return np.asarray(fine, dtype=np.float32)


@cache
def _splines(length: int, cells: int) -> Field:
    """Cubic B-splines as rows of a matrix, each row scaled to keep white noise's variance."""
    place = np.arange(length) * cells / length
    distance = np.abs(place[:, None] - np.arange(-1, cells + 2)[None, :])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance) ** 3 / 6
    basis = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return np.asarray(basis / np.linalg.norm(basis, axis=1, keepdims=True), dtype=np.float32)


def _orientation(pattern: str, rng: np.random.Generator) -> Field:
    """Ridge direction in radians, by zeros and poles (Sherlock and Monro, 1993)."""
    y, x = np.mgrid[0:GROWN_HEIGHT, 0:GROWN_WIDTH].astype(np.float32)
    z = (x - GROWN_WIDTH / 2) / GROWN_WIDTH + 1j * (GROWN_HEIGHT / 2 - y) / GROWN_WIDTH
    cores, deltas = _singularities(pattern, rng)
    angle = np.zeros((GROWN_HEIGHT, GROWN_WIDTH), dtype=np.float32)
    for core in cores:
        angle += 0.5 * np.angle(z - core)
    for delta in deltas:
        angle -= 0.5 * np.angle(z - delta)
    if not cores:
        slope = rng.uniform(1.0, 2.2) * np.exp(-((z.imag + 0.1) ** 2) / 0.12)
        angle -= np.arctan(slope * np.sin(2 * np.pi * z.real * 0.8))
    # Fingers of one class would otherwise share one flow, and impostors score far too well:
    # without the second term the highest of 62,250 impostor scores was 121, with it 93.
    angle += np.float32(rng.uniform(-0.2, 0.2))
    angle += 0.35 * smooth_noise(rng, angle.shape, 3) + 0.25 * smooth_noise(rng, angle.shape, 6)
    return np.asarray(angle, dtype=np.float32)


def _singularities(pattern: str, rng: np.random.Generator) -> tuple[list[complex], list[complex]]:
    """Places of cores and deltas; the unit is the width, the origin the centre, y points up."""

    def near(x: float, y: float, spread: float = 0.06) -> complex:
        return complex(rng.normal(x, spread), rng.normal(y, spread))

    match pattern:
        case "left_loop":
            return [near(0.0, 0.08)], [near(0.30, -0.36)]
        case "right_loop":
            return [near(0.0, 0.08)], [near(-0.30, -0.36)]
        case "whorl":
            centre, half = near(0.0, 0.05), complex(rng.normal(0, 0.03), rng.uniform(0.02, 0.13))
            return [centre + half, centre - half], [near(-0.36, -0.36), near(0.36, -0.36)]
        case "tented_arch":
            return [near(0.0, 0.05)], [near(0.0, -0.30, 0.03)]
        case _:
            return [], []


def _steering(orientation: Field) -> list[Field]:
    """Per pixel, the weight of each filter of the bank."""
    across = orientation + np.float32(np.pi / 2)  # ridges run along, the wave goes across
    weights = [np.ones_like(orientation)]
    for harmonic in range(1, HARMONICS):
        weights += [np.cos(2 * harmonic * across), np.sin(2 * harmonic * across)]
    return weights


@cache
def _filters(period: float) -> list[Field]:
    """Band-pass rings times cos 2k and sin 2k of the angle; period in pixels, rounded to 0.1."""
    v = fft.fftfreq(GROWN_HEIGHT)[:, None]
    u = fft.rfftfreq(GROWN_WIDTH)[None, :]
    radius, angle = np.hypot(u, v), np.arctan2(-v, u)  # rows grow downwards, angles upwards
    ring = np.exp(-((radius - 1 / period) ** 2) / (2 * 0.028**2))
    bank = [ring]
    for harmonic in range(1, HARMONICS):
        taper = 2 * np.exp(-((harmonic / HARMONICS) ** 2) * 2.0)  # a Gaussian lobe, no ringing
        bank += [
            taper * ring * np.cos(2 * harmonic * angle),
            taper * ring * np.sin(2 * harmonic * angle),
        ]
    return [part.astype(np.float32) for part in bank]


def _filtered(field: Field, transfer: list[Field], steering: list[Field]) -> Field:
    spectrum = fft.rfft2(field)
    total = np.zeros_like(field)
    for part, weight in zip(transfer, steering, strict=True):
        total += weight * fft.irfft2(spectrum * part, s=field.shape)
    return total
