"""Token Status List (IETF draft-ietf-oauth-status-list, JWT form): is a document in force?

Two bits an entry, counted from the least significant bit of each byte. Lists of 1, 4 and
8 bits are read too. An index beyond the list is refused, never taken for valid; the
token's `sub` must be the address it was asked from; inflating stops at a cap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

import numpy as np

from epassport_credentials.claims import check_period, instant_of, integer_of, numeric_date, text_of
from epassport_credentials.compression import deflate, inflate
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import decode_base64url, encode_base64url, sign_jws
from epassport_credentials.signer import Purpose, Signer
from epassport_credentials.trust import TrustedKey, trusted_payload

STATUS_LIST_TYP = "statuslist+jwt"
ENTRIES_PER_LIST = 2**20
BITS = 2
MAX_LIST_BYTES = 2**20  # 2^20 entries of 8 bits
MAX_TOKEN_CHARACTERS = 3 * 2**20  # such a list that cannot be compressed, in base64url twice

_ALLOWED_BITS = (1, 2, 4, 8)


class Status(IntEnum):
    """0 to 2 are the draft's; 3 is application specific and means not yet active here."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2
    NOT_IN_FORCE = 3


@dataclass(frozen=True)
class StatusList:
    bits: int
    data: bytes = field(repr=False)

    def __len__(self) -> int:
        return len(self.data) * 8 // self.bits

    def value_at(self, index: int) -> int:
        """Raises InvalidCredential: INDEX_OUT_OF_RANGE."""
        if not 0 <= index < len(self):
            raise InvalidCredential(Reason.INDEX_OUT_OF_RANGE, f"a list of {len(self)} entries")
        byte, place = divmod(index * self.bits, 8)
        return self.data[byte] >> place & (1 << self.bits) - 1

    def status_at(self, index: int) -> Status:
        """Raises InvalidCredential: INDEX_OUT_OF_RANGE, UNKNOWN_STATUS."""
        value = self.value_at(index)
        try:
            return Status(value)
        except ValueError as error:
            raise InvalidCredential(Reason.UNKNOWN_STATUS, f"status {value}") from error


@dataclass(frozen=True)
class StatusListToken:
    uri: str
    issued_at: datetime
    expires_at: datetime | None
    statuses: StatusList


def pack_statuses(values: Sequence[int]) -> StatusList:
    """values: one status each (bytes will do); the last byte is filled up with 3, not in force."""
    entries = np.asarray(values if not isinstance(values, bytes) else bytearray(values), np.uint8)
    if entries.size and entries.max() > Status.NOT_IN_FORCE:
        raise ValueError("a status has two bits")
    per_byte = 8 // BITS
    filling = -entries.size % per_byte
    padded = np.pad(entries, (0, filling), constant_values=Status.NOT_IN_FORCE)
    places = np.arange(per_byte, dtype=np.uint8) * BITS
    data = np.bitwise_or.reduce(padded.reshape(-1, per_byte) << places, axis=1)
    return StatusList(BITS, data.astype(np.uint8).tobytes())


def issue_status_list(
    statuses: StatusList,
    signer: Signer,
    *,
    uri: str,
    issued_at: datetime,
    expires_at: datetime,
) -> str:
    """The status list token as a JWT, to be served as application/statuslist+jwt at uri."""
    if len(statuses.data) > MAX_LIST_BYTES:
        raise ValueError(f"a list has at most {MAX_LIST_BYTES} bytes")
    issued, expires = numeric_date(issued_at), numeric_date(expires_at)
    payload = {
        "sub": uri,
        "iat": issued,
        "exp": expires,
        "ttl": expires - issued,
        "status_list": {
            "bits": statuses.bits,
            "lst": encode_base64url(deflate(statuses.data)),
        },
    }
    return sign_jws(payload, typ=STATUS_LIST_TYP, signer=signer)


def open_status_list(
    token: str, keys: Sequence[TrustedKey], *, uri: str, now: datetime
) -> StatusListToken:
    """Check a status list token (draft §5.1, §8.3) and inflate its list.

    keys: trusted keys, for example those of a TrustList
    uri: where it was asked for, as named by the document
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
    if text_of(payload, "sub") != uri:
        raise InvalidCredential(Reason.WRONG_STATUS_LIST, "sub is another address")
    issued_at = instant_of(payload, "iat")
    expires_at = instant_of(payload, "exp") if "exp" in payload else None
    check_period(issued_at, expires_at or datetime.max.replace(tzinfo=now.tzinfo), now=now)
    return StatusListToken(
        uri=uri,
        issued_at=issued_at,
        expires_at=expires_at,
        statuses=_read_list(payload.get("status_list")),
    )


def _read_list(member: object) -> StatusList:
    if not isinstance(member, Mapping):
        raise InvalidCredential(Reason.MALFORMED, "status_list is not an object")
    bits = integer_of(member, "bits")
    if bits not in _ALLOWED_BITS:
        raise InvalidCredential(Reason.MALFORMED, "bits is not 1, 2, 4 or 8")
    compressed = decode_base64url(text_of(member, "lst"))
    return StatusList(bits, inflate(compressed, at_most=MAX_LIST_BYTES))
