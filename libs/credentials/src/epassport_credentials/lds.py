"""The files of a chip, LDS 1.7 (ICAO Doc 9303-10): EF.COM, DG1, DG15, and how files are named.

DG2 is in `face`, EF.SOD in `sod`. A set of files is a mapping from the names below to
their bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.mrz import TD1_LENGTH, TD3_LENGTH, Mrz, parse_td1, parse_td3
from epassport_credentials.signer import public_key_info
from epassport_credentials.tlv import encode_tlv, read_all, read_tlv

EF_COM = "EF.COM"
EF_SOD = "EF.SOD"

APPLICATION_ID = bytes.fromhex("A0000002471001")

LDS_VERSION = b"0107"
UNICODE_VERSION = b"040000"

# Tag of each data group's file, Doc 9303-10 §4.7.
DATA_GROUP_TAGS = dict(enumerate(bytes.fromhex("6175637665666768696A6B6C6D6E6F70"), start=1))
_DATA_GROUP_OF_TAG = {tag: number for number, tag in DATA_GROUP_TAGS.items()}

FILE_IDS = {EF_COM: 0x011E, EF_SOD: 0x011D} | {
    f"DG{number}": 0x0100 + number for number in DATA_GROUP_TAGS
}

_COM, _LDS_VERSION, _UNICODE_VERSION, _TAG_LIST = 0x60, 0x5F01, 0x5F36, 0x5C
_MRZ = 0x5F1F


@dataclass(frozen=True)
class EfCom:
    """What the chip says it holds; it is not signed, EF.SOD is."""

    lds_version: str
    unicode_version: str
    data_groups: tuple[int, ...]


def data_group_name(number: int) -> str:
    return f"DG{number}"


def build_ef_com(data_groups: Iterable[int]) -> bytes:
    tags = bytes(DATA_GROUP_TAGS[number] for number in sorted(data_groups))
    return encode_tlv(
        _COM,
        encode_tlv(_LDS_VERSION, LDS_VERSION)
        + encode_tlv(_UNICODE_VERSION, UNICODE_VERSION)
        + encode_tlv(_TAG_LIST, tags),
    )


def parse_ef_com(data: bytes) -> EfCom:
    """Raises InvalidCredential: MALFORMED."""
    match read_all(read_tlv(data, _COM)):
        case [(0x5F01, lds_version), (0x5F36, unicode_version), (0x5C, tags)]:
            pass
        case _:
            raise InvalidCredential(Reason.MALFORMED, "EF.COM has other members")
    if not all(tag in _DATA_GROUP_OF_TAG for tag in tags) or len(set(tags)) != len(tags):
        raise InvalidCredential(Reason.MALFORMED, "EF.COM lists an unknown data group")
    return EfCom(
        lds_version=_digits(lds_version, 4),
        unicode_version=_digits(unicode_version, 6),
        data_groups=tuple(_DATA_GROUP_OF_TAG[tag] for tag in tags),
    )


def build_dg1(lines: Sequence[str]) -> bytes:
    """lines: three of TD1 or two of TD3, as built by `mrz`."""
    return encode_tlv(DATA_GROUP_TAGS[1], encode_tlv(_MRZ, "".join(lines).encode("ascii")))


def parse_dg1(data: bytes) -> Mrz:
    """Raises InvalidCredential: MALFORMED, WRONG_CHECK_DIGIT."""
    zone = read_tlv(read_tlv(data, DATA_GROUP_TAGS[1]), _MRZ)
    if not zone.isascii():
        raise InvalidCredential(Reason.MALFORMED, "an MRZ of other characters")
    text = zone.decode("ascii")
    if len(text) == 3 * TD1_LENGTH:
        return parse_td1(_split(text, TD1_LENGTH))
    if len(text) == 2 * TD3_LENGTH:
        return parse_td3(_split(text, TD3_LENGTH))
    raise InvalidCredential(Reason.MALFORMED, "neither TD1 nor TD3")


def build_dg15(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """The chip's active authentication key, SubjectPublicKeyInfo."""
    return encode_tlv(DATA_GROUP_TAGS[15], public_key_info(public_key))


def parse_dg15(data: bytes) -> ec.EllipticCurvePublicKey:
    """Raises InvalidCredential: MALFORMED, UNSUPPORTED_ALGORITHM."""
    try:
        key = load_der_public_key(read_tlv(data, DATA_GROUP_TAGS[15]))
    except UnsupportedAlgorithm as error:
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "DG15") from error
    except ValueError as error:
        raise InvalidCredential(Reason.MALFORMED, "DG15 holds no key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "DG15 holds no key on a curve")
    return key


def _split(text: str, length: int) -> list[str]:
    return [text[start : start + length] for start in range(0, len(text), length)]


def _digits(value: bytes, length: int) -> str:
    if len(value) != length or not value.isdigit():
        raise InvalidCredential(Reason.MALFORMED, "a version is digits")
    return value.decode("ascii")
