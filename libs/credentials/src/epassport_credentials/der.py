"""Walking through DER (ITU-T X.690): where the elements of a structure begin and end.

What is read often, EF.SOD and SecurityInfos, is read through this; a general ASN.1 parser
takes longer for EF.SOD than both of its signature checks. Tags are of one byte, lengths
definite and in their shortest form. Nothing recurses: depth is the depth of the format.
"""

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.tlv import encode_tlv

INTEGER, BIT_STRING, OCTET_STRING, OBJECT_IDENTIFIER = 0x02, 0x03, 0x04, 0x06
SEQUENCE, SET = 0x30, 0x31

_LONG_TAG = 0x1F
_MAX_LENGTH_BYTES = 3  # 16 MB, as in `tlv`
_MAX_INTEGER_BYTES = 21  # RFC 5280 §4.1.2.2: a serial number has at most 20 bytes
_MAX_ARC = 2**64  # arcs of UUIDs (2.25) are not met in what is read here

# Tag, where the element begins, where its content begins, where it ends.
Element = tuple[int, int, int, int]


def elements(data: bytes, start: int, end: int) -> list[Element]:
    """What stands between two places of `data`. Raises InvalidCredential: MALFORMED."""
    found = []
    position = start
    while position < end:
        begin = position
        position += 2
        if position > end or (tag := data[begin]) & _LONG_TAG == _LONG_TAG:
            raise InvalidCredential(Reason.MALFORMED, "an element is cut, or of a longer tag")
        length = data[begin + 1]
        if length >= 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[position : position + count], "big")
            if not 1 <= count <= _MAX_LENGTH_BYTES or length < max(0x80, 1 << 8 * (count - 1)):
                raise InvalidCredential(Reason.MALFORMED, "a length of another form")
            position += count
        found.append((tag, begin, position, position + length))
        position += length
    if position != end:
        raise InvalidCredential(Reason.MALFORMED, "an element is longer than what holds it")
    return found


def only(data: bytes, start: int, end: int, tag: int) -> tuple[int, int]:
    """Content of the one element there. Raises InvalidCredential: MALFORMED."""
    found = elements(data, start, end)
    if len(found) != 1 or found[0][0] != tag:
        raise InvalidCredential(Reason.MALFORMED, f"not one element of tag {tag:02X}")
    return found[0][2], found[0][3]


def members(data: bytes, element: Element, tag: int = SEQUENCE) -> list[Element]:
    """The members of a constructed element. Raises InvalidCredential: MALFORMED."""
    if element[0] != tag:
        raise InvalidCredential(Reason.MALFORMED, f"not an element of tag {tag:02X}")
    return elements(data, element[2], element[3])


def content(data: bytes, element: Element, tag: int) -> bytes:
    """The content of an element of that tag. Raises InvalidCredential: MALFORMED."""
    if element[0] != tag:
        raise InvalidCredential(Reason.MALFORMED, f"not an element of tag {tag:02X}")
    return data[element[2] : element[3]]


def integer(data: bytes, element: Element) -> int:
    """Raises InvalidCredential: MALFORMED."""
    value = content(data, element, INTEGER)
    if not 0 < len(value) <= _MAX_INTEGER_BYTES:
        raise InvalidCredential(Reason.MALFORMED, "an integer of another length")
    number = int.from_bytes(value, "big", signed=True)
    if len(value) != _integer_bytes(number):
        raise InvalidCredential(Reason.MALFORMED, "an integer not in its shortest form")
    return number


def encode_integer(value: int) -> bytes:
    return encode_tlv(INTEGER, value.to_bytes(_integer_bytes(value), "big", signed=True))


def object_identifier(encoded: bytes) -> str:
    """The dotted form of an identifier's content. Raises InvalidCredential: MALFORMED."""
    arcs, arc = [], 0
    for byte in encoded:
        arc = arc << 7 | byte & 0x7F
        if arc >= _MAX_ARC:
            raise InvalidCredential(Reason.MALFORMED, "an object identifier's arc")
        if byte < 0x80:
            arcs.append(arc)
            arc = 0
    if not encoded or encoded[-1] >= 0x80:
        raise InvalidCredential(Reason.MALFORMED, "an object identifier is cut")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def encode_object_identifier(dotted: str) -> bytes:
    """The whole element."""
    first, second, *rest = map(int, dotted.split("."))
    encoded = b"".join(_base_128(arc) for arc in (40 * first + second, *rest))
    return encode_tlv(OBJECT_IDENTIFIER, encoded)


def _base_128(arc: int) -> bytes:
    digits = [arc & 0x7F]
    while arc := arc >> 7:
        digits.append(0x80 | arc & 0x7F)
    return bytes(reversed(digits))


def _integer_bytes(value: int) -> int:
    """Of two's complement: -128 fits one byte, 128 does not."""
    return (value if value >= 0 else ~value).bit_length() // 8 + 1
