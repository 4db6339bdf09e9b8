import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.cbor import encode_cbor
from epassport_credentials.compression import deflate
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.status_list import (
    ENTRIES_PER_LIST,
    MAX_LIST_BYTES,
    Status,
    StatusList,
    issue_status_list,
    open_status_list,
    pack_statuses,
)
from epassport_credentials.status_list_cwt import (
    MAX_CWT_BYTES,
    STATUS_LIST_CWT_TYP,
    issue_status_list_cwt,
    open_status_list_cwt,
)
from epassport_credentials.trust import TrustList

URI = "https://status.epassport.test/1"
HOUR = timedelta(hours=1)
GOOD = {2: URI, 6: 1, 65533: {"bits": 2, "lst": deflate(b"\x1b")}}


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@pytest.fixture(scope="session")
def signer(signers: Mapping[Purpose, LocalSigner]) -> LocalSigner:
    return signers[Purpose.STATUS_LIST]


def signed(
    claims: Mapping[int, object],
    signer: LocalSigner,
    *,
    protected: Mapping[int, object] | None = None,
    tags: tuple[int, ...] = (18,),
) -> bytes:
    header = encode_cbor(protected if protected is not None else {1: -7, 16: STATUS_LIST_CWT_TYP})
    payload = encode_cbor(claims)
    signature = signer.sign(encode_cbor(["Signature1", header, b"", payload]))
    message: object = [header, {4: signer.key_id}, payload, signature]
    for tag in tags:
        message = cbor2.CBORTag(tag, message)
    return encode_cbor(message)


def test_a_whole_list_survives_the_token(
    signer: LocalSigner, trust: TrustList, now: datetime
) -> None:
    values = bytearray(b"\x03" * ENTRIES_PER_LIST)
    values[70_001] = Status.VALID
    packed = pack_statuses(values)
    token = issue_status_list_cwt(
        packed,
        signer,
        uri=URI,
        issued_at=now,
        expires_at=now + HOUR,
        ttl=HOUR / 2,
        aggregation_uri=URI + "/all",
    )
    opened = open_status_list_cwt(token, trust.keys, uri=URI, now=now)
    assert opened.statuses == packed
    assert (opened.issued_at, opened.expires_at, opened.ttl) == (now, now + HOUR, HOUR / 2)
    assert opened.aggregation_uri == URI + "/all"


@given(values=st.lists(st.sampled_from(Status), max_size=40))
def test_both_forms_bring_back_the_same_list(
    values: list[Status], signer: LocalSigner, trust: TrustList, now: datetime
) -> None:
    packed, until = pack_statuses(values), now + HOUR
    cwt = issue_status_list_cwt(packed, signer, uri=URI, issued_at=now, expires_at=until)
    jwt = issue_status_list(packed, signer, uri=URI, issued_at=now, expires_at=until)
    from_cwt = open_status_list_cwt(cwt, trust.keys, uri=URI, now=now)
    assert from_cwt.statuses == packed
    assert from_cwt == open_status_list(jwt, trust.keys, uri=URI, now=now)


def test_the_cwt_is_smaller_than_the_jwt(signer: LocalSigner, now: datetime) -> None:
    packed = pack_statuses([3, 0, 1, 2] * 5_000 + [0] * 50_001)
    terms = {"uri": URI, "issued_at": now, "expires_at": now + HOUR}
    cwt = issue_status_list_cwt(packed, signer, **terms)  # type: ignore[arg-type]
    jwt = issue_status_list(packed, signer, **terms)  # type: ignore[arg-type]
    assert len(cwt) < len(jwt)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({2: URI + "0"}, Reason.WRONG_STATUS_LIST),
        ({2: 7}, Reason.MALFORMED),
        ({6: None}, Reason.MALFORMED),
        ({6: 2**40}, Reason.MALFORMED),
        ({4: 1_700_000_000}, Reason.EXPIRED),
        ({6: 1_900_000_000}, Reason.NOT_YET_VALID),
        ({65534: 0}, Reason.MALFORMED),
        ({65533: []}, Reason.MALFORMED),
        ({65533: {"bits": 3, "lst": deflate(b"")}}, Reason.MALFORMED),
        ({65533: {"bits": 2, "lst": "eNpjAAAAAQAB"}}, Reason.MALFORMED),
        ({65533: {"bits": 2, "lst": deflate(b"1")[:-1]}}, Reason.MALFORMED),
        ({65533: {"bits": 2, "lst": deflate(bytes(MAX_LIST_BYTES + 1))}}, Reason.TOO_LONG),
    ],
)
def test_a_signed_list_of_another_shape_is_refused(
    changes: Mapping[int, object],
    reason: Reason,
    signer: LocalSigner,
    trust: TrustList,
    now: datetime,
) -> None:
    good = open_status_list_cwt(signed(GOOD, signer), trust.keys, uri=URI, now=now)
    assert (good.statuses, good.expires_at) == (StatusList(2, b"\x1b"), None)
    token = signed({**GOOD, **changes}, signer)
    assert reason_of(open_status_list_cwt, token, trust.keys, uri=URI, now=now) is reason


@pytest.mark.parametrize("tags", [(), (18, 61), (17,)])
def test_only_tag_18_stands_before_a_list(
    tags: tuple[int, ...], signer: LocalSigner, trust: TrustList, now: datetime
) -> None:
    token = signed(GOOD, signer, tags=tags)
    assert reason_of(open_status_list_cwt, token, trust.keys, uri=URI, now=now) is Reason.MALFORMED


@pytest.mark.parametrize("protected", [{1: -7}, {1: -7, 16: "application/cwt"}])
def test_a_token_of_another_type_is_no_list(
    protected: Mapping[int, object], signer: LocalSigner, trust: TrustList, now: datetime
) -> None:
    token = signed(GOOD, signer, protected=protected)
    refused = reason_of(open_status_list_cwt, token, trust.keys, uri=URI, now=now)
    assert refused is Reason.UNKNOWN_FORMAT


def test_only_a_key_for_status_lists_can_sign_one(
    signers: Mapping[Purpose, LocalSigner], trust: TrustList, stranger: LocalSigner, now: datetime
) -> None:
    for key, reason in (
        (signers[Purpose.CARD_QR], Reason.WRONG_PURPOSE),
        (stranger, Reason.UNKNOWN_SIGNER),
    ):
        token = signed(GOOD, key)
        assert reason_of(open_status_list_cwt, token, trust.keys, uri=URI, now=now) is reason
    altered = bytearray(signed(GOOD, signers[Purpose.STATUS_LIST]))
    altered[-1] ^= 1
    refused = reason_of(open_status_list_cwt, bytes(altered), trust.keys, uri=URI, now=now)
    assert refused is Reason.WRONG_SIGNATURE


def test_a_token_over_the_limit_is_not_read(trust: TrustList, now: datetime) -> None:
    token = bytes(MAX_CWT_BYTES + 1)
    assert reason_of(open_status_list_cwt, token, trust.keys, uri=URI, now=now) is Reason.TOO_LONG


@given(data=st.binary(max_size=80), place=st.integers(0, 150))
def test_any_bytes_end_in_a_list_or_our_own_error(
    data: bytes, place: int, signer: LocalSigner, trust: TrustList, now: datetime
) -> None:
    good = signed(GOOD, signer)
    for token in (data, good[:place] + data, good[:place] + data + good[place + len(data) :]):
        with contextlib.suppress(InvalidCredential):
            open_status_list_cwt(token, trust.keys, uri=URI, now=now)
