"""CBOR Web Tokens (RFC 8392) as this system fills them.

The first claim of a payload names its format and holds the version of that format, so
that a reader meets it before anything else. Formats and our own claims use private
labels, which IANA leaves free below -65536.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from epassport_credentials.cbor import as_map, decode_signed_map, encode_cbor
from epassport_credentials.claims import Claims, integer_of, text_of
from epassport_credentials.cose import Sign1, read_sign1, sign_sign1, verify_sign1
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import Purpose, Signer
from epassport_credentials.trust import TrustList, verify_by_any

ISS, AUD, EXP, NBF, IAT, CTI, CNF = 1, 3, 4, 5, 6, 7, 8
SCOPE, NONCE = 9, 10
IDENTITY_DATA = 169
STATUS = 65535


class Format(IntEnum):
    SMALL_CARD = -65537
    IDENTITY_CARD = -65538
    MOBILE_ATTESTATION = -65539
    MOBILE_PRESENTATION = -65540


_FORMATS: Mapping[int | str | None, Format] = {known.value: known for known in Format}

DOCUMENT_REF = -65541
ATTESTATION = -65542

VERSION = 1

MAX_STATUS_INDEX = 2**32 - 1


@dataclass(frozen=True)
class StatusReference:
    """Where a document's status stands: entry `index` of the list at `uri`."""

    uri: str
    index: int


def sign_cwt(
    token_format: Format, claims: Mapping[int, object], signer: Signer, *, name_key: bool = True
) -> bytes:
    """COSE_Sign1 with tag 18 (RFC 8392 §7.1), format and version before the claims given.

    name_key: as for `sign_sign1`
    """
    payload = encode_cbor({token_format.value: VERSION, **claims})
    return sign_sign1(payload, signer, name_key=name_key)


def open_cwt(
    message: bytes, trust: TrustList, purpose: Purpose, *, now: datetime
) -> tuple[Format, Claims]:
    """Signature first, then format and version; the other claims are the caller's to read.

    Raises InvalidCredential: those of `open_sign1`, UNKNOWN_FORMAT, UNKNOWN_VERSION.
    """
    return read_claims(open_sign1(message, trust, purpose, now=now))


def open_sign1(message: bytes, trust: TrustList, purpose: Purpose, *, now: datetime) -> Sign1:
    """A message that a trusted key has signed, whose payload may be read.

    Raises InvalidCredential: those of `read_sign1` and `TrustList.matching`, WRONG_SIGNATURE.
    """
    sign1 = read_sign1(message)
    if sign1.key_id is None:
        raise InvalidCredential(Reason.UNKNOWN_SIGNER, "no key id")
    keys = trust.matching(purpose, sign1.key_id, at=now)
    verify_by_any(keys, lambda key: verify_sign1(sign1, key))
    return sign1


def read_claims(sign1: Sign1) -> tuple[Format, Claims]:
    """The payload of a CWT, whose signature the caller checks.

    Raises InvalidCredential: MALFORMED, UNKNOWN_FORMAT, UNKNOWN_VERSION.
    """
    claims = decode_signed_map(sign1.payload)
    first = next(iter(claims), None)
    token_format = _FORMATS.get(first)
    if token_format is None:
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, "the first claim names no known format")
    if integer_of(claims, token_format.value) != VERSION:
        raise InvalidCredential(Reason.UNKNOWN_VERSION, f"known is {VERSION}")
    return token_format, claims


def expect_format(found: Format, *expected: Format) -> None:
    """Raises InvalidCredential: UNKNOWN_FORMAT."""
    if found not in expected:
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, f"{found.name} is not read here")


def status_claim(status: StatusReference) -> dict[str, object]:
    """Referenced token of the Token Status List draft, CWT form."""
    return {"status_list": {"idx": status.index, "uri": status.uri}}


def read_status_claim(claims: Claims) -> StatusReference:
    """The `status` claim of a referenced token in CBOR (§6.3 of the draft).

    Raises InvalidCredential: MALFORMED, INDEX_OUT_OF_RANGE.
    """
    status_list = as_map(as_map(claims.get(STATUS)).get("status_list"))
    index = integer_of(status_list, "idx")
    if not 0 <= index <= MAX_STATUS_INDEX:
        raise InvalidCredential(Reason.INDEX_OUT_OF_RANGE, "idx")
    return StatusReference(uri=text_of(status_list, "uri"), index=index)
