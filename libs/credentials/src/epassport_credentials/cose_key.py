"""P-256 public keys as COSE_Key (RFC 9053 §7.1), and their thumbprint (RFC 9679)."""

import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.cbor import encode_cbor
from epassport_credentials.claims import Claims, bytes_of, integer_of
from epassport_credentials.errors import InvalidCredential, Reason

KTY, CRV, X, Y = 1, -1, -2, -3
KTY_EC2, CRV_P256 = 2, 1

_COORDINATE_BYTES = 32


def cose_key(public_key: ec.EllipticCurvePublicKey) -> Mapping[int, object]:
    """With y as its sign bit: 34 bytes less, which a QR code feels."""
    x, y = _coordinates(public_key)
    return {KTY: KTY_EC2, CRV: CRV_P256, X: x, Y: bool(y[-1] & 1)}


def read_cose_key(key: Claims) -> ec.EllipticCurvePublicKey:
    """With y whole or as its sign bit. Raises InvalidCredential: MALFORMED."""
    if integer_of(key, KTY) != KTY_EC2 or integer_of(key, CRV) != CRV_P256:
        raise InvalidCredential(Reason.MALFORMED, "not a key on P-256")
    x = bytes_of(key, X, size=_COORDINATE_BYTES)
    match key.get(Y):
        case bool(odd):
            point = (b"\x03" if odd else b"\x02") + x
        case bytes(y):
            point = b"\x04" + x + y
        case _:
            raise InvalidCredential(Reason.MALFORMED, "y is neither bytes nor a sign")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise InvalidCredential(Reason.MALFORMED, "not a point on P-256") from error


def key_thumbprint(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of the required members with y whole (RFC 9679 §4.2), 32 bytes."""
    x, y = _coordinates(public_key)
    required = {KTY: KTY_EC2, CRV: CRV_P256, X: x, Y: y}
    return hashlib.sha256(encode_cbor(required)).digest()


def _coordinates(public_key: ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    numbers = public_key.public_numbers()
    return (
        numbers.x.to_bytes(_COORDINATE_BYTES, "big"),
        numbers.y.to_bytes(_COORDINATE_BYTES, "big"),
    )
