"""HPKE (RFC 9180) to one service: ML-KEM-768 with X25519, HKDF-SHA-256, AES-256-GCM.

Hybrid, because key messages lie on a topic for as long as a person has a document: what is
recorded today must not open when X25519 falls. Keys travel as fixed-length octets: the
ML-KEM part, then the X25519 part.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

PrivateKey = hpke.MLKEM768X25519PrivateKey
PublicKey = hpke.MLKEM768X25519PublicKey

_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_SEED_BYTES = 64  # FIPS 203: d || z
_MLKEM_PUBLIC_BYTES = 1184
_X25519_BYTES = 32
PRIVATE_BYTES = _SEED_BYTES + _X25519_BYTES
PUBLIC_BYTES = _MLKEM_PUBLIC_BYTES + _X25519_BYTES
OVERHEAD_BYTES = hpke.KEM.MLKEM768_X25519.enc_length() + 16


class UnreadableMessage(Exception):
    """Not a message to this key with this `info`."""


def generate() -> tuple[bytes, bytes]:
    """Octets of a new (private key, public key)."""
    mlkem, x25519 = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
    private = mlkem.private_bytes_raw() + x25519.private_bytes_raw()
    public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
    return private, public


def private_key_of(octets: bytes) -> PrivateKey:
    """Raises ValueError."""
    if len(octets) != PRIVATE_BYTES:
        raise ValueError("an HPKE private key has 96 octets")
    return PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(octets[:_SEED_BYTES]),
        X25519PrivateKey.from_private_bytes(octets[_SEED_BYTES:]),
    )


def public_key_of(octets: bytes) -> PublicKey:
    """Raises ValueError."""
    if len(octets) != PUBLIC_BYTES:
        raise ValueError("an HPKE public key has 1,216 octets")
    return PublicKey(
        MLKEM768PublicKey.from_public_bytes(octets[:_MLKEM_PUBLIC_BYTES]),
        X25519PublicKey.from_public_bytes(octets[_MLKEM_PUBLIC_BYTES:]),
    )


def encrypt(public_key: PublicKey, plaintext: bytes, *, info: bytes) -> bytes:
    """Encapsulated key followed by ciphertext; info: what both sides know it is about."""
    return _SUITE.encrypt(plaintext, public_key, info)


def decrypt(private_key: PrivateKey, message: bytes, *, info: bytes) -> bytes:
    """Raises UnreadableMessage."""
    try:
        return _SUITE.decrypt(message, private_key, info)
    except (InvalidTag, ValueError) as error:
        raise UnreadableMessage from error
