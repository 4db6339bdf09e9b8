"""What is printed beside text: codes, machine-readable zone, chip symbol, ghost, watermark."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO

import zxingcpp
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from card_personalization import ocr_b
from card_personalization.surface import (
    HEIGHT_MM,
    WIDTH_MM,
    Box,
    Colour,
    FaceNotPrintable,
    Reason,
    Surface,
    font,
)

MODULES_PER_INCH = 100  # 0.254 mm: six dots of a 600 dpi printer
_QUIET_ZONE = 4
_ALPHANUMERIC = re.compile(r"[0-9A-Z $%*+\-./:]+")  # ISO/IEC 18004 §7.4.4

_MRZ_LINE = 30
_MRZ_LEFT_MM = (WIDTH_MM - _MRZ_LINE * ocr_b.PITCH_MM) / 2
_MRZ_MIDDLES_MM = (19.2, 12.85, 6.5)  # of the three lines, above the lower edge
_MRZ_INK: Colour = (12, 12, 16)

_LARGEST_PORTRAIT_PIXELS = 4_000_000
_SPECIMEN_COLOUR: Colour = (200, 40, 60)


def draw_code(surface: Surface, box: Box, text: str, largest_version: int) -> None:
    """A QR symbol with its quiet zone in the middle of the box.

    Raises FaceNotPrintable: CODE_TOO_LARGE.
    """
    modules = qr_modules(text)
    if modules.width > 17 + 4 * largest_version:
        raise FaceNotPrintable(Reason.CODE_TOO_LARGE, f"{modules.width} modules on a side")
    whole = modules.width + 2 * _QUIET_ZONE
    symbol = Image.new("L", (whole, whole), 255)
    symbol.paste(modules, (_QUIET_ZONE, _QUIET_ZONE))
    side = whole * surface.dpi // MODULES_PER_INCH
    left = surface.px(box.x + box.width / 2) - side // 2
    top = surface.px(box.y + box.height / 2) - side // 2
    symbol = symbol.resize((side, side), Image.Resampling.NEAREST)
    surface.image.paste(symbol.convert("RGB"), (left, top))


def qr_modules(text: str) -> Image.Image:
    """One pixel a module, black on white, without the quiet zone; error correction M.

    Says what `epassport_credentials.qr_symbol` says, in a fifteenth of the time: a card is made
    three times a second, a code on a screen once.
    Raises FaceNotPrintable: CODE_TOO_LARGE.
    """
    if not _ALPHANUMERIC.fullmatch(text):
        raise FaceNotPrintable(Reason.CODE_TOO_LARGE, "not a QR code's text")
    try:
        code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    except ValueError as error:
        raise FaceNotPrintable(Reason.CODE_TOO_LARGE, "more than the largest symbol") from error
    return Image.fromarray(zxingcpp.write_barcode_to_image(code, scale=1, add_quiet_zones=False))


def draw_mrz(surface: Surface, lines: Sequence[str]) -> None:
    """Three lines of 30 at the lower edge. Raises FaceNotPrintable: MRZ_MALFORMED."""
    if len(lines) != len(_MRZ_MIDDLES_MM) or any(len(line) != _MRZ_LINE for line in lines):
        raise FaceNotPrintable(Reason.MRZ_MALFORMED, "not three lines of 30")
    if not ocr_b.SIGNS.issuperset("".join(lines)):
        raise FaceNotPrintable(Reason.MRZ_MALFORMED, "a sign outside A to Z, 0 to 9, <")
    for line, middle in zip(lines, _MRZ_MIDDLES_MM, strict=True):
        for place, sign in enumerate(line):
            mask = ocr_b.glyph(sign, surface.dpi)
            left = surface.px(_MRZ_LEFT_MM + place * ocr_b.PITCH_MM)
            surface.stamp(_MRZ_INK, mask, left, surface.px(HEIGHT_MM - middle) - mask.height // 2)


def draw_chip_symbol(surface: Surface, box: Box, colour: Colour) -> None:
    """The sign of a document with a contactless chip: a ring between two bars."""
    finer = 4
    width, height = surface.px(box.width) * finer, surface.px(box.height) * finer
    pen, middle = round(height * 0.13), height // 2
    radius, gap = round(height * 0.27), round(height * 0.11)
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    draw.rectangle((0, 0, width - 1, height - 1), outline=255, width=pen)
    draw.rectangle((0, middle - pen // 2, width, middle + pen // 2), fill=255)
    for reach, level in ((radius + gap, 0), (radius, 255), (radius - pen, 0)):
        centre = width // 2
        draw.ellipse((centre - reach, middle - reach, centre + reach, middle + reach), fill=level)
    mask = mask.resize((width // finer, height // finer), Image.Resampling.BOX)
    surface.stamp(colour, mask, surface.px(box.x), surface.px(box.y))


def read_portrait(portrait: bytes) -> Image.Image:
    """Raises FaceNotPrintable: PORTRAIT_UNREADABLE."""
    try:
        picture = Image.open(BytesIO(portrait), formats=("JPEG", "JPEG2000", "PNG"))
        if picture.width * picture.height > _LARGEST_PORTRAIT_PIXELS:
            raise FaceNotPrintable(Reason.PORTRAIT_UNREADABLE, "too many pixels")
        return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FaceNotPrintable(Reason.PORTRAIT_UNREADABLE, type(error).__name__) from error


def draw_ghost(surface: Surface, box: Box, portrait: Image.Image, colour: Colour) -> None:
    """A second, faint portrait of one colour: replacing the first alone is noticed."""
    size = (surface.px(box.width), surface.px(box.height))
    small = portrait.convert("L").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    grey = ImageOps.autocontrast(small, cutoff=1)
    ink = ImageOps.invert(grey).point(lambda level: level * 2 // 3)
    mask = ImageChops.multiply(ink, _oval(size))
    surface.stamp(colour, mask, surface.px(box.x), surface.px(box.y))


@cache
def _oval(size: tuple[int, int]) -> Image.Image:
    """Light in the middle, dark towards the edges; the same on every card."""
    width, height = size
    inset = width // 9
    oval = Image.new("L", size)
    edges = (inset, inset, width - inset, height - inset // 2)
    ImageDraw.Draw(oval).ellipse(edges, fill=255)
    return oval.filter(ImageFilter.GaussianBlur(width / 16))


def draw_specimen(surface: Surface, words: Mapping[str, tuple[float, float]]) -> None:
    """Slanted words around points in mm; drawn before text and codes, which stay readable."""
    for word, (x, y) in words.items():
        face = font("Bold", surface.px(9))
        mask = Image.new("L", (round(face.getlength(word)), surface.px(9)))
        middle = (mask.width / 2, mask.height / 2)
        ImageDraw.Draw(mask).text(middle, word, font=face, fill=38, anchor="mm")
        mask = mask.rotate(18, resample=Image.Resampling.BILINEAR, expand=True)
        left, top = surface.px(x) - mask.width // 2, surface.px(y) - mask.height // 2
        surface.stamp(_SPECIMEN_COLOUR, mask, left, top)
