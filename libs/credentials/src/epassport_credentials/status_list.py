"""Token Status List (IETF draft-ietf-oauth-status-list-20): is a document in force?

Two bits an entry, counted from the least significant bit of each byte (§4.1). Lists of 1,
4 and 8 bits are read too. An index beyond the list is refused, never taken for valid; the
token's `sub` must be the address it was asked from; inflating stops at a cap. This module
holds the list and its JWT form; `status_list_cwt` the CWT form, `status_history` what a
list said earlier and where all lists are.

A list speaks for the moment it was issued (`iat`). Until `exp` it may be relied on; `ttl`
only says how soon to ask again. Neither says anything about a later revocation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import TypeVar

from epassport_credentials.claims import (
    Key,
    check_period,
    instant_of,
    integer_of,
    numeric_date,
    text_of,
)
from epassport_credentials.compression import deflate, inflate
from epassport_credentials.cwt import MAX_STATUS_INDEX, StatusReference
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import decode_base64url, encode_base64url, sign_jws
from epassport_credentials.signer import Purpose, Signer
from epassport_credentials.trust import TrustedKey, trusted_payload

STATUS_LIST_TYP = "statuslist+jwt"
ENTRIES_PER_LIST = 2**20
BITS = 2
# 16 million entries of 2 bits: a reader takes ten million documents in one list as well.
MAX_LIST_BYTES = 2**22
MAX_TOKEN_CHARACTERS = 2 * MAX_LIST_BYTES  # that list incompressible, in base64url twice

Value = TypeVar("Value")

_LONGEST_TTL = 10**10  # three hundred years: what a timedelta can hold and no list will ask

_PLACES = {1: 3, 2: 2, 4: 1, 8: 0}  # bits to log2 of the entries in a byte


class Status(IntEnum):
    """0 to 2 are the draft's (§7.1); 3 is application specific: not yet active here."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2
    NOT_IN_FORCE = 3


_STATUSES = tuple(Status)


@dataclass(frozen=True)
class StatusList:
    """bits: of one entry, 1, 2, 4 or 8; data: the entries, inflated."""

    bits: int
    data: bytes = field(repr=False)
    _entries: int = field(init=False, repr=False, compare=False)
    _place: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.bits not in _PLACES:
            raise ValueError("bits is not 1, 2, 4 or 8")
        object.__setattr__(self, "_entries", len(self.data) * 8 // self.bits)
        object.__setattr__(self, "_place", _PLACES[self.bits])

    def __len__(self) -> int:
        return self._entries

    def value_at(self, index: int) -> int:
        """Raises InvalidCredential: INDEX_OUT_OF_RANGE."""
        if not 0 <= index < self._entries:
            raise InvalidCredential(Reason.INDEX_OUT_OF_RANGE, f"a list of {len(self)} entries")
        bits, place = self.bits, self._place
        within = index & (1 << place) - 1
        return self.data[index >> place] >> within * bits & (1 << bits) - 1

    def status_at(self, index: int) -> Status:
        """Raises InvalidCredential: INDEX_OUT_OF_RANGE, UNKNOWN_STATUS."""
        value = self.value_at(index)
        if value >= len(_STATUSES):
            raise InvalidCredential(Reason.UNKNOWN_STATUS, f"status {value}")
        return _STATUSES[value]


@dataclass(frozen=True)
class StatusListToken:
    """A checked list. ttl: how long a copy may be kept before asking again, if it says."""

    uri: str
    issued_at: datetime
    expires_at: datetime | None
    statuses: StatusList
    ttl: timedelta | None = None
    aggregation_uri: str | None = None

    def speaks_for(self, at: datetime) -> bool:
        """Issued at or before `at` and not ended then."""
        return self.issued_at <= at and (self.expires_at is None or at < self.expires_at)


def pack_statuses(values: Sequence[int]) -> StatusList:
    """values: one status each (bytes will do); the last byte is filled up with 3, not in force."""
    entries = bytes(values)
    if entries and max(entries) > Status.NOT_IN_FORCE:
        raise ValueError("a status has two bits")
    per_byte = 8 // BITS
    entries += bytes((Status.NOT_IN_FORCE,)) * (-len(entries) % per_byte)
    # Every fourth entry stands in a byte of its own, so a shift moves none into the next.
    packed = 0
    for place in range(per_byte):
        packed |= int.from_bytes(entries[place::per_byte], "little") << place * BITS
    return StatusList(BITS, packed.to_bytes(len(entries) // per_byte, "little"))


def issue_status_list(
    statuses: StatusList,
    signer: Signer,
    *,
    uri: str,
    issued_at: datetime,
    expires_at: datetime,
    ttl: timedelta | None = None,
    aggregation_uri: str | None = None,
) -> str:
    """The status list token as a JWT (§5.1), served as application/statuslist+jwt at uri.

    ttl: whole seconds; the whole life of the token if not given
    aggregation_uri: where the addresses of all lists stand (§9)
    """
    entry: dict[str, object] = {
        "bits": statuses.bits,
        "lst": encode_base64url(compressed_list(statuses)),
    }
    if aggregation_uri is not None:
        entry["aggregation_uri"] = aggregation_uri
    payload = {
        "sub": uri,
        "iat": numeric_date(issued_at),
        "exp": numeric_date(expires_at),
        "ttl": seconds_to_live(issued_at, expires_at, ttl),
        "status_list": entry,
    }
    return sign_jws(payload, typ=STATUS_LIST_TYP, signer=signer)


def open_status_list(
    token: str, keys: Sequence[TrustedKey], *, uri: str, now: datetime
) -> StatusListToken:
    """Check a status list token in JWT form (§5.1, §8.3) and inflate its list.

    keys: trusted keys, for example those of a TrustList
    uri: where it was asked for, as named by the document
    now: the moment that the list is asked about; for an earlier one (§8.4) that moment
    Raises InvalidCredential: those of `trusted_payload`, WRONG_STATUS_LIST, MALFORMED,
    TOO_LONG, NOT_YET_VALID, EXPIRED.
    """
    payload = trusted_payload(
        token,
        keys,
        Purpose.STATUS_LIST,
        typ=STATUS_LIST_TYP,
        at_most=MAX_TOKEN_CHARACTERS,
        at=now,
    )
    issued_at = instant_of(payload, "iat")
    expires_at = optional(instant_of, payload, "exp")
    check_terms(text_of(payload, "sub"), issued_at, expires_at, asked=uri, now=now)
    entry = _object_of(payload, "status_list")
    return StatusListToken(
        uri=uri,
        issued_at=issued_at,
        expires_at=expires_at,
        statuses=read_list(integer_of(entry, "bits"), decode_base64url(text_of(entry, "lst"))),
        ttl=optional(positive_seconds, payload, "ttl"),
        aggregation_uri=optional(text_of, entry, "aggregation_uri"),
    )


def read_status_reference(claims: Mapping[str, object]) -> StatusReference | None:
    """The `status` claim of a referenced token in JSON (§6.2); None if there is none.

    Raises InvalidCredential: MALFORMED, also for a status by another mechanism only: what
    cannot be looked up must not pass for good; INDEX_OUT_OF_RANGE.
    """
    if "status" not in claims:
        return None
    entry = _object_of(_object_of(claims, "status"), "status_list")
    index = integer_of(entry, "idx")
    if not 0 <= index <= MAX_STATUS_INDEX:
        raise InvalidCredential(Reason.INDEX_OUT_OF_RANGE, "idx")
    return StatusReference(uri=text_of(entry, "uri"), index=index)


def compressed_list(statuses: StatusList) -> bytes:
    """`lst` (§4.1): the entries as one zlib stream. Raises ValueError if they are too many."""
    if len(statuses.data) > MAX_LIST_BYTES:
        raise ValueError(f"a list has at most {MAX_LIST_BYTES} bytes")
    return deflate(statuses.data)


def seconds_to_live(issued_at: datetime, expires_at: datetime, ttl: timedelta | None) -> int:
    """ttl: the whole life of the list if None. Raises ValueError if nothing is left."""
    seconds = int((expires_at - issued_at if ttl is None else ttl).total_seconds())
    if seconds <= 0:
        raise ValueError("ttl is a positive number of seconds (§5.1)")
    return seconds


def check_terms(
    subject: str, issued_at: datetime, expires_at: datetime | None, *, asked: str, now: datetime
) -> None:
    """Raises InvalidCredential: WRONG_STATUS_LIST, NOT_YET_VALID, EXPIRED."""
    if subject != asked:
        raise InvalidCredential(Reason.WRONG_STATUS_LIST, "sub is another address")
    check_period(issued_at, expires_at or datetime.max.replace(tzinfo=UTC), now=now)


def read_list(bits: int, compressed: bytes) -> StatusList:
    """Raises InvalidCredential: MALFORMED, TOO_LONG."""
    if bits not in _PLACES:
        raise InvalidCredential(Reason.MALFORMED, "bits is not 1, 2, 4 or 8")
    return StatusList(bits, inflate(compressed, at_most=MAX_LIST_BYTES))


def positive_seconds(claims: Mapping[Key, object], key: Key) -> timedelta:
    """Raises InvalidCredential: MALFORMED."""
    seconds = integer_of(claims, key)
    if not 0 < seconds <= _LONGEST_TTL:
        raise InvalidCredential(Reason.MALFORMED, f"member {key} is not a span of seconds")
    return timedelta(seconds=seconds)


def optional(
    read: Callable[[Mapping[Key, object], Key], Value], claims: Mapping[Key, object], key: Key
) -> Value | None:
    return read(claims, key) if key in claims else None


def _object_of(claims: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = claims.get(key)
    if not isinstance(value, dict):
        raise InvalidCredential(Reason.MALFORMED, f"member {key} is not an object")
    return value
