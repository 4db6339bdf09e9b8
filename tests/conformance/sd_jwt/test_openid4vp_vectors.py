"""One request of OpenID4VP 1.0, a good answer to it and ten bad ones."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jwk import read_jwk
from epassport_credentials.openid4vp import (
    check_response,
    read_direct_post,
    read_request,
    write_direct_post,
    write_request,
)
from epassport_credentials.sd_jwt_vc import SdJwtVc
from epassport_credentials.signer import Purpose
from epassport_credentials.trust import TrustedKey

Note = Callable[[str, object], None]

ROW = ("OpenID4VP 1.0 direct_post", "OpenID4VP 1.0 cases", "theirs to ours")
DAY = timedelta(days=1)
FAULTS = {
    "aud-without-prefix": Reason.WRONG_AUDIENCE,
    "aud-is-response-uri": Reason.WRONG_AUDIENCE,
    "nonce-of-another-request": Reason.WRONG_NONCE,
    "no-key-binding": Reason.NOT_KEY_BOUND,
    "claim-not-disclosed": Reason.QUERY_NOT_MET,
    "unknown-query-id": Reason.QUERY_NOT_MET,
    "not-an-array": Reason.MALFORMED,
    "empty-array": Reason.MALFORMED,
    "two-presentations": Reason.QUERY_NOT_MET,
    "state-wrong": Reason.WRONG_STATE,
}


@pytest.fixture(scope="module")
def vector(vectors: Path) -> dict[str, Any]:
    return dict(json.loads((vectors / "openid4vp/presentation.json").read_text()))


def checked(vector: dict[str, Any], response: dict[str, Any]) -> tuple[SdJwtVc, ...]:
    now = datetime.fromtimestamp(vector["check_time"], UTC)
    public_key = read_jwk(vector["issuer_jwk"])
    issuer = TrustedKey(
        Purpose.MOBILE_ATTESTATION, b"doc-signer-05-25-2022", public_key, now - DAY, now + DAY
    )
    body = write_direct_post(response["vp_token"], state=response["state"])
    request = read_request(vector["request"])
    return check_response(read_direct_post(body), request, [issuer], now=now)["id1"]


def test_the_good_answer_is_accepted(vector: dict[str, Any], record_property: Note) -> None:
    record_property("conformance", (*ROW, "read"))
    (credential,) = checked(vector, vector["positive"]["response"])
    assert credential.claims == vector["positive"]["processed_payload"]


def test_every_bad_answer_is_refused_for_its_fault(
    vector: dict[str, Any], record_property: Note
) -> None:
    assert {case["name"] for case in vector["negative"]} == FAULTS.keys()
    for case in vector["negative"]:
        record_property("conformance", (*ROW, "broken refused"))
        with pytest.raises(InvalidCredential) as refusal:
            checked(vector, case["response"])
        assert refusal.value.reason is FAULTS[case["name"]], case["name"]


def test_the_published_request_is_written_as_it_is_read(vector: dict[str, Any]) -> None:
    written = write_request(read_request(vector["request"]))
    del written["client_metadata"]
    assert written == vector["request"]
