"""Keyed digests, the only form in which personal data can be searched or made unique.

HMAC-SHA-256 under the service's search key; they stand in `claims` alone, never in events
or topics, and go with the person's keys.
"""

import hashlib
import hmac
import unicodedata


def normalised(text: str) -> str:
    """NFC, case folded, runs of white space collapsed: how two spellings of a name compare."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split())


class SearchKey:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, kind: str, *parts: str) -> bytes:
        """32 octets; kind separates one use from another, each part is framed by its length."""
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (kind, *map(normalised, parts)):
            octets = part.encode()
            mac.update(len(octets).to_bytes(4, "big") + octets)
        return mac.digest()
