"""Compact JWS (RFC 7515): ES256 only, always typed.

What this system signs for itself names its key by `kid`, the key id in lower-case hex.
`read_jws` checks form and limits and nothing else; the payload may be asked for only
after `trust.verify_by_any`.
"""

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import SIGNATURE_BYTES, Signer

# An x5c chain of three certificates of 2 kB (RFC 7515 §4.1.6, base64 in base64url).
MAX_HEADER_CHARACTERS = 12_288

_ESCAPED_SURROGATE = "\\ud"


@dataclass(frozen=True)
class Jws:
    """A token whose signature has not been checked yet; typ, alg and crit have been."""

    header: Mapping[str, object]
    payload: bytes
    signed: bytes
    signature: bytes

    @property
    def key_id(self) -> bytes:
        """Of the hex `kid`. Raises InvalidCredential: UNKNOWN_SIGNER."""
        kid = self.header.get("kid")
        if not isinstance(kid, str):
            raise InvalidCredential(Reason.UNKNOWN_SIGNER, "no key id")
        try:
            return bytes.fromhex(kid)
        except ValueError as error:
            raise InvalidCredential(Reason.UNKNOWN_SIGNER, "a key id is hex") from error


def sign_jws(payload: Mapping[str, object], *, typ: str, signer: Signer) -> str:
    """Members keep the order they are given in: the version goes first."""
    return sign_jws_with(payload, {"kid": signer.key_id.hex(), "typ": typ}, signer)


def sign_jws_with(
    payload: Mapping[str, object], header: Mapping[str, object], signer: Signer
) -> str:
    """header: beside alg; `typ` (RFC 8725 §3.11) and what names the key, if anything does"""
    protected = {"alg": "ES256", **header}
    signed = f"{encode_base64url(encode_json(protected))}.{encode_base64url(encode_json(payload))}"
    return f"{signed}.{encode_base64url(signer.sign(signed.encode()))}"


def read_jws(token: str, *, typ: str | tuple[str, ...], at_most: int) -> Jws:
    """Take a compact JWS apart (RFC 7515 §5.2, steps 1 to 7).

    typ: the one or the several that are accepted
    at_most: characters of the whole token
    Raises InvalidCredential: TOO_LONG, MALFORMED, UNKNOWN_FORMAT (another typ),
    UNSUPPORTED_ALGORITHM, UNSUPPORTED_CRITICAL_HEADER.
    """
    if len(token) > at_most:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {at_most} characters")
    parts = token.split(".")
    if len(parts) != 3 or len(parts[0]) > MAX_HEADER_CHARACTERS:
        raise InvalidCredential(Reason.MALFORMED, "not a compact JWS")
    header = read_json_object(decode_base64url(parts[0]))
    if header.get("typ") not in ((typ,) if isinstance(typ, str) else typ):
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, f"typ is not {typ}")
    if header.get("alg") != "ES256":
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "only ES256")
    if "crit" in header:  # RFC 7515 §4.1.11: none of its extensions is understood here
        raise InvalidCredential(Reason.UNSUPPORTED_CRITICAL_HEADER, "crit")
    signature = decode_base64url(parts[2])
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidCredential(Reason.MALFORMED, "an ES256 signature has 64 bytes")
    return Jws(
        header=header,
        payload=decode_base64url(parts[1]),
        signed=f"{parts[0]}.{parts[1]}".encode(),
        signature=signature,
    )


def encode_json(value: object) -> bytes:
    """UTF-8 without spaces; raises ValueError for what is not JSON (NaN, Infinity)."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def read_json(data: bytes) -> object:
    """UTF-8 JSON (RFC 8259) that every reader reads alike. Raises InvalidCredential: MALFORMED.

    Refused: duplicate names, NaN, Infinity, numbers that overflow to it, whole numbers
    of more than 4,300 digits (Python's bound), lone surrogates, too deep nesting.
    """
    try:
        text = data.decode()
        value: object = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
        if _ESCAPED_SURROGATE in text.lower():
            encode_json(value)  # a lone surrogate is no character and cannot be written again
    except (ValueError, RecursionError) as error:
        raise InvalidCredential(Reason.MALFORMED, "not JSON") from error
    return value


def read_json_object(data: bytes) -> dict[str, object]:
    """As `read_json`, and an object. Raises InvalidCredential: MALFORMED."""
    value = read_json(data)
    if not isinstance(value, dict):
        raise InvalidCredential(Reason.MALFORMED, "not a JSON object")
    return value


def encode_base64url(data: bytes) -> str:
    """Without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """base64url without padding (RFC 7515 §2), one text per value.

    Raises InvalidCredential: MALFORMED.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:  # binascii.Error among them
        raise InvalidCredential(Reason.MALFORMED, "not base64url") from error
    if encode_base64url(data) != text:
        raise InvalidCredential(Reason.MALFORMED, "base64url with loose bits or padding")
    return data


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate name")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
