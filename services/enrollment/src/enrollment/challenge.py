"""Presence challenges: ours, of one station, and how old; nothing is kept of them until used.

    v1.<unix seconds>.<32 hex digits, random>.<64 hex digits, keyed digest of all>

That each is used once is a claim of the application that uses it.
"""

import hmac
import re
from datetime import UTC, datetime, timedelta

from epassport.digests import SearchKey

LIVES = timedelta(minutes=10)

_CHALLENGE = re.compile(r"v1\.([0-9]{1,11})\.([0-9a-f]{32})\.([0-9a-f]{64})")


def draw(key: SearchKey, office: str, station: str, at: datetime, random: bytes) -> str:
    """random: 16 octets."""
    seconds = str(int(at.timestamp()))
    return f"v1.{seconds}.{random.hex()}.{_digest(key, seconds, random.hex(), office, station)}"


def drawn_at(key: SearchKey, challenge: str, office: str, station: str) -> datetime | None:
    """When it was drawn; None where it is not one of ours for this station."""
    match = _CHALLENGE.fullmatch(challenge)
    if match is None:
        return None
    seconds, random, digest = match.groups()
    if not hmac.compare_digest(digest, _digest(key, seconds, random, office, station)):
        return None
    return datetime.fromtimestamp(int(seconds), UTC)


def _digest(key: SearchKey, *parts: str) -> str:
    return key.digest("presence-challenge", *parts).hex()
