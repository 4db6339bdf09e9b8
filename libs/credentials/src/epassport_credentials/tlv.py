"""BER-TLV as the files of a chip use it (ISO/IEC 7816-4 §5.2), definite lengths only.

Tags are numbers as written in the standard: 0x61, 0x5F1F, 0x7F61. Reading is strict: the
shortest length form, nothing missing, nothing left over.
"""

from epassport_credentials.errors import InvalidCredential, Reason

_MAX_LENGTH_BYTES = 3
_MAX_TAG_BYTES = 3


def encode_tlv(tag: int, value: bytes) -> bytes:
    return tag.to_bytes(_byte_count(tag), "big") + _encode_length(len(value)) + value


def read_tlv(data: bytes, tag: int) -> bytes:
    """The value of the one object that the data is. Raises InvalidCredential: MALFORMED."""
    match read_all(data):
        case [(found, value)] if found == tag:
            return value
    raise InvalidCredential(Reason.MALFORMED, f"not one object of tag {tag:X}")


def read_all(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and value of every object, in order. Raises InvalidCredential: MALFORMED."""
    objects = []
    position = 0
    while position < len(data):
        tag, position = _read_tag(data, position)
        length, position = read_length(data, position)
        if position + length > len(data):
            raise InvalidCredential(Reason.MALFORMED, "an object longer than its data")
        objects.append((tag, data[position : position + length]))
        position += length
    return objects


def object_length(head: bytes) -> int:
    """Whole length of the object that begins so; 7 bytes are always enough."""
    _, position = _read_tag(head, 0)
    length, position = read_length(head, position)
    return position + length


def read_length(data: bytes, position: int) -> tuple[int, int]:
    first = _byte(data, position)
    if first < 0x80:
        return first, position + 1
    count = first & 0x7F
    encoded = data[position + 1 : position + 1 + count]
    if not 1 <= count <= _MAX_LENGTH_BYTES or len(encoded) != count:
        raise InvalidCredential(Reason.MALFORMED, "a length of another form")
    length = int.from_bytes(encoded, "big")
    if _encode_length(length) != data[position : position + 1 + count]:
        raise InvalidCredential(Reason.MALFORMED, "a length not in its shortest form")
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


def _encode_length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    size = _byte_count(length)
    if size > _MAX_LENGTH_BYTES:
        raise ValueError("an object of more than 16 MB")
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def _byte_count(number: int) -> int:
    return max(1, (number.bit_length() + 7) // 8)
