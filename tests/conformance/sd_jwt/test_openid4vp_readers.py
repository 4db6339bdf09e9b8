"""OpenID4VP 1.0 in both directions with @openid4vc/openid4vp, as a wallet and as a verifier.

That library checks the request object, the client identifier and the shape of the answer;
it leaves the presentations inside to SD-JWT software (`test_sd_jwt_readers`).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from epassport_credentials.dcql import ClaimQuery, CredentialQuery, DcqlQuery, write_dcql
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jose_keys import write_x5c
from epassport_credentials.jwk import jwk_of
from epassport_credentials.jws import encode_base64url
from epassport_credentials.openid4vp import (
    PresentationRequest,
    read_direct_post,
    read_request,
    write_direct_post,
    write_request,
)
from epassport_credentials.openid4vp_request_object import (
    AUDIENCE,
    open_request_object,
    sign_request_object,
    x509_hash_client_id,
)
from epassport_credentials.signer import LocalSigner
from tests.conformance.conversation import Conversation, Refused

Note = Callable[[str, object], None]

READER = "@openid4vc/openid4vp 0.4.6"
FORM, OBJECT = "OpenID4VP 1.0 direct_post", "OpenID4VP 1.0 request object"
FINAL_VERSION = 100  # how this library names version 1.0

SHOP_NUMBER, ANCHOR_NUMBER = 42, 41
HOST = "shop.epassport.test"
REQUEST = PresentationRequest(
    client_id=f"x509_san_dns:{HOST}",
    response_uri=f"https://{HOST}/answers",
    nonce="n-0S6_WzA2Mj.a~b1234567",
    state="9yS0tLr6",
    query=DcqlQuery(
        (
            CredentialQuery(
                "adult",
                "dc+sd-jwt",
                ("https://credentials.epassport.test/pass/1",),
                claims=(ClaimQuery(("age_over_18",), values=(True,)),),
            ),
        )
    ),
)


def private_key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


def certificate(number: int, host: str) -> x509.Certificate:
    names = {
        n: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(n))])
        for n in (number, ANCHOR_NUMBER)
    }
    return (
        x509.CertificateBuilder()
        .subject_name(names[number])
        .issuer_name(names[ANCHOR_NUMBER])
        .public_key(private_key(number).public_key())
        .serial_number(number)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2049, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(private_key(ANCHOR_NUMBER), hashes.SHA256())
    )


ANCHOR, LEAF = certificate(ANCHOR_NUMBER, "anchor.test"), certificate(SHOP_NUMBER, HOST)
SHOP = LocalSigner(private_key(SHOP_NUMBER))


def test_a_foreign_wallet_reads_our_request_object(
    openid4vp_reader: Conversation, record_property: Note
) -> None:
    record_property("conformance", (OBJECT, READER, "ours to theirs", "read"))
    token = sign_request_object(REQUEST, SHOP, [LEAF])
    asked = {"client_id": REQUEST.client_id, "request": token}
    answer = openid4vp_reader.ask("openid4vp read request", **asked)
    assert answer["version"] == FINAL_VERSION
    assert read_request(answer["payload"]) == REQUEST
    for verdict, changes in (
        ("other client refused", {"client_id": "x509_san_dns:other.test"}),
        ("altered refused", {"request": token[:-6] + "AAAAAA"}),
    ):
        record_property("conformance", (OBJECT, READER, "ours to theirs", verdict))
        with pytest.raises(Refused):
            openid4vp_reader.ask("openid4vp read request", **{**asked, **changes})


def test_the_request_object_of_a_foreign_verifier_is_read_here(
    openid4vp_reader: Conversation, record_property: Note
) -> None:
    record_property("conformance", (OBJECT, READER, "theirs to ours", "read"))
    by_hash = replace(REQUEST, client_id=x509_hash_client_id(LEAF))
    d = encode_base64url(SHOP_NUMBER.to_bytes(32, "big"))
    token = ""
    for request in (by_hash, REQUEST):
        token = openid4vp_reader.ask(
            "openid4vp write request",
            payload=write_request(request),
            x5c=write_x5c([LEAF]),
            key={**jwk_of(SHOP.public_key), "d": d},
            audience=AUDIENCE,
        )
        now = datetime.now(UTC)  # this library writes iat by the clock of this machine
        opened = open_request_object(token, [ANCHOR], client_id=request.client_id, now=now)
        assert opened == request
    record_property("conformance", (OBJECT, READER, "theirs to ours", "expired refused"))
    later = datetime.now(UTC) + timedelta(hours=1)
    with pytest.raises(InvalidCredential) as refusal:
        open_request_object(token, [ANCHOR], client_id=REQUEST.client_id, now=later)
    assert refusal.value.reason is Reason.EXPIRED


def test_the_form_of_an_answer_is_read_on_both_sides(
    openid4vp_reader: Conversation, record_property: Note
) -> None:
    request = write_request(REQUEST)
    vp_token = {"adult": ["eyJ.e30.AA~WyJd~kb.kb.kb"]}
    record_property("conformance", (FORM, READER, "ours to theirs", "read"))
    body = write_direct_post(vp_token, state=REQUEST.state).decode()
    answer = openid4vp_reader.ask("openid4vp read response", body=body, request=request)
    assert answer == {"presentations": vp_token, "nonce": REQUEST.nonce}
    record_property("conformance", (FORM, READER, "ours to theirs", "other state refused"))
    other = write_direct_post(vp_token, state="other").decode()
    with pytest.raises(Refused):
        openid4vp_reader.ask("openid4vp read response", body=other, request=request)
    record_property("conformance", (FORM, READER, "theirs to ours", "read"))
    posted = openid4vp_reader.ask("openid4vp write response", request=request, vp_token=vp_token)
    expected = {"vp_token": vp_token, "state": REQUEST.state}
    assert read_direct_post(posted.encode()) == expected
    assert request["dcql_query"] == write_dcql(REQUEST.query)
