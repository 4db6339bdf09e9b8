import contextlib
import itertools
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.cwt import StatusReference
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jwk import jwk_of
from epassport_credentials.jws import read_json_object, read_jws, sign_jws_with
from epassport_credentials.jwt_dates import CLOCK_SKEW
from epassport_credentials.key_binding import (
    KB_TYP,
    KEY_BINDING_AGE,
    Challenge,
    bind,
    check_key_binding,
)
from epassport_credentials.sd_jwt import Pointer, digest_of, join_sd_jwt, write_disclosure
from epassport_credentials.sd_jwt_vc import (
    NEVER_DISCLOSED,
    SD_JWT_VC_TYP,
    issue_sd_jwt_vc,
    present_sd_jwt_vc,
    verify_sd_jwt_vc,
    with_chosen,
)
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.trust import TrustList

Signers = Mapping[Purpose, LocalSigner]

VCT = "https://credentials.epassport.test/pass/1"
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
ASKED = Challenge("x509_san_dns:shop.epassport.test", "n-0S6_WzA2Mj")
CLAIMS = {
    "family_name": "Подъёмная",
    "age_over_18": True,
    "address": {"locality": "Казань", "postal_code": "420111"},
    "nationalities": ["RU"],
}


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


def counted_salts() -> Callable[[int], bytes]:
    numbers = itertools.count()
    return lambda size: next(numbers).to_bytes(size, "big")


@pytest.fixture(scope="session")
def issuer(signers: Signers) -> LocalSigner:
    return signers[Purpose.MOBILE_ATTESTATION]


Issue = Callable[[Mapping[str, object]], str]


@pytest.fixture(scope="session")
def issue(issuer: LocalSigner, phone: LocalSigner, status: StatusReference, now: datetime) -> Issue:
    return lambda claims: issue_sd_jwt_vc(
        claims,
        vct=VCT,
        issuer="https://issuer.epassport.test",
        holder_key=phone.public_key,
        issued_at=now,
        expires_at=now + DAY,
        status=status,
        random_bytes=counted_salts(),
        signer=issuer,
    )


@pytest.fixture(scope="session")
def issued(issue: Issue) -> str:
    return issue(CLAIMS)


@pytest.fixture(scope="session")
def shown(issued: str, phone: LocalSigner, now: datetime) -> str:
    return present_sd_jwt_vc(issued, [("age_over_18",)], phone=phone, challenge=ASKED, now=now)


def test_the_verifier_sees_the_chosen_claims_and_no_other(
    shown: str, trust: TrustList, phone: LocalSigner, status: StatusReference, now: datetime
) -> None:
    credential = verify_sd_jwt_vc(shown, trust.keys, now=now, challenge=ASKED, vct={VCT})
    assert credential.vct == VCT
    assert credential.disclosed == (("age_over_18",),)
    assert credential.claims["age_over_18"] is True
    assert not {"family_name", "address", "nationalities"} & credential.claims.keys()
    assert "Подъёмная" not in shown
    assert credential.holder_key == phone.public_key
    assert credential.bound_at == now
    assert credential.status == status


# RFC 9901 §4.1 keeps these names, at any depth.
names = st.text(min_size=1).filter(lambda name: name not in {"_sd", "_sd_alg", "..."})
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)


@given(
    claims=st.dictionaries(
        names.filter(lambda name: name not in NEVER_DISCLOSED | {"iat"}),
        json_values,
        max_size=5,
    ),
    chosen=st.sets(st.integers(0, 4)),
)
def test_every_choice_of_claims_survives_the_presentation(
    claims: dict[str, object],
    chosen: set[int],
    issue: Issue,
    phone: LocalSigner,
    trust: TrustList,
    now: datetime,
) -> None:
    wanted = {name: value for place, (name, value) in enumerate(claims.items()) if place in chosen}
    text = present_sd_jwt_vc(
        issue(claims), [(name,) for name in wanted], phone=phone, challenge=ASKED, now=now
    )
    verified = verify_sd_jwt_vc(text, trust.keys, now=now, challenge=ASKED)
    open_claims = {"vct", "iss", "iat", "exp", "cnf", "status"}
    assert {k: v for k, v in verified.claims.items() if k not in open_claims} == wanted


def test_the_signed_part_tells_nothing_about_hidden_claims(issue: Issue) -> None:
    """Not even their order: the digests stand sorted."""
    token = issue(CLAIMS).split("~")[0]
    payload = read_json_object(read_jws(token, typ=SD_JWT_VC_TYP, at_most=9000).payload)
    digests = payload["_sd"]
    assert isinstance(digests, list)
    assert digests == sorted(digests)
    assert len(digests) == len(CLAIMS)
    assert not CLAIMS.keys() & payload.keys()


@pytest.mark.parametrize("name", sorted(NEVER_DISCLOSED | {"iat", "_sd", "_sd_alg", "..."}))
def test_what_decides_cannot_be_issued_as_a_disclosure(name: str, issue: Issue) -> None:
    with pytest.raises(ValueError, match="not claims"):
        issue({name: 1})


@pytest.mark.parametrize("value", [{"_sd": []}, [{"...": "x"}], {"a": [{"b": {"_sd": 1}}]}])
def test_a_claim_that_a_reader_would_take_for_digests_is_not_issued(
    value: object, issue: Issue
) -> None:
    with pytest.raises(ValueError, match="no names"):
        issue({"claim": value})


def test_a_credential_holds_for_its_period_only(
    issued: str, trust: TrustList, phone: LocalSigner, now: datetime
) -> None:
    def at(moment: datetime) -> object:
        text = present_sd_jwt_vc(issued, [], phone=phone, challenge=ASKED, now=moment)
        return verify_sd_jwt_vc(text, trust.keys, now=moment, challenge=ASKED)

    at(now + DAY - SECOND)
    assert reason_of(at, now + DAY) is Reason.EXPIRED
    assert reason_of(at, now - CLOCK_SKEW - SECOND) is Reason.NOT_YET_VALID


def test_only_a_key_for_attestations_can_issue(
    signers: Signers, trust: TrustList, phone: LocalSigner, stranger: LocalSigner, now: datetime
) -> None:
    for signer, reason in (
        (signers[Purpose.STATUS_LIST], Reason.WRONG_PURPOSE),
        (stranger, Reason.UNKNOWN_SIGNER),
    ):
        header = {"typ": SD_JWT_VC_TYP, "kid": signer.key_id.hex()}
        text = sign_jws_with({"vct": VCT}, header, signer) + "~"
        assert reason_of(verify_sd_jwt_vc, text, trust.keys, now=now, challenge=None) is reason


@pytest.mark.parametrize(
    ("asked", "later", "reason"),
    [
        (Challenge("x509_san_dns:other.test", ASKED.nonce), 0 * SECOND, Reason.WRONG_AUDIENCE),
        (Challenge("shop.epassport.test", ASKED.nonce), 0 * SECOND, Reason.WRONG_AUDIENCE),
        (Challenge(ASKED.audience, "other"), 0 * SECOND, Reason.WRONG_NONCE),
        (ASKED, KEY_BINDING_AGE + CLOCK_SKEW, Reason.EXPIRED),
        (ASKED, -CLOCK_SKEW - SECOND, Reason.NOT_YET_VALID),
    ],
)
def test_an_answer_to_another_question_is_refused(
    asked: Challenge,
    later: timedelta,
    reason: Reason,
    issued: str,
    trust: TrustList,
    phone: LocalSigner,
    now: datetime,
) -> None:
    start = now + timedelta(hours=1)
    text = present_sd_jwt_vc(issued, [], phone=phone, challenge=ASKED, now=start)
    verify_sd_jwt_vc(text, trust.keys, now=start, challenge=ASKED)
    refused = reason_of(verify_sd_jwt_vc, text, trust.keys, now=start + later, challenge=asked)
    assert refused is reason


def test_the_window_of_a_key_binding_has_two_edges(
    issued: str, trust: TrustList, phone: LocalSigner, now: datetime
) -> None:
    start = now + timedelta(hours=1)
    text = present_sd_jwt_vc(issued, [], phone=phone, challenge=ASKED, now=start)
    for moment in (start - CLOCK_SKEW, start + KEY_BINDING_AGE + CLOCK_SKEW - SECOND):
        assert verify_sd_jwt_vc(text, trust.keys, now=moment, challenge=ASKED).bound_at == start
    refused = reason_of(
        verify_sd_jwt_vc,
        text,
        trust.keys,
        now=start + 2 * SECOND + CLOCK_SKEW,
        challenge=ASKED,
        max_age=2 * SECOND,
    )
    assert refused is Reason.EXPIRED


def test_a_key_binding_holds_for_its_disclosures_only(
    issued: str, shown: str, trust: TrustList, now: datetime
) -> None:
    key_binding = shown.rpartition("~")[2]
    for pointers in ([], [("age_over_18",), ("address",)], [("address",)]):
        chosen: list[Pointer] = list(pointers)
        text = with_chosen(issued, chosen) + key_binding
        refused = reason_of(verify_sd_jwt_vc, text, trust.keys, now=now, challenge=ASKED)
        assert refused is Reason.WRONG_KEY_BINDING


def test_another_phone_cannot_show_the_credential(
    issued: str, stranger: LocalSigner, trust: TrustList, now: datetime
) -> None:
    text = present_sd_jwt_vc(issued, [], phone=stranger, challenge=ASKED, now=now)
    refused = reason_of(verify_sd_jwt_vc, text, trust.keys, now=now, challenge=ASKED)
    assert refused is Reason.WRONG_SIGNATURE


def test_key_binding_is_there_exactly_when_it_is_asked_for(
    issued: str, shown: str, trust: TrustList, now: datetime
) -> None:
    bare = with_chosen(issued, [("address", "locality")])
    refused = reason_of(verify_sd_jwt_vc, bare, trust.keys, now=now, challenge=ASKED)
    assert refused is Reason.NOT_KEY_BOUND
    unbound = verify_sd_jwt_vc(bare, trust.keys, now=now, challenge=None)
    assert (unbound.bound_at, unbound.disclosed) == (None, (("address",),))
    refused = reason_of(verify_sd_jwt_vc, shown, trust.keys, now=now, challenge=None)
    assert refused is Reason.WRONG_KEY_BINDING


def test_a_type_that_was_not_asked_for_is_refused(
    shown: str, trust: TrustList, now: datetime
) -> None:
    refused = reason_of(
        verify_sd_jwt_vc, shown, trust.keys, now=now, challenge=ASKED, vct={VCT + "0"}
    )
    assert refused is Reason.WRONG_CREDENTIAL_TYPE


Sign = Callable[[Mapping[str, object]], str]


@pytest.fixture(scope="session")
def sign(issuer: LocalSigner) -> Sign:
    header = {"typ": SD_JWT_VC_TYP, "kid": issuer.key_id.hex()}
    return lambda payload: sign_jws_with(payload, header, issuer)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, Reason.MALFORMED),
        ({"vct": 7}, Reason.MALFORMED),
        ({"vct": VCT, "exp": "never"}, Reason.MALFORMED),
        ({"vct": VCT, "nbf": 2_000_000_000}, Reason.NOT_YET_VALID),
        ({"vct": VCT, "iat": 2_000_000_000}, Reason.NOT_YET_VALID),
        ({"vct": VCT, "exp": 1_000_000_000}, Reason.EXPIRED),
        ({"vct": VCT, "cnf": "key"}, Reason.MALFORMED),
        ({"vct": VCT, "cnf": {"kid": "1"}}, Reason.NOT_KEY_BOUND),
        ({"vct": VCT, "cnf": {"jwk": {"kty": "OKP"}}}, Reason.MALFORMED),
        ({"vct": VCT, "status": {"other": 1}}, Reason.MALFORMED),
        (
            {"vct": VCT, "status": {"status_list": {"idx": -1, "uri": "u"}}},
            Reason.INDEX_OUT_OF_RANGE,
        ),
    ],
)
def test_a_signed_payload_of_another_shape_is_refused(
    payload: Mapping[str, object], reason: Reason, sign: Sign, trust: TrustList, now: datetime
) -> None:
    verify_sd_jwt_vc(sign({"vct": VCT}) + "~", trust.keys, now=now, challenge=None)
    text = sign(payload) + "~"
    assert reason_of(verify_sd_jwt_vc, text, trust.keys, now=now, challenge=None) is reason


@pytest.mark.parametrize("name", sorted(NEVER_DISCLOSED))
def test_what_decides_cannot_come_from_a_disclosure(
    name: str, sign: Sign, trust: TrustList, now: datetime
) -> None:
    disclosure = write_disclosure(bytes(16), name, "x")
    payload: dict[str, object] = {"_sd": [disclosure.digest]}
    if name != "vct":
        payload["vct"] = VCT
    text = join_sd_jwt(sign(payload), [disclosure])
    refused = reason_of(verify_sd_jwt_vc, text, trust.keys, now=now, challenge=None)
    assert refused is Reason.FORBIDDEN_CLAIM


def test_a_signature_is_checked_before_any_claim_is_read(
    issued: str, trust: TrustList, now: datetime
) -> None:
    header, payload, signature = issued.split("~")[0].split(".")
    text = f"{header}.{payload[:-4]}AAAA.{signature}~not-a-disclosure~"
    refused = reason_of(verify_sd_jwt_vc, text, trust.keys, now=now, challenge=None)
    assert refused is Reason.WRONG_SIGNATURE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": [ASKED.audience]}, Reason.MALFORMED),
        ({"nonce": 5}, Reason.MALFORMED),
        ({"sd_hash": None}, Reason.MALFORMED),
        ({"iat": None}, Reason.MALFORMED),
        ({"sd_hash": digest_of("a~")}, Reason.WRONG_KEY_BINDING),
        ({"exp": 1_700_000_000}, Reason.EXPIRED),
    ],
)
def test_a_key_binding_of_another_shape_is_refused(
    changes: Mapping[str, object], reason: Reason, phone: LocalSigner, now: datetime
) -> None:
    presented = "h.p.s~"
    good = {
        "aud": ASKED.audience,
        "nonce": ASKED.nonce,
        "iat": int(now.timestamp()),
        "sd_hash": digest_of(presented),
    }

    def check(payload: Mapping[str, object], typ: str = KB_TYP) -> datetime:
        token = sign_jws_with(payload, {"typ": typ}, phone)
        return check_key_binding(token, phone.public_key, ASKED, presented=presented, now=now)

    assert check(good) == now
    assert reason_of(check, {**good, **changes}) is reason
    assert reason_of(check, good, "JWT") is Reason.UNKNOWN_FORMAT


def test_a_key_binding_is_not_written_before_the_last_separator(
    phone: LocalSigner, now: datetime
) -> None:
    with pytest.raises(ValueError, match="last"):
        bind("h.p.s", phone, ASKED, now=now)


def test_a_wallet_cannot_choose_from_what_it_cannot_read() -> None:
    assert reason_of(with_chosen, "h.p.s~", []) is Reason.MALFORMED


@given(data=st.data())
def test_any_change_to_a_presentation_ends_in_our_own_error(
    data: st.DataObject, shown: str, trust: TrustList, now: datetime
) -> None:
    place = data.draw(st.integers(0, len(shown)))
    insert = data.draw(st.text(alphabet="~.A_e0é\x00", max_size=5))
    changed = shown[:place] + insert + shown[place + data.draw(st.integers(0, 3)) :]
    with contextlib.suppress(InvalidCredential):
        verify_sd_jwt_vc(changed, trust.keys, now=now, challenge=ASKED)
        assert changed == shown


def test_the_holder_key_is_a_whole_public_key(
    phone: LocalSigner, sign: Sign, trust: TrustList, now: datetime
) -> None:
    text = sign({"vct": VCT, "cnf": {"jwk": {**jwk_of(phone.public_key), "use": "sig"}}}) + "~"
    credential = verify_sd_jwt_vc(text, trust.keys, now=now, challenge=None)
    assert credential.holder_key == phone.public_key
