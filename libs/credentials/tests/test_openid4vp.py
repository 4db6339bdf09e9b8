import contextlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.cwt import StatusReference
from epassport_credentials.dcql import (
    ClaimQuery,
    CredentialQuery,
    CredentialSet,
    DcqlQuery,
    Held,
    answer,
    read_dcql,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.openid4vp import (
    MAX_PARAMETERS,
    MAX_PRESENTATIONS,
    MAX_RESPONSE_BYTES,
    PresentationRequest,
    check_response,
    read_direct_post,
    read_request,
    write_direct_post,
    write_request,
)
from epassport_credentials.sd_jwt_vc import (
    issue_sd_jwt_vc,
    present_sd_jwt_vc,
    verify_sd_jwt_vc,
    with_chosen,
)
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.trust import TrustList

VCT = "https://credentials.epassport.test/pass/1"
ADULT = CredentialQuery(
    "adult", "dc+sd-jwt", (VCT,), claims=(ClaimQuery(("age_over_18",), values=(True,)),)
)
REQUEST = PresentationRequest(
    client_id="x509_san_dns:shop.epassport.test",
    response_uri="https://shop.epassport.test/answers",
    nonce="n-0S6_WzA2Mj.a~b1234567",
    state="9yS0tLr6",
    query=DcqlQuery((ADULT,)),
)


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@pytest.fixture(scope="session")
def issued(
    signers: Mapping[Purpose, LocalSigner],
    phone: LocalSigner,
    status: StatusReference,
    now: datetime,
) -> str:
    salts = itertools.count()
    return issue_sd_jwt_vc(
        {"age_over_18": True, "family_name": "Подъёмная"},
        vct=VCT,
        issuer="https://issuer.epassport.test",
        holder_key=phone.public_key,
        issued_at=now,
        expires_at=now + timedelta(days=1),
        status=status,
        random_bytes=lambda size: next(salts).to_bytes(size, "big"),
        signer=signers[Purpose.MOBILE_ATTESTATION],
    )


Show = Callable[..., str]


@pytest.fixture(scope="session")
def show(issued: str, phone: LocalSigner, now: datetime) -> Show:
    def shown(*names: str, request: PresentationRequest = REQUEST) -> str:
        pointers = [(name,) for name in names]
        return present_sd_jwt_vc(
            issued, pointers, phone=phone, challenge=request.challenge, now=now
        )

    return shown


@pytest.fixture(scope="session")
def adult(show: Show) -> str:
    return show("age_over_18")


Check = Callable[..., object]


@pytest.fixture(scope="session")
def check(trust: TrustList, now: datetime) -> Check:
    def checked(vp_token: object, request: PresentationRequest = REQUEST, **more: object) -> object:
        parameters = {"vp_token": vp_token, "state": request.state, **more}
        return check_response(parameters, request, trust.keys, now=now)

    return checked


def test_a_wallet_and_a_verifier_understand_each_other(
    issued: str, phone: LocalSigner, trust: TrustList, now: datetime
) -> None:
    request = read_request(write_request(REQUEST))
    assert request == REQUEST
    whole = verify_sd_jwt_vc(
        with_chosen(issued, [("age_over_18",)]), trust.keys, now=now, challenge=None
    )
    matches = answer(request.query, [Held("pass", "dc+sd-jwt", VCT, whole.claims)])
    assert matches is not None
    (match,) = matches["adult"]
    text = present_sd_jwt_vc(
        issued, match.pointers, phone=phone, challenge=request.challenge, now=now
    )
    body = write_direct_post({"adult": [text]}, state=request.state)
    answered = check_response(read_direct_post(body), request, trust.keys, now=now)
    (credential,) = answered["adult"]
    assert credential.claims["age_over_18"] is True
    assert "family_name" not in credential.claims


def test_every_fault_of_an_answer_has_its_reason(check: Check, show: Show, adult: str) -> None:
    assert check({"adult": [adult]})
    other = replace(REQUEST, nonce="another-nonce-of-22-chars")
    for vp_token, reason in (
        (None, Reason.MALFORMED),
        ([adult], Reason.MALFORMED),
        ({"adult": adult}, Reason.MALFORMED),
        ({"adult": []}, Reason.MALFORMED),
        ({"adult": [{"jwt": adult}]}, Reason.MALFORMED),
        ({"adult": [adult] * (MAX_PRESENTATIONS + 1)}, Reason.MALFORMED),
        ({"adult": [adult, adult]}, Reason.QUERY_NOT_MET),
        ({}, Reason.QUERY_NOT_MET),
        ({"adult": [adult], "more": [adult]}, Reason.QUERY_NOT_MET),
        ({"adult": [show("family_name")]}, Reason.QUERY_NOT_MET),
        ({"adult": [show("age_over_18", request=other)]}, Reason.WRONG_NONCE),
        ({"adult": [adult.rpartition("~")[0] + "~"]}, Reason.NOT_KEY_BOUND),
    ):
        assert reason_of(check, vp_token) is reason


def test_the_state_and_the_errors_of_a_wallet_are_seen_first(check: Check, adult: str) -> None:
    assert reason_of(check, {"adult": [adult]}, state="other") is Reason.WRONG_STATE
    assert reason_of(check, None, state=None, error="access_denied") is Reason.WRONG_STATE
    assert reason_of(check, None, error="access_denied") is Reason.WALLET_DECLINED
    assert reason_of(check, None, response="ey.e.e.e.e") is Reason.UNSUPPORTED_OPTION


def test_an_error_that_the_wallet_made_up_is_not_repeated(check: Check) -> None:
    for error in ("access_denied", "Подъёмная Юлия", 5):
        with pytest.raises(InvalidCredential) as refusal:
            check(None, error=error)
        assert refusal.value.detail in ("access_denied", "another error")
        assert (refusal.value.detail == "access_denied") is (error == "access_denied")


def test_a_value_that_the_wallet_ignored_is_checked_again(check: Check, adult: str) -> None:
    minor = replace(ADULT, claims=(ClaimQuery(("age_over_18",), values=(False,)),))
    request = replace(REQUEST, query=DcqlQuery((minor,)))
    assert reason_of(check, {"adult": [adult]}, request) is Reason.QUERY_NOT_MET


def test_a_type_that_was_not_asked_for_is_refused(check: Check, adult: str) -> None:
    request = replace(REQUEST, query=DcqlQuery((replace(ADULT, types=(VCT + "0",)),)))
    assert reason_of(check, {"adult": [adult]}, request) is Reason.WRONG_CREDENTIAL_TYPE


def test_where_key_binding_is_waived_one_that_comes_is_still_checked(
    check: Check, issued: str, show: Show, adult: str
) -> None:
    request = replace(REQUEST, query=DcqlQuery((replace(ADULT, holder_binding=False),)))
    assert check({"adult": [adult]}, request)
    assert check({"adult": [with_chosen(issued, [("age_over_18",)])]}, request)
    other = show("age_over_18", request=replace(REQUEST, client_id="x509_san_dns:other.test"))
    assert reason_of(check, {"adult": [other]}, request) is Reason.WRONG_AUDIENCE


def test_several_credentials_answer_by_their_sets(check: Check, show: Show, adult: str) -> None:
    name = replace(ADULT, id="name", claims=(ClaimQuery(("family_name",)),), multiple=True)
    either = CredentialSet((("adult",), ("name",)))
    request = replace(REQUEST, query=DcqlQuery((ADULT, name), (either,)))
    assert check({"adult": [adult]}, request)
    assert check({"name": [show("family_name")] * 2}, request)
    assert reason_of(check, {}, request) is Reason.QUERY_NOT_MET


def test_an_mdoc_is_not_read(check: Check) -> None:
    mdoc = CredentialQuery("mdl", "mso_mdoc", ("org.iso.18013.5.1.mDL",))
    request = replace(REQUEST, query=DcqlQuery((mdoc,)))
    assert reason_of(check, {"mdl": ["o2d2"]}, request) is Reason.UNSUPPORTED_OPTION


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"response_type": "code"}, Reason.UNSUPPORTED_OPTION),
        ({"response_mode": "direct_post.jwt"}, Reason.UNSUPPORTED_OPTION),
        ({"response_mode": None}, Reason.UNSUPPORTED_OPTION),
        ({"scope": "openid"}, Reason.UNSUPPORTED_OPTION),
        ({"transaction_data": []}, Reason.UNSUPPORTED_OPTION),
        ({"client_id": "shop.epassport.test"}, Reason.UNSUPPORTED_OPTION),
        ({"client_id": "origin:https://shop.epassport.test"}, Reason.UNSUPPORTED_OPTION),
        ({"client_id": "x509_hash:"}, Reason.UNSUPPORTED_OPTION),
        ({"client_id": "x509_san_dns:other.test"}, Reason.WRONG_CLIENT_ID),
        ({"client_id": "redirect_uri:https://other.test/"}, Reason.WRONG_CLIENT_ID),
        ({"redirect_uri": "https://shop.epassport.test/"}, Reason.MALFORMED),
        ({"response_uri": "http://shop.epassport.test/answers"}, Reason.MALFORMED),
        ({"response_uri": "https://shop.epassport.test@other.test/"}, Reason.MALFORMED),
        ({"response_uri": "https://shop.epas\nsport.test/"}, Reason.MALFORMED),
        ({"response_uri": "https://[shop"}, Reason.MALFORMED),
        ({"response_uri": "https:///answers"}, Reason.MALFORMED),
        ({"nonce": ""}, Reason.MALFORMED),
        ({"nonce": "a b"}, Reason.MALFORMED),
        ({"nonce": 5}, Reason.MALFORMED),
        ({"state": 5}, Reason.MALFORMED),
        ({"dcql_query": None}, Reason.MALFORMED),
        ({"dcql_query": '{"credentials":[]}'}, Reason.MALFORMED),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused(
    changes: Mapping[str, object], reason: Reason
) -> None:
    assert reason_of(read_request, {**write_request(REQUEST), **changes}) is reason


def test_every_known_client_may_ask() -> None:
    for client_id in (
        "x509_san_dns:Shop.epassport.test",
        "x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk",
        "redirect_uri:https://shop.epassport.test/answers",
    ):
        request = replace(REQUEST, client_id=client_id)
        assert read_request(write_request(request)) == request


def test_without_key_binding_the_state_is_demanded() -> None:
    unbound = DcqlQuery((replace(ADULT, holder_binding=False),))
    assert read_request(write_request(replace(REQUEST, query=unbound))).state == REQUEST.state
    request = replace(REQUEST, query=unbound, state=None)
    assert reason_of(write_request, request) is Reason.MALFORMED
    assert read_request(write_request(replace(REQUEST, state=None))).state is None


def test_a_nonce_that_can_be_guessed_is_not_sent() -> None:
    with pytest.raises(ValueError, match="nonce"):
        write_request(replace(REQUEST, nonce="n" * 21))


def test_an_unknown_parameter_is_ignored() -> None:
    assert read_request({**write_request(REQUEST), "x_colour": "red"}) == REQUEST


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"&", Reason.MALFORMED),
        (b"vp_token", Reason.MALFORMED),
        (b"vp_token=%7B", Reason.MALFORMED),
        (b"vp_token={}&vp_token={}", Reason.MALFORMED),
        (b"state=%FF", Reason.MALFORMED),
        (b"state=\xff", Reason.MALFORMED),
        (b"&".join(b"p%d=1" % n for n in range(MAX_PARAMETERS + 1)), Reason.MALFORMED),
        (b"a=" + b"x" * MAX_RESPONSE_BYTES, Reason.TOO_LONG),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_that_is_no_form_is_refused(body: bytes, reason: Reason) -> None:
    assert reason_of(read_direct_post, body) is reason


def test_a_form_may_have_sixteen_parameters() -> None:
    body = b"&".join(b"p%d=1" % number for number in range(MAX_PARAMETERS))
    assert len(read_direct_post(body)) == MAX_PARAMETERS == 16


@given(
    st.dictionaries(st.text(), st.lists(st.text(max_size=20), max_size=3), max_size=3),
    st.none() | st.text(),
)
def test_an_answer_survives_the_form(vp_token: dict[str, list[str]], state: str | None) -> None:
    parameters = read_direct_post(write_direct_post(vp_token, state=state))
    assert parameters == {"vp_token": vp_token, **({"state": state} if state is not None else {})}


@given(st.binary(max_size=60), st.text(max_size=30))
def test_any_body_ends_in_parameters_or_our_own_error(data: bytes, text: str) -> None:
    for body in (data, b"vp_token=" + data, b"vp_token=" + quote(text).encode()):
        with contextlib.suppress(InvalidCredential):
            read_direct_post(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["adult", "x"]), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(vp_token=json_values, error=json_values)
def test_any_response_ends_in_our_own_error(vp_token: object, error: object, check: Check) -> None:
    for more in ({}, {"error": error}, {"state": error}):
        with pytest.raises(InvalidCredential):
            check(vp_token, **more)


@given(st.dictionaries(st.sampled_from([*write_request(REQUEST), "scope"]), json_values))
def test_any_parameters_end_in_a_request_or_our_own_error(changes: dict[str, object]) -> None:
    with contextlib.suppress(InvalidCredential):
        read_request({**write_request(REQUEST), **changes})


def test_the_query_of_a_request_is_the_one_that_was_written() -> None:
    assert read_dcql(write_request(REQUEST)["dcql_query"]) == REQUEST.query
