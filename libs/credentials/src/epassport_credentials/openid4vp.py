"""OpenID4VP 1.0: a verifier's request to a wallet, and the check of what the wallet posts.

Spoken here: response type `vp_token`, response mode `direct_post`, a `dcql_query`, SD-JWT
VCs; clients known by certificate (`x509_san_dns`, `x509_hash`, signed requests) or by
address (`redirect_uri`, unsigned). Refused as UNSUPPORTED_OPTION, never ignored: encrypted
responses (`direct_post.jwt`) and every other mode, `scope`, `transaction_data`, other
client identifier prefixes, presentations of mdocs. A request object's certificate must be
issued by an anchor directly.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from epassport_credentials.claims import text_of
from epassport_credentials.dcql import (
    SD_JWT_VC,
    CredentialQuery,
    DcqlQuery,
    Held,
    fits,
    read_dcql,
    satisfied_by,
    write_dcql,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import encode_json, read_json
from epassport_credentials.key_binding import KEY_BINDING_AGE, Challenge
from epassport_credentials.sd_jwt import MAX_SD_JWT_CHARACTERS, split_sd_jwt
from epassport_credentials.sd_jwt_vc import SdJwtVc, verify_sd_jwt_vc
from epassport_credentials.trust import TrustedKey

RESPONSE_TYPE, RESPONSE_MODE = "vp_token", "direct_post"
PREFIXES = ("x509_san_dns", "x509_hash", "redirect_uri")  # §5.9.3

MAX_REQUEST_BYTES = 65_536
MAX_PRESENTATIONS = 16
# Four whole identity credentials; percent-encoding hardly grows base64url.
MAX_RESPONSE_BYTES = 4 * MAX_SD_JWT_CHARACTERS
MAX_PARAMETERS = 16

# §5.2: "ASCII URL safe characters"; at least 128 bits of them in our own requests.
_NONCE = re.compile(r"[A-Za-z0-9._~-]{1,512}")
_MIN_NONCE_CHARACTERS = 22
_ADDRESS = re.compile(r"https://[!-~]{1,2048}")  # nothing that a reader of addresses would drop

# RFC 6749 §4.1.2.1 and OpenID4VP §8.5; any other text of a wallet is not repeated.
_ERRORS = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_request",
        "invalid_request_uri_method",
        "invalid_scope",
        "invalid_transaction_data",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
        "vp_formats_not_supported",
        "wallet_unavailable",
    }
)


@dataclass(frozen=True)
class PresentationRequest:
    """What a verifier asks.

    client_id: with its prefix; it is the audience that a wallet signs for (§14.1.2)
    response_uri: where the wallet posts; https
    nonce: fresh and random for each request, at least 128 bits
    state: comes back unchanged; demanded where a credential without key binding is taken
    """

    client_id: str
    response_uri: str
    nonce: str
    state: str | None
    query: DcqlQuery

    @property
    def challenge(self) -> Challenge:
        return Challenge(self.client_id, self.nonce)


def write_request(request: PresentationRequest) -> dict[str, object]:
    """The parameters of the authorization request (§5.1), checked as a wallet would."""
    if len(request.nonce) < _MIN_NONCE_CHARACTERS:
        raise ValueError(f"a nonce has at least {_MIN_NONCE_CHARACTERS} characters")
    parameters: dict[str, object] = {
        "response_type": RESPONSE_TYPE,
        "response_mode": RESPONSE_MODE,
        "client_id": request.client_id,
        "response_uri": request.response_uri,
        "nonce": request.nonce,
        "dcql_query": write_dcql(request.query),
        "client_metadata": {
            "vp_formats_supported": {
                SD_JWT_VC: {"sd-jwt_alg_values": ["ES256"], "kb-jwt_alg_values": ["ES256"]}
            }
        },
    }
    if request.state is not None:
        parameters["state"] = request.state
    read_request(parameters)
    return parameters


def read_request(parameters: Mapping[str, object]) -> PresentationRequest:
    """The request in its parameters, as a wallet takes it (§5).

    Trust in the client is not decided here: `openid4vp_request_object`.
    Raises InvalidCredential: MALFORMED, TOO_LONG, UNSUPPORTED_OPTION, WRONG_CLIENT_ID.
    """
    _refuse_unsupported(parameters)
    request = PresentationRequest(
        client_id=text_of(parameters, "client_id"),
        response_uri=text_of(parameters, "response_uri"),
        nonce=text_of(parameters, "nonce"),
        state=text_of(parameters, "state") if "state" in parameters else None,
        query=read_dcql(parameters.get("dcql_query")),
    )
    if not _NONCE.fullmatch(request.nonce):
        raise InvalidCredential(Reason.MALFORMED, "nonce is not of URL-safe characters")
    if request.state is None and not all(c.holder_binding for c in request.query.credentials):
        raise InvalidCredential(Reason.MALFORMED, "without key binding state is demanded (§5.3)")
    _check_client(request)
    return request


def _refuse_unsupported(parameters: Mapping[str, object]) -> None:
    if parameters.get("response_type") != RESPONSE_TYPE:
        raise InvalidCredential(Reason.UNSUPPORTED_OPTION, f"only {RESPONSE_TYPE}")
    if parameters.get("response_mode") != RESPONSE_MODE:
        raise InvalidCredential(Reason.UNSUPPORTED_OPTION, f"only {RESPONSE_MODE}")
    if "redirect_uri" in parameters:  # §8.2
        raise InvalidCredential(Reason.MALFORMED, "redirect_uri beside direct_post")
    for name in ("scope", "transaction_data"):  # §8.4: not understood means an error
        if name in parameters:
            raise InvalidCredential(Reason.UNSUPPORTED_OPTION, name)


def _check_client(request: PresentationRequest) -> None:
    """The response goes nowhere but to the client (§5.9.3). Hosts are compared as given."""
    prefix, _, name = request.client_id.partition(":")
    if prefix not in PREFIXES or not name:
        raise InvalidCredential(Reason.UNSUPPORTED_OPTION, "client identifier prefix")
    try:
        address = urlsplit(request.response_uri)
        host = address.hostname
    except ValueError as error:
        raise InvalidCredential(Reason.MALFORMED, "response_uri") from error
    if not _ADDRESS.fullmatch(request.response_uri) or not host or address.username is not None:
        raise InvalidCredential(Reason.MALFORMED, "response_uri is not an https address")
    if prefix == "redirect_uri" and name != request.response_uri:
        raise InvalidCredential(Reason.WRONG_CLIENT_ID, "response_uri is another address")
    if prefix == "x509_san_dns" and name.lower() != host:
        raise InvalidCredential(Reason.WRONG_CLIENT_ID, "response_uri is on another host")


def write_direct_post(vp_token: Mapping[str, Sequence[str]], *, state: str | None) -> bytes:
    """The body that a wallet posts (§8.2), application/x-www-form-urlencoded."""
    parameters = {"vp_token": encode_json(dict(vp_token)).decode()}
    if state is not None:
        parameters["state"] = state
    return urlencode(parameters).encode()


def read_direct_post(body: bytes) -> Mapping[str, object]:
    """The parameters of a posted response, `vp_token` as the JSON it holds.

    Raises InvalidCredential: TOO_LONG, MALFORMED.
    """
    if len(body) > MAX_RESPONSE_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"more than {MAX_RESPONSE_BYTES} bytes")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError as error:
        raise InvalidCredential(Reason.MALFORMED, "not a form") from error
    parameters: dict[str, object] = dict(pairs)
    if len(parameters) != len(pairs):  # RFC 6749 §3.1
        raise InvalidCredential(Reason.MALFORMED, "a parameter stands twice")
    if "vp_token" in parameters:
        parameters["vp_token"] = read_json(text_of(parameters, "vp_token").encode())
    return parameters


def check_response(
    parameters: Mapping[str, object],
    request: PresentationRequest,
    issuers: Sequence[TrustedKey],
    *,
    now: datetime,
    max_age: timedelta = KEY_BINDING_AGE,
) -> Mapping[str, tuple[SdJwtVc, ...]]:
    """The credentials that answer the request, by credential query id (§8.1, §8.6).

    parameters: as from `read_direct_post`
    request: the one this response is to; the caller ends it, so that a second response
        with the same nonce finds none
    issuers: keys of purpose mobile-attestation; `trusted_authorities` only told the wallet
    Status is not looked up. A wallet may show more than was asked: what was asked is in
    the request, the rest is to be dropped.
    Raises InvalidCredential: WRONG_STATE, WALLET_DECLINED, UNSUPPORTED_OPTION, MALFORMED,
    QUERY_NOT_MET, and those of `verify_sd_jwt_vc`.
    """
    if parameters.get("state") != request.state:
        raise InvalidCredential(Reason.WRONG_STATE, "state is of another request")
    if "error" in parameters:
        error = parameters["error"]
        known = error if isinstance(error, str) and error in _ERRORS else "another error"
        raise InvalidCredential(Reason.WALLET_DECLINED, known)
    if "response" in parameters:
        raise InvalidCredential(Reason.UNSUPPORTED_OPTION, "an encrypted response (§8.3)")
    presentations = _presentations(parameters.get("vp_token"), request.query)
    asked = {one.id: one for one in request.query.credentials}
    return {
        id_: tuple(
            _check_presentation(text, asked[id_], request, issuers, now=now, max_age=max_age)
            for text in texts
        )
        for id_, texts in presentations.items()
    }


def _presentations(vp_token: object, query: DcqlQuery) -> Mapping[str, Sequence[object]]:
    if not isinstance(vp_token, dict):
        raise InvalidCredential(Reason.MALFORMED, "vp_token is not an object")
    asked = {one.id: one for one in query.credentials}
    if not vp_token.keys() <= asked.keys():
        raise InvalidCredential(Reason.QUERY_NOT_MET, "an answer to what was not asked")
    for id_, texts in vp_token.items():
        if not isinstance(texts, list) or not 0 < len(texts) <= MAX_PRESENTATIONS:
            raise InvalidCredential(Reason.MALFORMED, "not an array of presentations")
        if len(texts) > 1 and not asked[id_].multiple:
            raise InvalidCredential(Reason.QUERY_NOT_MET, "several where one was asked")
    if satisfied_by(query, vp_token.keys()) is None:
        raise InvalidCredential(Reason.QUERY_NOT_MET, "a credential is missing")
    return vp_token


def _check_presentation(
    text: object,
    asked: CredentialQuery,
    request: PresentationRequest,
    issuers: Sequence[TrustedKey],
    *,
    now: datetime,
    max_age: timedelta,
) -> SdJwtVc:
    if asked.format != SD_JWT_VC:
        raise InvalidCredential(Reason.UNSUPPORTED_OPTION, "only dc+sd-jwt is read")
    if not isinstance(text, str):
        raise InvalidCredential(Reason.MALFORMED, "a presentation is not a text")
    # Where key binding is waived a wallet may bind all the same; then it is checked.
    is_bound = asked.holder_binding or bool(split_sd_jwt(text).key_binding)
    credential = verify_sd_jwt_vc(
        text,
        issuers,
        now=now,
        challenge=request.challenge if is_bound else None,
        vct=asked.types,
        max_age=max_age,
    )
    held = Held("", SD_JWT_VC, credential.vct, credential.claims, authorities=asked.authorities)
    if fits(asked, held) is None:
        raise InvalidCredential(Reason.QUERY_NOT_MET, "a claim is missing or of another value")
    return credential
