"""A finger as it goes onto the chip, read back with another reader's eyes."""

import io
import math

import wsq  # noqa: F401 - teaches Pillow to read WSQ
from PIL import Image, ImageChops, ImageStat

from biometrics.chip_finger import wsq_of
from epassport_credentials.finger import wsq_size


def test_a_capture_becomes_a_tenth_as_large_and_looks_the_same() -> None:
    for width, height in ((240, 320), (500, 600)):
        packed = wsq_of(png_of(ridges(width, height)), dpi=500)
        assert wsq_size(packed) == (width, height)
        assert len(packed) < width * height / 7
        assert difference(packed, ridges(width, height)) < 12


def test_a_finer_capture_is_scaled_to_500_pixels_an_inch() -> None:
    fine = ridges(500, 600).resize((1000, 1200), Image.Resampling.BICUBIC)
    packed = wsq_of(png_of(fine), dpi=1000)
    assert wsq_size(packed) == (500, 600)
    assert difference(packed, ridges(500, 600)) < 12


def difference(packed: bytes, picture: Image.Image) -> float:
    """Mean, in levels of 256."""
    with Image.open(io.BytesIO(packed), formats=("WSQ",)) as shown:
        return float(ImageStat.Stat(ImageChops.difference(shown.convert("L"), picture)).mean[0])


def ridges(width: int, height: int) -> Image.Image:
    """Waves about 9 pixels apart that bend, as ridges at 500 pixels an inch do."""
    rows = (
        127 + 110 * math.sin(0.7 * (y + 12 * math.sin(x / 40)))
        for y in range(height)
        for x in range(width)
    )
    picture = Image.new("L", (width, height))
    picture.putdata([round(level) for level in rows])
    return picture


def png_of(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
