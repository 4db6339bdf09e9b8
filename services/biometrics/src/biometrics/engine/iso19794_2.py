"""Finger minutiae records of ISO/IEC 19794-2:2005 ("FMR", version " 20"): how templates of one
maker reach the engine of another.

    header   24 octets: magic, version, length, equipment, size, pixels per cm (x, y), views
    view      4 octets: finger, view number and impression, quality, count; then minutiae
    minutia   6 octets: type and x, y, angle, quality
    extended  2 octets after each view: length of what follows, which is not read

The writer is strict. The reader is tolerant where nothing is lost by it: a stated length that is
too small, reserved bits, extended data, octets behind the last view. It refuses what would read
as another finger: the layout of the standard was checked against SourceAFIS's own codec, as one
library in use writes view headers of two octets and reads standard records as empty.

Angles are 256ths of a turn, counter-clockwise from the right, along the ridge. SourceAFIS counts
clockwise.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import cbor2
import numpy as np

from biometrics.engine.minutiae import DPI, Minutiae
from biometrics.engine.positions import FingerPosition

MAGIC, VERSION = b"FMR\0", b" 20\0"
MAX_RECORD_BYTES = 64 * 1024
MAX_MINUTIAE = 255
UNKNOWN_FINGER = 0
MAX_COORDINATE = (1 << 14) - 1
DPI_IN_PIXELS_PER_CM = 197  # 500 dpi, as the standard rounds it
RESOLUTIONS_PER_CM = (99, 799)  # 250 to 2,030 dpi: below ridges are lost, above nobody scans

_HEADER = struct.Struct(">4s4sIHHHHHBB")
_VIEW = struct.Struct(">BBBB")
_MINUTIA = struct.Struct(">HHBB")
_LENGTH = struct.Struct(">H")


class Fault(StrEnum):
    TOO_LONG = "minutiae-record-too-long"
    TRUNCATED = "minutiae-record-truncated"
    NOT_A_RECORD = "minutiae-record-unknown-format"
    UNKNOWN_VERSION = "minutiae-record-unknown-version"
    WRONG_RESOLUTION = "minutiae-record-wrong-resolution"
    UNKNOWN_FINGER = "minutiae-record-unknown-finger"
    OUTSIDE_PICTURE = "minutiae-record-outside-picture"
    OUT_OF_RANGE = "minutiae-record-out-of-range"


class InvalidRecord(Exception):
    """A record that must not be compared. Holds no biometric data."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class MinutiaType(IntEnum):
    OTHER = 0
    ENDING = 1
    BIFURCATION = 2


@dataclass(frozen=True)
class Minutia:
    """quality: 1 to 100, 0 where nobody said."""

    type: MinutiaType
    x: int
    y: int
    angle: int
    quality: int = 0


@dataclass(frozen=True)
class View:
    """finger: None where nobody said which. impression: 0 is live-scan plain. quality: 0 to 100,
    254 or 255 where nobody measured."""

    finger: FingerPosition | None
    minutiae: tuple[Minutia, ...]
    number: int = 0
    impression: int = 0
    quality: int = 0


@dataclass(frozen=True)
class MinutiaeRecord:
    width: int
    height: int
    pixels_per_cm: tuple[int, int]
    views: tuple[View, ...]


def write(record: MinutiaeRecord) -> bytes:
    """Raises InvalidRecord: OUT_OF_RANGE, OUTSIDE_PICTURE, WRONG_RESOLUTION, TOO_LONG."""
    _check_ranges(record)
    body = b"".join(_written_view(view) for view in record.views)
    length = _HEADER.size + len(body)
    if length > MAX_RECORD_BYTES:
        raise InvalidRecord(Fault.TOO_LONG)
    header = _HEADER.pack(
        MAGIC, VERSION, length, 0, record.width, record.height, *record.pixels_per_cm,
        len(record.views), 0,
    )  # fmt: skip
    return header + body


def read(octets: bytes) -> MinutiaeRecord:
    """Raises InvalidRecord with any fault."""
    if len(octets) > MAX_RECORD_BYTES:
        raise InvalidRecord(Fault.TOO_LONG)
    if octets[:4] != MAGIC:
        raise InvalidRecord(Fault.NOT_A_RECORD)
    if octets[4:8] != VERSION:
        raise InvalidRecord(Fault.UNKNOWN_VERSION)
    _, _, _, _, width, height, x_per_cm, y_per_cm, count, _ = _unpacked(_HEADER, octets, 0)
    views, offset = [], _HEADER.size
    for index in range(count):
        view, offset = _read_view(octets, offset, is_last=index == count - 1)
        views.append(view)
    record = MinutiaeRecord(width, height, (x_per_cm, y_per_cm), tuple(views))
    _check_ranges(record)
    return record


def view_of(minutiae: Minutiae, finger: FingerPosition, *, quality: int = 0) -> View:
    """The first 255: SourceAFIS keeps at most 100, the best ones."""
    angles = np.round(-minutiae.directions * 256 / (2 * np.pi)).astype(int) % 256
    kinds = np.where(minutiae.endings, MinutiaType.ENDING, MinutiaType.BIFURCATION)
    columns = (kinds, minutiae.x, minutiae.y, angles)
    rows = zip(*(column.astype(int).tolist() for column in columns), strict=True)
    each = (Minutia(MinutiaType(kind), x, y, angle) for kind, x, y, angle in rows)
    return View(finger, tuple(each)[:MAX_MINUTIAE], quality=quality)


def record_of(minutiae: Minutiae, finger: FingerPosition) -> MinutiaeRecord:
    per_cm = (DPI_IN_PIXELS_PER_CM, DPI_IN_PIXELS_PER_CM)
    return MinutiaeRecord(minutiae.width, minutiae.height, per_cm, (view_of(minutiae, finger),))


def template_of(record: MinutiaeRecord, view: View, *, version: str) -> bytes:
    """A SourceAFIS template of one view, scaled to 500 dpi. version: of the reading engine."""
    scale_x, scale_y = (DPI / 2.54 / per_cm for per_cm in record.pixels_per_cm)
    turn = 2 * np.pi / 256
    tree = {
        "version": version,
        "width": round(record.width * scale_x),
        "height": round(record.height * scale_y),
        "positionsX": [round(each.x * scale_x) for each in view.minutiae],
        "positionsY": [round(each.y * scale_y) for each in view.minutiae],
        "directions": [(-each.angle % 256) * turn for each in view.minutiae],
        "types": "".join(
            "B" if each.type is MinutiaType.BIFURCATION else "E" for each in view.minutiae
        ),
    }
    return cbor2.dumps(tree)


def _check_ranges(record: MinutiaeRecord) -> None:
    low, high = RESOLUTIONS_PER_CM
    if not all(low <= per_cm <= high for per_cm in record.pixels_per_cm):
        raise InvalidRecord(Fault.WRONG_RESOLUTION)
    if not (0 < record.width <= MAX_COORDINATE and 0 < record.height <= MAX_COORDINATE):
        raise InvalidRecord(Fault.OUT_OF_RANGE)
    if len(record.views) > 255:
        raise InvalidRecord(Fault.OUT_OF_RANGE)
    for view in record.views:
        small = 0 <= view.number <= 15 and 0 <= view.impression <= 15
        if not small or not 0 <= view.quality <= 255 or len(view.minutiae) > MAX_MINUTIAE:
            raise InvalidRecord(Fault.OUT_OF_RANGE)
        for each in view.minutiae:
            if not (0 <= each.x < record.width and 0 <= each.y < record.height):
                raise InvalidRecord(Fault.OUTSIDE_PICTURE)
            if not (0 <= each.angle <= 255 and 0 <= each.quality <= 255):
                raise InvalidRecord(Fault.OUT_OF_RANGE)


def _written_view(view: View) -> bytes:
    number = view.number << 4 | view.impression
    code = view.finger.code if view.finger else UNKNOWN_FINGER
    head = _VIEW.pack(code, number, view.quality, len(view.minutiae))
    rows = [
        _MINUTIA.pack(each.type << 14 | each.x, each.y, each.angle, each.quality)
        for each in view.minutiae
    ]
    return head + b"".join(rows) + _LENGTH.pack(0)


def _read_view(octets: bytes, offset: int, *, is_last: bool) -> tuple[View, int]:
    code, number, quality, count = _unpacked(_VIEW, octets, offset)
    offset += _VIEW.size
    try:
        finger = None if code == UNKNOWN_FINGER else FingerPosition.of_code(code)
    except ValueError:
        raise InvalidRecord(Fault.UNKNOWN_FINGER) from None
    minutiae = []
    for _ in range(count):
        type_and_x, y, angle, certainty = _unpacked(_MINUTIA, octets, offset)
        kind = MinutiaType(type_and_x >> 14) if type_and_x >> 14 < 3 else MinutiaType.OTHER
        x, y = type_and_x & MAX_COORDINATE, y & MAX_COORDINATE
        minutiae.append(Minutia(kind, x, y, angle, certainty))
        offset += _MINUTIA.size
    view = View(finger, tuple(minutiae), number >> 4, number & 15, quality)
    if is_last and offset == len(octets):
        return view, offset  # some writers leave out the last, empty extended block
    (extended,) = _unpacked(_LENGTH, octets, offset)
    offset += _LENGTH.size + extended
    if offset > len(octets):
        raise InvalidRecord(Fault.TRUNCATED)
    return view, offset


def _unpacked(layout: struct.Struct, octets: bytes, offset: int) -> tuple[int, ...]:
    if offset + layout.size > len(octets):
        raise InvalidRecord(Fault.TRUNCATED)
    return layout.unpack_from(octets, offset)
