"""PACE: a short secret, printed on the card, becomes strong session keys (Doc 9303-11 §4.4).

id-PACE-ECDH-GM-AES-CBC-CMAC-128: generic mapping on an elliptic curve. What both ends
compute stands here; their steps are in `chip_pace` and `chip_session`. Whoever guesses the
secret wrongly learns just that, once for each run with the chip.
"""

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from epassport_credentials.curves import Curve, Point
from epassport_credentials.der import encode_object_identifier
from epassport_credentials.mrz import Mrz, check_digit
from epassport_credentials.secure_messaging import MAC_BYTES, SessionKeys, cmac
from epassport_credentials.security_infos import PACE_ECDH_GM_AES_128
from epassport_credentials.tlv import encode_tlv

# Doc 9303-11 §4.4.4.1: which password.
MRZ_REFERENCE, ACCESS_NUMBER_REFERENCE = 0x01, 0x02

# Data objects of GENERAL AUTHENTICATE, Doc 9303-11 §4.4.4.2.
DYNAMIC_AUTHENTICATION_DATA = 0x7C
ENCRYPTED_NONCE = 0x80
TERMINAL_MAPPING, CHIP_MAPPING = 0x81, 0x82
TERMINAL_KEY, CHIP_KEY = 0x83, 0x84
TERMINAL_TOKEN, CHIP_TOKEN = 0x85, 0x86
# And of MSE:Set AT, §4.4.4.1.
PROTOCOL, PASSWORD_REFERENCE, PARAMETER_REFERENCE = 0x80, 0x83, 0x84

NONCE_BYTES = 16
ACCESS_NUMBER_DIGITS = 6

_PUBLIC_KEY, _PUBLIC_POINT = 0x7F49, 0x86
_ENCRYPTION, _AUTHENTICATION, _PASSWORD = 1, 2, 3
_PROTOCOL_OBJECT = encode_object_identifier(PACE_ECDH_GM_AES_128)


@dataclass(frozen=True)
class AccessKey:
    """What opens a chip. reference: which kind; secret: K of Doc 9303-11 §9.7."""

    reference: int
    secret: bytes = field(repr=False)


def key_of_access_number(number: str) -> AccessKey:
    """number: the six digits printed on the card (CAN). Raises ValueError."""
    if len(number) != ACCESS_NUMBER_DIGITS or not (number.isascii() and number.isdigit()):
        raise ValueError("a card access number has six digits")
    return AccessKey(ACCESS_NUMBER_REFERENCE, number.encode("ascii"))


def key_of_mrz(mrz: Mrz) -> AccessKey:
    """SHA-1 over number, birth and expiry date, each with its check digit (§9.7.2)."""
    fields = (mrz.number.ljust(9, "<"), mrz.birth_date, mrz.expiry_date)
    information = "".join(text + check_digit(text) for text in fields).encode("ascii")
    return AccessKey(MRZ_REFERENCE, _sha1(information))


def encrypt_nonce(key: AccessKey, nonce: bytes) -> bytes:
    """AES-128-CBC, zero vector, no padding (§4.4.3.3); nonce: 16 bytes."""
    encryptor = _nonce_cipher(key).encryptor()
    return encryptor.update(nonce) + encryptor.finalize()


def decrypt_nonce(key: AccessKey, encrypted: bytes) -> bytes:
    decryptor = _nonce_cipher(key).decryptor()
    return decryptor.update(encrypted) + decryptor.finalize()


def map_nonce(curve: Curve, nonce: bytes, scalar: int, other: Point) -> Point:
    """Generic mapping (§4.4.3.3.1): nonce times generator plus the agreed point.

    scalar: of the own mapping key; other: the other side's. Raises InvalidCredential: MALFORMED.
    """
    agreed = curve.multiple(scalar, other)
    return curve.sum(curve.multiple_of_generator(int.from_bytes(nonce, "big")), agreed)


def session_keys(curve: Curve, scalar: int, other: Point) -> SessionKeys:
    """From the ephemeral keys on the mapped generator (§9.7.1); the secret is its abscissa."""
    secret = curve.shared_secret(scalar, other)
    return SessionKeys(_derive(secret, _ENCRYPTION), _derive(secret, _AUTHENTICATION))


def token(keys: SessionKeys, curve: Curve, other: Point) -> bytes:
    """Proof of the keys, over the other side's ephemeral public key (§4.4.3.4)."""
    point = encode_tlv(_PUBLIC_POINT, curve.encode(other))
    return cmac(keys.authentication, encode_tlv(_PUBLIC_KEY, _PROTOCOL_OBJECT + point))[:MAC_BYTES]


def _nonce_cipher(key: AccessKey) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(_derive(key.secret, _PASSWORD)), modes.CBC(bytes(NONCE_BYTES)))


def _derive(secret: bytes, counter: int) -> bytes:
    """Key derivation for AES-128 (§9.7.1.2)."""
    return _sha1(secret + counter.to_bytes(4, "big"))[:16]


def _sha1(data: bytes) -> bytes:
    """As the standard fixes it; nothing here needs it to be free of collisions."""
    return hashlib.sha1(data, usedforsecurity=False).digest()
