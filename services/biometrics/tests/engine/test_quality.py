"""The gate refuses each kind of bad capture by its own code, and lets good ones pass."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from biometrics.engine.quality import (
    MAX_BYTES,
    MIN_MINUTIAE,
    Capture,
    CaptureFault,
    CaptureRejected,
    Gray,
    check_minutiae,
    examine,
    grade,
    read_capture,
)
from epassport_sandbox.fingerprints import Finger, blank, impression, noise, png, worn

GOOD = impression(Finger(1), 0)
GOOD_PNG = png(GOOD)


def fault_of_file(data: bytes, dpi: int = 500) -> CaptureFault:
    with pytest.raises(CaptureRejected) as rejected:
        read_capture(data, dpi=dpi)
    return rejected.value.fault


def fault_of_picture(gray: Gray, dpi: int = 500) -> CaptureFault:
    with pytest.raises(CaptureRejected) as rejected:
        examine(Capture(gray, dpi))
    return rejected.value.fault


def as_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def header(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG that is all promise: a correct first chunk and nothing behind it."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d" + body + struct.pack(">I", zlib.crc32(body))


def resized(gray: Gray, factor: float) -> Gray:
    height, width = gray.shape
    return np.asarray(Image.fromarray(gray).resize((int(width * factor), int(height * factor))))


@pytest.mark.parametrize("hardness", [1.0, 1.8])
@pytest.mark.parametrize("seed", range(8))
def test_a_finger_at_the_desk_passes(seed: int, hardness: float) -> None:
    quality = examine(Capture(impression(Finger(seed), 0, hardness), 500))
    assert 200 < quality.ridge_area_mm2 < 450
    assert quality.coherence > 0.7
    assert 0.38 < quality.ridge_period_mm < 0.56


def test_what_is_read_is_what_was_captured() -> None:
    capture = read_capture(GOOD_PNG, dpi=500)
    assert (capture.width, capture.height, capture.dpi) == (400, 480, 500)
    assert capture.gray.tobytes() == GOOD.tobytes()


def test_the_same_finger_at_1000_dpi_measures_the_same() -> None:
    once, twice = examine(Capture(GOOD, 500)), examine(Capture(resized(GOOD, 2.0), 1000))
    assert twice.ridge_period_mm == pytest.approx(once.ridge_period_mm, rel=0.05)
    assert twice.ridge_area_mm2 == pytest.approx(once.ridge_area_mm2, rel=0.1)


def test_an_untouched_sensor_is_blank() -> None:
    assert fault_of_picture(blank()) is CaptureFault.BLANK


def test_noise_has_no_ridges() -> None:
    assert fault_of_picture(noise(1)) is CaptureFault.NO_RIDGES


@pytest.mark.parametrize("seed", range(8))
def test_a_worn_finger_has_no_ridges(seed: int) -> None:
    assert fault_of_picture(worn(seed)) is CaptureFault.NO_RIDGES


def test_a_negative_is_inverted() -> None:
    assert fault_of_picture(255 - GOOD) is CaptureFault.INVERTED


@pytest.mark.parametrize("seed", range(4))
def test_a_finger_over_the_edge_of_the_sensor_is_cut_off(seed: int) -> None:
    whole = impression(Finger(seed), 0)
    for shifted in (
        np.pad(whole[:, 130:], ((0, 0), (0, 130)), constant_values=244),
        np.pad(whole[:, :-130], ((0, 0), (130, 0)), constant_values=244),
        np.pad(whole[150:], ((0, 150), (0, 0)), constant_values=244),
    ):
        assert fault_of_picture(shifted) is CaptureFault.CUT_OFF


def test_of_two_captures_the_larger_and_clearer_grades_higher() -> None:
    whole = impression(Finger(1), 0)
    small = whole.copy()
    small[:, :130] = 244
    assert grade(examine(Capture(whole, 500))) > grade(examine(Capture(small, 500)))


def test_a_fingertip_is_too_small_a_contact() -> None:
    tip = blank()
    tip[:150, :160] = GOOD[150:300, 150:310]
    assert fault_of_picture(tip) is CaptureFault.CONTACT_TOO_SMALL


@pytest.mark.parametrize("factor", [0.6, 1.6, 2.0])
def test_ridges_of_the_wrong_width_mean_a_wrong_resolution(factor: float) -> None:
    assert fault_of_picture(resized(GOOD, factor)) is CaptureFault.WRONG_RESOLUTION


@pytest.mark.parametrize("dpi", [0, -500, 489, 1021])
def test_a_resolution_outside_the_limits_is_refused_unread(dpi: int) -> None:
    assert fault_of_file(GOOD_PNG, dpi) is CaptureFault.WRONG_RESOLUTION


def test_minutiae_are_enough_from_the_limit_on() -> None:
    check_minutiae(MIN_MINUTIAE)
    with pytest.raises(CaptureRejected) as rejected:
        check_minutiae(MIN_MINUTIAE - 1)
    assert rejected.value.fault is CaptureFault.TOO_FEW_MINUTIAE


def test_a_file_over_the_limit_is_refused_by_its_length() -> None:
    padding = b"\0" * (MAX_BYTES - len(GOOD_PNG))
    assert read_capture(GOOD_PNG + padding, dpi=500).width == 400
    assert fault_of_file(GOOD_PNG + padding + b"\0") is CaptureFault.TOO_MANY_BYTES


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0 a JPEG", GOOD_PNG[:20], b"x" * 4096])
def test_what_is_no_png_is_named_so(data: bytes) -> None:
    assert fault_of_file(data) is CaptureFault.NOT_A_PNG


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGB", "RGBA", "I;16"])
def test_only_eight_bit_gray_is_read(mode: str) -> None:
    assert fault_of_file(as_png(Image.new(mode, (400, 480)))) is CaptureFault.NOT_GRAY_8_BIT


@pytest.mark.parametrize("size", [(199, 480), (400, 199), (1001, 480), (400, 1001)])
def test_a_picture_outside_the_limits_has_the_wrong_size(size: tuple[int, int]) -> None:
    assert fault_of_file(as_png(Image.new("L", size))) is CaptureFault.WRONG_SIZE


def test_a_bomb_is_refused_by_its_header() -> None:
    assert fault_of_file(header(30_000, 30_000)) is CaptureFault.WRONG_SIZE


@pytest.mark.parametrize("side", [1000, 10_000, 30_000])
def test_a_second_header_that_says_more_is_damage(side: int) -> None:
    bomb = header(400, 480) + header(side, side)[8:] + GOOD_PNG[33:]
    assert fault_of_file(bomb) is CaptureFault.DAMAGED


def test_a_truncated_file_is_damaged() -> None:
    assert fault_of_file(GOOD_PNG[: len(GOOD_PNG) // 2]) is CaptureFault.DAMAGED


@given(st.binary(max_size=300), st.integers(0, len(GOOD_PNG)))
def test_any_bytes_end_in_a_picture_or_a_fault(patch: bytes, place: int) -> None:
    try:
        capture = read_capture(GOOD_PNG[:place] + patch + GOOD_PNG[place + len(patch) :], dpi=500)
    except CaptureRejected:
        return
    assert capture.gray.dtype == np.uint8
    assert (capture.width, capture.height) == (400, 480)
