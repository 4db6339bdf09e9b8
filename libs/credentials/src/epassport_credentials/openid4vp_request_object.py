"""The signed request of OpenID4VP 1.0 (§5, RFC 9101): a wallet knows who asks.

A JWS of type `oauth-authz-req+jwt`, signed by the key of the certificate in `x5c`; the
client identifier names that certificate, by the host it is for or by its hash.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.claims import text_of
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jose_keys import certificate_hash, first_key, read_x5c, write_x5c
from epassport_credentials.jws import encode_base64url, read_json_object, read_jws, sign_jws_with
from epassport_credentials.jwt_dates import check_dates
from epassport_credentials.openid4vp import (
    MAX_REQUEST_BYTES,
    PresentationRequest,
    read_request,
    write_request,
)
from epassport_credentials.signer import Signer, verify_es256

REQUEST_OBJECT_TYP = "oauth-authz-req+jwt"  # RFC 9101 §10.8
AUDIENCE = "https://self-issued.me/v2"  # §5.8: the wallet is not known beforehand


def x509_hash_client_id(certificate: x509.Certificate) -> str:
    """§5.9.3: base64url of SHA-256 of the DER."""
    return f"x509_hash:{encode_base64url(certificate_hash(certificate))}"


def sign_request_object(
    request: PresentationRequest,
    signer: Signer,
    certificates: Sequence[x509.Certificate],
    *,
    wallet_nonce: str | None = None,
) -> str:
    """Served as application/oauth-authz-req+jwt at the request_uri.

    certificates: the signer's first; its anchor may be left out
    wallet_nonce: what the wallet posted, if it did (§5.10)
    """
    payload = {"iss": request.client_id, "aud": AUDIENCE, **write_request(request)}
    if wallet_nonce is not None:
        payload["wallet_nonce"] = wallet_nonce
    header = {"typ": REQUEST_OBJECT_TYP, "x5c": write_x5c(certificates)}
    return sign_jws_with(payload, header, signer)


def open_request_object(
    token: str,
    anchors: Sequence[x509.Certificate],
    *,
    client_id: str,
    now: datetime,
    wallet_nonce: str | None = None,
) -> PresentationRequest:
    """Check a request object as a wallet does (§5.9.3, §5.10.1) and return what it asks.

    anchors: authorities that certify verifiers, each itself taken as valid
    client_id: of the request that led here; both must be the same
    Raises InvalidCredential: those of `read_jws`, `read_x5c` and `read_request`,
    WRONG_SIGNATURE, UNKNOWN_SIGNER (no anchor issued it), SIGNER_NOT_IN_FORCE,
    NOT_YET_VALID, EXPIRED (of the request itself, if it says), WRONG_AUDIENCE,
    WRONG_CLIENT_ID, WRONG_NONCE.
    """
    jws = read_jws(token, typ=REQUEST_OBJECT_TYP, at_most=MAX_REQUEST_BYTES)
    certificates = read_x5c(jws.header)
    verify_es256(first_key(certificates), jws.signature, jws.signed)
    _check_certificate(certificates[0], anchors, now=now)
    payload = read_json_object(jws.payload)
    check_dates(payload, now=now)
    if payload.get("aud") != AUDIENCE:
        raise InvalidCredential(Reason.WRONG_AUDIENCE, "aud is not any wallet")
    if text_of(payload, "client_id") != client_id:
        raise InvalidCredential(Reason.WRONG_CLIENT_ID, "client_id is another than before")
    if wallet_nonce is not None and payload.get("wallet_nonce") != wallet_nonce:
        raise InvalidCredential(Reason.WRONG_NONCE, "wallet_nonce is another")
    _check_client_id(client_id, certificates[0])
    return read_request(payload)


def _check_certificate(
    leaf: x509.Certificate, anchors: Sequence[x509.Certificate], *, now: datetime
) -> None:
    if not any(_issued(leaf, anchor) for anchor in anchors):
        raise InvalidCredential(Reason.UNKNOWN_SIGNER, "no anchor issued the certificate")
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise InvalidCredential(Reason.SIGNER_NOT_IN_FORCE, "the certificate")


def _issued(leaf: x509.Certificate, anchor: x509.Certificate) -> bool:
    if not isinstance(anchor.public_key(), ec.EllipticCurvePublicKey):
        return False
    try:
        leaf.verify_directly_issued_by(anchor)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_client_id(client_id: str, leaf: x509.Certificate) -> None:
    prefix, _, name = client_id.partition(":")
    match prefix:
        case "x509_san_dns":
            is_named = name.lower() in (host.lower() for host in _hosts(leaf))
        case "x509_hash":
            is_named = client_id == x509_hash_client_id(leaf)
        case _:  # a signature tells nothing about a client that is known by its address
            is_named = False
    if not is_named:
        raise InvalidCredential(Reason.WRONG_CLIENT_ID, "not the client of the certificate")


def _hosts(leaf: x509.Certificate) -> Sequence[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    except (
        ValueError,
        TypeError,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise InvalidCredential(Reason.MALFORMED, "a certificate with broken names") from error
    return names.value.get_values_for_type(x509.DNSName)
