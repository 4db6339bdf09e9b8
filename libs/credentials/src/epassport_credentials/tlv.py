"""BER-TLV as the files of a chip use it (ISO/IEC 7816-4 §5.2), definite lengths only.

Tags are numbers as written in the standard: 0x61, 0x5F1F, 0x7F61. Strict reading wants the
shortest length form, nothing missing, nothing left over; lenient reading forgives the first
and the last. Nothing here recurses: depth is the depth of the caller's format.
"""

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.leniency import Lapse, Lenient, forgive

# ISO/IEC 7816-4 §5.2.2 allows lengths of 1 to 5 bytes and tags of 1 to 3; no file of a
# chip is longer than 16 MB.
_MAX_LENGTH_BYTES = 3
_MAX_TAG_BYTES = 3


def encode_tlv(tag: int, value: bytes) -> bytes:
    """One object, its length in the shortest form. Raises ValueError over 16 MB."""
    return tag.to_bytes(_byte_count(tag), "big") + encode_length(len(value)) + value


def read_tlv(data: bytes, tag: int, lenient: Lenient | None = None) -> bytes:
    """The value of the one object that the data is. Raises InvalidCredential: MALFORMED."""
    found, start, end = read_object(data, 0, lenient)
    if found != tag:
        raise InvalidCredential(Reason.MALFORMED, f"not one object of tag {tag:X}")
    if end != len(data):
        forgive(lenient, Lapse.TRAILING_BYTES, f"{tag:X}")
    return data[start:end]


def read_all(data: bytes, lenient: Lenient | None = None) -> list[tuple[int, bytes]]:
    """Tag and value of every object, in order. Raises InvalidCredential: MALFORMED."""
    objects = []
    position = 0
    while position < len(data):
        tag, start, position = read_object(data, position, lenient)
        objects.append((tag, data[start:position]))
    return objects


def read_object(data: bytes, position: int, lenient: Lenient | None = None) -> tuple[int, int, int]:
    """Tag of the object that begins there, and where its value begins and ends.

    Raises InvalidCredential: MALFORMED.
    """
    tag, position = _read_tag(data, position)
    length, position = _read_length(data, position, lenient)
    if position + length > len(data):
        raise InvalidCredential(Reason.MALFORMED, f"object {tag:X} is longer than its data")
    return tag, position, position + length


def object_length(head: bytes, lenient: Lenient | None = None) -> int:
    """Whole length of the object that begins so; 7 bytes are always enough."""
    _, position = _read_tag(head, 0)
    length, position = _read_length(head, position, lenient)
    return position + length


def encode_length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    size = _byte_count(length)
    if size > _MAX_LENGTH_BYTES:
        raise ValueError("an object of more than 16 MB")
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def _read_length(data: bytes, position: int, lenient: Lenient | None) -> tuple[int, int]:
    first = _byte(data, position)
    if first < 0x80:
        return first, position + 1
    count = first & 0x7F
    encoded = data[position + 1 : position + 1 + count]
    if not 1 <= count <= _MAX_LENGTH_BYTES or len(encoded) != count:
        raise InvalidCredential(Reason.MALFORMED, "a length of another form")
    length = int.from_bytes(encoded, "big")
    if length < 0x80 or not encoded[0]:
        forgive(lenient, Lapse.LENGTH_NOT_SHORTEST, f"at {position}")
    return length, position + 1 + count


def _read_tag(data: bytes, position: int) -> tuple[int, int]:
    tag = _byte(data, position)
    position += 1
    if tag & 0x1F != 0x1F:
        return tag, position
    for _ in range(_MAX_TAG_BYTES - 1):
        following = _byte(data, position)
        tag = tag << 8 | following
        position += 1
        if following < 0x80:
            return tag, position
    raise InvalidCredential(Reason.MALFORMED, "a tag of more than three bytes")


def _byte(data: bytes, position: int) -> int:
    if position >= len(data):
        raise InvalidCredential(Reason.MALFORMED, "an object is cut")
    return data[position]


def _byte_count(number: int) -> int:
    return max(1, (number.bit_length() + 7) // 8)
