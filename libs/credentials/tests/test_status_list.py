import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.compression import deflate
from epassport_credentials.cwt import StatusReference
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import encode_base64url, sign_jws
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.status_list import (
    ENTRIES_PER_LIST,
    MAX_LIST_BYTES,
    STATUS_LIST_TYP,
    Status,
    StatusList,
    issue_status_list,
    open_status_list,
    pack_statuses,
    read_status_reference,
)
from epassport_credentials.trust import TrustList

URI = "https://status.epassport.test/1"
HOUR = timedelta(hours=1)


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@given(st.lists(st.sampled_from(Status), max_size=100))
def test_every_entry_is_found_again_and_the_filling_is_not_in_force(values: list[Status]) -> None:
    packed = pack_statuses(values)
    assert [packed.status_at(index) for index in range(len(values))] == values
    assert {packed.status_at(i) for i in range(len(values), len(packed))} <= {Status.NOT_IN_FORCE}
    assert pack_statuses(bytes(values)) == pack_statuses(bytearray(values)) == packed


def test_two_bits_are_packed_as_in_the_draft() -> None:
    packed = pack_statuses([1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3])
    assert (packed.bits, packed.data.hex()) == (2, "c944f9")


@pytest.mark.parametrize("index", [-1, 4, 2**40])
def test_an_index_outside_the_list_is_refused(index: int) -> None:
    assert reason_of(pack_statuses([0, 1, 2, 3]).status_at, index) is (Reason.INDEX_OUT_OF_RANGE)


def test_a_status_that_nobody_defined_is_refused() -> None:
    assert reason_of(StatusList(4, b"\x0c").status_at, 0) is Reason.UNKNOWN_STATUS


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@given(data=st.binary(max_size=40))
def test_entries_of_every_width_count_from_the_lowest_bit(bits: int, data: bytes) -> None:
    packed = int.from_bytes(data, "little")
    statuses = StatusList(bits, data)
    expected = [packed >> place & (1 << bits) - 1 for place in range(0, len(data) * 8, bits)]
    assert [statuses.value_at(index) for index in range(len(statuses))] == expected


def test_a_list_of_three_bits_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="bits"):
        StatusList(3, b"")


def test_a_value_of_more_than_two_bits_is_an_error() -> None:
    with pytest.raises(ValueError, match="two bits"):
        pack_statuses([4])


@pytest.fixture(scope="session")
def signer(signers: Mapping[Purpose, LocalSigner]) -> LocalSigner:
    return signers[Purpose.STATUS_LIST]


def test_a_whole_list_survives_the_token(
    signer: LocalSigner, trust: TrustList, now: datetime
) -> None:
    values = bytearray(b"\x03" * ENTRIES_PER_LIST)
    values[70_001] = Status.VALID
    packed = pack_statuses(values)
    token = issue_status_list(packed, signer, uri=URI, issued_at=now, expires_at=now + HOUR)
    opened = open_status_list(token, trust.keys, uri=URI, now=now)
    assert opened.statuses == packed
    assert (opened.issued_at, opened.expires_at, opened.ttl) == (now, now + HOUR, HOUR)
    assert opened.statuses.status_at(70_001) is Status.VALID


def test_ten_million_documents_fit_one_list(
    signer: LocalSigner, trust: TrustList, now: datetime
) -> None:
    data = bytes(10_000_000 // 4 - 1) + b"\x40"
    issued = issue_status_list(
        StatusList(2, data), signer, uri=URI, issued_at=now, expires_at=now + HOUR
    )
    opened = open_status_list(issued, trust.keys, uri=URI, now=now)
    assert opened.statuses.status_at(9_999_999) is Status.INVALID
    assert opened.statuses.status_at(9_999_998) is Status.VALID


def test_a_list_names_its_time_to_live_and_where_the_others_are(
    signer: LocalSigner, trust: TrustList, now: datetime
) -> None:
    token = issue_status_list(
        pack_statuses([0]),
        signer,
        uri=URI,
        issued_at=now,
        expires_at=now + HOUR,
        ttl=HOUR / 2,
        aggregation_uri=URI + "/all",
    )
    opened = open_status_list(token, trust.keys, uri=URI, now=now)
    assert (opened.ttl, opened.aggregation_uri) == (HOUR / 2, URI + "/all")
    with pytest.raises(ValueError, match="positive"):
        issue_status_list(pack_statuses([0]), signer, uri=URI, issued_at=now, expires_at=now)


def test_a_status_reference_is_read_from_json() -> None:
    claims = {"status": {"status_list": {"idx": 7, "uri": URI}}}
    assert read_status_reference(claims) == StatusReference(URI, 7)
    assert read_status_reference({}) is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (None, Reason.MALFORMED),
        ({"other_mechanism": {}}, Reason.MALFORMED),
        ({"status_list": {"idx": "7", "uri": URI}}, Reason.MALFORMED),
        ({"status_list": {"idx": 7}}, Reason.MALFORMED),
        ({"status_list": {"idx": -1, "uri": URI}}, Reason.INDEX_OUT_OF_RANGE),
        ({"status_list": {"idx": 2**32, "uri": URI}}, Reason.INDEX_OUT_OF_RANGE),
    ],
)
def test_a_status_that_cannot_be_looked_up_is_refused(status: object, reason: Reason) -> None:
    assert reason_of(read_status_reference, {"status": status}) is reason


def test_a_list_holds_for_its_period_only(
    signer: LocalSigner, trust: TrustList, now: datetime
) -> None:
    token = issue_status_list(
        pack_statuses([0]), signer, uri=URI, issued_at=now, expires_at=now + HOUR
    )
    late, early = now + HOUR, now - timedelta(seconds=1)
    assert reason_of(open_status_list, token, trust.keys, uri=URI, now=late) is (Reason.EXPIRED)
    assert reason_of(open_status_list, token, trust.keys, uri=URI, now=early) is (
        Reason.NOT_YET_VALID
    )


def test_a_list_of_another_address_is_refused(
    signer: LocalSigner, trust: TrustList, now: datetime
) -> None:
    token = issue_status_list(
        pack_statuses([0]), signer, uri=URI, issued_at=now, expires_at=now + HOUR
    )
    assert (
        reason_of(open_status_list, token, trust.keys, uri=URI + "0", now=now)
        is Reason.WRONG_STATUS_LIST
    )


def test_a_card_key_cannot_sign_a_list(
    signers: Mapping[Purpose, LocalSigner], trust: TrustList, now: datetime
) -> None:
    token = issue_status_list(
        pack_statuses([0]),
        signers[Purpose.CARD_QR],
        uri=URI,
        issued_at=now,
        expires_at=now + HOUR,
    )
    assert reason_of(open_status_list, token, trust.keys, uri=URI, now=now) is (
        Reason.WRONG_PURPOSE
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iat": None}, Reason.MALFORMED),
        ({"iat": 1.5}, Reason.MALFORMED),
        ({"sub": 7}, Reason.MALFORMED),
        ({"exp": "soon"}, Reason.MALFORMED),
        ({"ttl": 0}, Reason.MALFORMED),
        ({"ttl": 10**30}, Reason.MALFORMED),
        ({"status_list": []}, Reason.MALFORMED),
        (
            {"status_list": {"bits": 2, "lst": "eNpjAAAAAQAB", "aggregation_uri": 1}},
            Reason.MALFORMED,
        ),
        ({"status_list": {"bits": 3, "lst": "eNpjAAAAAQAB"}}, Reason.MALFORMED),
        ({"status_list": {"bits": True, "lst": "eNpjAAAAAQAB"}}, Reason.MALFORMED),
        ({"status_list": {"bits": 2, "lst": "eNpj"}}, Reason.MALFORMED),
        (
            {
                "status_list": {
                    "bits": 2,
                    "lst": encode_base64url(deflate(bytes(MAX_LIST_BYTES + 1))),
                }
            },
            Reason.TOO_LONG,
        ),
    ],
)
def test_a_signed_list_of_another_shape_is_refused(
    changes: Mapping[str, object],
    reason: Reason,
    signer: LocalSigner,
    trust: TrustList,
    now: datetime,
) -> None:
    good = {"sub": URI, "iat": 1, "status_list": {"bits": 2, "lst": "eNpjAAAAAQAB"}}

    def sign(payload: Mapping[str, object]) -> str:
        return sign_jws(payload, typ=STATUS_LIST_TYP, signer=signer)

    assert open_status_list(sign(good), trust.keys, uri=URI, now=now).expires_at is None
    token = sign({**good, **changes})
    assert reason_of(open_status_list, token, trust.keys, uri=URI, now=now) is reason


def test_a_list_beyond_the_cap_is_not_issued(signer: LocalSigner, now: datetime) -> None:
    huge = dataclasses.replace(pack_statuses([0]), data=bytes(MAX_LIST_BYTES + 1))
    with pytest.raises(ValueError, match="at most"):
        issue_status_list(huge, signer, uri=URI, issued_at=now, expires_at=now + HOUR)
