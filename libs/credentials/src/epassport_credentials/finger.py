"""DG3: fingers as ISO/IEC 19794-4:2005 records, one template for each (Doc 9303-10 §4.7.3).

A chip gives DG3 only to a terminal that proved a right to it (terminal authentication).
Emitted: 500 pixels an inch, 8 bit grey, one impression of one finger a record. Images are
passed on as they are; for WSQ the caller says width and height (`wsq_size`).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from epassport_credentials.biometric_template import BiometricFormat, build_group, parse_group
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import DATA_GROUP_TAGS, MAX_FILE_BYTES, file_content
from epassport_credentials.leniency import Lapse, Lenient, forgive
from epassport_credentials.tlv import encode_tlv

_FORMAT = BiometricFormat(type=0x08, format_type=b"\x00\x07")

# ISO/IEC 19794-4:2005 tables 2 and 4: "FIR", version, 6 bytes of whole length, capture device,
# acquisition level, number of fingers, scale units, scan and image resolutions, depth,
# compression, reserved; then for each finger: block length, position, views, view, quality,
# impression, width, height, reserved.
_RECORD_HEADER = struct.Struct(">4s4sHIHHBBHHHHBBH")
_FINGER_HEADER = struct.Struct(">IBBBBBHHB")

_IDENTIFIER, _VERSION = b"FIR\0", b"010\0"
_ACQUISITION_LEVEL, _PIXELS_PER_INCH, _RESOLUTION, _DEPTH_BITS = 31, 1, 500, 8
_LIVE_SCAN_PLAIN = 0
_MAX_QUALITY = 100


class Finger(IntEnum):
    """ISO/IEC 19794-4 table 5."""

    UNKNOWN = 0
    RIGHT_THUMB = 1
    RIGHT_INDEX = 2
    RIGHT_MIDDLE = 3
    RIGHT_RING = 4
    RIGHT_LITTLE = 5
    LEFT_THUMB = 6
    LEFT_INDEX = 7
    LEFT_MIDDLE = 8
    LEFT_RING = 9
    LEFT_LITTLE = 10

    @property
    def biometric_subtype(self) -> int:
        """ISO/IEC 19785-3: which hand in the two lowest bits, which finger above them."""
        if self is Finger.UNKNOWN:
            return 0
        hand, place = divmod(self - 1, 5)
        return (place + 1) << 2 | (hand + 1)


class Compression(IntEnum):
    WSQ = 2
    JPEG = 3
    JPEG2000 = 4
    PNG = 5


# Markers and, behind each, 2 bytes of the segment's length with themselves: start of image, of
# frame (black, white, height, width), and what may stand before a frame: transform and
# quantization tables, Huffman tables, restart interval, comments.
_WSQ_START, _WSQ_FRAME = b"\xff\xa0", 0xFFA2
_WSQ_SEGMENTS_BEFORE_FRAME = frozenset({0xFFA4, 0xFFA5, 0xFFA6, 0xFFA7, 0xFFA8})
_SEGMENT, _WSQ_FRAME_HEADER = struct.Struct(">HH"), struct.Struct(">HHBBHH")

_IMAGE_STARTS = {
    Compression.WSQ: (_WSQ_START,),
    Compression.JPEG: (b"\xff\xd8\xff",),
    Compression.JPEG2000: (b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51"),
    Compression.PNG: (b"\x89PNG",),
}


@dataclass(frozen=True)
class FingerImage:
    """width, height: pixels; quality: 0 to 100, 0 where it was not measured."""

    finger: Finger
    width: int
    height: int
    compression: Compression
    image: bytes = field(repr=False)
    quality: int = 0


def wsq_size(image: bytes) -> tuple[int, int]:
    """Width and height by the frame header (WSQ specification IAFIS-IC-0110, version 3.1, annex A).

    Raises InvalidCredential: MALFORMED.
    """
    position = len(_WSQ_START) if image.startswith(_WSQ_START) else len(image)
    while position + _SEGMENT.size <= len(image):
        marker, length = _SEGMENT.unpack_from(image, position)
        if marker == _WSQ_FRAME and position + _WSQ_FRAME_HEADER.size <= len(image):
            *_, height, width = _WSQ_FRAME_HEADER.unpack_from(image, position)
            return width, height
        if marker not in _WSQ_SEGMENTS_BEFORE_FRAME:
            break
        position += 2 + length
    raise InvalidCredential(Reason.MALFORMED, "no WSQ image")


def build_dg3(fingers: Sequence[FingerImage], *, filler: bytes = b"") -> bytes:
    """fingers: at most 10; filler: random bytes, only and always where there is no finger.

    Raises ValueError where a field does not fit; InvalidCredential: TOO_LONG.
    """
    if bool(fingers) == bool(filler):
        raise ValueError("an empty DG3 has random bytes, any other none (Doc 9303-10 §4.7.3)")
    records = [(image.finger.biometric_subtype, _build_record(image)) for image in fingers]
    dg3 = encode_tlv(DATA_GROUP_TAGS[3], build_group(records, _FORMAT, filler=filler))
    if len(dg3) > MAX_FILE_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"DG3 of more than {MAX_FILE_BYTES} bytes")
    return dg3


def parse_dg3(data: bytes, lenient: Lenient | None = None) -> tuple[FingerImage, ...]:
    """Every finger. Raises InvalidCredential: TOO_LONG, MALFORMED, UNKNOWN_FORMAT."""
    records = parse_group(file_content(data, DATA_GROUP_TAGS[3], lenient), _FORMAT, lenient)
    return tuple(image for record in records for image in _parse_record(record, lenient))


def _build_record(image: FingerImage) -> bytes:
    if not image.image.startswith(_IMAGE_STARTS[image.compression]):
        raise ValueError(f"not an image in {image.compression.name}")
    if not 0 <= image.quality <= _MAX_QUALITY:
        raise ValueError("quality is 0 to 100")
    block = _FINGER_HEADER.size + len(image.image)
    try:
        finger = _FINGER_HEADER.pack(
            *(block, image.finger, 1, 1, image.quality, _LIVE_SCAN_PLAIN),
            *(image.width, image.height, 0),
        )
    except struct.error as error:
        raise ValueError("width and height are 16 bits") from error
    length = _RECORD_HEADER.size + block
    header = _RECORD_HEADER.pack(
        *(_IDENTIFIER, _VERSION, 0, length, 0, _ACQUISITION_LEVEL, 1, _PIXELS_PER_INCH),
        *([_RESOLUTION] * 4),
        *(_DEPTH_BITS, image.compression, 0),
    )
    return header + finger + image.image


def _parse_record(record: bytes, lenient: Lenient | None) -> list[FingerImage]:
    try:
        header = _RECORD_HEADER.unpack_from(record)
    except struct.error as error:
        raise InvalidCredential(Reason.MALFORMED, "a finger record is cut") from error
    identifier, version, upper, lower, _, _, count = header[:7]
    if (identifier, version) != (_IDENTIFIER, _VERSION):
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, "not a finger record of version 010")
    compression = _known_compression(header[13])
    if (upper << 32 | lower) != len(record):
        forgive(lenient, Lapse.RECORD_LENGTH_DIFFERS, "19794-4")
    images = []
    position = _RECORD_HEADER.size
    for _ in range(count):
        image, position = _parse_finger(record, position, compression, lenient)
        images.append(image)
    if position != len(record):
        forgive(lenient, Lapse.TRAILING_BYTES, "19794-4")
    return images


def _parse_finger(
    record: bytes, position: int, compression: Compression, lenient: Lenient | None
) -> tuple[FingerImage, int]:
    try:
        block, finger, _, _, quality, _, width, height, _ = _FINGER_HEADER.unpack_from(
            record, position
        )
    except struct.error as error:
        raise InvalidCredential(Reason.MALFORMED, "a finger is cut") from error
    end = position + block
    if block <= _FINGER_HEADER.size or end > len(record) or finger not in set(Finger):
        raise InvalidCredential(Reason.MALFORMED, "a finger of another length or position")
    image = record[position + _FINGER_HEADER.size : end]
    if not image.startswith(_IMAGE_STARTS[compression]):
        forgive(lenient, Lapse.UNKNOWN_IMAGE_TYPE, "19794-4")
    return FingerImage(Finger(finger), width, height, compression, image, quality), end


def _known_compression(code: int) -> Compression:
    try:
        return Compression(code)
    except ValueError as error:
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, f"finger compression {code}") from error
