"""The code on the phone: a purpose attestation inside a minute of the phone's own key.

Inner layer, signed by the issuer (purpose mobile-attestation), valid 24 hours:

| claim | label | why |
| --- | --- | --- |
| version | -65539 | names format and version before anything else |
| iss | 1 | who states it |
| exp, iat | 4, 6 | 24 hours replace a revocation status |
| cnf | 8 | the phone key (RFC 8747), point compressed |
| scope | 9 | the purpose |
| attributes | 169 | what this purpose shows, and nothing else |

Outer layer, signed by that phone key, valid 60 seconds: version (-65540), exp, iat, cti
(16 random bytes, against replay), in challenge mode also aud and nonce of the verifier,
and the attestation (-65542). Base45 of the bytes; no zlib, which would add eleven.

Which attributes a purpose shows follows from the type of its claims: an age attestation
cannot hold a name. Replay is told by (thumbprint of the phone key, cti), never by a hash
of the bytes: an ECDSA signature has a second valid form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.base45 import decode_base45, encode_base45
from epassport_credentials.cbor import as_map
from epassport_credentials.claims import (
    Claims,
    bytes_of,
    check_period,
    instant_of,
    numeric_date,
    text_of,
    truth_of,
)
from epassport_credentials.cose import read_sign1, verify_sign1
from epassport_credentials.cose_key import cose_key, key_thumbprint, read_cose_key
from epassport_credentials.cwt import (
    ATTESTATION,
    AUD,
    CNF,
    CTI,
    EXP,
    IAT,
    IDENTITY_DATA,
    ISS,
    NONCE,
    SCOPE,
    Format,
    expect_format,
    open_cwt,
    read_claims,
    sign_cwt,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.identity import (
    OVER_18,
    AgeOver18,
    Identity,
    identity_attributes,
    read_identity,
)
from epassport_credentials.signer import Purpose, Signer
from epassport_credentials.trust import TrustList

ATTESTATION_LIFE = timedelta(hours=24)
PRESENTATION_LIFE = timedelta(seconds=60)
PHONE_CLOCK_SKEW = timedelta(seconds=30)
CTI_BYTES = 16
MAX_MOBILE_CHARACTERS = 1134  # QR version 22-M, alphanumeric

_COSE_KEY = 1  # member of cnf, RFC 8747 §3.1


class MobilePurpose(StrEnum):
    AGE_OVER_18 = "age-over-18"
    IDENTITY = "identity"


@dataclass(frozen=True)
class Attestation:
    claims: AgeOver18 | Identity
    issuer: str
    issued_at: datetime
    expires_at: datetime
    holder_key: ec.EllipticCurvePublicKey

    @property
    def purpose(self) -> MobilePurpose:
        return purpose_of(self.claims)


@dataclass(frozen=True)
class MobilePresentation:
    """What the phone showed, once both signatures hold.

    (key_thumbprint, cti) is the replay key; keep it until expires_at plus 30 seconds.
    challenged: the phone answered this verifier's nonce, so it is no relayed screenshot.
    """

    attestation: Attestation
    key_thumbprint: bytes
    cti: bytes
    expires_at: datetime
    challenged: bool


def purpose_of(claims: AgeOver18 | Identity) -> MobilePurpose:
    match claims:
        case AgeOver18():
            return MobilePurpose.AGE_OVER_18
        case Identity():
            return MobilePurpose.IDENTITY


def issue_attestation(
    claims: AgeOver18 | Identity,
    *,
    holder_key: ec.EllipticCurvePublicKey,
    issuer: str,
    issued_at: datetime,
    signer: Signer,
) -> bytes:
    """The inner layer, to be kept on the phone; one holder key for each attestation."""
    return sign_cwt(
        Format.MOBILE_ATTESTATION,
        {
            ISS: issuer,
            EXP: numeric_date(issued_at + ATTESTATION_LIFE),
            IAT: numeric_date(issued_at),
            CNF: {_COSE_KEY: cose_key(holder_key)},
            SCOPE: purpose_of(claims).value,
            IDENTITY_DATA: _attributes(claims),
        },
        signer,
    )


def present(
    attestation: bytes,
    *,
    phone: Signer,
    now: datetime,
    cti: bytes,
    audience: str | None = None,
    nonce: bytes | None = None,
) -> str:
    """The text of the QR that the phone shows for the next 60 seconds.

    cti: 16 fresh random bytes
    audience, nonce: of the verifier's challenge, if it showed one
    """
    if len(cti) != CTI_BYTES:
        raise ValueError(f"cti has {CTI_BYTES} bytes")
    claims: dict[int, object] = {
        EXP: numeric_date(now + PRESENTATION_LIFE),
        IAT: numeric_date(now),
        CTI: cti,
        ATTESTATION: attestation,
    }
    if audience is not None:
        claims[AUD] = audience
    if nonce is not None:
        claims[NONCE] = nonce
    return encode_base45(sign_cwt(Format.MOBILE_PRESENTATION, claims, phone, name_key=False))


def open_mobile_qr(
    text: str,
    trust: TrustList,
    *,
    now: datetime,
    audience: str | None = None,
    nonce: bytes | None = None,
) -> MobilePresentation:
    """Check the code on a phone and return what it states; replay is the caller's to look up.

    text: as scanned, at most 1,134 characters
    audience, nonce: what this verifier asked for; a nonce makes the challenge compulsory,
        and a code addressed to somebody else is refused in any case

    Raises InvalidCredential: TOO_LONG, MALFORMED, UNSUPPORTED_ALGORITHM,
    UNSUPPORTED_CRITICAL_HEADER, UNKNOWN_SIGNER, WRONG_PURPOSE, SIGNER_NOT_IN_FORCE,
    WRONG_SIGNATURE, UNKNOWN_FORMAT, UNKNOWN_VERSION, LIFETIME_TOO_LONG, NOT_YET_VALID,
    EXPIRED, WRONG_AUDIENCE, WRONG_NONCE.
    """
    message = decode_base45(text, at_most=MAX_MOBILE_CHARACTERS)
    return open_mobile_message(message, trust, now=now, audience=audience, nonce=nonce)


def open_mobile_message(
    message: bytes,
    trust: TrustList,
    *,
    now: datetime,
    audience: str | None = None,
    nonce: bytes | None = None,
) -> MobilePresentation:
    """As `open_mobile_qr`, after Base45."""
    outer = read_sign1(message)
    # The phone key stands in the attestation inside, so the issuer's signature comes first.
    found, claims = read_claims(outer)
    expect_format(found, Format.MOBILE_PRESENTATION)
    attestation = open_attestation(bytes_of(claims, ATTESTATION), trust, now=now)
    verify_sign1(outer, attestation.holder_key)
    issued_at, expires_at = instant_of(claims, IAT), instant_of(claims, EXP)
    _check_life(issued_at, expires_at, PRESENTATION_LIFE)
    check_period(issued_at, expires_at, now=now, skew=PHONE_CLOCK_SKEW)
    _check_challenge(claims, audience, nonce)
    return MobilePresentation(
        attestation=attestation,
        key_thumbprint=key_thumbprint(attestation.holder_key),
        cti=bytes_of(claims, CTI, size=CTI_BYTES),
        expires_at=expires_at,
        challenged=nonce is not None,
    )


def open_attestation(message: bytes, trust: TrustList, *, now: datetime) -> Attestation:
    """Check the inner layer alone, as a phone does when it receives one."""
    found, claims = open_cwt(message, trust, Purpose.MOBILE_ATTESTATION, now=now)
    expect_format(found, Format.MOBILE_ATTESTATION)
    issued_at, expires_at = instant_of(claims, IAT), instant_of(claims, EXP)
    _check_life(issued_at, expires_at, ATTESTATION_LIFE)
    check_period(issued_at, expires_at, now=now)
    return Attestation(
        claims=_read_attributes(text_of(claims, SCOPE), as_map(claims.get(IDENTITY_DATA))),
        issuer=text_of(claims, ISS),
        issued_at=issued_at,
        expires_at=expires_at,
        holder_key=read_cose_key(as_map(as_map(claims.get(CNF)).get(_COSE_KEY))),
    )


def _attributes(claims: AgeOver18 | Identity) -> Mapping[int, object]:
    match claims:
        case AgeOver18():
            return {OVER_18: True}
        case Identity():
            return identity_attributes(claims)


def _read_attributes(scope: str, attributes: Claims) -> AgeOver18 | Identity:
    match scope:
        case MobilePurpose.AGE_OVER_18:
            if len(attributes) != 1 or not truth_of(attributes, OVER_18):
                raise InvalidCredential(Reason.MALFORMED, "an age attestation states one thing")
            return AgeOver18()
        case MobilePurpose.IDENTITY:
            return read_identity(attributes)
    raise InvalidCredential(Reason.MALFORMED, "an unknown purpose")


def _check_life(issued_at: datetime, expires_at: datetime, longest: timedelta) -> None:
    if not timedelta() < expires_at - issued_at <= longest:
        raise InvalidCredential(Reason.LIFETIME_TOO_LONG, f"allowed is {longest}")


def _check_challenge(claims: Claims, audience: str | None, nonce: bytes | None) -> None:
    addressed = nonce is not None or AUD in claims
    if addressed and (audience is None or claims.get(AUD) != audience):
        raise InvalidCredential(Reason.WRONG_AUDIENCE, "made for another verifier")
    if claims.get(NONCE) != nonce:
        raise InvalidCredential(Reason.WRONG_NONCE, "not the answer to this challenge")
