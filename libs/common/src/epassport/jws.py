"""Compact JWS (RFC 7515 §7.1) with ES256, for what other programs read too."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from epassport.signing import Signer, is_signed_by


class MalformedJws(ValueError):
    """Not a compact JWS at all."""


@dataclass(frozen=True)
class CompactJws:
    """Taken apart, not yet verified."""

    header: dict[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes

    def is_signed_by(self, public_key: ec.EllipticCurvePublicKey) -> bool:
        return is_signed_by(public_key, self.signature, self.signing_input)


def sign_compact(header: Mapping[str, Any], payload: bytes, signer: Signer) -> str:
    """header: without `alg` and `kid`, which the signer gives."""
    protected = {"alg": "ES256", "kid": signer.key_id.hex(), **header}
    text = f"{_encode(json.dumps(protected, separators=(',', ':')).encode())}.{_encode(payload)}"
    return f"{text}.{_encode(signer.sign(text.encode('ascii')))}"


def parse_compact(text: str) -> CompactJws:
    """Raises MalformedJws."""
    parts = text.split(".")
    if len(parts) != 3:
        raise MalformedJws("a compact JWS has three parts")
    header_octets, payload, signature = (_decode(part) for part in parts)
    try:
        header = json.loads(header_octets)
    except (ValueError, RecursionError) as error:
        raise MalformedJws("the header is not JSON") from error
    if not isinstance(header, dict):
        raise MalformedJws("the header is not an object")
    return CompactJws(header, payload, f"{parts[0]}.{parts[1]}".encode("ascii"), signature)


def _encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    """Base64url without padding; one text for one value, so that nothing can hide in it."""
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error) as error:
        raise MalformedJws("not base64url") from error
    if _encode(octets) != text:
        raise MalformedJws("not base64url in its one form")
    return octets
