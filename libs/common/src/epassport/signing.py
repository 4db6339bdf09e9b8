"""Signing keys: what a key may sign, and ES256 by it.

A key has one purpose, so that a signature made for one thing never vouches for another;
whoever verifies looks keys up by purpose. ES256 (RFC 7518 §3.4) is ECDSA on P-256 over
SHA-256, given as r || s, 64 octets. The private key stays behind Signer: from an encrypted
file (LocalSigner) or on a token (`token_store.TokenSigner`).
"""

import hashlib
from enum import StrEnum
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

KEY_ID_BYTES = 8
_HALF = 32
_ES256 = ec.ECDSA(hashes.SHA256())


class SigningPurpose(StrEnum):
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
    """A P-256 private key of one purpose, which signs and does not show itself."""

    @property
    def key_id(self) -> bytes:
        """First 8 octets of SHA-256 of the SubjectPublicKeyInfo; ids may collide."""
        ...

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey: ...

    def sign(self, message: bytes) -> bytes:
        """ES256 over the whole message: r || s, 64 octets."""
        ...


class LocalSigner:
    """A key held in this process: opened from an encrypted file, a phone's, a test's."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
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
        r, s = decode_dss_signature(self._private_key.sign(message, _ES256))
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


def new_private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def private_key_octets(private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8 in DER (RFC 5208), to be encrypted by the caller."""
    return private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def private_key_of(octets: bytes) -> ec.EllipticCurvePrivateKey:
    """The inverse of `private_key_octets`. Raises ValueError."""
    key = load_der_private_key(octets, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a key on P-256")
    return key


def public_key_octets(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """SubjectPublicKeyInfo in DER (RFC 5480), the curve named."""
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_key_of(octets: bytes) -> ec.EllipticCurvePublicKey:
    """The inverse of `public_key_octets`. Raises ValueError."""
    try:
        key = load_der_public_key(octets)
    except UnsupportedAlgorithm as error:
        raise ValueError("not a key on P-256") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a key on P-256")
    return key


def key_id_of(public_key: ec.EllipticCurvePublicKey) -> bytes:
    return hashlib.sha256(public_key_octets(public_key)).digest()[:KEY_ID_BYTES]


def is_signed_by(public_key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is ES256 by this key; never raises on what came from outside."""
    if len(signature) != 2 * _HALF:
        return False
    r, s = (int.from_bytes(part, "big") for part in (signature[:_HALF], signature[_HALF:]))
    try:
        public_key.verify(encode_dss_signature(r, s), message, _ES256)
    except InvalidSignature:
        return False
    return True
