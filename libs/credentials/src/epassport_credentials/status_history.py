"""What the issuer said about a document at an earlier moment, and where its lists are.

Each list speaks from its `iat` until its `exp`. A moment that no list covers has no
answer: a list issued later does not tell what was so before it, and one that had ended
does not tell what came after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import encode_json, read_json_object
from epassport_credentials.status_list import Status, StatusListToken

# 1,000 lists of 2^20 entries are a billion documents; an address has at most 2,048 characters.
MAX_LISTS = 1_000
MAX_URI_CHARACTERS = 2_048
MAX_AGGREGATION_BYTES = MAX_LISTS * (MAX_URI_CHARACTERS + 8)


@dataclass(frozen=True)
class Statement:
    """said_at: `iat` of the list; until: its `exp`, None if it names none."""

    status: Status
    said_at: datetime
    until: datetime | None


def status_said_at(tokens: Sequence[StatusListToken], index: int, *, at: datetime) -> Statement:
    """What the latest list issued at or before `at` said of entry `index` (§8.4).

    tokens: of one address, in the order they were issued: of two in the same second the
        last counts. Each was opened with the moment it was asked for as `now`.
    Raises InvalidCredential: NO_STATUS_THEN, INDEX_OUT_OF_RANGE, UNKNOWN_STATUS.
    """
    if len({token.uri for token in tokens}) > 1:
        raise ValueError("a history has one address")
    latest: StatusListToken | None = None
    for token in tokens:
        if token.issued_at <= at and (latest is None or token.issued_at >= latest.issued_at):
            latest = token
    if latest is None or not latest.speaks_for(at):
        raise InvalidCredential(Reason.NO_STATUS_THEN, at.isoformat())
    return Statement(latest.statuses.status_at(index), latest.issued_at, latest.expires_at)


def write_aggregation(uris: Sequence[str]) -> str:
    """The addresses of all lists of an issuer (§9.2), served as application/json."""
    if len(uris) > MAX_LISTS or any(len(uri) > MAX_URI_CHARACTERS for uri in uris):
        raise ValueError(f"more than {MAX_LISTS} lists, or an address that is too long")
    return encode_json({"status_lists": list(uris)}).decode()


def read_aggregation(data: bytes) -> tuple[str, ...]:
    """The addresses, in their order. Not signed: each list vouches for itself.

    Raises InvalidCredential: TOO_LONG, MALFORMED.
    """
    if len(data) > MAX_AGGREGATION_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {MAX_AGGREGATION_BYTES} bytes")
    uris = read_json_object(data).get("status_lists")
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        raise InvalidCredential(Reason.MALFORMED, "status_lists is not an array of texts")
    if len(uris) > MAX_LISTS or any(len(uri) > MAX_URI_CHARACTERS for uri in uris):
        raise InvalidCredential(Reason.TOO_LONG, f"more than {MAX_LISTS} lists or a long address")
    return tuple(uris)
