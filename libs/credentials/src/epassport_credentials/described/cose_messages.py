"""COSE_Sign1 and CWT, with the names of labels, nested tokens opened."""

from collections.abc import Mapping

import cbor2

from epassport_credentials.cbor import as_map, decode_cbor
from epassport_credentials.cose import TAG_CWT, TAG_SIGN1
from epassport_credentials.cwt import ATTESTATION, DOCUMENT_REF, Format
from epassport_credentials.described.outline import Outline, shown_bytes, shown_date, shown_text
from epassport_credentials.errors import InvalidCredential, Reason

_STARTS = (b"\xd2\x84", b"\xd8\x3d\xd2", b"\x84\x43", b"\x84\x58")
_HEADERS = {1: "alg", 2: "crit", 3: "content type", 4: "kid", 16: "typ", 33: "x5chain"}
_ALGORITHMS = {-7: "ES256", -8: "EdDSA", -9: "ESP256", -35: "ES384"}
_CLAIMS = {
    1: "iss",
    2: "sub",
    3: "aud",
    4: "exp",
    5: "nbf",
    6: "iat",
    7: "cti",
    8: "cnf",
    9: "scope",
    10: "nonce",
    169: "identity data",
    65533: "status list",
    65534: "ttl",
    65535: "status",
    **{known.value: f"version of {known.name.lower()}" for known in Format},
    DOCUMENT_REF: "document_ref",
    ATTESTATION: "attestation",
}
_IDENTITY = {
    1: "id",
    3: "language",
    4: "full name",
    8: "birth date",
    9: "gender",
    13: "nationality",
    16: "photo",
    17: "photo format",
    77: "over 18 when made",
}
_DATES = frozenset({4, 5, 6})
_IDENTITY_DATA = 169


def is_cose(data: bytes) -> bool:
    return data.startswith(_STARTS)


def describe_cose(data: bytes) -> Outline:
    """Raises InvalidCredential: MALFORMED, UNKNOWN_FORMAT."""
    value, tags = decode_cbor(data), []
    while isinstance(value, cbor2.CBORTag):
        tags.append(value.tag)
        value = value.value
    match value:
        case [bytes(protected), unprotected, bytes(payload), bytes(signature)]:
            pass
        case _:
            raise InvalidCredential(Reason.UNKNOWN_FORMAT, "not a COSE_Sign1")
    kind = "CWT in COSE_Sign1" if tags == [TAG_CWT, TAG_SIGN1] else "COSE_Sign1"
    return [
        (kind, f"{len(data)} bytes, tags {tags or 'none'}"),
        ("protected", _headers(as_map(decode_cbor(protected)) if protected else {})),
        ("unprotected", _headers(as_map(unprotected))),
        ("payload", _payload(payload)),
        ("signature", f"{len(signature)} bytes, not checked"),
    ]


def _headers(headers: Mapping[int | str, object]) -> Outline:
    return [
        (_name(_HEADERS, label), _ALGORITHMS.get(value, str(value)))
        if label == 1 and isinstance(value, int)
        else (_name(_HEADERS, label), _value(value))
        for label, value in headers.items()
    ]


def _payload(payload: bytes) -> "str | Outline":
    try:
        claims = as_map(decode_cbor(payload))
    except InvalidCredential:  # a payload may be anything; what is no map is shown as bytes
        return shown_bytes(payload)
    return [(_name(_CLAIMS, label), _claim(label, value)) for label, value in claims.items()]


def _claim(label: int | str, value: object) -> "str | Outline":
    if label in _DATES and isinstance(value, int):
        return shown_date(value)
    if label == _IDENTITY_DATA and isinstance(value, Mapping):
        return [(_name(_IDENTITY, member), _value(content)) for member, content in value.items()]
    if isinstance(value, bytes) and is_cose(value):
        return describe_cose(value)
    return _value(value)


def _value(value: object) -> "str | Outline":
    match value:
        case bytes():
            return shown_bytes(value)
        case str():
            return shown_text(value)
        case Mapping():
            return [(shown_text(str(key)), _value(member)) for key, member in value.items()]
        case list() | tuple():
            return [(str(place), _value(member)) for place, member in enumerate(value)]
    return shown_text(str(value))


def _name(names: Mapping[int, str], label: int | str) -> str:
    known = names.get(label) if isinstance(label, int) else None
    return shown_text(str(label)) if known is None else f"{known} ({label})"
