"""Synthetic fingers for demo, pilot and tests.

`python -m epassport_sandbox.fingerprints --count N` makes them ahead of time.

A finger is a seed; an impression of it is a seed and a number, the same bytes at every run.
Impressions are pictures of 400 x 480 pixels at 500 dpi, kept as PNG in a cache that grows as more
are asked for and is abandoned by name when the generator's code changes.

SourceAFIS tells the fingers apart, but not at its customary threshold of 40: synthetic fingers
share more ridge flow than people do. SANDBOX_THRESHOLD stands in the middle of the gap measured
over 1,000 fingers at hardness 1.0: lowest of 1,000 genuine scores 162, highest of 1,998,000
impostor scores 122 (1.8 against 1.0, 300 fingers: 179 and 134). It says nothing about any threshold
for real fingers.
"""

import argparse
import hashlib
import io
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, cached_property
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image as Pictures

from epassport_sandbox import fingerprints_capture, fingerprints_growth
from epassport_sandbox.fingerprints_capture import DPI, Image, blank, enlarged, noise, press
from epassport_sandbox.fingerprints_growth import Field, grow

__all__ = [
    "DPI",
    "SANDBOX_THRESHOLD",
    "Finger",
    "FingerprintSet",
    "blank",
    "fingerprint_set",
    "impression",
    "noise",
    "png",
    "worn",
]

SANDBOX_THRESHOLD = 140.0

Progress = Callable[[int, int], None]  # fingers made, fingers to make


@dataclass(frozen=True)
class Finger:
    seed: int

    @cached_property
    def skin(self) -> Field:
        return enlarged(grow(np.random.default_rng([self.seed, 0])).field)


def impression(finger: Finger, n: int, hardness: float = 1.0) -> Image:
    """The n-th impression, from 0; hardness 1.0 is a supervised desk capture, 1.8 a poor one."""
    return press(finger.skin, np.random.default_rng([finger.seed, n + 1]), hardness)


def worn(seed: int, n: int = 0) -> Image:
    """A finger whose ridges are rubbed off but for a few patches: it cannot be enrolled."""
    return press(Finger(seed).skin, np.random.default_rng([seed, n + 1]), 1.0, wear=1.15)


def png(image: Image) -> bytes:
    """As a capture device hands it over: 8-bit gray with its resolution."""
    file = io.BytesIO()
    # Run lengths only: half the time of the default, and as small, as most of it is sensor noise.
    Pictures.fromarray(image).save(file, "PNG", dpi=(DPI, DPI), compress_type=zlib.Z_RLE)
    return file.getvalue()


@dataclass(frozen=True)
class FingerprintSet:
    """Fingers 0 to count - 1 with their impressions 0 to impressions - 1, read when asked for."""

    folder: Path
    count: int
    impressions: int
    hardness: float = 1.0

    def png(self, finger: int, n: int = 0) -> bytes:
        if not (0 <= finger < self.count and 0 <= n < self.impressions):
            raise IndexError(f"impression {n} of finger {finger} is not in this set")
        return _file(self.folder, finger, n, self.hardness).read_bytes()

    def image(self, finger: int, n: int = 0) -> Image:
        with Pictures.open(io.BytesIO(self.png(finger, n))) as picture:
            return np.asarray(picture)


def fingerprint_set(
    count: int,
    impressions: int,
    *,
    hardness: float = 1.0,
    cache_folder: Path | None = None,
    progress: Progress | None = None,
) -> FingerprintSet:
    """Make what the cache lacks, on every core, and return the set.

    cache_folder: default `$EPASSPORT_CACHE/fingerprints`, or `.cache/fingerprints` under the
    repository's root

    New processes are spawned, so a script that calls this needs its `__main__` guard.
    """
    folder = (cache_folder or _cache() / "fingerprints") / _generator_version()
    folder.mkdir(parents=True, exist_ok=True)
    present = {entry.name for entry in os.scandir(folder)}
    missing = [
        seed
        for seed in range(count)
        if any(_file(folder, seed, n, hardness).name not in present for n in range(impressions))
    ]
    wanted = FingerprintSet(folder, count, impressions, hardness)
    if missing:
        _make_all(wanted, missing, progress)
    return wanted


def _make_all(wanted: FingerprintSet, seeds: Sequence[int], progress: Progress | None) -> None:
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        parts = [seeds[start : start + 10] for start in range(0, len(seeds), 10)]
        work = {pool.submit(_make, wanted, part): len(part) for part in parts}
        made = 0
        for part in as_completed(work):
            part.result()
            made += work[part]
            if progress is not None:
                progress(made, len(seeds))


def _make(wanted: FingerprintSet, seeds: Sequence[int]) -> None:
    for seed in seeds:
        finger = Finger(seed)
        for n in range(wanted.impressions):
            target = _file(wanted.folder, seed, n, wanted.hardness)
            unfinished = target.with_suffix(f".{os.getpid()}")  # two runs may make the same one
            unfinished.write_bytes(png(impression(finger, n, wanted.hardness)))
            unfinished.replace(target)


def _file(folder: Path, finger: int, n: int, hardness: float) -> Path:
    """Those of a desk are by far the most, and bear no mark."""
    harder = "" if hardness == 1.0 else f"-{hardness}"
    return folder / f"{finger:05d}-{n}{harder}.png"


def _cache() -> Path:
    if configured := os.environ.get("EPASSPORT_CACHE"):
        return Path(configured)
    here = Path(__file__).resolve()
    return here.parents[4] / ".cache"


@cache
def _generator_version() -> str:
    sources = [fingerprints_growth.__file__, fingerprints_capture.__file__]
    return hashlib.sha256(b"".join(Path(each).read_bytes() for each in sources)).hexdigest()[:12]


def main() -> None:
    parser = argparse.ArgumentParser(description="Make synthetic fingerprints ahead of time.")
    parser.add_argument("--count", type=int, required=True, help="fingers")
    parser.add_argument("--impressions", type=int, default=2, help="of each finger")
    arguments = parser.parse_args()

    def show(made: int, wanted: int) -> None:
        print(f"\r{made} of {wanted} fingers made", end="", file=sys.stderr, flush=True)

    made = fingerprint_set(arguments.count, arguments.impressions, progress=show)
    print(f"\n{made.count} fingers x {made.impressions} impressions in {made.folder}")


if __name__ == "__main__":
    main()
