"""Data groups that are a list of tags and the objects it announces: DG11 and DG12.

The list (5C) names every object that follows, in order; several names stand in a group A0
with their count (Doc 9303-10 §4.7.11, §4.7.12). Texts are UTF-8; parts of one text, such as
the lines of an address, are separated by `<`; a date is 8 digits CCYYMMDD.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import MAX_FILE_BYTES, file_content
from epassport_credentials.leniency import Lapse, Lenient, forgive
from epassport_credentials.tlv import encode_tlv, read_all

Value = str | bytes | tuple[str, ...] | None

_TAG_LIST, _GROUP, _COUNT = 0x5C, 0xA0, 0x02
_DATE = re.compile(r"[0-9]{8}")
_MOMENT = re.compile(r"[0-9]{14}")
_SEPARATOR = "<"


class Kind(Enum):
    """NAMES: each its own object, in a group; PARTS: one text; DATE, MOMENT: digits."""

    TEXT = auto()
    PARTS = auto()
    NAMES = auto()
    DATE = auto()
    MOMENT = auto()
    OCTETS = auto()


@dataclass(frozen=True)
class Item:
    name: str
    tag: int
    kind: Kind


def build_fields(tag: int, items: Sequence[Item], values: Mapping[str, Value]) -> bytes:
    """Empty values are left out. Raises ValueError; InvalidCredential: TOO_LONG."""
    present = [(item, values[item.name]) for item in items if values[item.name]]
    tags = b"".join(item.tag.to_bytes(2, "big") for item, _ in present)
    content = b"".join(_encode(item, value) for item, value in present)
    built = encode_tlv(tag, encode_tlv(_TAG_LIST, tags) + content)
    if len(built) > MAX_FILE_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"a file of more than {MAX_FILE_BYTES} bytes")
    return built


def parse_fields(
    data: bytes, tag: int, items: Sequence[Item], lenient: Lenient | None
) -> dict[str, Value]:
    """Values by name. Raises InvalidCredential: TOO_LONG, MALFORMED."""
    objects = read_all(file_content(data, tag, lenient), lenient)
    if not objects or objects[0][0] != _TAG_LIST:
        raise InvalidCredential(Reason.MALFORMED, "no list of tags")
    by_tag = {item.tag: item for item in items}
    names = next((item for item in items if item.kind is Kind.NAMES), None)
    values: dict[str, Value] = {}
    found = []
    for object_tag, value in objects[1:]:
        item = names if object_tag == _GROUP else by_tag.get(object_tag)
        if item is None:
            forgive(lenient, Lapse.UNKNOWN_OBJECT, f"{object_tag:X}")
            continue
        if item.name in values and item is not names:
            raise InvalidCredential(Reason.MALFORMED, f"object {object_tag:X} twice")
        if object_tag == _GROUP:
            values[item.name] = _decode_group(item, value, lenient)
        elif item is names:
            forgive(lenient, Lapse.NAME_NOT_IN_GROUP, f"{object_tag:X}")
            before = values.get(item.name)
            earlier = before if isinstance(before, tuple) else ()
            values[item.name] = (*earlier, _text(value, item, lenient))
        else:
            values[item.name] = _decode(item, value, lenient)
        found.append(item.tag)
    if objects[0][1] != b"".join(tag.to_bytes(2, "big") for tag in found):
        forgive(lenient, Lapse.TAG_LIST_DIFFERS, f"{tag:X}")
    return values


def _encode(item: Item, value: Value) -> bytes:
    match item.kind, value:
        case Kind.OCTETS, bytes():
            return encode_tlv(item.tag, value)
        case Kind.TEXT, str():
            return encode_tlv(item.tag, value.encode())
        case (Kind.DATE, str()) if _DATE.fullmatch(value):
            return encode_tlv(item.tag, value.encode())
        case (Kind.MOMENT, str()) if _MOMENT.fullmatch(value):
            return encode_tlv(item.tag, value.encode())
        case (Kind.PARTS, tuple()) if not any(_SEPARATOR in part for part in value):
            return encode_tlv(item.tag, _SEPARATOR.join(value).encode())
        case (Kind.NAMES, tuple()) if len(value) <= 0xFF:
            names = b"".join(encode_tlv(item.tag, name.encode()) for name in value)
            return encode_tlv(_GROUP, encode_tlv(_COUNT, bytes((len(value),))) + names)
    raise ValueError(f"{item.name} is no {item.kind.name.lower()}")


def _decode(item: Item, value: bytes, lenient: Lenient | None) -> Value:
    match item.kind:
        case Kind.OCTETS:
            return value
        case Kind.DATE | Kind.MOMENT:
            return _digits(item, value, lenient)
        case Kind.PARTS:
            return tuple(_text(value, item, lenient).split(_SEPARATOR))
    return _text(value, item, lenient)


def _decode_group(item: Item, value: bytes, lenient: Lenient | None) -> tuple[str, ...]:
    match read_all(value, lenient):
        case [(0x02, count), *names] if len(count) == 1:
            pass
        case _:
            raise InvalidCredential(Reason.MALFORMED, "a group without count")
    if any(tag != item.tag for tag, _ in names):
        raise InvalidCredential(Reason.MALFORMED, "a group of other objects")
    if count[0] != len(names):
        forgive(lenient, Lapse.COUNT_DIFFERS, f"{item.tag:X}")
    return tuple(_text(name, item, lenient) for _, name in names)


def _digits(item: Item, value: bytes, lenient: Lenient | None) -> str:
    """Some states write dates as packed digits, half the length."""
    form, length = (_DATE, 8) if item.kind is Kind.DATE else (_MOMENT, 14)
    text = value.decode("ascii", "replace")
    if len(value) == length // 2:
        forgive(lenient, Lapse.DATE_IN_BCD, f"{item.tag:X}")
        text = value.hex()
    if not form.fullmatch(text):
        raise InvalidCredential(Reason.MALFORMED, f"{item.tag:X} is no date")
    return text


def _text(value: bytes, item: Item, lenient: Lenient | None) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        forgive(lenient, Lapse.NOT_UTF8, f"{item.tag:X}")
        return value.decode("latin-1")
