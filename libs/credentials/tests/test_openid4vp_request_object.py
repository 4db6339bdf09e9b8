from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from epassport_credentials.dcql import CredentialQuery, DcqlQuery
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jose_keys import write_x5c
from epassport_credentials.jws import encode_base64url, sign_jws_with
from epassport_credentials.openid4vp import MAX_REQUEST_BYTES, PresentationRequest, write_request
from epassport_credentials.openid4vp_request_object import (
    AUDIENCE,
    REQUEST_OBJECT_TYP,
    open_request_object,
    sign_request_object,
    x509_hash_client_id,
)
from epassport_credentials.signer import LocalSigner

DAY = timedelta(days=1)
CLIENT = "x509_san_dns:shop.epassport.test"
REQUEST = PresentationRequest(
    client_id=CLIENT,
    response_uri="https://shop.epassport.test/answers",
    nonce="n-0S6_WzA2Mj.a~b1234567",
    state=None,
    query=DcqlQuery((CredentialQuery("a", "dc+sd-jwt", ("vct",)),)),
)


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


def certificate(
    number: int, issuer: int, now: datetime, host: str | None = None, country: str | None = None
) -> x509.Certificate:
    keys = {n: ec.derive_private_key(n, ec.SECP256R1()) for n in (number, issuer)}
    names = {n: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{n}")]) for n in keys}
    builder = (
        x509.CertificateBuilder()
        .subject_name(names[number])
        .issuer_name(names[issuer])
        .public_key(keys[number].public_key())
        .serial_number(number)
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
    )
    if host is not None:
        alternative = x509.SubjectAlternativeName([x509.DNSName(host), *_place(country)])
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(keys[issuer], hashes.SHA256())


def _place(country: str | None) -> list[x509.DirectoryName]:
    if country is None:
        return []
    return [x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, country)]))]


@pytest.fixture(scope="module")
def anchor(now: datetime) -> x509.Certificate:
    return certificate(41, 41, now)


@pytest.fixture(scope="module")
def leaf(now: datetime) -> x509.Certificate:
    return certificate(42, 41, now, "Shop.epassport.test")


@pytest.fixture(scope="module")
def shop() -> LocalSigner:
    return LocalSigner(ec.derive_private_key(42, ec.SECP256R1()))


def test_a_wallet_reads_what_a_certified_verifier_asks(
    shop: LocalSigner, leaf: x509.Certificate, anchor: x509.Certificate, now: datetime
) -> None:
    by_hash = replace(REQUEST, client_id=x509_hash_client_id(leaf))
    for request in (REQUEST, by_hash):
        token = sign_request_object(request, shop, [leaf], wallet_nonce="w")
        opened = open_request_object(
            token, [anchor], client_id=request.client_id, now=now, wallet_nonce="w"
        )
        assert opened == request


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"client_id": "x509_san_dns:other.test"}, Reason.WRONG_CLIENT_ID),
        ({"wallet_nonce": "other"}, Reason.WRONG_NONCE),
        ({"now": timedelta(days=1, seconds=1)}, Reason.SIGNER_NOT_IN_FORCE),
        ({"now": -timedelta(days=1, seconds=1)}, Reason.SIGNER_NOT_IN_FORCE),
        ({"anchors": []}, Reason.UNKNOWN_SIGNER),
        ({"anchors": ["leaf"]}, Reason.UNKNOWN_SIGNER),
    ],
)
def test_a_request_in_another_place_or_time_is_refused(
    changes: Mapping[str, object],
    reason: Reason,
    shop: LocalSigner,
    leaf: x509.Certificate,
    anchor: x509.Certificate,
    now: datetime,
) -> None:
    token = sign_request_object(REQUEST, shop, [leaf], wallet_nonce="w")
    given = {"anchors": ["anchor"], "now": timedelta(), "client_id": CLIENT, "wallet_nonce": "w"}
    given |= changes
    certificates = {"anchor": anchor, "leaf": leaf}
    anchors = [certificates[name] for name in given.pop("anchors")]  # type: ignore[attr-defined]
    at = now + given.pop("now")  # type: ignore[operator]
    assert reason_of(open_request_object, token, anchors, now=at, **given) is reason


def test_the_client_must_be_the_one_of_the_certificate(
    shop: LocalSigner, leaf: x509.Certificate, anchor: x509.Certificate, now: datetime
) -> None:
    without_names = certificate(42, 41, now)
    hashed = "x509_hash:" + encode_base64url(bytes(32))
    address = f"redirect_uri:{REQUEST.response_uri}"
    for client_id, signing in ((CLIENT, without_names), (hashed, leaf), (address, leaf)):
        token = sign_request_object(replace(REQUEST, client_id=client_id), shop, [signing])
        refused = reason_of(open_request_object, token, [anchor], client_id=client_id, now=now)
        assert refused is Reason.WRONG_CLIENT_ID


def test_the_request_object_names_the_client_that_led_to_it(
    shop: LocalSigner, leaf: x509.Certificate, anchor: x509.Certificate, now: datetime
) -> None:
    """Both names are of the one certificate, but they are two clients."""
    by_hash = replace(REQUEST, client_id=x509_hash_client_id(leaf))
    token = sign_request_object(by_hash, shop, [leaf])
    refused = reason_of(open_request_object, token, [anchor], client_id=CLIENT, now=now)
    assert refused is Reason.WRONG_CLIENT_ID


def test_a_response_to_another_host_is_refused(
    shop: LocalSigner, leaf: x509.Certificate, anchor: x509.Certificate, now: datetime
) -> None:
    payload = {
        "aud": AUDIENCE,
        **write_request(REQUEST),
        "response_uri": "https://other.test/answers",
    }
    header = {"typ": REQUEST_OBJECT_TYP, "x5c": write_x5c([leaf])}
    token = sign_jws_with(payload, header, shop)
    refused = reason_of(open_request_object, token, [anchor], client_id=CLIENT, now=now)
    assert refused is Reason.WRONG_CLIENT_ID


@pytest.mark.parametrize(
    ("header", "payload", "reason"),
    [
        ({"typ": "JWT"}, {}, Reason.UNKNOWN_FORMAT),
        ({"x5c": []}, {}, Reason.MALFORMED),
        ({}, {"aud": "https://other.test"}, Reason.WRONG_AUDIENCE),
        ({}, {"client_id": 5}, Reason.MALFORMED),
        ({}, {"exp": 1_700_000_000}, Reason.EXPIRED),
        ({}, {"nbf": 4_000_000_000}, Reason.NOT_YET_VALID),
        ({}, {"iat": 4_000_000_000}, Reason.NOT_YET_VALID),
        ({}, {"response_mode": "fragment"}, Reason.UNSUPPORTED_OPTION),
    ],
)
def test_a_signed_request_of_another_shape_is_refused(
    header: Mapping[str, object],
    payload: Mapping[str, object],
    reason: Reason,
    shop: LocalSigner,
    leaf: x509.Certificate,
    anchor: x509.Certificate,
    now: datetime,
) -> None:
    token = sign_jws_with(
        {"aud": AUDIENCE, **write_request(REQUEST), **payload},
        {"typ": REQUEST_OBJECT_TYP, "x5c": write_x5c([leaf]), **header},
        shop,
    )
    assert reason_of(open_request_object, token, [anchor], client_id=CLIENT, now=now) is reason


def test_a_request_signed_by_another_key_than_the_certified_one_is_refused(
    phone: LocalSigner, leaf: x509.Certificate, anchor: x509.Certificate, now: datetime
) -> None:
    token = sign_request_object(REQUEST, phone, [leaf])
    refused = reason_of(open_request_object, token, [anchor], client_id=CLIENT, now=now)
    assert refused is Reason.WRONG_SIGNATURE


def test_a_request_over_the_limit_is_not_read(anchor: x509.Certificate, now: datetime) -> None:
    text = "e" * (MAX_REQUEST_BYTES + 1)
    refused = reason_of(open_request_object, text, [anchor], client_id=CLIENT, now=now)
    assert refused is Reason.TOO_LONG


@pytest.mark.parametrize("broken", ["03020052", "0c02fffe"])
def test_a_certificate_with_broken_names_is_malformed(
    broken: str,
    resigned: Callable[[x509.Certificate, LocalSigner, bytes, bytes], bytes],
    anchor: x509.Certificate,
    shop: LocalSigner,
    now: datetime,
) -> None:
    honest = certificate(42, 41, now, "shop.epassport.test", country="RU")
    authority = LocalSigner(ec.derive_private_key(41, ec.SECP256R1()))
    encoded = resigned(honest, authority, b"\x13\x02RU", bytes.fromhex(broken))
    leaf = x509.load_der_x509_certificate(encoded)
    token = sign_request_object(REQUEST, shop, [leaf])
    refusal = reason_of(open_request_object, token, [anchor], client_id=CLIENT, now=now)
    assert refusal is Reason.MALFORMED
