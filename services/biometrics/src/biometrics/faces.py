"""The gate for faces: is this a picture that can be printed, written to a chip, and known by?

File, size, sharpness, exposure, and one region of a face's size and place. It recognises no face
and claims no conformity to ISO/IEC 19794-5 or ICAO's requirements; what it refuses, nobody at a
counter could compare. Limits come before decoding.
"""

import io
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_BYTES = 64 * 1024
MIN_WIDTH, MIN_HEIGHT = 240, 320
MAX_WIDTH, MAX_HEIGHT = 1200, 1600

MEASURED_WIDTH = 240  # every picture is measured at this width: sharpness depends on it
DARKEST, BRIGHTEST = 45.0, 235.0  # mean gray of the middle, where the face is
MAX_LOST_SHARE = 0.35  # of the middle that is plain black or plain white
MIN_SHARPNESS = 12.0  # variance of the Laplacian in the middle
MIN_CONTRAST = 12.0  # standard deviation of gray in the middle

Plane = NDArray[np.float32]


class FaceFault(StrEnum):
    TOO_MANY_BYTES = "face-too-many-bytes"
    NOT_A_JPEG = "face-not-a-jpeg"
    DAMAGED = "face-damaged"
    WRONG_SIZE = "face-wrong-size"
    NOT_UPRIGHT = "face-not-upright"
    NOT_COLOUR = "face-not-colour"
    TOO_DARK = "face-too-dark"
    TOO_BRIGHT = "face-too-bright"
    NO_FACE_REGION = "face-no-face-region"
    BLURRED = "face-blurred"


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
            height = round(picture.height * MEASURED_WIDTH / picture.width)
            measured = picture.convert("L").resize((MEASURED_WIDTH, height))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as unreadable:
        raise FaceRejected(FaceFault.DAMAGED) from unreadable
    _check_light(np.asarray(measured, dtype=np.float32))


def _check_geometry(width: int, height: int) -> None:
    if not (MIN_WIDTH <= width <= MAX_WIDTH and MIN_HEIGHT <= height <= MAX_HEIGHT):
        raise FaceRejected(FaceFault.WRONG_SIZE)
    if height <= width:
        raise FaceRejected(FaceFault.NOT_UPRIGHT)


def _check_light(gray: Plane) -> None:
    """Of the middle half of the width and the part of the height where a head is."""
    height, width = gray.shape
    middle = gray[height // 6 : height * 3 // 4, width // 4 : width * 3 // 4]
    mean = float(middle.mean())
    lost_dark, lost_bright = float((middle < 8).mean()), float((middle > 248).mean())
    if mean < DARKEST or lost_dark > MAX_LOST_SHARE:
        raise FaceRejected(FaceFault.TOO_DARK)
    if mean > BRIGHTEST or lost_bright > MAX_LOST_SHARE:
        raise FaceRejected(FaceFault.TOO_BRIGHT)
    if float(middle.std()) < MIN_CONTRAST or not _stands_out(gray, middle):
        raise FaceRejected(FaceFault.NO_FACE_REGION)
    laplacian = (
        4 * middle[1:-1, 1:-1]
        - middle[:-2, 1:-1]
        - middle[2:, 1:-1]
        - middle[1:-1, :-2]
        - middle[1:-1, 2:]
    )
    if float(laplacian.var()) < MIN_SHARPNESS:
        raise FaceRejected(FaceFault.BLURRED)


def _stands_out(gray: Plane, middle: Plane) -> bool:
    """One region of more structure than the background beside its top has."""
    height, width = gray.shape
    corners = np.concatenate(
        [gray[: height // 6, : width // 6].ravel(), gray[: height // 6, -width // 6 :].ravel()]
    )
    return float(middle.std()) > 1.5 * float(corners.std())
