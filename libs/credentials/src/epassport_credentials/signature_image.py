"""DG7: the holder's signature or usual mark, as displayed (Doc 9303-10 §4.7.7)."""

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import DATA_GROUP_TAGS, MAX_FILE_BYTES, file_content
from epassport_credentials.leniency import Lapse, Lenient, forgive
from epassport_credentials.tlv import encode_tlv, read_all

_COUNT, _SIGNATURE = 0x02, 0x5F43
_IMAGE_STARTS = (b"\xff\xd8\xff", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51")


def build_dg7(image: bytes) -> bytes:
    """image: JPEG or JPEG 2000. Raises ValueError; InvalidCredential: TOO_LONG."""
    if not image.startswith(_IMAGE_STARTS):
        raise ValueError("neither JPEG nor JPEG 2000")
    content = encode_tlv(_COUNT, b"\x01") + encode_tlv(_SIGNATURE, image)
    dg7 = encode_tlv(DATA_GROUP_TAGS[7], content)
    if len(dg7) > MAX_FILE_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"DG7 of more than {MAX_FILE_BYTES} bytes")
    return dg7


def parse_dg7(data: bytes, lenient: Lenient | None = None) -> tuple[bytes, ...]:
    """Every image. Raises InvalidCredential: TOO_LONG, MALFORMED."""
    match read_all(file_content(data, DATA_GROUP_TAGS[7], lenient), lenient):
        case [(0x02, count), *objects] if len(count) == 1:
            pass
        case _:
            raise InvalidCredential(Reason.MALFORMED, "DG7 without count")
    if any(tag != _SIGNATURE for tag, _ in objects):
        raise InvalidCredential(Reason.MALFORMED, "DG7 holds other objects than signatures")
    if count[0] != len(objects):
        forgive(lenient, Lapse.COUNT_DIFFERS, "DG7")
    images = tuple(image for _, image in objects)
    if not all(image.startswith(_IMAGE_STARTS) for image in images):
        forgive(lenient, Lapse.UNKNOWN_IMAGE_TYPE, "DG7")
    return images
