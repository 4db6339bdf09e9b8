"""Typed access to the members of a signed map, CBOR or JSON, and its dates.

A member that is absent or of another type is MALFORMED. Dates are NumericDates
(RFC 7519 §2) in whole seconds; `datetime`s always carry their time zone.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from epassport_credentials.errors import InvalidCredential, Reason

Claims = Mapping[int | str, object]
Key = TypeVar("Key", bound=int | str)

_LATEST = 253402214400  # 9999-12-31, a day before datetime ends: room for a clock allowance


def text_of(claims: Mapping[Key, object], key: Key) -> str:
    """Raises InvalidCredential: MALFORMED."""
    value = claims.get(key)
    if not isinstance(value, str):
        raise InvalidCredential(Reason.MALFORMED, f"member {key} is not a text")
    return value


def bytes_of(claims: Mapping[Key, object], key: Key, *, size: int | None = None) -> bytes:
    """size: in bytes, any if None. Raises InvalidCredential: MALFORMED."""
    value = claims.get(key)
    if not isinstance(value, bytes) or (size is not None and len(value) != size):
        raise InvalidCredential(Reason.MALFORMED, f"member {key} is not {size or 'some'} bytes")
    return value


def integer_of(claims: Mapping[Key, object], key: Key) -> int:
    """Raises InvalidCredential: MALFORMED, also for a boolean."""
    value = claims.get(key)
    if type(value) is not int:
        raise InvalidCredential(Reason.MALFORMED, f"member {key} is not an integer")
    return value


def truth_of(claims: Mapping[Key, object], key: Key) -> bool:
    """Raises InvalidCredential: MALFORMED."""
    value = claims.get(key)
    if not isinstance(value, bool):
        raise InvalidCredential(Reason.MALFORMED, f"member {key} is not a boolean")
    return value


def instant_of(claims: Mapping[Key, object], key: Key) -> datetime:
    """A NumericDate from 1970 to 9999. Raises InvalidCredential: MALFORMED."""
    seconds = claims.get(key)
    if type(seconds) is not int or not 0 <= seconds <= _LATEST:
        raise InvalidCredential(Reason.MALFORMED, f"member {key} is not a date")
    return datetime.fromtimestamp(seconds, UTC)


def numeric_date(at: datetime) -> int:
    """Whole seconds; a fraction is dropped."""
    if at.tzinfo is None:
        raise ValueError("a time without time zone")
    return int(at.timestamp())


def check_period(
    not_before: datetime, expires_at: datetime, *, now: datetime, skew: timedelta = timedelta()
) -> None:
    """not_before <= now < expires_at, each side widened by the allowed clock difference.

    Raises InvalidCredential: NOT_YET_VALID, EXPIRED.
    """
    if now < not_before - skew:
        raise InvalidCredential(Reason.NOT_YET_VALID, not_before.isoformat())
    if now >= expires_at + skew:
        raise InvalidCredential(Reason.EXPIRED, expires_at.isoformat())
