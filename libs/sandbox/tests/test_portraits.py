from io import BytesIO

import pytest
from PIL import Image, ImageStat

from epassport_credentials.identity import Sex
from epassport_sandbox.portraits import HEIGHT, WIDTH, draw_portrait
from epassport_sandbox.portraits.traits import traits_of


def opened(portrait: bytes) -> Image.Image:
    return Image.open(BytesIO(portrait))


def test_a_portrait_is_35_by_45_mm_at_300_dpi() -> None:
    picture = opened(draw_portrait(1, Sex.FEMALE, 30))
    assert (picture.format, picture.size, picture.info["dpi"]) == ("JPEG", (413, 531), (300, 300))
    assert picture.size == (WIDTH, HEIGHT)


def test_the_same_person_gives_the_same_bytes() -> None:
    assert draw_portrait(5, Sex.MALE, 41) == draw_portrait(5, Sex.MALE, 41)


def test_different_persons_look_different() -> None:
    assert len({draw_portrait(seed, Sex.MALE, 41) for seed in range(12)}) == 12


@pytest.mark.parametrize("age", [7, 14, 30, 55, 90])
@pytest.mark.parametrize("sex", list(Sex))
def test_every_portrait_fits_a_chip(sex: Sex, age: int) -> None:
    sizes = [len(draw_portrait(seed, sex, age)) for seed in range(4)]
    assert all(20_000 <= size <= 45_000 for size in sizes)


def test_the_head_stands_in_the_middle_of_a_light_background() -> None:
    picture = opened(draw_portrait(3, Sex.MALE, 30)).convert("L")
    corners = [picture.crop((x, 0, x + 40, 40)) for x in (0, WIDTH - 40)]
    assert all(ImageStat.Stat(corner).mean[0] > 225 for corner in corners)
    halves = [picture.crop((x, 100, x + 100, 430)) for x in (106, 206)]
    left, right = (ImageStat.Stat(half).mean[0] for half in halves)
    assert left < 200
    assert right < 200


def test_the_face_keeps_its_traits_as_it_grows_older() -> None:
    child, young, old = (traits_of(9, Sex.FEMALE, age) for age in (9, 20, 79))
    kept = [(t.skin, t.eyes, t.face_width, t.shoulder_width) for t in (child, young, old)]
    assert kept == [kept[0]] * 3
    assert child.childhood > young.childhood
    assert young.wrinkles < old.wrinkles


def test_children_and_women_have_no_beard() -> None:
    for seed in range(60):
        assert traits_of(seed, Sex.FEMALE, 40).beard == "none"
        assert traits_of(seed, Sex.MALE, 12).beard == "none"
