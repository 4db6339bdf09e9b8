"""Synthetic fingers come out the same at every run, and the cache gives what it was asked for."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from epassport_sandbox.fingerprints import (
    Finger,
    FingerprintSet,
    blank,
    fingerprint_set,
    impression,
    noise,
    png,
    worn,
)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> FingerprintSet:
    return fingerprint_set(3, 2, cache_folder=tmp_path_factory.mktemp("fingerprints"))


def test_a_seed_gives_the_same_picture_again() -> None:
    first, again = impression(Finger(5), 1), impression(Finger(5), 1)
    assert first.tobytes() == again.tobytes()
    assert worn(5).tobytes() == worn(5).tobytes()
    assert noise(5).tobytes() == noise(5).tobytes()


def test_impressions_and_fingers_differ() -> None:
    pictures = [impression(Finger(finger), n).tobytes() for finger in (5, 6) for n in (0, 1)]
    assert len(set(pictures)) == 4


def test_every_picture_is_400_by_480_gray() -> None:
    for picture in (impression(Finger(5), 0), impression(Finger(5), 0, 1.8), worn(5), noise(5)):
        assert picture.shape == blank().shape == (480, 400)
        assert picture.dtype == np.uint8


def test_a_png_states_500_dpi_and_holds_the_same_pixels() -> None:
    picture = impression(Finger(5), 0)
    with Image.open(io.BytesIO(png(picture))) as read:
        assert read.mode == "L"
        assert read.info["dpi"] == pytest.approx((500, 500), abs=0.1)
        assert np.asarray(read).tobytes() == picture.tobytes()


def test_the_set_holds_the_impressions_of_its_fingers(small_set: FingerprintSet) -> None:
    assert small_set.image(2, 1).tobytes() == impression(Finger(2), 1).tobytes()
    assert small_set.png(2, 1) == png(impression(Finger(2), 1))


@pytest.mark.parametrize(("finger", "n"), [(3, 0), (0, 2), (-1, 0)])
def test_what_was_not_asked_for_is_not_in_the_set(
    small_set: FingerprintSet, finger: int, n: int
) -> None:
    with pytest.raises(IndexError):
        small_set.png(finger, n)


def test_the_cache_makes_only_what_it_lacks(small_set: FingerprintSet) -> None:
    def made() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in small_set.folder.iterdir()}

    before, reported = made(), list[tuple[int, int]]()
    cache = small_set.folder.parent
    fingerprint_set(3, 2, cache_folder=cache, progress=lambda *p: reported.append(p))
    assert made() == before
    assert reported == []
    fingerprint_set(4, 2, cache_folder=cache, progress=lambda *p: reported.append(p))
    assert reported == [(1, 1)]
    after = made()
    assert len(after) == 8
    assert {path: after[path] for path in before} == before
