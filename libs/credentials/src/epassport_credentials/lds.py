"""The files of a chip, LDS 1.7 (ICAO Doc 9303-10): EF.COM, DG1, DG15, and how files are named.

DG2 is in `face`, DG3 in `finger`, DG7 in `signature_image`, DG11 and DG12 in `details`, DG13
in `optional_details`, DG14 and EF.CardAccess in `security_infos`, EF.SOD in `sod`. A set of
files is a mapping from the names below to their bytes. Writing is strict; reading is strict
unless a `Lenient` is given (see `leniency`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.leniency import Lapse, Lenient, forgive
from epassport_credentials.mrz import TD1_LENGTH, TD3_LENGTH, Mrz, parse_td1, parse_td3
from epassport_credentials.signer import public_key_info
from epassport_credentials.tlv import encode_tlv, read_all, read_tlv

EF_COM = "EF.COM"
EF_SOD = "EF.SOD"
EF_CARD_ACCESS = "EF.CardAccess"

APPLICATION_ID = bytes.fromhex("A0000002471001")

# The offset data object of READ BINARY has two bytes here (ISO/IEC 7816-4 §11.2.3, odd INS).
MAX_FILE_BYTES = 0xFFFF

LDS_VERSION = b"0107"
UNICODE_VERSION = b"040000"
_LDS_VERSIONS = (b"0107", b"0108")

# Tag of each data group's file, Doc 9303-10 §4.7.
DATA_GROUP_TAGS = dict(enumerate(bytes.fromhex("6175637665666768696A6B6C6D6E6F70"), start=1))
_DATA_GROUP_OF_TAG = {tag: number for number, tag in DATA_GROUP_TAGS.items()}

# Doc 9303-10; the last five bits are the short identifier. EF.CardAccess lies in the
# master file, all others in the application.
FILE_IDS = {EF_COM: 0x011E, EF_SOD: 0x011D, EF_CARD_ACCESS: 0x011C} | {
    f"DG{number}": 0x0100 + number for number in DATA_GROUP_TAGS
}

# Given only to a terminal that proved a right to fingers and irises (Doc 9303-11 §7).
TERMINAL_AUTHENTICATED = (3, 4)

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
    """Doc 9303-10 §4.6.1. data_groups: their numbers, 1 to 16; listed in ascending order."""
    tags = bytes(DATA_GROUP_TAGS[number] for number in sorted(data_groups))
    return encode_tlv(
        _COM,
        encode_tlv(_LDS_VERSION, LDS_VERSION)
        + encode_tlv(_UNICODE_VERSION, UNICODE_VERSION)
        + encode_tlv(_TAG_LIST, tags),
    )


def parse_ef_com(data: bytes, lenient: Lenient | None = None) -> EfCom:
    """Doc 9303-10 §4.6.1. Raises InvalidCredential: TOO_LONG, MALFORMED, UNKNOWN_VERSION."""
    match read_all(file_content(data, _COM, lenient), lenient):
        case [(0x5F01, lds_version), (0x5F36, unicode_version), (0x5C, tags)]:
            pass
        case _:
            raise InvalidCredential(Reason.MALFORMED, "EF.COM has other members")
    if not all(tag in _DATA_GROUP_OF_TAG for tag in tags) or len(set(tags)) != len(tags):
        raise InvalidCredential(Reason.MALFORMED, "EF.COM lists an unknown data group")
    com = EfCom(
        lds_version=_digits(lds_version, 4),
        unicode_version=_digits(unicode_version, 6),
        data_groups=tuple(_DATA_GROUP_OF_TAG[tag] for tag in tags),
    )
    if lds_version not in _LDS_VERSIONS:
        if lenient is None:
            raise InvalidCredential(Reason.UNKNOWN_VERSION, f"LDS {com.lds_version}")
        forgive(lenient, Lapse.OTHER_LDS_VERSION, EF_COM)
    return com


def file_content(data: bytes, tag: int, lenient: Lenient | None = None) -> bytes:
    """The value of a file's one object. Raises InvalidCredential: TOO_LONG, MALFORMED."""
    if len(data) > MAX_FILE_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"a file of more than {MAX_FILE_BYTES} bytes")
    return read_tlv(data, tag, lenient)


def build_dg1(lines: Sequence[str]) -> bytes:
    """lines: three of TD1 or two of TD3, as built by `mrz`."""
    return encode_tlv(DATA_GROUP_TAGS[1], encode_tlv(_MRZ, "".join(lines).encode("ascii")))


def parse_dg1(data: bytes, lenient: Lenient | None = None) -> Mrz:
    """Raises InvalidCredential: TOO_LONG, MALFORMED, WRONG_CHECK_DIGIT."""
    zone = read_tlv(file_content(data, DATA_GROUP_TAGS[1], lenient), _MRZ, lenient)
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


def parse_dg15(data: bytes, lenient: Lenient | None = None) -> ec.EllipticCurvePublicKey:
    """Raises InvalidCredential: TOO_LONG, MALFORMED, UNSUPPORTED_ALGORITHM."""
    try:
        key = load_der_public_key(file_content(data, DATA_GROUP_TAGS[15], lenient))
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
