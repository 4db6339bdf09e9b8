"""Names and values in levels, and how they stand on a screen."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

Outline: TypeAlias = Sequence[tuple[str, "str | Outline"]]

_LONGEST = 96  # characters of a value; what is longer ends in its length
_LATEST = 253402214400


def lines_of(outline: Outline, level: int = 0) -> Iterator[str]:
    for name, value in outline:
        if isinstance(value, str):
            yield f"{'  ' * level}{name}: {value}"
        else:
            yield f"{'  ' * level}{name}"
            yield from lines_of(value, level + 1)


def shown_text(text: str) -> str:
    """On one line, without control characters: a document must not draw on the screen."""
    plain = "".join(sign if sign.isprintable() else "�" for sign in text)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}… ({len(plain)} characters)"


def shown_bytes(data: bytes) -> str:
    if len(data) * 2 <= _LONGEST:
        return data.hex() or "no bytes"
    return f"{data[: _LONGEST // 2].hex()}… ({len(data)} bytes)"


def shown_date(seconds: int) -> str:
    if not 0 <= seconds <= _LATEST:
        return str(seconds)
    return f"{seconds} ({datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC)"
