"""The dates of a JWT (RFC 7519 §4.1): `nbf`, `exp` and `iat`, wherever a JWT has them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from epassport_credentials.claims import check_period, instant_of
from epassport_credentials.errors import InvalidCredential, Reason

CLOCK_SKEW = timedelta(seconds=30)  # what phones and servers differ by, as for mobile codes


def check_dates(payload: Mapping[str, object], *, now: datetime) -> None:
    """`nbf` and `exp` without allowance; `iat` not in the future, but for clocks that differ.

    Raises InvalidCredential: MALFORMED, NOT_YET_VALID, EXPIRED.
    """
    begin = instant_of(payload, "nbf") if "nbf" in payload else now
    end = instant_of(payload, "exp") if "exp" in payload else datetime.max.replace(tzinfo=UTC)
    check_period(begin, end, now=now)
    if "iat" in payload and instant_of(payload, "iat") > now + CLOCK_SKEW:
        raise InvalidCredential(Reason.NOT_YET_VALID, "issued in the future")
