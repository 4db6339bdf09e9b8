"""Base45 (RFC 9285): bytes as the 45 characters of a QR code's alphanumeric mode.

Two bytes become three characters, a last single byte two. Vectorised, because this is
the largest cost of a check after the signature.
"""

import numpy as np

from epassport_credentials.errors import InvalidCredential, Reason

_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_CHARACTER = np.frombuffer(_ALPHABET, dtype=np.uint8)
_NOT_A_VALUE = 255
_VALUE = np.full(256, _NOT_A_VALUE, dtype=np.uint8)
_VALUE[_CHARACTER] = np.arange(45, dtype=np.uint8)
_PLACES = np.array([1, 45, 2025], dtype=np.uint32)


def encode_base45(data: bytes) -> str:
    pairs = np.frombuffer(data, dtype=">u2", count=len(data) // 2).astype(np.uint32)
    text: bytes = _CHARACTER[(pairs[:, None] // _PLACES) % 45].tobytes()
    if len(data) % 2:
        high, low = divmod(data[-1], 45)
        text += bytes((_ALPHABET[low], _ALPHABET[high]))
    return text.decode("ascii")


def decode_base45(text: str, *, at_most: int) -> bytes:
    """at_most: characters. Raises InvalidCredential: TOO_LONG, MALFORMED."""
    if len(text) > at_most:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {at_most} characters")
    try:
        characters = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    except UnicodeEncodeError as error:
        raise InvalidCredential(Reason.MALFORMED, "not a Base45 character") from error
    values = _VALUE[characters]
    rest = len(text) % 3
    if rest == 1 or (values == _NOT_A_VALUE).any():
        raise InvalidCredential(Reason.MALFORMED, "not Base45")
    whole = values[: len(text) - rest].reshape(-1, 3).astype(np.uint32) @ _PLACES
    last = values[-2:].astype(np.uint32) @ _PLACES[:2] if rest else np.uint32(0)
    if (whole > 0xFFFF).any() or last > 0xFF:
        raise InvalidCredential(Reason.MALFORMED, "Base45 group out of range")
    return whole.astype(">u2").tobytes() + (bytes((int(last),)) if rest else b"")
