"""The small portrait of the identity QR: grey, 64 x 80, WEBP, about 450 bytes.

It is there so that a person can be compared with the print, not for a matcher.
"""

import io

from PIL import Image, ImageOps

from epassport_credentials.errors import InvalidCredential, Reason

MAX_PORTRAIT_BYTES = 450
MAX_PHOTO_BYTES = 8_000_000
MAX_PHOTO_PIXELS = 40_000_000

_HIGHEST_QUALITY = 90
_SIZES = ((64, 80), (56, 70), (48, 60), (40, 50), (32, 40))


def portrait_thumbnail(photo: bytes, *, at_most: int = MAX_PORTRAIT_BYTES) -> bytes:
    """The best WEBP of at most so many bytes, cropped to 4:5 around the middle.

    photo: JPEG or PNG
    Raises InvalidCredential: TOO_LONG, MALFORMED; ValueError if no picture can be that small.
    """
    grey = _read_photo(photo)
    for size in _SIZES:
        small = ImageOps.fit(grey, size, Image.Resampling.LANCZOS)
        encoded = _best_webp(small, at_most)
        if encoded is not None:
            return encoded
    raise ValueError(f"no portrait fits into {at_most} bytes")


def _best_webp(image: Image.Image, at_most: int) -> bytes | None:
    """The highest quality that fits, found by halving."""
    best = None
    lowest, highest = 0, _HIGHEST_QUALITY
    while lowest <= highest:
        quality = (lowest + highest) // 2
        encoded = _webp(image, quality)
        if len(encoded) <= at_most:
            best, lowest = encoded, quality + 1
        else:
            highest = quality - 1
    return best


def _read_photo(photo: bytes) -> Image.Image:
    if len(photo) > MAX_PHOTO_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"a photo of more than {MAX_PHOTO_BYTES} bytes")
    try:
        image = Image.open(io.BytesIO(photo), formats=("JPEG", "PNG"))
        if image.width * image.height > MAX_PHOTO_PIXELS:
            raise InvalidCredential(Reason.TOO_LONG, f"more than {MAX_PHOTO_PIXELS} pixels")
        width, height = _SIZES[0]
        image.draft("L", (2 * width, 2 * height))  # a JPEG is decoded no larger than it must be
        return image.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidCredential(Reason.MALFORMED, "not a JPEG or PNG image") from error


def _webp(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=quality, method=6)
    return out.getvalue()
