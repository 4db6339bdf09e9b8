"""Biometric templates in DG2 and DG3: CBEFF in ISO/IEC 7816-11 objects (Doc 9303-10 §4.7.2).

A group 7F61 counts its templates 7F60, each a header A1 and a record 5F2E of one format of
ISO/IEC 19794. What a record holds is read in `face` and `finger`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.leniency import Lapse, Lenient, forgive
from epassport_credentials.tlv import encode_tlv, read_all, read_object, read_tlv

MAX_TEMPLATES = 10  # one for each finger; Doc 9303-10 itself stops at the byte of the count

_GROUP, _COUNT, _TEMPLATE, _HEADER, _DATA = 0x7F61, 0x02, 0x7F60, 0xA1, 0x5F2E
_VERSION, _TYPE, _SUBTYPE, _FORMAT_OWNER, _FORMAT_TYPE = 0x80, 0x81, 0x82, 0x87, 0x88
_RANDOM_FILLER = 0x53
_OWNER_JTC1_SC37 = b"\x01\x01"


@dataclass(frozen=True)
class BiometricFormat:
    """type: of ISO/IEC 19785 (02 face, 08 finger); format_type: of the record."""

    type: int
    format_type: bytes


def build_group(
    records: Sequence[tuple[int, bytes]], form: BiometricFormat, *, filler: bytes = b""
) -> bytes:
    """records: biometric subtype and record each; filler: random bytes of an empty group."""
    if len(records) > MAX_TEMPLATES:
        raise ValueError(f"at most {MAX_TEMPLATES} templates")
    group = encode_tlv(_COUNT, bytes((len(records),)))
    for subtype, record in records:
        header = (
            encode_tlv(_VERSION, b"\x01\x01")
            + encode_tlv(_TYPE, bytes((form.type,)))
            + encode_tlv(_SUBTYPE, bytes((subtype,)))
            + encode_tlv(_FORMAT_OWNER, _OWNER_JTC1_SC37)
            + encode_tlv(_FORMAT_TYPE, form.format_type)
        )
        group += encode_tlv(_TEMPLATE, encode_tlv(_HEADER, header) + encode_tlv(_DATA, record))
    return encode_tlv(_GROUP, group) + (encode_tlv(_RANDOM_FILLER, filler) if filler else b"")


def parse_group(
    content: bytes, form: BiometricFormat, lenient: Lenient | None = None
) -> list[bytes]:
    """The records of a group. Raises InvalidCredential: MALFORMED, UNKNOWN_FORMAT."""
    tag, start, end = read_object(content, 0, lenient)
    if tag != _GROUP:
        raise InvalidCredential(Reason.MALFORMED, "no group of biometric templates")
    match read_all(content[start:end], lenient):
        case [(0x02, count), *templates] if len(count) == 1:
            pass
        case _:
            raise InvalidCredential(Reason.MALFORMED, "a group without count")
    if len(templates) > MAX_TEMPLATES or any(tag != _TEMPLATE for tag, _ in templates):
        raise InvalidCredential(Reason.MALFORMED, "other objects than biometric templates")
    if count[0] != len(templates):
        forgive(lenient, Lapse.COUNT_DIFFERS, "7F61")
    if end != len(content) and (templates or not _is_filler(content[end:], lenient)):
        forgive(lenient, Lapse.TRAILING_BYTES, "7F61")
    return [_record(template, form, lenient) for _, template in templates]


def _is_filler(rest: bytes, lenient: Lenient | None) -> bool:
    """An empty group is followed by random bytes, so that its hash tells nothing."""
    return bool(read_tlv(rest, _RANDOM_FILLER, lenient))


def _record(template: bytes, form: BiometricFormat, lenient: Lenient | None) -> bytes:
    match read_all(template, lenient):
        case [(0xA1, header), (0x5F2E, record)]:
            members = dict(read_all(header, lenient))
        case _:
            raise InvalidCredential(Reason.MALFORMED, "a template is header and record")
    if (members.get(_FORMAT_OWNER), members.get(_FORMAT_TYPE)) != (
        _OWNER_JTC1_SC37,
        form.format_type,
    ):
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, "a record of another format")
    return record
