from collections.abc import Callable
from dataclasses import replace
from datetime import date
from io import BytesIO

import pytest
from PIL import Image, ImageChops, ImageDraw

from card_personalization import ocr_b
from card_personalization.faces import CardFace, render_back, render_front
from card_personalization.surface import HEIGHT_MM, WIDTH_MM, FaceNotPrintable, Reason, pixels
from epassport_credentials.commands.reading import codes_in
from epassport_credentials.identity import Sex
from epassport_credentials.mrz import Mrz, build_td1, parse_td1
from epassport_credentials.qr_symbol import qr_version

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
LETTERS = ALPHABET[10:]  # runs of digits would take less room
LARGEST_SMALL_CODE = (LETTERS * 9)[:311]
LARGEST_IDENTITY_CODE = (LETTERS * 33)[:1134]


def photo(size: tuple[int, int] = (413, 531), kind: str = "JPEG") -> bytes:
    picture = Image.new("RGB", size, (225, 230, 235))
    box = (size[0] // 4, size[1] // 6, size[0] * 3 // 4, size[1] * 5 // 6)
    ImageDraw.Draw(picture).ellipse(box, fill=(214, 170, 140))
    out = BytesIO()
    picture.save(out, kind)
    return out.getvalue()


ZONE = Mrz(
    document_code="I",
    issuing_state="RUS",
    primary="OBRAZTSOVA",
    secondary="EKATERINA IUREVNA",
    number="730000123",
    nationality="RUS",
    birth_date="900517",
    sex="F",
    expiry_date="360302",
)
CARD = CardFace(
    surname="Образцова",
    given_name="Екатерина",
    patronymic="Юрьевна",
    surname_latin="OBRAZTSOVA",
    given_name_latin="EKATERINA",
    patronymic_latin="IUREVNA",
    sex=Sex.FEMALE,
    birth_date=date(1990, 5, 17),
    birth_place="г. Казань, Республика Татарстан",
    document_number="730000123",
    access_number="417093",
    issue_date=date(2026, 3, 2),
    expiry_date=date(2036, 3, 2),
    authority="МВД ПО РЕСПУБЛИКЕ ТАТАРСТАН",
    region="Республика Татарстан",
    mrz=build_td1(ZONE),
    portrait=photo(),
    small_code=LARGEST_SMALL_CODE,
    identity_code=LARGEST_IDENTITY_CODE,
    specimen=True,
)
LONGEST = replace(
    CARD,
    surname="Рождественская-Преображенская-Константинопольская",
    surname_latin="ROZHDESTVENSKAIA-PREOBRAZHENSKAIA-KONSTANTINOPOLSKAIA",
    given_name="Александра-Елизавета Магдалина",
    given_name_latin="ALEKSANDRA-ELIZAVETA MAGDALINA",
    patronymic="Абдурахмангаджиевна-Мухамедрахимовна",
    patronymic_latin="ABDURAKHMANGADZHIEVNA-MUKHAMEDRAKHIMOVNA",
    birth_place="с. Верхненовокутлумбетьево, Матвеевский район, Оренбургская область, "
    "Российская Советская Федеративная Социалистическая Республика",
    authority="ТЕРРИТОРИАЛЬНЫЙ ПУНКТ ОТДЕЛА УФМС РОССИИ ПО ХАНТЫ-МАНСИЙСКОМУ АВТОНОМНОМУ "
    "ОКРУГУ - ЮГРЕ В ГОРОДЕ НЕФТЕЮГАНСКЕ И НЕФТЕЮГАНСКОМ РАЙОНЕ",
    region="Ханты-Мансийский автономный округ - Югра",
)


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png))


def printed_zone(png: bytes, dpi: int) -> list[str]:
    """Read the zone as a scanner does: the sign whose shape differs least from the cell."""
    ink = ImageChops.invert(opened(png).convert("L")).point(
        lambda level: level if level > 128 else 0
    )
    lines = []
    for middle in (19.2, 12.85, 6.5):
        line = ""
        for place in range(30):
            left = pixels((WIDTH_MM - 30 * ocr_b.PITCH_MM) / 2 + place * ocr_b.PITCH_MM, dpi)
            line += min(ocr_b.SIGNS, key=lambda sign: _difference(ink, sign, left, middle, dpi))
        lines.append(line)
    return lines


def _difference(ink: Image.Image, sign: str, left: int, middle: float, dpi: int) -> int:
    mask = ocr_b.glyph(sign, dpi)
    top = pixels(HEIGHT_MM - middle, dpi) - mask.height // 2
    cell = ink.crop((left, top, left + mask.width, top + mask.height))
    histogram = ImageChops.difference(cell, mask).histogram()
    return sum(level * count for level, count in enumerate(histogram))


@pytest.mark.parametrize("dpi", [300, 600])
def test_the_codes_are_read_back_from_the_printed_faces(dpi: int) -> None:
    assert (qr_version(CARD.small_code), qr_version(CARD.identity_code)) == (10, 22)
    assert codes_in(render_front(CARD, dpi=dpi)) == [CARD.small_code]
    assert codes_in(render_back(CARD, dpi=dpi)) == [CARD.identity_code]


def test_small_codes_are_read_back_too() -> None:
    card = replace(CARD, small_code="A1", identity_code="B2")
    assert codes_in(render_front(card, dpi=300)) == ["A1"]
    assert codes_in(render_back(card, dpi=300)) == ["B2"]


def test_the_machine_readable_zone_is_read_back_sign_by_sign() -> None:
    zone = printed_zone(render_back(CARD, dpi=300), dpi=300)
    assert zone == list(CARD.mrz)
    assert parse_td1(zone) == ZONE


def test_a_face_has_the_size_of_an_identity_card() -> None:
    for render in (render_front, render_back):
        picture = opened(render(CARD, dpi=600))
        assert (picture.format, picture.size) == ("PNG", (2022, 1275))
        assert picture.info["dpi"] == pytest.approx((600, 600), abs=0.1)
        assert opened(render(CARD, dpi=300)).size == (1011, 638)


def test_the_access_number_is_printed_on_the_back_alone() -> None:
    other = replace(CARD, access_number="417094")
    assert render_back(other, dpi=300) != render_back(CARD, dpi=300)
    assert render_front(other, dpi=300) == render_front(CARD, dpi=300)


def test_the_longest_names_are_printed() -> None:
    assert codes_in(render_front(LONGEST, dpi=300)) == [CARD.small_code]
    assert codes_in(render_back(LONGEST, dpi=300)) == [CARD.identity_code]


def test_a_holder_may_have_no_patronymic() -> None:
    card = replace(CARD, patronymic="", patronymic_latin="")
    assert render_front(card, dpi=300) != render_front(CARD, dpi=300)


@pytest.mark.parametrize("render", [render_front, render_back])
def test_a_card_printed_again_is_the_same_and_takes_nothing_from_the_one_before(
    render: Callable[..., bytes],
) -> None:
    first = render(CARD, dpi=300)
    render(LONGEST, dpi=300)
    assert render(CARD, dpi=300) == first


def test_only_a_specimen_is_marked_as_one() -> None:
    genuine = replace(CARD, specimen=False)
    for render in (render_front, render_back):
        marked, plain = opened(render(CARD, dpi=300)), opened(render(genuine, dpi=300))
        changed = ImageChops.difference(marked, plain).getbbox()
        assert changed is not None
        assert changed[2] - changed[0] > pixels(30, 300)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "JPEG2000"])
def test_a_portrait_may_have_any_format_of_a_chip(kind: str) -> None:
    assert render_front(replace(CARD, portrait=photo(kind=kind)), dpi=300)


@pytest.mark.parametrize(
    "portrait",
    [b"", b"no picture", photo()[:400], photo(kind="GIF"), photo((2001, 2000))],
    ids=["empty", "text", "cut off", "GIF", "too many pixels"],
)
def test_an_unreadable_portrait_is_refused(portrait: bytes) -> None:
    with pytest.raises(FaceNotPrintable) as refused:
        render_front(replace(CARD, portrait=portrait), dpi=300)
    assert refused.value.reason is Reason.PORTRAIT_UNREADABLE


@pytest.mark.parametrize("code", [LARGEST_SMALL_CODE + "A", "", "lower case", "A" * 5_000])
def test_a_small_code_that_has_no_room_is_refused(code: str) -> None:
    with pytest.raises(FaceNotPrintable) as refused:
        render_front(replace(CARD, small_code=code), dpi=300)
    assert refused.value.reason is Reason.CODE_TOO_LARGE


def test_an_identity_code_that_has_no_room_is_refused() -> None:
    with pytest.raises(FaceNotPrintable) as refused:
        render_back(replace(CARD, identity_code=LARGEST_IDENTITY_CODE + "A"), dpi=300)
    assert refused.value.reason is Reason.CODE_TOO_LARGE


@pytest.mark.parametrize(
    "mrz",
    [CARD.mrz[:2], *((*CARD.mrz[:2], third) for third in ("TOO<SHORT", "o" * 30, "Ж" * 30))],
)
def test_a_malformed_zone_is_refused(mrz: tuple[str, str, str]) -> None:
    with pytest.raises(FaceNotPrintable) as refused:
        render_back(replace(CARD, mrz=mrz), dpi=300)
    assert refused.value.reason is Reason.MRZ_MALFORMED


def test_a_resolution_that_would_make_modules_unequal_is_an_error() -> None:
    for render in (render_front, render_back):
        with pytest.raises(ValueError, match="no multiple of 100"):
            render(CARD, dpi=350)


def test_no_personal_data_is_shown_when_a_card_is_logged() -> None:
    shown = repr(CARD)
    for value in (CARD.surname, CARD.surname_latin, CARD.birth_place, CARD.document_number, "1990"):
        assert value not in shown
