from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials import offline_pack
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import sign_jws
from epassport_credentials.offline_pack import (
    MAX_LISTS,
    OFFLINE_PACK_TYP,
    PackPolicy,
    issue_offline_pack,
    open_offline_pack,
)
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.status_list import (
    ENTRIES_PER_LIST,
    StatusList,
    issue_status_list,
    pack_statuses,
)
from epassport_credentials.trust import TrustList, trust_to_json

Signers = Mapping[Purpose, LocalSigner]

HOUR = timedelta(hours=1)
PURPOSES = {Purpose.CARD_QR, Purpose.MOBILE_ATTESTATION, Purpose.STATUS_LIST}


def uri_of(number: int) -> str:
    return f"https://status.epassport.test/{number}"


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


Sign = Callable[[Mapping[str, object]], str]


@pytest.fixture(scope="session")
def sign(signers: Signers) -> Sign:
    return lambda payload: sign_jws(
        payload, typ=OFFLINE_PACK_TYP, signer=signers[Purpose.OFFLINE_PACK]
    )


@pytest.fixture(scope="session")
def list_token(signers: Signers, now: datetime) -> Callable[[StatusList, int], str]:
    return lambda statuses, number: issue_status_list(
        statuses,
        signers[Purpose.STATUS_LIST],
        uri=uri_of(number),
        issued_at=now,
        expires_at=now + HOUR,
    )


ListToken = Callable[[StatusList, int], str]


@given(
    statuses=st.lists(st.lists(st.integers(0, 3), max_size=9), max_size=3),
    age=st.integers(1, 10**6),
)
def test_a_pack_brings_back_keys_lists_and_policy(
    statuses: Sequence[Sequence[int]],
    age: int,
    list_token: ListToken,
    trust: TrustList,
    signers: Signers,
    now: datetime,
) -> None:
    lists = {uri_of(n): list_token(pack_statuses(one), n) for n, one in enumerate(statuses)}
    policy = PackPolicy(
        status_age=timedelta(seconds=age),
        identity_age=timedelta(seconds=age // 2) if age % 2 and age > 1 else None,
    )
    token = issue_offline_pack(trust, lists, signers[Purpose.OFFLINE_PACK], policy=policy)
    pack = open_offline_pack(token, trust.keys, now=now)
    assert pack.policy == policy
    assert pack.trust.keys == tuple(key for key in trust.keys if key.purpose in PURPOSES)
    assert [opened.statuses for opened in pack.status_lists.values()] == [
        pack_statuses(one) for one in statuses
    ]


def payload_of(trust: TrustList, version: int, **members: object) -> dict[str, object]:
    from_json = trust_to_json(trust) | {"keys": []}
    return {"version": version, **from_json, "status_lists": [], **members}


def test_the_first_version_is_read_with_the_default_policy(
    sign: Sign, trust: TrustList, now: datetime
) -> None:
    pack = open_offline_pack(sign(payload_of(trust, 1)), trust.keys, now=now)
    assert pack.policy.status_age == timedelta(hours=24)


@pytest.mark.parametrize(
    "policy",
    [
        *(None, 5, {}, {"status_age": 0}, {"status_age": "1"}, {"status_age": 10**30}),
        *({"identity_age": 1}, {"status_age": 1, "identity_age": 0}),
    ],
)
def test_a_pack_without_a_whole_policy_is_refused(
    policy: object, sign: Sign, trust: TrustList, now: datetime
) -> None:
    good = sign(payload_of(trust, 2, policy={"status_age": 1}))
    assert open_offline_pack(good, trust.keys, now=now).policy.status_age == timedelta(seconds=1)
    token = sign(payload_of(trust, 2, policy=policy))
    assert reason_of(open_offline_pack, token, trust.keys, now=now) is Reason.MALFORMED


def test_one_address_has_one_list(
    sign: Sign, list_token: ListToken, signers: Signers, trust: TrustList, now: datetime
) -> None:
    member = {"uri": uri_of(1), "token": list_token(pack_statuses([0]), 1)}
    keys = trust_to_json(
        TrustList(
            trust.issuer,
            now,
            now + HOUR,
            tuple(key for key in trust.keys if key.purpose is Purpose.STATUS_LIST),
        )
    )
    once = sign({"version": 1, **keys, "status_lists": [member]})
    assert len(open_offline_pack(once, trust.keys, now=now).status_lists) == 1
    twice = sign({"version": 1, **keys, "status_lists": [member, member]})
    assert reason_of(open_offline_pack, twice, trust.keys, now=now) is Reason.MALFORMED


def test_a_pack_cannot_fill_the_memory(
    sign: Sign,
    list_token: ListToken,
    signers: Signers,
    trust: TrustList,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = sign(payload_of(trust, 1, status_lists=[{}] * (MAX_LISTS + 1)))
    assert reason_of(open_offline_pack, many, trust.keys, now=now) is Reason.TOO_LONG
    lists = {uri_of(n): list_token(StatusList(2, bytes(2**20)), n) for n in range(2)}
    token = issue_offline_pack(trust, lists, signers[Purpose.OFFLINE_PACK])
    monkeypatch.setattr(offline_pack, "MAX_STATUS_BYTES", 2**21)
    assert open_offline_pack(token, trust.keys, now=now)
    monkeypatch.setattr(offline_pack, "MAX_STATUS_BYTES", 2**21 - 1)
    assert reason_of(open_offline_pack, token, trust.keys, now=now) is Reason.TOO_LONG


def test_a_pack_of_too_many_lists_is_not_issued(trust: TrustList, signers: Signers) -> None:
    lists = {uri_of(number): "" for number in range(MAX_LISTS + 1)}
    with pytest.raises(ValueError, match="at most"):
        issue_offline_pack(trust, lists, signers[Purpose.OFFLINE_PACK])


@pytest.mark.parametrize(
    ("likely", "most_characters"),
    [
        ((0.99, 0.01, 0, 0), 400_000),
        ((0.9427, 0.01, 0.001, 0.0463), 1_600_000),
        ((0.25, 0.25, 0.25, 0.25), 6_400_000),
    ],
)
def test_ten_million_documents_take_what_the_table_says(
    likely: tuple[float, ...],
    most_characters: int,
    list_token: ListToken,
    trust: TrustList,
    signers: Signers,
    now: datetime,
) -> None:
    """Measured on one of the ten lists: the others are like it."""
    values = np.random.default_rng(1).choice(4, ENTRIES_PER_LIST, p=likely).astype(np.uint8)
    lists = {uri_of(1): list_token(pack_statuses(values.tobytes()), 1)}
    token = issue_offline_pack(trust, lists, signers[Purpose.OFFLINE_PACK])
    assert most_characters * 0.8 < 10 * len(token) < most_characters
