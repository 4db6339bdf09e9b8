"""DG2: the face as an ISO/IEC 19794-5:2005 record in its biometric template (Doc 9303-10 §4.7.2).

One frontal image, JPEG emitted, JPEG and JPEG 2000 accepted; feature points are passed over.
"""

import io
import struct
from dataclasses import dataclass, field

from epassport_credentials.biometric_template import BiometricFormat, build_group, parse_group
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import DATA_GROUP_TAGS, file_content
from epassport_credentials.leniency import Lapse, Lenient, forgive
from epassport_credentials.tlv import encode_tlv

MAX_IMAGE_BYTES = 32_000  # the file stays within the reach of READ BINARY

_FORMAT = BiometricFormat(type=0x02, format_type=b"\x00\x08")

_RECORD_HEADER = struct.Struct(">4s4sIH")  # "FAC", version, whole length, number of faces
_FACE_HEADER = struct.Struct(">IHBBB3s2s3s3s")  # block length, feature points, unspecified rest
_IMAGE_HEADER = struct.Struct(">BBHHBBHH")  # type, data type, width, height, colours, source, …
_FEATURE_POINT_BYTES = 8

_IDENTIFIER, _VERSION = b"FAC\0", b"010\0"
_FULL_FRONTAL, _RGB24, _STATIC_CAMERA = 1, 1, 2
_JPEG, _JPEG2000 = 0, 1
_IMAGE_STARTS = {_JPEG: (b"\xff\xd8\xff",), _JPEG2000: (b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51")}


@dataclass(frozen=True)
class FaceImage:
    width: int
    height: int
    image: bytes = field(repr=False)


def build_dg2(image: bytes) -> bytes:
    """image: a JPEG of at most 32,000 bytes. Raises InvalidCredential: TOO_LONG, MALFORMED."""
    width, height = _jpeg_size(image)
    block = _FACE_HEADER.size + _IMAGE_HEADER.size + len(image)
    record = (
        _RECORD_HEADER.pack(_IDENTIFIER, _VERSION, _RECORD_HEADER.size + block, 1)
        + _FACE_HEADER.pack(block, 0, 0, 0, 0, bytes(3), bytes(2), bytes(3), bytes(3))
        + _IMAGE_HEADER.pack(_FULL_FRONTAL, _JPEG, width, height, _RGB24, _STATIC_CAMERA, 0, 0)
        + image
    )
    return encode_tlv(DATA_GROUP_TAGS[2], build_group([(0, record)], _FORMAT))


def parse_dg2(data: bytes, lenient: Lenient | None = None) -> FaceImage:
    """The first face. Raises InvalidCredential: TOO_LONG, MALFORMED, UNKNOWN_FORMAT."""
    records = parse_group(file_content(data, DATA_GROUP_TAGS[2], lenient), _FORMAT, lenient)
    if not records:
        raise InvalidCredential(Reason.MALFORMED, "DG2 without a face")
    return _read_record(records[0], lenient)


def _read_record(record: bytes, lenient: Lenient | None) -> FaceImage:
    try:
        identifier, version, length, faces = _RECORD_HEADER.unpack_from(record)
        block, points, *_ = _FACE_HEADER.unpack_from(record, _RECORD_HEADER.size)
        start = _RECORD_HEADER.size + _FACE_HEADER.size + points * _FEATURE_POINT_BYTES
        _, data_type, width, height, *_ = _IMAGE_HEADER.unpack_from(record, start)
    except struct.error as error:
        raise InvalidCredential(Reason.MALFORMED, "a face record is cut") from error
    end = _RECORD_HEADER.size + block
    if (identifier, version) != (_IDENTIFIER, _VERSION) or faces < 1:
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, "not a face record of version 010")
    if length != len(record) or end > length or (faces == 1 and end != length):
        forgive(lenient, Lapse.RECORD_LENGTH_DIFFERS, "19794-5")
    image = record[start + _IMAGE_HEADER.size : end]
    if not image:
        raise InvalidCredential(Reason.MALFORMED, "a face without image")
    if not image.startswith(_IMAGE_STARTS.get(data_type, ())):
        forgive(lenient, Lapse.UNKNOWN_IMAGE_TYPE, "19794-5")
    return FaceImage(width, height, image)


def _jpeg_size(image: bytes) -> tuple[int, int]:
    if len(image) > MAX_IMAGE_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"an image of more than {MAX_IMAGE_BYTES} bytes")
    # Only an issuer measures a photo: a reader of chips need not have Pillow.
    from PIL import Image

    try:
        return Image.open(io.BytesIO(image), formats=("JPEG",)).size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidCredential(Reason.MALFORMED, "not a JPEG") from error
