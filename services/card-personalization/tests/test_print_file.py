import random
from io import BytesIO

import pytest
from PIL import Image

from card_personalization.print_file import png_of

NOISE = random.Random(5).randbytes(3 * 120 * 77)


def test_a_print_file_holds_every_pixel_as_it_was_drawn() -> None:
    for picture in (
        Image.frombytes("RGB", (120, 77), NOISE),
        Image.linear_gradient("L").convert("RGB").resize((1011, 638)),
        Image.new("RGB", (1, 1), (1, 2, 3)),
    ):
        with Image.open(BytesIO(png_of(picture, dpi=300)), formats=("PNG",)) as read:
            assert (read.mode, read.size) == ("RGB", picture.size)
            assert read.tobytes() == picture.tobytes()


def test_a_print_file_is_sound_to_the_last_chunk() -> None:
    octets = png_of(Image.frombytes("RGB", (120, 77), NOISE), dpi=300)
    Image.open(BytesIO(octets)).verify()  # every checksum, and the end
    assert octets.endswith(b"IEND\xae\x42\x60\x82")


def test_a_printer_is_told_the_resolution() -> None:
    with Image.open(BytesIO(png_of(Image.new("RGB", (9, 9)), dpi=600))) as read:
        assert read.info["dpi"] == pytest.approx((600, 600), abs=0.02)


def test_a_picture_of_another_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode L"):
        png_of(Image.new("L", (9, 9)), dpi=300)
