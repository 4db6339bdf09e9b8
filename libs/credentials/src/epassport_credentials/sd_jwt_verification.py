"""Checking a presented SD-JWT (RFC 9901 §7.3), whatever its claims mean.

In this order: limits, the issuer's signature, the disclosures, the period, the holder's
key binding. Nothing is read from the payload before its signature has been checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jose_keys import keys_named_by
from epassport_credentials.jwk import read_jwk
from epassport_credentials.jws import read_json_object, read_jws
from epassport_credentials.jwt_dates import check_dates
from epassport_credentials.key_binding import KEY_BINDING_AGE, Challenge, check_key_binding
from epassport_credentials.sd_jwt import (
    MAX_SD_JWT_CHARACTERS,
    Placed,
    SplitSdJwt,
    reveal,
    split_sd_jwt,
)
from epassport_credentials.signer import Purpose, verify_es256
from epassport_credentials.trust import TrustedKey, verify_by_any


@dataclass(frozen=True)
class CheckedSdJwt:
    """claims: the processed payload; placed: what came from disclosures, and where.

    holder_key: of `cnf`, None where there is none
    bound_at: when the holder signed, None if no challenge was asked
    """

    header: Mapping[str, object] = field(repr=False)
    claims: Mapping[str, object] = field(repr=False)
    placed: tuple[Placed, ...]
    holder_key: ec.EllipticCurvePublicKey | None
    bound_at: datetime | None


def check_sd_jwt(
    text: str,
    issuers: Sequence[TrustedKey],
    purpose: Purpose,
    *,
    typ: str,
    now: datetime,
    challenge: Challenge | None,
    max_age: timedelta = KEY_BINDING_AGE,
) -> CheckedSdJwt:
    """The claims of an SD-JWT that one of the issuers' keys vouches for.

    typ: of the issuer-signed JWT
    challenge: None where no key binding is demanded; one that comes all the same is
        refused, so that what was not checked does not look checked
    max_age: of the key binding
    Raises InvalidCredential: those of `split_sd_jwt`, `read_jws`, `keys_named_by`,
    `reveal` and `check_key_binding`, WRONG_SIGNATURE, NOT_YET_VALID, EXPIRED,
    NOT_KEY_BOUND.
    """
    split = split_sd_jwt(text)
    jws = read_jws(split.issuer_jwt, typ=typ, at_most=MAX_SD_JWT_CHARACTERS)
    keys = keys_named_by(jws.header, issuers, purpose, at=now)
    verify_by_any(keys, lambda key: verify_es256(key, jws.signature, jws.signed))
    payload = read_json_object(jws.payload)
    revealed = reveal(payload, split.disclosures)
    # Of the signed payload itself: a holder must not be able to hide the end of a credential.
    check_dates(payload, now=now)
    holder_key = _holder_key(payload)
    return CheckedSdJwt(
        header=jws.header,
        claims=revealed.claims,
        placed=revealed.placed,
        holder_key=holder_key,
        bound_at=_bound_at(split, holder_key, challenge, now=now, max_age=max_age),
    )


def _holder_key(payload: Mapping[str, object]) -> ec.EllipticCurvePublicKey | None:
    """Of `cnf` (RFC 7800 §3.2): only a whole key in `jwk` is taken, nothing is looked up."""
    if "cnf" not in payload:
        return None
    confirmation = payload["cnf"]
    if not isinstance(confirmation, dict):
        raise InvalidCredential(Reason.MALFORMED, "cnf is not an object")
    if "jwk" not in confirmation:
        raise InvalidCredential(Reason.NOT_KEY_BOUND, "cnf has no jwk")
    return read_jwk(confirmation["jwk"])


def _bound_at(
    split: SplitSdJwt,
    holder_key: ec.EllipticCurvePublicKey | None,
    challenge: Challenge | None,
    *,
    now: datetime,
    max_age: timedelta,
) -> datetime | None:
    if challenge is None:
        if split.key_binding:
            raise InvalidCredential(Reason.WRONG_KEY_BINDING, "a key binding nobody asked for")
        return None
    if holder_key is None or not split.key_binding:
        raise InvalidCredential(Reason.NOT_KEY_BOUND, "no key of the holder, or not used")
    return check_key_binding(
        split.key_binding,
        holder_key,
        challenge,
        presented=split.presented,
        now=now,
        max_age=max_age,
    )
