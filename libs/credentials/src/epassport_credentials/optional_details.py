"""DG13, which Doc 9303-10 §4.7.13 leaves to the issuer: what the holder wished to have on the chip.

    6D { 80 version (01), 81 INN, 82 SNILS, 83 driving licence }

Version first: a reader that does not know it reads no further. Absent numbers are left out;
texts are UTF-8. Check digits are checked on writing and on reading.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from epassport_credentials.check_digits import is_driving_licence, is_inn, is_snils
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import DATA_GROUP_TAGS, file_content
from epassport_credentials.tlv import encode_tlv, read_all

_VERSION_TAG, _VERSION = 0x80, b"\x01"


@dataclass(frozen=True)
class OptionalDetails:
    """Without separators; empty where the holder did not wish it."""

    inn: str = field(default="", repr=False)
    snils: str = field(default="", repr=False)
    driving_licence: str = field(default="", repr=False)


_MEMBERS: tuple[tuple[int, str, Callable[[str], bool]], ...] = (
    (0x81, "inn", is_inn),
    (0x82, "snils", is_snils),
    (0x83, "driving_licence", is_driving_licence),
)


def build_dg13(details: OptionalDetails) -> bytes:
    """Raises ValueError: a number that cannot be right."""
    content = encode_tlv(_VERSION_TAG, _VERSION)
    for tag, name, is_right in _MEMBERS:
        number = getattr(details, name)
        if number and not is_right(number):
            raise ValueError(f"not a number of kind {name}")
        content += encode_tlv(tag, number.encode()) if number else b""
    return encode_tlv(DATA_GROUP_TAGS[13], content)


def parse_dg13(data: bytes) -> OptionalDetails:
    """Raises InvalidCredential: TOO_LONG, MALFORMED, UNKNOWN_VERSION, WRONG_CHECK_DIGIT."""
    objects = read_all(file_content(data, DATA_GROUP_TAGS[13]))
    if not objects or objects[0][0] != _VERSION_TAG:
        raise InvalidCredential(Reason.MALFORMED, "DG13 without version")
    if objects[0][1] != _VERSION:
        raise InvalidCredential(Reason.UNKNOWN_VERSION, "DG13")
    tags = [tag for tag, _ in objects[1:]]
    known = [tag for tag, _, _ in _MEMBERS]
    if tags != [tag for tag in known if tag in tags]:
        raise InvalidCredential(Reason.MALFORMED, "DG13 has other members, or another order")
    values = dict(objects)
    return OptionalDetails(
        **{
            name: _number(values[tag], is_right)
            for tag, name, is_right in _MEMBERS
            if tag in values
        }
    )


def _number(value: bytes, is_right: Callable[[str], bool]) -> str:
    try:
        number = value.decode()
    except UnicodeDecodeError as error:
        raise InvalidCredential(Reason.MALFORMED, "a number in DG13 is no text") from error
    if not is_right(number):
        raise InvalidCredential(Reason.WRONG_CHECK_DIGIT, "a number in DG13")
    return number
