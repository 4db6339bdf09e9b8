"""A card's face as a surface measured in millimetres: boxes, text that fits, pictures.

Text never leaves its box: it is broken at spaces and hyphens and set in the largest size
that fits; a word that is too wide at every size is broken where the line ends. Below
LEAST_TEXT_MM nobody could read it, so it is refused instead.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

from PIL import Image, ImageDraw, ImageFont

WIDTH_MM, HEIGHT_MM = 85.60, 53.98  # ISO/IEC 7810, ID-1
LEAST_TEXT_MM = 0.9

Colour = tuple[int, int, int]
Weight = Literal["Light", "Regular", "Medium", "Bold"]
Align = Literal["left", "centre", "right"]

_MM_PER_INCH = 25.4
_LINE_DISTANCE = 1.16  # in text sizes
_TEXT_FINER = 2  # text is set at twice the resolution: hinting would space small letters badly
_PIECE = re.compile(r"\s*[^\s-]+-*|\s*-+")  # a word or its part up to a hyphen, and space before


class Reason(StrEnum):
    TEXT_TOO_LONG = "face-text-too-long"
    PORTRAIT_UNREADABLE = "face-portrait-unreadable"
    CODE_TOO_LARGE = "face-code-too-large"
    MRZ_MALFORMED = "face-mrz-malformed"


class FaceNotPrintable(Exception):
    """This data cannot be put on a card. Neither reason nor detail holds personal data."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason


@dataclass(frozen=True)
class Box:
    """Millimetres from the upper left corner of the card."""

    x: float
    y: float
    width: float
    height: float


class _Line(NamedTuple):
    """width: in the pixels of its font."""

    text: str
    width: float


class Surface:
    def __init__(self, background: Image.Image, dpi: int) -> None:
        """background: a picture of the whole card; it is drawn on."""
        self.image = background
        self.dpi = dpi
        self._draw = ImageDraw.Draw(background)

    def px(self, mm: float) -> int:
        return pixels(mm, self.dpi)

    def text(
        self,
        box: Box,
        text: str,
        *,
        size: float,
        weight: Weight = "Regular",
        colour: Colour,
        align: Align = "left",
    ) -> None:
        """Set the text at the top of the box, `size` mm high or as much smaller as it must be.

        Raises FaceNotPrintable: TEXT_TOO_LONG.
        """
        lines, face = self._fitted(box, text, size, weight)
        baseline = self.px(box.y) * _TEXT_FINER + face.size
        for line in lines:
            free = self.px(box.width) * _TEXT_FINER - line.width
            indent = {"left": 0.0, "centre": free / 2, "right": free}[align]
            self._set(line, face, self.px(box.x) * _TEXT_FINER + indent, baseline, colour)
            baseline += face.size * _LINE_DISTANCE

    def fill(self, box: Box, colour: Colour, opacity: float = 1.0) -> None:
        region = self._region(box)
        veil = Image.new("L", (region[2] - region[0], region[3] - region[1]), round(255 * opacity))
        self.image.paste(colour, region, veil)

    def frame(self, box: Box, colour: Colour, width: float) -> None:
        self._draw.rectangle(self._region(box), outline=colour, width=max(1, self.px(width)))

    def picture(self, box: Box, picture: Image.Image, mask: Image.Image | None = None) -> None:
        """Scale the picture, and its mask, to the box."""
        left, top, right, bottom = self._region(box)
        size = (right - left, bottom - top)
        shape = mask.resize(size, Image.Resampling.BILINEAR) if mask else None
        self.image.paste(picture.resize(size, Image.Resampling.LANCZOS), (left, top), shape)

    def stamp(self, colour: Colour, mask: Image.Image, left: int, top: int) -> None:
        """Colour where the mask, in pixels of this surface, is light."""
        self.image.paste(colour, (left, top), mask)

    def _region(self, box: Box) -> tuple[int, int, int, int]:
        left, top = self.px(box.x), self.px(box.y)
        return left, top, self.px(box.x + box.width), self.px(box.y + box.height)

    def _set(
        self, line: _Line, face: ImageFont.FreeTypeFont, x: float, baseline: float, colour: Colour
    ) -> None:
        """One line at a position in finer pixels."""
        left, top = int(x) // _TEXT_FINER, int(baseline - face.size) // _TEXT_FINER
        room = round(0.3 * face.size)  # for descenders and for signs that lean out of their width
        size = (int(line.width) + 2 * room, round(1.3 * face.size) + room)
        mask = Image.new("L", size)
        start = (x - left * _TEXT_FINER, baseline - top * _TEXT_FINER)
        ImageDraw.Draw(mask).text(start, line.text, font=face, fill=255, anchor="ls")
        self.stamp(colour, mask.reduce(_TEXT_FINER), left, top)

    def _fitted(
        self, box: Box, text: str, size: float, weight: Weight
    ) -> tuple[list[_Line], ImageFont.FreeTypeFont]:
        """Lines and a font, both in finer pixels."""
        finer = self.dpi * _TEXT_FINER
        width, height = self.px(box.width) * _TEXT_FINER, self.px(box.height) * _TEXT_FINER
        for pieces in (_PIECE.findall(text), list(text)):
            for points in range(pixels(size, finer), pixels(LEAST_TEXT_MM, finer) - 1, -1):
                face = font(weight, points)
                lines = _broken(pieces, face, width)
                if lines is None:
                    continue
                # Descenders of the last line reach a quarter of the size below its baseline.
                needed = points * (1.25 + _LINE_DISTANCE * (len(lines) - 1))
                if needed <= height:
                    return lines, face
        raise FaceNotPrintable(Reason.TEXT_TOO_LONG, f"{len(text)} characters")


def pixels(mm: float, dpi: int) -> int:
    return round(mm * dpi / _MM_PER_INCH)


@cache
def font(weight: Weight, size: int) -> ImageFont.FreeTypeFont:
    """Roboto has Cyrillic; no font of the machine is used, so a card looks alike everywhere."""
    path = files("font_roboto") / "files" / f"Roboto-{weight}.ttf"
    return ImageFont.truetype(str(path), size)


def _broken(pieces: list[str], face: ImageFont.FreeTypeFont, width: int) -> list[_Line] | None:
    """Lines no wider than `width`, or None if a single piece is."""
    whole = _measured("".join(pieces), face)  # most texts need one line: measured once, not thrice
    if whole.width <= width:
        return [whole]
    lines = [_Line("", 0.0)]
    for piece in pieces:
        longer = _measured(lines[-1].text + piece, face)
        if longer.width <= width:
            lines[-1] = longer
        elif (alone := _measured(piece, face)).width <= width:
            lines.append(alone)
        else:
            return None
    return lines


def _measured(text: str, face: ImageFont.FreeTypeFont) -> _Line:
    return _Line(text.lstrip(), face.getlength(text.lstrip()))
