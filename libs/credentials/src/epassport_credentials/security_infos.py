"""DG14 and EF.CardAccess: which protocols a chip speaks, as SecurityInfos (Doc 9303-11 §9.2).

EF.CardAccess is read before anything else and is not signed; DG14 repeats it under the
signature, so that a reader finds out afterwards whether it was talked into a weaker protocol
(passive authentication compares them).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from epassport_credentials.der import (
    OBJECT_IDENTIFIER,
    SEQUENCE,
    SET,
    Element,
    content,
    elements,
    encode_integer,
    encode_object_identifier,
    integer,
    members,
    object_identifier,
    only,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import DATA_GROUP_TAGS, MAX_FILE_BYTES, file_content
from epassport_credentials.leniency import Lenient
from epassport_credentials.tlv import encode_tlv

PACE_ECDH_GM_AES_128 = "0.4.0.127.0.7.2.2.4.2.2"
ACTIVE_AUTHENTICATION = "2.23.136.1.1.5"
ECDSA_PLAIN_SHA256 = "0.4.0.127.0.7.1.1.4.1.3"

MAX_SECURITY_INFOS = 64  # chips in circulation have fewer than 20
_PACE_ARC = "0.4.0.127.0.7.2.2.4."
_PACE_VERSION, _ACTIVE_AUTHENTICATION_VERSION = 2, 1


@dataclass(frozen=True)
class PaceInfo:
    """parameter_id: of the standardised domain parameters (Doc 9303-11 §9.5.1), 12 is P-256."""

    protocol: str
    parameter_id: int | None


@dataclass(frozen=True)
class ActiveAuthenticationInfo:
    """signature_algorithm: an object identifier of BSI TR-03111."""

    signature_algorithm: str


@dataclass(frozen=True)
class OtherInfo:
    """A protocol that is not spoken here, such as chip or terminal authentication."""

    protocol: str
    encoded: bytes


SecurityInfo = PaceInfo | ActiveAuthenticationInfo | OtherInfo

# What chips of this state speak.
OUR_PACE = PaceInfo(PACE_ECDH_GM_AES_128, 12)
OUR_ACTIVE_AUTHENTICATION = ActiveAuthenticationInfo(ECDSA_PLAIN_SHA256)


def build_card_access(pace: PaceInfo = OUR_PACE) -> bytes:
    """The file EF.CardAccess: PACEInfo only (Doc 9303-10 §3.11.3)."""
    return _encode([pace])


def build_dg14(
    infos: Iterable[PaceInfo | ActiveAuthenticationInfo] = (OUR_PACE, OUR_ACTIVE_AUTHENTICATION),
) -> bytes:
    """Doc 9303-10 §4.7.14: what EF.CardAccess has, and the protocols after it."""
    return encode_tlv(DATA_GROUP_TAGS[14], _encode(infos))


def parse_card_access(data: bytes) -> tuple[SecurityInfo, ...]:
    """Raises InvalidCredential: TOO_LONG, MALFORMED, UNKNOWN_VERSION."""
    if len(data) > MAX_FILE_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"a file of more than {MAX_FILE_BYTES} bytes")
    return _parse(data)


def parse_dg14(data: bytes, lenient: Lenient | None = None) -> tuple[SecurityInfo, ...]:
    """Raises InvalidCredential: TOO_LONG, MALFORMED, UNKNOWN_VERSION."""
    return _parse(file_content(data, DATA_GROUP_TAGS[14], lenient))


def encoded_infos(encoded: bytes) -> frozenset[bytes]:
    """Every SecurityInfo of a SET, as it is encoded. Raises InvalidCredential: MALFORMED."""
    infos = elements(encoded, *only(encoded, 0, len(encoded), SET))
    if not 0 < len(infos) <= MAX_SECURITY_INFOS:
        raise InvalidCredential(Reason.MALFORMED, "an unlikely number of SecurityInfos")
    return frozenset(encoded[begin:end] for _, begin, _, end in infos)


def _encode(infos: Iterable[PaceInfo | ActiveAuthenticationInfo]) -> bytes:
    """DER sorts the members of a SET OF by their encoding (ITU-T X.690 §11.6)."""
    return encode_tlv(SET, b"".join(sorted(map(_encode_info, infos))))


def _encode_info(info: PaceInfo | ActiveAuthenticationInfo) -> bytes:
    if isinstance(info, PaceInfo):
        encoded = encode_object_identifier(info.protocol) + encode_integer(_PACE_VERSION)
        if info.parameter_id is not None:
            encoded += encode_integer(info.parameter_id)
        return encode_tlv(SEQUENCE, encoded)
    encoded = encode_object_identifier(ACTIVE_AUTHENTICATION)
    encoded += encode_integer(_ACTIVE_AUTHENTICATION_VERSION)
    return encode_tlv(SEQUENCE, encoded + encode_object_identifier(info.signature_algorithm))


def _parse(encoded: bytes) -> tuple[SecurityInfo, ...]:
    infos = elements(encoded, *only(encoded, 0, len(encoded), SET))
    if not 0 < len(infos) <= MAX_SECURITY_INFOS:
        raise InvalidCredential(Reason.MALFORMED, "an unlikely number of SecurityInfos")
    return tuple(_read(encoded, info) for info in infos)


def _read(encoded: bytes, info: Element) -> SecurityInfo:
    """SecurityInfo ::= SEQUENCE { protocol, requiredData, optionalData OPTIONAL }"""
    match members(encoded, info):
        case [identifier, required, *optional] if len(optional) <= 1:
            protocol = object_identifier(content(encoded, identifier, OBJECT_IDENTIFIER))
        case _:
            raise InvalidCredential(Reason.MALFORMED, "a SecurityInfo of other members")
    if protocol.startswith(_PACE_ARC) and protocol.count(".") == PACE_ECDH_GM_AES_128.count("."):
        _expect_version(encoded, required, _PACE_VERSION)
        return PaceInfo(protocol, integer(encoded, optional[0]) if optional else None)
    if protocol == ACTIVE_AUTHENTICATION and optional:
        _expect_version(encoded, required, _ACTIVE_AUTHENTICATION_VERSION)
        algorithm = content(encoded, optional[0], OBJECT_IDENTIFIER)
        return ActiveAuthenticationInfo(object_identifier(algorithm))
    return OtherInfo(protocol, encoded[info[1] : info[3]])


def _expect_version(encoded: bytes, required: Element, expected: int) -> None:
    if integer(encoded, required) != expected:
        raise InvalidCredential(Reason.UNKNOWN_VERSION, "SecurityInfo")
