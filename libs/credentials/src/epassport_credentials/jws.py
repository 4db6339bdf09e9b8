"""Compact JWS (RFC 7515) as this system signs its lists and packs: ES256, typed, with a key id.

The key id travels as lower-case hex. `read_jws` checks form and limits and nothing else;
its content may be asked for only after `trust.verify_by_any`.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import SIGNATURE_BYTES, Signer

MAX_HEADER_CHARACTERS = 2048


@dataclass(frozen=True)
class Jws:
    """A token whose signature has not been checked yet."""

    key_id: bytes
    payload: bytes
    signed: bytes
    signature: bytes


def sign_jws(payload: Mapping[str, object], *, typ: str, signer: Signer) -> str:
    """Members keep the order they are given in: the version goes first."""
    header = {"alg": "ES256", "kid": signer.key_id.hex(), "typ": typ}
    signed = f"{encode_base64url(_json(header))}.{encode_base64url(_json(payload))}"
    return f"{signed}.{encode_base64url(signer.sign(signed.encode()))}"


def read_jws(token: str, *, typ: str, at_most: int) -> Jws:
    """Take a compact JWS apart.

    at_most: characters of the whole token
    Raises InvalidCredential: TOO_LONG, MALFORMED, UNKNOWN_FORMAT (another typ),
    UNSUPPORTED_ALGORITHM, UNSUPPORTED_CRITICAL_HEADER, UNKNOWN_SIGNER (no key id).
    """
    if len(token) > at_most:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {at_most} characters")
    parts = token.split(".")
    if len(parts) != 3 or len(parts[0]) > MAX_HEADER_CHARACTERS:
        raise InvalidCredential(Reason.MALFORMED, "not a compact JWS")
    header = read_json_object(decode_base64url(parts[0]))
    if header.get("typ") != typ:
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, f"typ is not {typ}")
    if header.get("alg") != "ES256":
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "only ES256")
    if "crit" in header:  # RFC 7515 §4.1.11: none of its extensions is understood here
        raise InvalidCredential(Reason.UNSUPPORTED_CRITICAL_HEADER, "crit")
    signature = decode_base64url(parts[2])
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidCredential(Reason.MALFORMED, "an ES256 signature has 64 bytes")
    return Jws(
        key_id=_key_id(header.get("kid")),
        payload=decode_base64url(parts[1]),
        signed=f"{parts[0]}.{parts[1]}".encode(),
        signature=signature,
    )


def read_json_object(data: bytes) -> dict[str, object]:
    """A JSON object without duplicate names, NaN or Infinity; MALFORMED otherwise."""
    try:
        value = json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidCredential(Reason.MALFORMED, "not JSON") from error
    if not isinstance(value, dict):
        raise InvalidCredential(Reason.MALFORMED, "not a JSON object")
    return value


def encode_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """base64url without padding (RFC 7515 §2), one text per value."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidCredential(Reason.MALFORMED, "not base64url") from error
    if encode_base64url(data) != text:
        raise InvalidCredential(Reason.MALFORMED, "base64url with loose bits or padding")
    return data


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _key_id(kid: object) -> bytes:
    if not isinstance(kid, str):
        raise InvalidCredential(Reason.UNKNOWN_SIGNER, "no key id")
    try:
        return bytes.fromhex(kid)
    except ValueError as error:
        raise InvalidCredential(Reason.UNKNOWN_SIGNER, "a key id is hex") from error


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate name")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
