"""The two printed faces of a card (ISO/IEC 7810 ID-1), as PNG for the card printer.

The front carries the holder's data, the portrait and the small code for everyday checks; the
back the identity code and the machine-readable zone (ICAO Doc 9303-5, three lines of 30).
At 0.254 mm a module, a small code of version 10 takes 16.5 mm with its quiet zone and an
identity code of version 22 takes 28.7 mm: that is the room they have here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache

from PIL import Image

from card_personalization import marks
from card_personalization.guilloche import Side, background
from card_personalization.print_file import png_of
from card_personalization.surface import (
    HEIGHT_MM,
    WIDTH_MM,
    Align,
    Box,
    Colour,
    Surface,
    Weight,
)
from epassport_credentials.identity import Sex

PRINTER_DPI = 600
PREVIEW_DPI = 300

SMALL_CODE_VERSION = 10
IDENTITY_CODE_VERSION = 22

_INK: Colour = (20, 26, 42)
_TITLE: Colour = (26, 50, 112)
_LABEL: Colour = (78, 92, 122)
_RED: Colour = (178, 28, 44)
_WHITE: Colour = (255, 255, 255)

_PORTRAIT = Box(4, 12.4, 24.2, 31.1)
_GHOST = Box(69.3, 11.6, 12.2, 15.7)
_SMALL_CODE = Box(65.2, 34.8, 16.6, 16.6)
_IDENTITY_CODE = Box(3.2, 1.2, 28.8, 28.8)
_TEXT_LEFT = 31.2
_MRZ_ZONE_MM = 23.2  # from the lower edge; holds nothing but the three lines


@dataclass(frozen=True)
class _Field:
    """A label and, below it, the room for a value."""

    box: Box
    label: str

    @property
    def label_box(self) -> Box:
        return Box(self.box.x, self.box.y, self.box.width, 2.0)

    @property
    def value_box(self) -> Box:
        return Box(self.box.x, self.box.y + 1.75, self.box.width, self.box.height - 1.75)


_NAME_FIELDS = (
    _Field(Box(_TEXT_LEFT, 11.7, 33.4, 7.35), "Фамилия / Surname"),
    _Field(Box(_TEXT_LEFT, 19.05, 33.4, 7.35), "Имя / Given name"),
    _Field(Box(_TEXT_LEFT, 26.4, 33.4, 7.35), "Отчество / Patronymic"),
)
_NUMBER = _Field(Box(65.2, 28.0, 16.6, 5.8), "№ документа / Document No.")
_FRONT_FIELDS = (
    _Field(Box(_TEXT_LEFT, 33.7, 6.6, 5.2), "Пол / Sex"),
    _Field(Box(_TEXT_LEFT + 7.6, 33.7, 9.4, 5.2), "Гражд. / Nat."),
    _Field(Box(_TEXT_LEFT + 18.2, 33.7, 15.2, 5.2), "Дата рожд. / Birth"),
    _Field(Box(_TEXT_LEFT, 38.9, 33.4, 6.6), "Место рождения / Place of birth"),
    _Field(Box(_TEXT_LEFT, 45.7, 16.2, 5.2), "Дата выдачи / Issued"),
    _Field(Box(_TEXT_LEFT + 18.2, 45.7, 15.2, 5.2), "Действ. до / Expiry"),
)
_BACK_LEFT = 34.2
_BACK_WIDTH = WIDTH_MM - _BACK_LEFT - 4
_BACK_FIELDS = (
    _Field(Box(_BACK_LEFT, 2.2, _BACK_WIDTH, 8.4), "Орган, выдавший документ / Issuing authority"),
    _Field(Box(_BACK_LEFT, 10.9, _BACK_WIDTH, 6.0), "Регион / Region"),
    _Field(Box(_BACK_LEFT, 17.1, 26, 5.0), "№ документа / Document No."),
    _Field(Box(_BACK_LEFT + 28, 17.1, _BACK_WIDTH - 28, 5.0), "Код доступа / CAN"),
)
_NOTES = (
    "Код подтверждает подлинность печати; личность подтверждают портрет и чип.",
    "The code proves the print; portrait and chip prove the bearer.",
    "Нашедшего просим сдать карту в любой МФЦ или отделение полиции.",
)

_LABEL_SIZE = 1.4
_VALUE_SIZE = 2.7
_LATIN_SIZE = 2.1
_SEX = {Sex.MALE: "М / M", Sex.FEMALE: "Ж / F"}


@dataclass(frozen=True)
class CardFace:
    """Everything that is printed. Only the patronymic may be empty.

    access_number: the six digits that open the chip (CAN), on the back beside the zone, which
        opens it too
    region: its name as printed; mrz: three lines of 30
    portrait: JPEG, JPEG 2000 or PNG; the codes: texts of alphanumeric QR symbols
    specimen: print a watermark; a card made in the sandbox always has it
    """

    surname: str = field(repr=False)
    given_name: str = field(repr=False)
    patronymic: str = field(repr=False)
    surname_latin: str = field(repr=False)
    given_name_latin: str = field(repr=False)
    patronymic_latin: str = field(repr=False)
    sex: Sex = field(repr=False)
    birth_date: date = field(repr=False)
    birth_place: str = field(repr=False)
    document_number: str = field(repr=False)
    access_number: str = field(repr=False)
    issue_date: date
    expiry_date: date
    authority: str
    region: str
    mrz: tuple[str, str, str] = field(repr=False)
    portrait: bytes = field(repr=False)
    small_code: str = field(repr=False)
    identity_code: str = field(repr=False)
    specimen: bool


def render_front(card: CardFace, *, dpi: int = PRINTER_DPI) -> bytes:
    """PNG of the front. dpi: a multiple of 100, so that all modules of a code are equal.

    Raises FaceNotPrintable: TEXT_TOO_LONG, PORTRAIT_UNREADABLE, CODE_TOO_LARGE.
    """
    surface = Surface(_blank_front(dpi, specimen=card.specimen).copy(), dpi)
    portrait = marks.read_portrait(card.portrait)
    surface.picture(_PORTRAIT, portrait)
    surface.frame(_PORTRAIT, _TITLE, 0.1)
    marks.draw_ghost(surface, _GHOST, portrait, _TITLE)
    _draw_names(surface, card)
    _draw_particulars(surface, card)
    marks.draw_code(surface, _SMALL_CODE, card.small_code, SMALL_CODE_VERSION)
    return png_of(surface.image, dpi=surface.dpi)


def render_back(card: CardFace, *, dpi: int = PRINTER_DPI) -> bytes:
    """PNG of the back; dpi as for the front.

    Raises FaceNotPrintable: TEXT_TOO_LONG, CODE_TOO_LARGE, MRZ_MALFORMED.
    """
    surface = Surface(_blank_back(dpi, specimen=card.specimen).copy(), dpi)
    marks.draw_code(surface, _IDENTITY_CODE, card.identity_code, IDENTITY_CODE_VERSION)
    _draw_issuer(surface, card)
    marks.draw_mrz(surface, card.mrz)
    return png_of(surface.image, dpi=surface.dpi)


@cache
def _blank_front(dpi: int, *, specimen: bool) -> Image.Image:
    """What is the same on every front: drawn once per resolution."""
    surface = _surface("front", dpi)
    if specimen:
        marks.draw_specimen(surface, {"ОБРАЗЕЦ": (48, 22), "SPECIMEN": (48, 40)})
    _draw_titles(surface)
    surface.fill(Box(4, 44.4, 24.2, 5.2), _WHITE, opacity=0.55)
    surface.fill(Box(4, 49.5, 24.2, 0.12), _LABEL)
    _draw_label(surface, Box(4, 49.8, 24.2, 1.9), "Подпись / Holder's signature", "centre")
    for place in (*_NAME_FIELDS, *_FRONT_FIELDS):
        _draw_label(surface, place.label_box, place.label)
    _draw_label(surface, _NUMBER.label_box, _NUMBER.label, "centre")
    return surface.image


@cache
def _blank_back(dpi: int, *, specimen: bool) -> Image.Image:
    """What is the same on every back."""
    surface = _surface("back", dpi)
    zone = Box(0, HEIGHT_MM - _MRZ_ZONE_MM, WIDTH_MM, _MRZ_ZONE_MM)
    surface.fill(zone, _WHITE, opacity=0.72)
    if specimen:
        marks.draw_specimen(surface, {"ОБРАЗЕЦ": (58, 15), "SPECIMEN": (43, 42)})
    for place in _BACK_FIELDS:
        _draw_label(surface, place.label_box, place.label)
    for line, note in enumerate(_NOTES):
        _draw_label(surface, Box(_BACK_LEFT, 23.6 + 2.1 * line, _BACK_WIDTH, 2.0), note)
    return surface.image


def _surface(side: Side, dpi: int) -> Surface:
    if dpi % marks.MODULES_PER_INCH:
        raise ValueError(f"{dpi} dpi is no multiple of {marks.MODULES_PER_INCH}")
    return Surface(background(side, dpi), dpi)


def _draw_titles(surface: Surface) -> None:
    def title(y: float, height: float, text: str, weight: Weight, align: Align) -> None:
        box = Box(4 if align == "left" else 38.4, y, 32.4, height * 1.4)
        surface.text(box, text, size=height, weight=weight, colour=_TITLE, align=align)

    title(2.8, 2.5, "РОССИЙСКАЯ ФЕДЕРАЦИЯ", "Bold", "left")
    title(6.0, 2.0, "RUSSIAN FEDERATION", "Regular", "left")
    title(2.8, 2.5, "ПАСПОРТ ГРАЖДАНИНА", "Bold", "right")
    title(6.0, 2.0, "PASSPORT", "Regular", "right")
    marks.draw_chip_symbol(surface, Box(72.8, 2.9, 9.0, 5.3), _TITLE)
    for stripe, colour in enumerate((_WHITE, _TITLE, _RED)):
        surface.fill(Box(0, 9.5 + 0.45 * stripe, WIDTH_MM, 0.45), colour)


def _draw_names(surface: Surface, card: CardFace) -> None:
    names = (
        (card.surname, card.surname_latin),
        (card.given_name, card.given_name_latin),
        (card.patronymic, card.patronymic_latin),
    )
    for place, (cyrillic, latin) in zip(_NAME_FIELDS, names, strict=True):
        box = place.box
        name = Box(box.x, box.y + 1.75, box.width, 3.3)
        surface.text(name, cyrillic.upper(), size=_VALUE_SIZE, weight="Bold", colour=_INK)
        latin_box = Box(box.x, box.y + 4.8, box.width, 2.65)
        surface.text(latin_box, latin.upper(), size=_LATIN_SIZE, colour=_INK)


def _draw_particulars(surface: Surface, card: CardFace) -> None:
    number = Box(65.2, 29.9, 16.6, 3.9)
    surface.text(number, card.document_number, size=3.0, weight="Bold", colour=_RED, align="centre")
    values = (
        _SEX[card.sex],
        "РФ / RUS",
        _day(card.birth_date),
        card.birth_place,
        _day(card.issue_date),
        _day(card.expiry_date),
    )
    _draw_values(surface, _FRONT_FIELDS, values)


def _draw_issuer(surface: Surface, card: CardFace) -> None:
    values = (card.authority, card.region, card.document_number, card.access_number)
    _draw_values(surface, _BACK_FIELDS, values)


def _draw_values(surface: Surface, places: Sequence[_Field], values: Sequence[str]) -> None:
    for place, value in zip(places, values, strict=True):
        surface.text(place.value_box, value, size=2.3, weight="Medium", colour=_INK)


def _draw_label(surface: Surface, box: Box, label: str, align: Align = "left") -> None:
    surface.text(box, label, size=_LABEL_SIZE, colour=_LABEL, align=align)


def _day(day: date) -> str:
    return f"{day:%d.%m.%Y}"
