"""The two QR codes printed on a card: CWT in COSE_Sign1, zlib, Base45.

Small (at most version 10-M), for everyday checks; each claim and why it is there:

| claim | label | why |
| --- | --- | --- |
| version | -65537 | names format and version before anything else |
| exp, nbf | 4, 5 | how long the print may be relied on |
| document_ref | -65541 | the one public name of the document |
| over 18 | 169: {77} | the answer most checks want; false says "not when it was made" |
| status | 65535 | where loss and revocation are looked up |

Identity (at most version 22-M), for authorised offline checks: the same without "over
18", and in claim 169 document number, name, birth date, sex, nationality and a small
portrait. Both are signed by a key of purpose card-qr. They prove that the print is
genuine, never that the bearer is the holder: the portrait or the chip does that.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from epassport_credentials.base45 import decode_base45, encode_base45
from epassport_credentials.cbor import as_map, encode_cbor
from epassport_credentials.claims import (
    Claims,
    bytes_of,
    check_period,
    instant_of,
    integer_of,
    numeric_date,
    truth_of,
)
from epassport_credentials.compression import deflate, inflate
from epassport_credentials.cose import Sign1
from epassport_credentials.cwt import (
    DOCUMENT_REF,
    EXP,
    IDENTITY_DATA,
    NBF,
    STATUS,
    Format,
    StatusReference,
    expect_format,
    open_sign1,
    read_claims,
    read_status_claim,
    sign_cwt,
    status_claim,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.identity import (
    OVER_18,
    PHOTO,
    PHOTO_FORMAT,
    PHOTO_FORMAT_WEBP,
    Identity,
    identity_attributes,
    read_identity,
)
from epassport_credentials.signer import Purpose, Signer
from epassport_credentials.trust import TrustList

DOCUMENT_REF_BYTES = 16
MAX_SMALL_CHARACTERS = 311  # QR version 10-M, alphanumeric
MAX_IDENTITY_CHARACTERS = 1134  # QR version 22-M, alphanumeric
MAX_MESSAGE_BYTES = 2048

_MAX_IDENTITY_BYTES = MAX_IDENTITY_CHARACTERS // 3 * 2
_ZLIB_OVERHEAD_BYTES = 11  # what a stored block adds when nothing can be compressed
_SIGN1_OVERHEAD_BYTES = 86  # tags, headers, key id, signature; see the test of its size
_PORTRAIT_HEADER_BYTES = 2

# The small card's claims in their order and shortest forms. What has another form, such as an
# index below 256, an address of fewer than 24 characters or a date after 2106, is read as any
# CBOR is.
_EMITTED_SMALL = re.compile(
    rb"\xa6\x3a\x00\x01\x00\x00\x01"  # a map of six: format -65537 of version 1
    rb"\x04\x1a(.{4})\x05\x1a(.{4})"  # exp, nbf
    rb"\x3a\x00\x01\x00\x04\x50(.{16})"  # document_ref
    rb"\x18\xa9\xa1\x18\x4d([\xf4\xf5])"  # 169: {77: over 18}
    rb"\x19\xff\xff\xa1\x6bstatus_list"
    rb"\xa2\x63idx(?:\x19(.{2})|\x1a(.{4}))\x63uri\x78([\x18-\xff])(.*)",
    re.DOTALL,
)
_TRUE = b"\xf5"


@dataclass(frozen=True)
class SmallCard:
    document_ref: bytes
    over_18: bool
    not_before: datetime
    expires_at: datetime
    status: StatusReference


@dataclass(frozen=True)
class IdentityCard:
    document_ref: bytes
    identity: Identity
    not_before: datetime
    expires_at: datetime
    status: StatusReference
    portrait: bytes = field(default=b"", repr=False)


def issue_small_card_qr(card: SmallCard, signer: Signer) -> str:
    """The text of the small QR.

    A status address of up to 32 characters always fits; ValueError if it does not.
    """
    claims = {
        **_common_claims(card),
        IDENTITY_DATA: {OVER_18: card.over_18},
        STATUS: status_claim(card.status),
    }
    return _text(sign_cwt(Format.SMALL_CARD, claims, signer), at_most=MAX_SMALL_CHARACTERS)


def issue_identity_card_qr(card: IdentityCard, signer: Signer) -> str:
    """The text of the identity QR; `with_portrait` makes a portrait that fits beside the name.

    Raises ValueError if the text is too long.
    """
    message = sign_cwt(Format.IDENTITY_CARD, _identity_claims(card), signer)
    return _text(message, at_most=MAX_IDENTITY_CHARACTERS)


def with_portrait(card: IdentityCard, photo: bytes) -> IdentityCard:
    """The card with the best portrait that the QR has room for.

    photo: JPEG or PNG
    Raises InvalidCredential: TOO_LONG, MALFORMED; ValueError if the name leaves no room.
    """
    # Only an issuer draws portraits: a verifier need not have Pillow.
    from epassport_credentials.portrait import MAX_PORTRAIT_BYTES, portrait_thumbnail

    bare = replace(card, portrait=b"")
    taken = len(encode_cbor({Format.IDENTITY_CARD.value: 1, **_identity_claims(bare)}))
    overhead = _SIGN1_OVERHEAD_BYTES + _ZLIB_OVERHEAD_BYTES + _PORTRAIT_HEADER_BYTES
    room = _MAX_IDENTITY_BYTES - overhead - taken
    return replace(card, portrait=portrait_thumbnail(photo, at_most=min(room, MAX_PORTRAIT_BYTES)))


def open_card_qr(text: str, trust: TrustList, *, now: datetime) -> SmallCard | IdentityCard:
    """Check a QR printed on a card and return what it states.

    Base45 (RFC 9285) over zlib (RFC 1950) over COSE_Sign1 (RFC 9052 §4.2) over a CWT
    (RFC 8392). The signature is checked before any claim is read; the status is not
    looked up here.

    text: as scanned, at most 1,134 characters (QR version 22-M, alphanumeric)
    now: with time zone; `nbf` and `exp` are compared without allowance

    Raises InvalidCredential: TOO_LONG, MALFORMED, UNSUPPORTED_ALGORITHM,
    UNSUPPORTED_CRITICAL_HEADER, UNKNOWN_SIGNER, WRONG_PURPOSE, SIGNER_NOT_IN_FORCE,
    WRONG_SIGNATURE, UNKNOWN_FORMAT, UNKNOWN_VERSION, INDEX_OUT_OF_RANGE, NOT_YET_VALID,
    EXPIRED.
    """
    compressed = decode_base45(text, at_most=MAX_IDENTITY_CHARACTERS)
    return open_compressed_card(compressed, trust, now=now)


def open_compressed_card(
    compressed: bytes, trust: TrustList, *, now: datetime
) -> SmallCard | IdentityCard:
    """As `open_card_qr`, after Base45."""
    message = inflate(compressed, at_most=MAX_MESSAGE_BYTES)
    signed = open_sign1(message, trust, Purpose.CARD_QR, now=now)
    card = _read_emitted_small(signed.payload) or _read_any_card(signed)
    check_period(card.not_before, card.expires_at, now=now)
    return card


def _common_claims(card: SmallCard | IdentityCard) -> dict[int, object]:
    if len(card.document_ref) != DOCUMENT_REF_BYTES:
        raise ValueError(f"a document reference has {DOCUMENT_REF_BYTES} bytes")
    return {
        EXP: numeric_date(card.expires_at),
        NBF: numeric_date(card.not_before),
        DOCUMENT_REF: card.document_ref,
    }


def _identity_claims(card: IdentityCard) -> Mapping[int, object]:
    photo = {PHOTO: card.portrait, PHOTO_FORMAT: PHOTO_FORMAT_WEBP}
    return {
        **_common_claims(card),
        IDENTITY_DATA: {**identity_attributes(card.identity), **photo},
        STATUS: status_claim(card.status),
    }


def _text(message: bytes, *, at_most: int) -> str:
    text = encode_base45(deflate(message))
    if len(text) > at_most:
        raise ValueError(f"{len(text)} characters do not fit into a QR code of {at_most}")
    return text


def _read_emitted_small(payload: bytes) -> SmallCard | None:
    """The claims as `issue_small_card_qr` writes them, read in half the time."""
    parts = _EMITTED_SMALL.fullmatch(payload)
    if parts is None:
        return None
    expires_at, not_before, document_ref, over_18, index, long_index, size, uri = parts.groups()
    if len(uri) != size[0] or not uri.isascii():
        return None
    return SmallCard(
        document_ref=document_ref,
        over_18=over_18 == _TRUE,
        not_before=datetime.fromtimestamp(int.from_bytes(not_before, "big"), UTC),
        expires_at=datetime.fromtimestamp(int.from_bytes(expires_at, "big"), UTC),
        status=StatusReference(str(uri, "ascii"), int.from_bytes(index or long_index, "big")),
    )


def _read_any_card(signed: Sign1) -> SmallCard | IdentityCard:
    found, claims = read_claims(signed)
    expect_format(found, Format.SMALL_CARD, Format.IDENTITY_CARD)
    return _small(claims) if found is Format.SMALL_CARD else _identity(claims)


def _small(claims: Claims) -> SmallCard:
    return SmallCard(
        document_ref=bytes_of(claims, DOCUMENT_REF, size=DOCUMENT_REF_BYTES),
        over_18=truth_of(as_map(claims.get(IDENTITY_DATA)), OVER_18),
        not_before=instant_of(claims, NBF),
        expires_at=instant_of(claims, EXP),
        status=read_status_claim(claims),
    )


def _identity(claims: Claims) -> IdentityCard:
    attributes = as_map(claims.get(IDENTITY_DATA))
    if integer_of(attributes, PHOTO_FORMAT) != PHOTO_FORMAT_WEBP:
        raise InvalidCredential(Reason.MALFORMED, "the portrait is not WEBP")
    return IdentityCard(
        document_ref=bytes_of(claims, DOCUMENT_REF, size=DOCUMENT_REF_BYTES),
        identity=read_identity(attributes),
        not_before=instant_of(claims, NBF),
        expires_at=instant_of(claims, EXP),
        status=read_status_claim(claims),
        portrait=bytes_of(attributes, PHOTO),
    )
