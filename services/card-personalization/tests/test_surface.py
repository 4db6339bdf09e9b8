from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from card_personalization.surface import (
    LEAST_TEXT_MM,
    Box,
    FaceNotPrintable,
    Reason,
    Surface,
    Weight,
    font,
    pixels,
)

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
DPI = 300
BOX = Box(10, 10, 33.4, 3.3)
LETTERS = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмнопрстуфхцчшщъыьэюя№«»—-., "


def blank() -> Surface:
    return Surface(Image.new("RGB", (pixels(85.6, DPI), pixels(53.98, DPI)), WHITE), DPI)


def ink(surface: Surface) -> tuple[int, int, int, int] | None:
    inverted = ImageChops.invert(surface.image.convert("L"))
    return inverted.point(lambda level: 255 if level > 40 else 0).getbbox()


def assert_ink_lies_in(box: Box, surface: Surface) -> None:
    found = ink(surface)
    if found is not None:
        left, top, right, bottom = found
        assert left >= surface.px(box.x) - 1
        assert top >= surface.px(box.y) - 1
        assert right <= surface.px(box.x + box.width) + 1
        assert bottom <= surface.px(box.y + box.height) + 1


@pytest.mark.parametrize("align", ["left", "centre", "right"])
@pytest.mark.parametrize(
    "name",
    [
        "Ли",
        "ИВАНОВ",
        "РОЖДЕСТВЕНСКАЯ-ПРЕОБРАЖЕНСКАЯ-КОНСТАНТИНОПОЛЬСКАЯ",
        "АБДУРАХМАНГАДЖИЕВНА-МУХАМЕДРАХИМОВНА",
        "Константин Александрович Мария Хуан де лос Сантос",
        "ЩЩЩЩЩЩЩЩЩЩЩЩЩЩЩЩЩЩЩЩЩ",
        "SHCH" * 20,  # the same name in Latin letters, broken where the line ends
    ],
)
def test_a_name_stays_in_its_box(name: str, align: str) -> None:
    surface = blank()
    surface.text(BOX, name, size=2.7, weight="Bold", colour=BLACK, align=align)  # type: ignore[arg-type]
    assert ink(surface) is not None
    assert_ink_lies_in(BOX, surface)


@settings(deadline=None, max_examples=60)
@given(
    st.text(LETTERS, max_size=90),
    st.floats(6, 40),
    st.floats(2, 9),
    st.sampled_from(["Regular", "Bold"]),
)
def test_any_text_stays_in_its_box_or_is_refused(
    text: str, width: float, height: float, weight: Weight
) -> None:
    surface, box = blank(), Box(12, 12, width, height)
    with suppress(FaceNotPrintable):
        surface.text(box, text, size=2.7, weight=weight, colour=BLACK)
    assert_ink_lies_in(box, surface)


def test_a_text_that_would_be_unreadably_small_is_refused() -> None:
    with pytest.raises(FaceNotPrintable) as refused:
        blank().text(BOX, "Щ" * 120, size=2.7, colour=BLACK)
    assert refused.value.reason is Reason.TEXT_TOO_LONG
    assert "Щ" not in str(refused.value)


def test_a_short_text_has_the_size_asked_for_and_a_long_one_is_smaller() -> None:
    heights = []
    for text in ("НИНА", "НИНА-ВЕРОНИКА-АНТОНИНА"):
        surface = blank()
        surface.text(BOX, text, size=2.7, weight="Bold", colour=BLACK)
        found = ink(surface)
        assert found is not None
        heights.append(found[3] - found[1])
    assert heights[0] == pytest.approx(surface.px(2.7 * 0.71), abs=2)  # capitals of Roboto
    assert surface.px(LEAST_TEXT_MM * 0.71) <= heights[1] < heights[0]


def test_lines_break_after_a_hyphen_but_not_before() -> None:
    narrow, wide = blank(), blank()
    narrow.text(Box(10, 10, 13, 7), "АННА-МАРИЯ", size=2.7, colour=BLACK)
    wide.text(Box(10, 10, 60, 7), "АННА-", size=2.7, colour=BLACK)
    line = (0, 0, narrow.image.width, narrow.px(10 + 2.9))
    first_lines = [surface.image.crop(line).tobytes() for surface in (narrow, wide)]
    assert first_lines[0] == first_lines[1]


def test_the_font_has_every_letter_of_a_name() -> None:
    face = font("Bold", 40)
    missing = bytes(face.getmask("\uffff"))
    assert [sign for sign in LETTERS if sign != " " and bytes(face.getmask(sign)) == missing] == []
