"""SD-JWT VC with key binding in both directions: sd-jwt and @sd-jwt/sd-jwt-vc.

Theirs hide nested members and elements of arrays, and stand between decoys; ours hide
whole claims. What was altered, or answers another verifier, is refused on either side, as
far as the reader looks: sd-jwt knows no status and no period, sd-jwt-js leaves `aud` to its
caller.
"""

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.cwt import StatusReference
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jwk import jwk_of
from epassport_credentials.jws import encode_base64url
from epassport_credentials.key_binding import Challenge
from epassport_credentials.sd_jwt_vc import (
    SD_JWT_VC_TYP,
    issue_sd_jwt_vc,
    present_sd_jwt_vc,
    verify_sd_jwt_vc,
)
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.status_list import Status, issue_status_list, pack_statuses
from epassport_credentials.trust import TrustedKey
from tests.conformance.conversation import Conversation, Refused

Note = Callable[[str, object], None]

FORMAT = "SD-JWT VC with key binding"
PYTHON, JAVASCRIPT = "sd-jwt 0.10.4", "@sd-jwt/sd-jwt-vc 0.17.1"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
VCT = "https://credentials.epassport.test/pass/1"
LIST = "https://status.epassport.test/1"
ASKED = Challenge("x509_san_dns:shop.epassport.test", "n-0S6_WzA2Mj.a~b1234567")
CLAIMS = {
    "family_name": "Подъёмная",
    "age_over_18": True,
    "address": {"locality": "Казань", "postal_code": "420111"},
    "nationalities": ["RU", "KZ"],
}


def private_jwk(number: int) -> dict[str, str]:
    public = ec.derive_private_key(number, ec.SECP256R1()).public_key()
    return {**jwk_of(public), "d": encode_base64url(number.to_bytes(32, "big"))}


ISSUER_NUMBER, HOLDER_NUMBER, STATUS_NUMBER = 4711, 7, 12
ISSUER = LocalSigner(ec.derive_private_key(ISSUER_NUMBER, ec.SECP256R1()))
PHONE = LocalSigner(ec.derive_private_key(HOLDER_NUMBER, ec.SECP256R1()))
STATUS_SIGNER = LocalSigner(ec.derive_private_key(STATUS_NUMBER, ec.SECP256R1()))
TRUSTED = [
    TrustedKey(
        Purpose.MOBILE_ATTESTATION,
        ISSUER.key_id,
        ISSUER.public_key,
        NOW - 1000 * DAY,
        NOW + 20_000 * DAY,  # sd-jwt signs key bindings by the clock of this machine
    )
]


def ours(*names: str, index: int = 1, until: datetime = NOW + DAY) -> str:
    salts = itertools.count()
    issued = issue_sd_jwt_vc(
        CLAIMS,
        vct=VCT,
        issuer="https://issuer.epassport.test",
        holder_key=PHONE.public_key,
        issued_at=NOW,
        expires_at=until,
        status=StatusReference(LIST, index),
        random_bytes=lambda size: next(salts).to_bytes(size, "big"),
        signer=ISSUER,
    )
    pointers = [(name,) for name in names]
    return present_sd_jwt_vc(issued, pointers, phone=PHONE, challenge=ASKED, now=NOW)


def shown(claims: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if name in CLAIMS}


def altered(text: str) -> str:
    """One character of the first disclosure changed."""
    place = text.index("~") + 12
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def test_sd_jwt_reads_what_our_holder_chose(
    python_readers: Conversation, record_property: Note
) -> None:
    row = (FORMAT, PYTHON, "ours to theirs")
    question = {"issuer": jwk_of(ISSUER.public_key), "audience": ASKED.audience}
    for names in ([], ["age_over_18"], ["address", "nationalities"], [*CLAIMS]):
        record_property("conformance", (*row, "read"))
        claims = python_readers.ask("sd-jwt read", text=ours(*names), nonce=ASKED.nonce, **question)
        assert shown(claims) == {name: CLAIMS[name] for name in names}
        assert claims["vct"] == VCT
    text = ours("age_over_18")
    record_property("conformance", (*row, "other nonce refused"))
    with pytest.raises(Refused, match="nonce"):
        python_readers.ask("sd-jwt read", text=text, nonce="other", **question)
    record_property("conformance", (*row, "other audience refused"))
    other = question | {"audience": "other"}
    with pytest.raises(Refused, match="audience"):
        python_readers.ask("sd-jwt read", text=text, nonce=ASKED.nonce, **other)
    record_property("conformance", (*row, "altered refused"))
    with pytest.raises(Refused):
        python_readers.ask("sd-jwt read", text=altered(text), nonce=ASKED.nonce, **question)


STATUSES = [Status.NOT_IN_FORCE, Status.VALID, Status.INVALID, Status.SUSPENDED]


def ask_javascript(readers: Conversation, text: str, **changes: object) -> Any:
    token = issue_status_list(
        pack_statuses(STATUSES),
        STATUS_SIGNER,
        uri=LIST,
        issued_at=NOW - DAY,
        expires_at=NOW + 2 * DAY,
    )
    asked = {
        "text": text,
        "issuer": jwk_of(ISSUER.public_key),
        "status_issuer": jwk_of(STATUS_SIGNER.public_key),
        "lists": {LIST: token},
        "nonce": ASKED.nonce,
        "now": int(NOW.timestamp()),
    }
    return readers.ask("sd-jwt-vc read", **{**asked, **changes})


def test_sd_jwt_js_reads_what_our_holder_chose(
    javascript_readers: Conversation, record_property: Note
) -> None:
    row = (FORMAT, JAVASCRIPT, "ours to theirs")
    for names in ([], ["age_over_18"], ["address", "nationalities"], [*CLAIMS]):
        record_property("conformance", (*row, "read"))
        answer = ask_javascript(javascript_readers, ours(*names))
        assert shown(answer["claims"]) == {name: CLAIMS[name] for name in names}
        assert answer["audience"] == ASKED.audience
    text = ours("age_over_18")
    record_property("conformance", (*row, "other nonce refused"))
    with pytest.raises(Refused, match=r"(?i)nonce"):
        ask_javascript(javascript_readers, text, nonce="other")
    record_property("conformance", (*row, "altered refused"))
    with pytest.raises(Refused):
        ask_javascript(javascript_readers, altered(text))
    record_property("conformance", (*row, "expired refused"))
    with pytest.raises(Refused, match="expired"):
        ask_javascript(javascript_readers, text, now=int((NOW + DAY).timestamp()) + 1)


@pytest.mark.parametrize("index", range(4))
def test_sd_jwt_js_follows_our_status_list(
    index: int, javascript_readers: Conversation, record_property: Note
) -> None:
    row = (FORMAT, f"{JAVASCRIPT} with status list", "ours to theirs")
    text = ours(index=index)
    if STATUSES[index] is Status.VALID:
        record_property("conformance", (*row, "in force read"))
        assert ask_javascript(javascript_readers, text)["claims"]["status"]["status_list"]
        record_property("conformance", (*row, "list by another key refused"))
        key = jwk_of(PHONE.public_key)
        with pytest.raises(Refused):
            ask_javascript(javascript_readers, text, status_issuer=key)
    else:
        record_property("conformance", (*row, f"{STATUSES[index].name} refused"))
        with pytest.raises(Refused, match=r"(?i)status"):
            ask_javascript(javascript_readers, text)


OPEN = {
    "vct": VCT,
    "iss": "https://issuer.example",
    "iat": int(NOW.timestamp()),
    "exp": int((NOW + 20_000 * DAY).timestamp()),
}
HEADER = {"typ": SD_JWT_VC_TYP, "kid": ISSUER.key_id.hex()}


@pytest.mark.parametrize("decoys", [False, True], ids=["bare", "between decoys"])
def test_what_sd_jwt_presents_is_read_here(
    decoys: bool, python_readers: Conversation, record_property: Note
) -> None:
    """Hidden in it: members, members of members, and elements of an array."""
    row = (FORMAT, PYTHON, "theirs to ours")
    text = python_readers.ask(
        "sd-jwt write",
        claims={**OPEN, **CLAIMS},
        hide=[*CLAIMS, "locality", "postal_code"],
        header=HEADER,
        decoys=decoys,
        issuer=private_jwk(ISSUER_NUMBER),
        holder=private_jwk(HOLDER_NUMBER),
        show={"address": {"locality": True}, "nationalities": [False, True]},
        audience=ASKED.audience,
        nonce=ASKED.nonce,
    )
    now = datetime.now(UTC)
    record_property("conformance", (*row, "read"))
    credential = verify_sd_jwt_vc(text, TRUSTED, now=now, challenge=ASKED)
    assert shown(credential.claims) == {"address": {"locality": "Казань"}, "nationalities": ["KZ"]}
    record_property("conformance", (*row, "other nonce refused"))
    _refused(text, Challenge(ASKED.audience, "other"), now, Reason.WRONG_NONCE)
    record_property("conformance", (*row, "other audience refused"))
    _refused(text, Challenge("other", ASKED.nonce), now, Reason.WRONG_AUDIENCE)
    record_property("conformance", (*row, "altered refused"))
    with pytest.raises(InvalidCredential):
        verify_sd_jwt_vc(altered(text), TRUSTED, now=now, challenge=ASKED)


def test_what_sd_jwt_js_presents_is_read_here(
    javascript_readers: Conversation, record_property: Note
) -> None:
    row = (FORMAT, JAVASCRIPT, "theirs to ours")
    text = javascript_readers.ask(
        "sd-jwt-vc write",
        claims={**OPEN, **CLAIMS, "cnf": {"jwk": jwk_of(PHONE.public_key)}},
        frame={
            "_sd": [*CLAIMS],
            "_sd_decoy": 2,
            "address": {"_sd": ["locality", "postal_code"]},
            "nationalities": {"_sd": [0, 1]},
        },
        header={"kid": HEADER["kid"]},
        issuer=private_jwk(ISSUER_NUMBER),
        holder=private_jwk(HOLDER_NUMBER),
        show={"address": {"locality": True}, "nationalities": {"1": True}},
        now=int(NOW.timestamp()),
        audience=ASKED.audience,
        nonce=ASKED.nonce,
    )
    record_property("conformance", (*row, "read"))
    credential = verify_sd_jwt_vc(text, TRUSTED, now=NOW, challenge=ASKED)
    assert shown(credential.claims) == {"address": {"locality": "Казань"}, "nationalities": ["KZ"]}
    assert credential.holder_key == PHONE.public_key
    record_property("conformance", (*row, "other nonce refused"))
    _refused(text, Challenge(ASKED.audience, "other"), NOW, Reason.WRONG_NONCE)
    record_property("conformance", (*row, "other audience refused"))
    _refused(text, Challenge("other", ASKED.nonce), NOW, Reason.WRONG_AUDIENCE)
    record_property("conformance", (*row, "altered refused"))
    with pytest.raises(InvalidCredential):
        verify_sd_jwt_vc(altered(text), TRUSTED, now=NOW, challenge=ASKED)


def _refused(text: str, challenge: Challenge, now: datetime, reason: Reason) -> None:
    with pytest.raises(InvalidCredential) as refusal:
        verify_sd_jwt_vc(text, TRUSTED, now=now, challenge=challenge)
    assert refusal.value.reason is reason
