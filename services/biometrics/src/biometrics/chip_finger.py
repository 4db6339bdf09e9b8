"""A finger as the chip holds it: WSQ at 500 pixels an inch, which inspection systems read.

WSQ is the FBI's gray-scale fingerprint image compression (IAFIS-IC-0110): 12 to 1, so that what
is released is a tenth of the capture.
"""

import io

import _wsq  # by itself: what the package adds for Pillow copies the picture pixel by pixel
from PIL import Image

from biometrics.engine.quality import at_500_dpi

WSQ = "image/x-wsq"
_RATIO = 12  # to one


def wsq_of(png: bytes, *, dpi: int) -> bytes:
    """png: a capture that passed the gate, so it is 8-bit gray.

    About 15 ms of computing for 400 x 480 pixels, during which no other thread of the process runs:
    the encoder has global state and keeps the interpreter's lock.
    """
    with Image.open(io.BytesIO(png), formats=("PNG",)) as capture:
        picture = at_500_dpi(capture, dpi)
        packed: bytes = _wsq.compress(picture.tobytes(), picture.height, picture.width, _RATIO)
    return packed
