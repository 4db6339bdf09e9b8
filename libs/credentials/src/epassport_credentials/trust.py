"""Which keys may vouch for what: trusted keys, and the signed list that carries them.

Keys are looked up by purpose and key id. Ids are eight bytes and may collide, so every
match is tried. A list made for the sandbox says so, and so does each of its keys: a
production verifier refuses both, whatever the signature.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from epassport_credentials.claims import (
    check_period,
    instant_of,
    integer_of,
    numeric_date,
    text_of,
    truth_of,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import (
    decode_base64url,
    encode_base64url,
    read_json_object,
    read_jws,
    sign_jws,
)
from epassport_credentials.signer import (
    Purpose,
    Signer,
    key_id_of,
    public_key_info,
    verify_es256,
)

TRUST_LIST_VERSION = 1
TRUST_LIST_TYP = "epassport-trust-list+jwt"
MAX_TRUST_LIST_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class TrustedKey:
    purpose: Purpose
    key_id: bytes
    public_key: ec.EllipticCurvePublicKey
    not_before: datetime
    not_after: datetime
    sandbox: bool = False


@dataclass(frozen=True)
class TrustList:
    issuer: str
    issued_at: datetime
    valid_until: datetime
    keys: tuple[TrustedKey, ...]
    sandbox: bool = False

    def matching(self, purpose: Purpose, key_id: bytes, *, at: datetime) -> Sequence[TrustedKey]:
        """As `matching_keys`."""
        return matching_keys(self.keys, purpose, key_id, at=at)


def trusted_key(
    signer: Signer,
    purpose: Purpose,
    *,
    not_before: datetime,
    not_after: datetime,
    sandbox: bool = False,
) -> TrustedKey:
    return TrustedKey(purpose, signer.key_id, signer.public_key, not_before, not_after, sandbox)


def matching_keys(
    keys: Sequence[TrustedKey], purpose: Purpose, key_id: bytes, *, at: datetime
) -> Sequence[TrustedKey]:
    """All keys of this purpose and id that are in force, at least one.

    Raises InvalidCredential: UNKNOWN_SIGNER, WRONG_PURPOSE, SIGNER_NOT_IN_FORCE.
    """
    return keys_in_force([key for key in keys if key.key_id == key_id], purpose, at=at)


def keys_in_force(
    keys: Sequence[TrustedKey], purpose: Purpose, *, at: datetime
) -> Sequence[TrustedKey]:
    """Of the keys that a token may mean, those of this purpose in force, at least one.

    Raises InvalidCredential: UNKNOWN_SIGNER, WRONG_PURPOSE, SIGNER_NOT_IN_FORCE.
    """
    in_force = [
        key for key in keys if key.purpose is purpose and key.not_before <= at < key.not_after
    ]
    if not in_force:
        raise _why_none_counts(keys, purpose)
    return in_force


def _why_none_counts(keys: Sequence[TrustedKey], purpose: Purpose) -> InvalidCredential:
    if not keys:
        return InvalidCredential(Reason.UNKNOWN_SIGNER, "no trusted key is meant")
    of_purpose = [key for key in keys if key.purpose is purpose]
    if not of_purpose:
        return InvalidCredential(Reason.WRONG_PURPOSE, f"the key is not for {purpose}")
    return InvalidCredential(Reason.SIGNER_NOT_IN_FORCE, of_purpose[0].key_id.hex())


def verify_by_any(
    keys: Sequence[TrustedKey], verify: Callable[[ec.EllipticCurvePublicKey], None]
) -> TrustedKey:
    """The first key that verifies. Raises InvalidCredential: WRONG_SIGNATURE."""
    for key in keys:
        try:
            verify(key.public_key)
        except InvalidCredential as refusal:
            if refusal.reason is not Reason.WRONG_SIGNATURE:
                raise
        else:
            return key
    raise InvalidCredential(Reason.WRONG_SIGNATURE, "by none of the keys of this id")


def trusted_payload(
    token: str,
    keys: Sequence[TrustedKey],
    purpose: Purpose,
    *,
    typ: str,
    at_most: int,
    at: datetime,
) -> dict[str, object]:
    """The JSON of a compact JWS, once a trusted key of this purpose has vouched for it.

    at_most: characters
    Raises InvalidCredential: those of `read_jws` and `matching_keys`, WRONG_SIGNATURE.
    """
    jws = read_jws(token, typ=typ, at_most=at_most)
    candidates = matching_keys(keys, purpose, jws.key_id, at=at)
    verify_by_any(candidates, lambda key: verify_es256(key, jws.signature, jws.signed))
    return read_json_object(jws.payload)


def issue_trust_list(trust: TrustList, signer: Signer) -> str:
    """A compact JWS (RFC 7515 §7.1), version first; times are whole seconds."""
    payload = {"version": TRUST_LIST_VERSION, **trust_to_json(trust)}
    return sign_jws(payload, typ=TRUST_LIST_TYP, signer=signer)


def open_trust_list(
    token: str, roots: Sequence[TrustedKey], *, now: datetime, accept_sandbox: bool = False
) -> TrustList:
    """Check a signed trust list and return its keys.

    roots: keys of purpose trust-list, known beforehand
    Raises InvalidCredential: those of `read_jws` and `matching_keys`, WRONG_SIGNATURE,
    UNKNOWN_VERSION, SANDBOX_SIGNER, NOT_YET_VALID, EXPIRED.
    """
    payload = trusted_payload(
        token,
        roots,
        Purpose.TRUST_LIST,
        typ=TRUST_LIST_TYP,
        at_most=MAX_TRUST_LIST_CHARACTERS,
        at=now,
    )
    check_version(payload, TRUST_LIST_VERSION)
    trust = trust_from_json(payload)
    refuse_sandbox(trust, accept_sandbox=accept_sandbox)
    check_period(trust.issued_at, trust.valid_until, now=now)
    return trust


def check_version(payload: Mapping[str, object], *known: int) -> int:
    """The version is the first member, so that a reader may stop at it.

    Raises InvalidCredential: UNKNOWN_VERSION, MALFORMED.
    """
    if next(iter(payload), None) != "version" or integer_of(payload, "version") not in known:
        raise InvalidCredential(Reason.UNKNOWN_VERSION, f"known: {known}")
    return integer_of(payload, "version")


def refuse_sandbox(trust: TrustList, *, accept_sandbox: bool) -> None:
    """Raises InvalidCredential: SANDBOX_SIGNER."""
    if not accept_sandbox and (trust.sandbox or any(key.sandbox for key in trust.keys)):
        raise InvalidCredential(Reason.SANDBOX_SIGNER, "made for the sandbox")


def trust_to_json(trust: TrustList) -> dict[str, object]:
    return {
        "issuer": trust.issuer,
        "sandbox": trust.sandbox,
        "iat": numeric_date(trust.issued_at),
        "exp": numeric_date(trust.valid_until),
        "keys": _keys_to_json(trust.keys),
    }


def trust_from_json(payload: Mapping[str, object]) -> TrustList:
    """Raises InvalidCredential: MALFORMED."""
    return TrustList(
        issuer=text_of(payload, "issuer"),
        issued_at=instant_of(payload, "iat"),
        valid_until=instant_of(payload, "exp"),
        keys=_keys_from_json(payload.get("keys")),
        sandbox=truth_of(payload, "sandbox"),
    )


def _keys_to_json(keys: Sequence[TrustedKey]) -> list[dict[str, object]]:
    return [
        {
            "purpose": key.purpose.value,
            "public_key": encode_base64url(public_key_info(key.public_key)),
            "not_before": numeric_date(key.not_before),
            "not_after": numeric_date(key.not_after),
            "sandbox": key.sandbox,
        }
        for key in keys
    ]


def _keys_from_json(value: object) -> tuple[TrustedKey, ...]:
    if not isinstance(value, list):
        raise InvalidCredential(Reason.MALFORMED, "keys are not an array")
    return tuple(_key_from_json(member) for member in value)


def _key_from_json(member: object) -> TrustedKey:
    if not isinstance(member, dict):
        raise InvalidCredential(Reason.MALFORMED, "a key is not an object")
    try:
        purpose = Purpose(text_of(member, "purpose"))
        public_key = load_der_public_key(decode_base64url(text_of(member, "public_key")))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidCredential(Reason.MALFORMED, "a key of unknown kind") from error
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise InvalidCredential(Reason.MALFORMED, "a key that is not on a curve")
    return TrustedKey(
        purpose=purpose,
        key_id=key_id_of(public_key),
        public_key=public_key,
        not_before=instant_of(member, "not_before"),
        not_after=instant_of(member, "not_after"),
        sandbox=truth_of(member, "sandbox"),
    )
