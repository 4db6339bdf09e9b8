"""P-256 public keys as JSON Web Keys (RFC 7517, RFC 7518 §6.2), and their thumbprint (RFC 7638)."""

import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.claims import text_of
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import decode_base64url, encode_base64url, encode_json

_COORDINATE_BYTES = 32


def jwk_of(public_key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """The required members only, in the order of the thumbprint."""
    numbers = public_key.public_numbers()
    return {
        "crv": "P-256",
        "kty": "EC",
        "x": encode_base64url(numbers.x.to_bytes(_COORDINATE_BYTES, "big")),
        "y": encode_base64url(numbers.y.to_bytes(_COORDINATE_BYTES, "big")),
    }


def read_jwk(value: object) -> ec.EllipticCurvePublicKey:
    """A public key; members that are not needed are ignored (RFC 7517 §4).

    Raises InvalidCredential: MALFORMED, also for a private key, another type or curve.
    """
    if not isinstance(value, Mapping) or "d" in value:
        raise InvalidCredential(Reason.MALFORMED, "not a public JWK")
    if value.get("kty") != "EC" or value.get("crv") != "P-256":
        raise InvalidCredential(Reason.MALFORMED, "not a key on P-256")
    point = b"\x04" + _coordinate(value, "x") + _coordinate(value, "y")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise InvalidCredential(Reason.MALFORMED, "not a point on P-256") from error


def jwk_thumbprint(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of the required members in lexical order (RFC 7638 §3), 32 bytes."""
    return hashlib.sha256(encode_json(jwk_of(public_key))).digest()


def _coordinate(value: Mapping[str, object], name: str) -> bytes:
    coordinate = decode_base64url(text_of(value, name))
    if len(coordinate) != _COORDINATE_BYTES:
        raise InvalidCredential(Reason.MALFORMED, f"{name} has not {_COORDINATE_BYTES} bytes")
    return coordinate
