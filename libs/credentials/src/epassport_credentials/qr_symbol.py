"""QR symbols of our texts: alphanumeric, error correction M (ISO/IEC 18004).

M is the choice for cards where space is short: a symbol survives blots of about 2 % of
its area, and a level higher would need two to three versions more.
"""

import io

import segno


def qr_version(text: str) -> int:
    """1 to 40; a symbol has 17 + 4 x version modules on a side."""
    version = _symbol(text).version
    assert isinstance(version, int)  # a text only for Micro QR, which is not made here
    return version


def qr_png(text: str, *, pixels_per_module: int) -> bytes:
    """Black on white with the quiet zone of four modules."""
    out = io.BytesIO()
    _symbol(text).save(out, kind="png", scale=pixels_per_module, border=4)
    return out.getvalue()


def qr_modules(text: str) -> tuple[tuple[bool, ...], ...]:
    """The dark modules, row by row, without the quiet zone: for terminals and own drawing."""
    return tuple(tuple(bool(module) for module in row) for row in _symbol(text).matrix)


def _symbol(text: str) -> segno.QRCode:
    return segno.make_qr(text, error="m", mode="alphanumeric", boost_error=False)
