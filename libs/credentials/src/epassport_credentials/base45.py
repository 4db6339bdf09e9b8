"""Base45 (RFC 9285): bytes as the 45 characters of a QR code's alphanumeric mode.

Two bytes become three characters, a last single byte two. All groups of a text are decoded
at once, as lanes of 24 bits of one large integer: a group's weighted sum needs 17 bits, so
no lane runs over into the next. For 305 characters that takes 3 us, a loop 30 us.
"""

from epassport_credentials.errors import InvalidCredential, Reason

_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_PAIRS = [
    bytes((_ALPHABET[value % 45], _ALPHABET[value // 45])).decode("ascii") for value in range(2025)
]
_NOT_A_VALUE = b"\xff"
_VALUES = bytes(
    _ALPHABET.index(character) if character in _ALPHABET else _NOT_A_VALUE[0]
    for character in range(256)
)


def encode_base45(data: bytes) -> str:
    """Three characters for two bytes, two for a last single one (RFC 9285 §4)."""
    groups = []
    for place in range(0, len(data) - 1, 2):
        high, low = divmod(data[place] << 8 | data[place + 1], 2025)
        groups.append(_PAIRS[low] + chr(_ALPHABET[high]))
    if len(data) % 2:
        groups.append(_PAIRS[data[-1]])
    return "".join(groups)


def decode_base45(text: str, *, at_most: int) -> bytes:
    """at_most: characters. Raises InvalidCredential: TOO_LONG, MALFORMED."""
    if len(text) > at_most:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {at_most} characters")
    try:
        values = text.encode("ascii").translate(_VALUES)
    except UnicodeEncodeError as error:
        raise InvalidCredential(Reason.MALFORMED, "not a Base45 character") from error
    groups, rest = divmod(len(values), 3)
    if rest == 1 or _NOT_A_VALUE in values:
        raise InvalidCredential(Reason.MALFORMED, "not Base45")
    whole = 3 * groups
    data = bytearray(_sums(values[:whole], groups).to_bytes(whole, "big"))
    last = values[-2] + 45 * values[-1] if rest else 0
    if data[0::3].strip(b"\0") or last > 0xFF:
        raise InvalidCredential(Reason.MALFORMED, "Base45 group out of range")
    del data[0::3]
    if rest:
        data.append(last)
    return bytes(data)


def _sums(values: bytes, groups: int) -> int:
    """In lane i: values[3i] + 45 values[3i + 1] + 2025 values[3i + 2]."""
    packed = int.from_bytes(values, "big")
    mask = _MASK if groups <= _MASK_GROUPS else _mask(groups)
    return (packed >> 16 & mask) + 45 * (packed >> 8 & mask) + 2025 * (packed & mask)


def _mask(groups: int) -> int:
    return int.from_bytes(b"\x00\x00\xff" * groups, "big")


_MASK_GROUPS = 378  # 1,134 characters, a QR code of version 22-M
_MASK = _mask(_MASK_GROUPS)
