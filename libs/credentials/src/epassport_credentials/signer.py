"""Signing keys: what a key may sign, the narrow interface behind which it lives, and ES256.

Every key has one Purpose; verifiers look keys up by purpose, so that the key of one
format can never vouch for another. The private key stays behind Signer: on a phone, in
a file, in an HSM. Signatures are ES256 (RFC 9053 §2.1): ECDSA on P-256 over SHA-256,
given as r || s, 64 bytes.
"""

import hashlib
from enum import StrEnum
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from epassport_credentials.errors import InvalidCredential, Reason

KEY_ID_BYTES = 8
SIGNATURE_BYTES = 64

# Tag and length of a DER INTEGER of 32 bytes, by its first bit: a set one would mean minus.
_POSITIVE = (b"\x02\x20", b"\x02\x21\x00")

_ES256 = ec.ECDSA(hashes.SHA256())
_ES256_OF_DIGEST = ec.ECDSA(Prehashed(hashes.SHA256()))


class Purpose(StrEnum):
    CSCA = "csca"
    DOCUMENT_SIGNER = "document-signer"
    CARD_QR = "card-qr"
    MOBILE_ATTESTATION = "mobile-attestation"
    STATUS_LIST = "status-list"
    TRUST_LIST = "trust-list"
    OFFLINE_PACK = "offline-pack"
    PUBLIC_EVENT = "public-event"
    DESK_TICKET = "desk-ticket"
    SUBJECT_KEY = "subject-key"
    RECEIPT = "receipt"
    TIMESTAMP = "timestamp"


class Signer(Protocol):
    """A P-256 private key that signs and does not show itself."""

    @property
    def key_id(self) -> bytes:
        """First 8 bytes of SHA-256 of the SubjectPublicKeyInfo; ids may collide."""
        ...

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey: ...

    def sign(self, message: bytes) -> bytes:
        """ES256 over the whole message: r || s, 64 bytes."""
        ...


class LocalSigner:
    """A key held in this process: phones, tests, the sandbox."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(private_key.curve, ec.SECP256R1):
            raise ValueError("ES256 needs a key on P-256")
        self._private_key = private_key
        self._public_key = private_key.public_key()
        self._key_id = key_id_of(self._public_key)

    @property
    def key_id(self) -> bytes:
        return self._key_id

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        return raw_signature(self._private_key.sign(message, _ES256))


def key_id_of(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """First 8 bytes of SHA-256 of the SubjectPublicKeyInfo."""
    return hashlib.sha256(public_key_info(public_key)).digest()[:KEY_ID_BYTES]


def public_key_info(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """SubjectPublicKeyInfo (RFC 5480) in DER, with the curve named."""
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def verify_es256(public_key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> None:
    """Raises InvalidCredential: WRONG_SIGNATURE, also for another curve or length."""
    if len(signature) != SIGNATURE_BYTES or not isinstance(public_key.curve, ec.SECP256R1):
        raise InvalidCredential(Reason.WRONG_SIGNATURE, "not an ES256 signature by a P-256 key")
    try:
        # Hashing outside saves the half microsecond of a hash context in OpenSSL 3.
        digest = hashlib.sha256(message).digest()
        public_key.verify(der_signature(signature), digest, _ES256_OF_DIGEST)
    except InvalidSignature as error:
        raise InvalidCredential(Reason.WRONG_SIGNATURE, "ES256") from error


def raw_signature(der: bytes, size: int = SIGNATURE_BYTES) -> bytes:
    """ECDSA-Sig-Value (X.509, CMS) to r || s (COSE, JOSE)."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(size // 2, "big") + s.to_bytes(size // 2, "big")


def der_signature(raw: bytes) -> bytes:
    """r || s (COSE, JOSE) to ECDSA-Sig-Value (X.509, CMS)."""
    half = len(raw) // 2
    r, s = raw[:half], raw[half:]
    if half == 32 and r[0] and s[0]:  # whole coordinates of ES256: half the time of integers
        both = _POSITIVE[r[0] >> 7] + r + _POSITIVE[s[0] >> 7] + s
        return bytes((0x30, len(both))) + both
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
