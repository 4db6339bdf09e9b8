"""The CWT form of a Token Status List (draft-ietf-oauth-status-list-20 §5.2): half the size.

A COSE_Sign1 with tag 18 and no other, whose protected header has the type. Offline
verifiers take this form; SD-JWT VCs point to the JWT form.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import cbor2

from epassport_credentials.cbor import as_map, decode_cbor_map, encode_cbor
from epassport_credentials.claims import bytes_of, instant_of, integer_of, numeric_date, text_of
from epassport_credentials.cose import ALG, ES256, KID, TAG_SIGN1, TYP, read_sign1, verify_sign1
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import Purpose, Signer
from epassport_credentials.status_list import (
    MAX_LIST_BYTES,
    StatusList,
    StatusListToken,
    check_terms,
    compressed_list,
    optional,
    positive_seconds,
    read_list,
    seconds_to_live,
)
from epassport_credentials.trust import TrustedKey, matching_keys, verify_by_any

STATUS_LIST_CWT_TYP = "application/statuslist+cwt"
MAX_CWT_BYTES = MAX_LIST_BYTES + 2**16  # a list that cannot be compressed, and its envelope

SUB, EXP, IAT, STATUS_LIST, TTL = 2, 4, 6, 65533, 65534  # §5.2 and RFC 8392 §4

_TAG_18 = 0xD2  # RFC 8949 §3.1: major type 6, argument 18
_PROTECTED = encode_cbor({ALG: ES256, TYP: STATUS_LIST_CWT_TYP})


def issue_status_list_cwt(
    statuses: StatusList,
    signer: Signer,
    *,
    uri: str,
    issued_at: datetime,
    expires_at: datetime,
    ttl: timedelta | None = None,
    aggregation_uri: str | None = None,
) -> bytes:
    """The status list token as a CWT, served as application/statuslist+cwt at uri.

    ttl: whole seconds; the whole life of the token if not given
    aggregation_uri: where the addresses of all lists stand (§9)
    """
    entry: dict[str, object] = {"bits": statuses.bits, "lst": compressed_list(statuses)}
    if aggregation_uri is not None:
        entry["aggregation_uri"] = aggregation_uri
    payload = encode_cbor(
        {
            SUB: uri,
            IAT: numeric_date(issued_at),
            EXP: numeric_date(expires_at),
            TTL: seconds_to_live(issued_at, expires_at, ttl),
            STATUS_LIST: entry,
        }
    )
    signed = encode_cbor(["Signature1", _PROTECTED, b"", payload])  # RFC 9052 §4.4
    message = [_PROTECTED, {KID: signer.key_id}, payload, signer.sign(signed)]
    return encode_cbor(cbor2.CBORTag(TAG_SIGN1, message))


def open_status_list_cwt(
    token: bytes, keys: Sequence[TrustedKey], *, uri: str, now: datetime
) -> StatusListToken:
    """Check a status list token in CWT form (§5.2, §8.3) and inflate its list.

    keys, uri, now: as for `open_status_list`
    Raises InvalidCredential: TOO_LONG, MALFORMED, those of `read_sign1`, UNKNOWN_FORMAT
    (another typ), UNKNOWN_SIGNER, WRONG_PURPOSE, SIGNER_NOT_IN_FORCE, WRONG_SIGNATURE,
    WRONG_STATUS_LIST, NOT_YET_VALID, EXPIRED.
    """
    claims = decode_cbor_map(_trusted_payload(token, keys, now=now))
    issued_at = instant_of(claims, IAT)
    expires_at = optional(instant_of, claims, EXP)
    check_terms(text_of(claims, SUB), issued_at, expires_at, asked=uri, now=now)
    entry = as_map(claims.get(STATUS_LIST))
    return StatusListToken(
        uri=uri,
        issued_at=issued_at,
        expires_at=expires_at,
        statuses=read_list(integer_of(entry, "bits"), bytes_of(entry, "lst")),
        ttl=optional(positive_seconds, claims, TTL),
        aggregation_uri=optional(text_of, entry, "aggregation_uri"),
    )


def _trusted_payload(token: bytes, keys: Sequence[TrustedKey], *, now: datetime) -> bytes:
    if len(token) > MAX_CWT_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {MAX_CWT_BYTES} bytes")
    if token[:1] != bytes([_TAG_18]):
        raise InvalidCredential(Reason.MALFORMED, "a status list CWT begins with tag 18")
    message = read_sign1(token)
    protected = decode_cbor_map(message.protected) if message.protected else {}
    if protected.get(TYP) != STATUS_LIST_CWT_TYP:
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, f"typ is not {STATUS_LIST_CWT_TYP}")
    if message.key_id is None:
        raise InvalidCredential(Reason.UNKNOWN_SIGNER, "no key id")
    candidates = matching_keys(keys, Purpose.STATUS_LIST, message.key_id, at=now)
    verify_by_any(candidates, lambda key: verify_sign1(message, key))
    return message.payload
