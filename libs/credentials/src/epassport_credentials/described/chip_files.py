"""Files of a chip, certificates and lists of revoked ones: their objects as a tree."""

import re

from asn1crypto import core, pem

from epassport_credentials.described.outline import Outline, shown_bytes, shown_text
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import DATA_GROUP_TAGS, EF_CARD_ACCESS, EF_COM, EF_SOD
from epassport_credentials.tlv import read_all

_FILES = {0x60: EF_COM, 0x77: EF_SOD, 0x31: EF_CARD_ACCESS} | {
    tag: f"DG{number}" for number, tag in DATA_GROUP_TAGS.items()
}
_NAMES = {
    0x5F01: "LDS version",
    0x5F36: "Unicode version",
    0x5C: "tag list",
    0x5F1F: "MRZ",
    0x5F0E: "name",
    0x5F10: "personal number",
    0x5F2B: "birth date",
    0x5F11: "birth place",
    0x5F42: "address",
    0x5F19: "authority",
    0x5F26: "issue date",
    0x5F2E: "biometric data",
    0x7F61: "biometric templates",
    0x7F60: "template",
    0xA1: "header",
    0x5F43: "image",
    0x30: "SEQUENCE",
    0x31: "SET",
    0x02: "INTEGER",
    0x03: "BIT STRING",
    0x04: "OCTET STRING",
    0x05: "NULL",
    0x06: "OID",
    0x0C: "UTF8String",
    0x13: "PrintableString",
    0x17: "UTCTime",
    0x18: "GeneralizedTime",
    0x01: "BOOLEAN",
    0x16: "IA5String",
}
_SEQUENCE, _OID = 0x30, 0x06
_CONSTRUCTED = 0x20
_PEM = b"-----BEGIN "
_TEXT = re.compile(rb"[\x20-\x7e]{2,}")
_MAX_LEVELS = 24  # an EF.SOD with its certificate has 14


def is_chip_file(data: bytes) -> bool:
    """A file of the LDS, or DER, or PEM; `0` and `1` may begin Base45, so DER is read."""
    if data.startswith(_PEM):
        return True
    return bool(data) and (data[0] in _FILES or data[0] == _SEQUENCE) and _is_whole(data)


def describe_chip_file(data: bytes) -> Outline:
    """Raises InvalidCredential: MALFORMED."""
    if data.startswith(_PEM):
        kind, data = _unarmored(data)
    else:
        kind = _FILES.get(data[0], "DER")
    return [(kind, f"{len(data)} bytes"), *_tree(data, 0)]


def _unarmored(data: bytes) -> tuple[str, bytes]:
    try:
        kind, _, content = pem.unarmor(data)
    except ValueError as error:  # also of a character that is not ASCII
        raise InvalidCredential(Reason.MALFORMED, "not PEM") from error
    return shown_text(str(kind).lower()), content


def _is_whole(data: bytes) -> bool:
    try:
        return len(read_all(data)) == 1
    except InvalidCredential:
        return False


def _tree(data: bytes, level: int) -> Outline:
    outline: list[tuple[str, str | Outline]] = []
    for tag, value in read_all(data):
        name = f"{tag:02X} {_NAMES.get(tag, _FILES.get(tag, ''))}".rstrip()
        constructed = tag >> max(tag.bit_length() - 1, 0) // 8 * 8 & _CONSTRUCTED
        if constructed and level < _MAX_LEVELS:
            outline.append((name, _tree(value, level + 1)))
        else:
            outline.append((name, _primitive(tag, value)))
    return outline


def _primitive(tag: int, value: bytes) -> str:
    if tag == _OID:
        try:
            return str(core.ObjectIdentifier(contents=value).native)
        except ValueError:
            return shown_bytes(value)
    if _TEXT.fullmatch(value):
        return shown_text(value.decode("ascii"))
    return shown_bytes(value)
