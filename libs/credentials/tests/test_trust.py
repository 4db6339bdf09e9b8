import contextlib
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import encode_base64url, encode_json, read_json, read_jws, sign_jws
from epassport_credentials.signer import LocalSigner, Purpose, verify_es256
from epassport_credentials.trust import (
    TRUST_LIST_TYP,
    TrustList,
    issue_trust_list,
    open_trust_list,
    trusted_key,
    trusted_payload,
    verify_by_any,
)

Signers = Mapping[Purpose, LocalSigner]


@pytest.fixture(scope="session")
def token(trust: TrustList, signers: Signers) -> str:
    return issue_trust_list(trust, signers[Purpose.TRUST_LIST])


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


def test_a_signed_list_brings_back_every_key(token: str, trust: TrustList, now: datetime) -> None:
    assert open_trust_list(token, trust.keys, now=now) == trust


def test_the_version_is_the_first_member(token: str) -> None:
    payload = read_jws(token, typ=TRUST_LIST_TYP, at_most=100_000).payload
    assert payload.startswith(b'{"version":1,')


def test_a_key_is_found_by_purpose_and_id_only(trust: TrustList, signers: Signers) -> None:
    noon = trust.issued_at
    card = signers[Purpose.CARD_QR].key_id
    assert [key.purpose for key in trust.matching(Purpose.CARD_QR, card, at=noon)] == ["card-qr"]
    assert reason_of(trust.matching, Purpose.STATUS_LIST, card, at=noon) is Reason.WRONG_PURPOSE
    assert reason_of(trust.matching, Purpose.CARD_QR, b"8 bytes.", at=noon) is Reason.UNKNOWN_SIGNER


def test_a_key_counts_from_its_first_moment_to_before_its_last(
    trust: TrustList, signers: Signers
) -> None:
    key = next(key for key in trust.keys if key.purpose is Purpose.CARD_QR)
    instant = timedelta(microseconds=1)
    for at in (key.not_before, key.not_after - instant):
        assert trust.matching(Purpose.CARD_QR, key.key_id, at=at) == [key]
    for at in (key.not_before - instant, key.not_after):
        assert (
            reason_of(trust.matching, Purpose.CARD_QR, key.key_id, at=at)
            is Reason.SIGNER_NOT_IN_FORCE
        )


def test_every_key_of_a_colliding_id_is_tried(
    trust: TrustList, signers: Signers, stranger: LocalSigner, now: datetime
) -> None:
    mine = next(key for key in trust.keys if key.purpose is Purpose.CARD_QR)
    other = replace(mine, public_key=stranger.public_key)
    both = replace(trust, keys=(other, mine)).matching(Purpose.CARD_QR, mine.key_id, at=now)
    signature = signers[Purpose.CARD_QR].sign(b"text")
    assert verify_by_any(both, lambda key: verify_es256(key, signature, b"text")) is mine
    assert (
        reason_of(verify_by_any, both, lambda key: verify_es256(key, signature, b"tixt"))
        is Reason.WRONG_SIGNATURE
    )


def test_a_list_of_the_sandbox_is_refused_in_production(
    trust: TrustList, signers: Signers, now: datetime
) -> None:
    root = signers[Purpose.TRUST_LIST]
    marked = issue_trust_list(replace(trust, sandbox=True), root)
    hidden = replace(trust, keys=(*trust.keys[1:], replace(trust.keys[0], sandbox=True)))
    for token in (marked, issue_trust_list(hidden, root)):
        assert reason_of(open_trust_list, token, trust.keys, now=now) is Reason.SANDBOX_SIGNER
        assert open_trust_list(token, trust.keys, now=now, accept_sandbox=True)


def test_a_list_is_refused_outside_its_period(token: str, trust: TrustList) -> None:
    early, late = trust.issued_at - timedelta(seconds=1), trust.valid_until
    assert reason_of(open_trust_list, token, trust.keys, now=early) is Reason.NOT_YET_VALID
    assert reason_of(open_trust_list, token, trust.keys, now=late) is Reason.EXPIRED


def test_a_list_signed_by_a_key_of_another_purpose_is_refused(
    trust: TrustList, signers: Signers, stranger: LocalSigner, now: datetime
) -> None:
    by_card = issue_trust_list(trust, signers[Purpose.CARD_QR])
    assert reason_of(open_trust_list, by_card, trust.keys, now=now) is Reason.WRONG_PURPOSE
    by_none = issue_trust_list(trust, stranger)
    assert reason_of(open_trust_list, by_none, trust.keys, now=now) is Reason.UNKNOWN_SIGNER


def test_an_altered_list_is_refused(token: str, trust: TrustList, now: datetime) -> None:
    header, payload, signature = token.split(".")
    altered = ".".join((header, payload[:40] + "A" + payload[41:], signature))
    assert reason_of(open_trust_list, altered, trust.keys, now=now) is (Reason.WRONG_SIGNATURE)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"version": 2}, Reason.UNKNOWN_VERSION),
        ({"issuer": "x", "version": 1}, Reason.UNKNOWN_VERSION),
        ({"version": 1}, Reason.MALFORMED),
        (
            {"version": 1, "issuer": "x", "sandbox": False, "iat": 1, "exp": 2, "keys": [{}]},
            Reason.MALFORMED,
        ),
        (
            {"version": 1, "issuer": "x", "sandbox": 0, "iat": 1, "exp": 2, "keys": []},
            Reason.MALFORMED,
        ),
    ],
)
def test_a_signed_list_of_another_shape_is_refused(
    payload: dict[str, object],
    reason: Reason,
    trust: TrustList,
    signers: Signers,
    now: datetime,
) -> None:
    token = sign_jws(payload, typ=TRUST_LIST_TYP, signer=signers[Purpose.TRUST_LIST])
    assert reason_of(open_trust_list, token, trust.keys, now=now) is reason


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ('{"alg":"ES256","kid":"00","typ":"JWT"}', Reason.UNKNOWN_FORMAT),
        ('{"alg":"none","kid":"00","typ":"t"}', Reason.UNSUPPORTED_ALGORITHM),
        ('{"alg":"ES256","kid":"00","typ":"t","crit":["b64"]}', Reason.UNSUPPORTED_CRITICAL_HEADER),
        ('{"alg":"ES256","kid":"00","typ":["t"]}', Reason.UNKNOWN_FORMAT),
        ('{"alg":"ES256","alg":"ES256","kid":"00","typ":"t"}', Reason.MALFORMED),
        ('{"alg":NaN}', Reason.MALFORMED),
        ("[]", Reason.MALFORMED),
    ],
)
def test_a_jws_header_is_checked(header: str, reason: Reason) -> None:
    token = f"{encode_base64url(header.encode())}.e30.{encode_base64url(bytes(64))}"
    assert reason_of(read_jws, token, typ="t", at_most=1000) is reason


@pytest.mark.parametrize(
    "header", ['{"alg":"ES256","kid":"xy","typ":"t"}', '{"alg":"ES256","typ":"t"}']
)
def test_a_token_whose_key_has_no_hex_id_has_an_unknown_signer(
    header: str, trust: TrustList
) -> None:
    token = f"{encode_base64url(header.encode())}.e30.{encode_base64url(bytes(64))}"
    with pytest.raises(InvalidCredential) as refusal:
        trusted_payload(
            token, trust.keys, Purpose.CARD_QR, typ="t", at_most=1000, at=trust.issued_at
        )
    assert refusal.value.reason is Reason.UNKNOWN_SIGNER


@pytest.mark.parametrize(
    "text",
    [
        b"\xff",
        b"\xef\xbb\xbf1",
        b"{",
        b"NaN",
        b"1e999",
        b"9" * 5000,
        b'"\\uD800"',
        b'{"\\ud800":1}',
        b'{"a":1,"a":1}',
        b"[" * 100_000,
        '"é"'.encode("utf-16"),
    ],
    ids=lambda text: text[:12].hex(),
)
def test_json_that_readers_would_read_differently_is_refused(text: bytes) -> None:
    assert reason_of(read_json, text) is Reason.MALFORMED


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_json_survives_its_encoding(value: object) -> None:
    assert read_json(encode_json(value)) == value


@given(st.binary(max_size=60))
def test_any_bytes_end_in_json_or_our_own_error(data: bytes) -> None:
    with contextlib.suppress(InvalidCredential):
        read_json(data)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d", "e30=.e30.AA", "é.e30.AA", "e31.e30.AA"])
def test_what_is_no_compact_jws_is_refused(token: str) -> None:
    assert reason_of(read_jws, token, typ="t", at_most=1000) is Reason.MALFORMED


def test_a_token_over_the_limit_is_not_read(token: str) -> None:
    assert reason_of(read_jws, token, typ=TRUST_LIST_TYP, at_most=len(token) - 1) is Reason.TOO_LONG


@given(st.text(alphabet="eyJ0.-_AZ=~", max_size=60))
def test_any_text_ends_in_a_token_or_our_own_error(text: str) -> None:
    with contextlib.suppress(InvalidCredential):
        read_jws(text, typ="t", at_most=50)


def test_an_error_keeps_its_reason_on_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(InvalidCredential(Reason.EXPIRED, "yesterday")))
    assert (error.reason, str(error)) == (Reason.EXPIRED, "expired: yesterday")


def test_a_local_key_signs_64_bytes_and_is_on_p_256_only(phone: LocalSigner, now: datetime) -> None:
    assert len(phone.sign(b"message")) == 64
    assert len(phone.key_id) == 8
    assert (
        trusted_key(phone, Purpose.RECEIPT, not_before=now, not_after=now).public_key
        == phone.public_key
    )
