"""Texts of codes out of what a person has at hand: a picture, a PDF page, a text file, stdin.

Pictures and PDF pages need the extra `images` (Pillow, pypdfium2, zxing-cpp); texts do not.
"""

import io
import struct
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

STDIN = "-"
MAX_INPUT_BYTES = 60_000_000  # a pack of the largest size, or a page scanned in colour
MAX_PIXELS = 80_000_000  # A4 at 900 dpi
MAX_SIDE_PIXELS = 65_535  # zxing-cpp reads no wider and no higher picture
PDF_DPI = 300

# What Pillow's decoders let through of a damaged file, beside its own errors.
_DAMAGED = (OSError, ValueError, TypeError, ArithmeticError, LookupError, EOFError, SyntaxError)
_EXTRA = {"PIL": "pillow", "pypdfium2": "pypdfium2", "zxingcpp": "zxing-cpp"}
_PDF = b"%PDF-"
_PICTURES = {
    b"\x89PNG\r\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"BM": "BMP",
    b"GIF8": "GIF",
    b"RIFF": "WEBP",
}


class Unreadable(Exception):
    """Nothing was found that could be judged; the message is for the person at the screen."""


def read_input(source: str) -> bytes:
    """A file's content, or stdin's for "-". Raises Unreadable."""
    if source == STDIN and (sys.stdin is None or sys.stdin.closed):
        raise Unreadable("-: stdin is closed, or was read already")
    try:
        with sys.stdin.buffer if source == STDIN else Path(source).open("rb") as stream:
            data = stream.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"{source}: {error.strerror}") from error
    if len(data) > MAX_INPUT_BYTES:
        raise Unreadable(f"{source}: more than {MAX_INPUT_BYTES} bytes")
    return data


def codes_in(data: bytes, *, page: int = 1) -> list[str]:
    """The text of every QR code in a picture or PDF page, or the text itself.

    page: of a PDF, from 1
    Raises Unreadable: no code, no text, no such page, or the extra `images` is missing.
    """
    if data.startswith(_PDF):
        return _codes_of_picture(_pdf_page(data, page))
    if data.startswith(tuple(_PICTURES)):
        return _codes_of_picture(_picture(data))
    try:
        text = data.decode("ascii").strip("\r\n")
    except UnicodeDecodeError as error:
        raise Unreadable("neither a picture, nor a PDF, nor the text of a code") from error
    if not text:
        raise Unreadable("nothing to read")
    return [text]


def is_paper(data: bytes) -> bool:
    """A picture or a PDF, in which a code has to be found first."""
    return data.startswith((_PDF, *_PICTURES))


def _codes_of_picture(picture: "Image.Image") -> list[str]:
    _need("zxingcpp")
    import zxingcpp

    if max(picture.size) > MAX_SIDE_PIXELS:
        raise Unreadable(f"a picture of more than {MAX_SIDE_PIXELS} pixels on a side")
    qr_codes = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
    seen = zxingcpp.read_barcodes(picture, formats=qr_codes)
    texts = [str(code.text) for code in seen]
    if not texts:
        raise Unreadable("no QR code found")
    return texts


def _picture(data: bytes) -> "Image.Image":
    _need("PIL")
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(data), formats=sorted(set(_PICTURES.values())))
        if picture.width * picture.height > MAX_PIXELS:
            raise Unreadable(f"a picture of more than {MAX_PIXELS} pixels")
        return _on_paper(picture)
    except (*_DAMAGED, struct.error, Image.DecompressionBombError) as error:
        raise Unreadable("the picture is damaged") from error


def _on_paper(picture: "Image.Image") -> "Image.Image":
    """In grey, and white where the picture is transparent: most have black beneath."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("L")
    drawn = picture.convert("LA")
    paper = Image.new("L", picture.size, 255)
    paper.paste(drawn.getchannel("L"), mask=drawn.getchannel("A"))
    return paper


def _pdf_page(data: bytes, page: int) -> "Image.Image":
    _need("PIL", "pypdfium2")
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(data) as document:
            if not 1 <= page <= len(document):
                raise Unreadable(f"the PDF has {len(document)} pages")
            sheet = document[page - 1]
            width, height = (length * PDF_DPI / 72 for length in sheet.get_size())
            if width * height > MAX_PIXELS:
                raise Unreadable(f"a page of more than {MAX_PIXELS} pixels at {PDF_DPI} dpi")
            picture: Image.Image = sheet.render(scale=PDF_DPI / 72, grayscale=True).to_pil()
            return picture
    except pypdfium2.PdfiumError as error:
        raise Unreadable("the PDF is damaged or locked") from error


def _need(*modules: str) -> None:
    missing = [_EXTRA[name] for name in modules if find_spec(name) is None]
    if missing:
        raise Unreadable(
            f"{', '.join(missing)} is missing: pictures and PDF pages need "
            "`pip install 'epassport-credentials[images]'`; the text of a code does not"
        )
