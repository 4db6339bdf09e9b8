"""The key binding JWT (RFC 9901 §4.3): the holder's phone answers one verifier, once.

It signs over the disclosures as chosen (`sd_hash`), who asked (`aud`), the question
(`nonce`) and the moment. A verifier that asks no challenge cannot tell a fresh answer
from a replayed one, so aud and nonce are never optional here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.claims import check_period, instant_of, numeric_date, text_of
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import read_json_object, read_jws, sign_jws_with
from epassport_credentials.jwt_dates import CLOCK_SKEW, check_dates
from epassport_credentials.sd_jwt import digest_of
from epassport_credentials.signer import Signer, verify_es256

KB_TYP = "kb+jwt"
MAX_KEY_BINDING_CHARACTERS = 4_096  # aud is an address of at most 2,048
# §7.3 leaves the window to the verifier: people read before they consent.
KEY_BINDING_AGE = timedelta(minutes=5)


@dataclass(frozen=True)
class Challenge:
    """What a verifier asked: audience as it calls itself (OpenID4VP: its client_id), nonce."""

    audience: str
    nonce: str


def bind(presented: str, phone: Signer, challenge: Challenge, *, now: datetime) -> str:
    """The presentation with its key binding at the end.

    presented: an SD-JWT with the chosen disclosures, ending in "~"
    """
    if not presented.endswith("~"):
        raise ValueError("a key binding comes after the last ~")
    payload = {
        "iat": numeric_date(now),
        "aud": challenge.audience,
        "nonce": challenge.nonce,
        "sd_hash": digest_of(presented),
    }
    return presented + sign_jws_with(payload, {"typ": KB_TYP}, phone)


def check_key_binding(
    token: str,
    holder_key: ec.EllipticCurvePublicKey,
    challenge: Challenge,
    *,
    presented: str,
    now: datetime,
    max_age: timedelta = KEY_BINDING_AGE,
) -> datetime:
    """Check it as in §7.3 step 5 and return when it was signed.

    holder_key: of `cnf` in the credential, whose signature has been checked
    Raises InvalidCredential: those of `read_jws`, WRONG_SIGNATURE, MALFORMED,
    WRONG_AUDIENCE, WRONG_NONCE, WRONG_KEY_BINDING (over other disclosures),
    NOT_YET_VALID, EXPIRED.
    """
    jws = read_jws(token, typ=KB_TYP, at_most=MAX_KEY_BINDING_CHARACTERS)
    verify_es256(holder_key, jws.signature, jws.signed)
    payload = read_json_object(jws.payload)
    if text_of(payload, "aud") != challenge.audience:
        raise InvalidCredential(Reason.WRONG_AUDIENCE, "aud is another verifier")
    if text_of(payload, "nonce") != challenge.nonce:
        raise InvalidCredential(Reason.WRONG_NONCE, "nonce is of another request")
    if text_of(payload, "sd_hash") != digest_of(presented):
        raise InvalidCredential(Reason.WRONG_KEY_BINDING, "sd_hash is over other disclosures")
    signed_at = instant_of(payload, "iat")
    check_period(signed_at, signed_at + max_age, now=now, skew=CLOCK_SKEW)
    check_dates(payload, now=now)
    return signed_at
