"""The gate for faces: is this a picture that can be printed and written to a chip?

Geometry and file format alone; it looks for no face and claims no ICAO conformity. Limits come
before decoding.
"""

import io
from enum import StrEnum

from PIL import Image

MAX_BYTES = 64 * 1024
MIN_WIDTH, MIN_HEIGHT = 240, 320
MAX_WIDTH, MAX_HEIGHT = 1200, 1600


class FaceFault(StrEnum):
    TOO_MANY_BYTES = "face-too-many-bytes"
    NOT_A_JPEG = "face-not-a-jpeg"
    DAMAGED = "face-damaged"
    WRONG_SIZE = "face-wrong-size"
    NOT_UPRIGHT = "face-not-upright"
    NOT_COLOUR = "face-not-colour"


class FaceRejected(Exception):
    """A picture that must be taken again; the operator sees the fault."""

    def __init__(self, fault: FaceFault) -> None:
        super().__init__(fault)
        self.fault = fault


def check_face(jpeg: bytes) -> None:
    """Raises FaceRejected."""
    if len(jpeg) > MAX_BYTES:
        raise FaceRejected(FaceFault.TOO_MANY_BYTES)
    if not jpeg.startswith(b"\xff\xd8\xff"):
        raise FaceRejected(FaceFault.NOT_A_JPEG)
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as picture:
            _check_geometry(*picture.size)
            if picture.mode != "RGB":
                raise FaceRejected(FaceFault.NOT_COLOUR)
            picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as unreadable:
        raise FaceRejected(FaceFault.DAMAGED) from unreadable


def _check_geometry(width: int, height: int) -> None:
    if not (MIN_WIDTH <= width <= MAX_WIDTH and MIN_HEIGHT <= height <= MAX_HEIGHT):
        raise FaceRejected(FaceFault.WRONG_SIZE)
    if height <= width:
        raise FaceRejected(FaceFault.NOT_UPRIGHT)
