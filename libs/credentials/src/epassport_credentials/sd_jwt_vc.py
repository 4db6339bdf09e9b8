"""SD-JWT VC (draft-ietf-oauth-sd-jwt-vc): the credential a phone shows online, claim by claim.

Written: `dc+sd-jwt`, ES256, SHA-256, `vct`, `iss`, `iat`, `exp`, `cnf.jwk`, `status` open;
every other claim its own disclosure. What a credential means is named by `vct`, which
ends in the version of its claims. Keys have the purpose mobile-attestation: the same
issuer attests to the same phone, in a QR code as a CWT and online in this form; the two
signed texts cannot be taken for one another.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.claims import numeric_date, text_of
from epassport_credentials.cwt import StatusReference, status_claim
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jose_keys import write_x5c
from epassport_credentials.jwk import jwk_of
from epassport_credentials.jws import read_json_object, read_jws, sign_jws_with
from epassport_credentials.key_binding import KEY_BINDING_AGE, Challenge, bind
from epassport_credentials.sd_jwt import (
    ELEMENT,
    MAX_SD_JWT_CHARACTERS,
    MIN_SALT_BYTES,
    SD,
    SD_ALG,
    SHA_256,
    Path,
    Pointer,
    choose,
    join_sd_jwt,
    reveal,
    split_sd_jwt,
    write_disclosure,
)
from epassport_credentials.sd_jwt_verification import check_sd_jwt
from epassport_credentials.signer import Purpose, Signer
from epassport_credentials.status_list import read_status_reference
from epassport_credentials.trust import TrustedKey

SD_JWT_VC_TYP = "dc+sd-jwt"

# §2.2.2.2 of the draft: what decides whether a credential counts is never the holder's to hide.
NEVER_DISCLOSED = frozenset(
    {"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"}
)
_WRITTEN_OPEN = NEVER_DISCLOSED | {"iat", SD, SD_ALG, ELEMENT}


@dataclass(frozen=True)
class SdJwtVc:
    """A credential that has been checked.

    claims: the processed payload, registered claims among them
    disclosed: the places of what the holder chose to show
    holder_key: of `cnf`; bound_at: when the holder signed for this verifier
    status: to be looked up by the caller; None: the credential has no status
    """

    vct: str
    claims: Mapping[str, object] = field(repr=False)
    disclosed: tuple[Path, ...]
    holder_key: ec.EllipticCurvePublicKey | None
    bound_at: datetime | None
    status: StatusReference | None


def issue_sd_jwt_vc(
    claims: Mapping[str, object],
    *,
    vct: str,
    issuer: str,
    holder_key: ec.EllipticCurvePublicKey,
    issued_at: datetime,
    expires_at: datetime,
    status: StatusReference | None,
    random_bytes: Callable[[int], bytes],
    signer: Signer,
    certificates: Sequence[x509.Certificate] = (),
) -> str:
    """The credential with all its disclosures, as it goes to the holder.

    claims: JSON values by name, each selectively disclosable as a whole
    random_bytes: as `secrets.token_bytes`; 16 bytes for each claim
    certificates: the signer's first, for readers who look for `x5c`; `kid` is always there
    """
    _check_names(claims)
    disclosures = [
        write_disclosure(random_bytes(MIN_SALT_BYTES), name, value)
        for name, value in claims.items()
    ]
    payload: dict[str, object] = {
        "vct": vct,
        "iss": issuer,
        "iat": numeric_date(issued_at),
        "exp": numeric_date(expires_at),
        "cnf": {"jwk": jwk_of(holder_key)},
        # In the order of the digests, which tells nothing about the claims (RFC 9901 §4.2.4.1).
        SD: sorted(disclosure.digest for disclosure in disclosures),
        SD_ALG: SHA_256,
    }
    if status is not None:
        payload["status"] = status_claim(status)
    header: dict[str, object] = {"typ": SD_JWT_VC_TYP, "kid": signer.key_id.hex()}
    if certificates:
        header["x5c"] = write_x5c(certificates)
    return join_sd_jwt(sign_jws_with(payload, header, signer), disclosures)


def present_sd_jwt_vc(
    issued: str,
    pointers: Collection[Pointer],
    *,
    phone: Signer,
    challenge: Challenge,
    now: datetime,
) -> str:
    """What the phone sends: the credential, the chosen claims, its signature over both.

    issued: as it came from the issuer; the holder's side checks no signature
    pointers: the claims to show, as in `dcql`; none shows only what is always open
    Raises InvalidCredential: those of `with_chosen`.
    """
    return bind(with_chosen(issued, pointers), phone, challenge, now=now)


def with_chosen(issued: str, pointers: Collection[Pointer]) -> str:
    """The credential with the chosen disclosures and without key binding, ending in "~".

    Raises InvalidCredential: those of `split_sd_jwt`, `read_jws` and `reveal`.
    """
    split = split_sd_jwt(issued)
    jws = read_jws(split.issuer_jwt, typ=SD_JWT_VC_TYP, at_most=MAX_SD_JWT_CHARACTERS)
    revealed = reveal(read_json_object(jws.payload), split.disclosures)
    return join_sd_jwt(split.issuer_jwt, choose(revealed, pointers))


def verify_sd_jwt_vc(
    text: str,
    issuers: Sequence[TrustedKey],
    *,
    now: datetime,
    challenge: Challenge | None,
    vct: Collection[str] | None = None,
    max_age: timedelta = KEY_BINDING_AGE,
) -> SdJwtVc:
    """Check a presented credential (draft §2.4, RFC 9901 §7.3).

    text: at most 131,072 characters
    issuers: keys of purpose mobile-attestation; `x5c` and `kid` only choose among them
    challenge: what this verifier asked; None only where no key binding is demanded
    vct: the types that are taken; all if None
    max_age: of the key binding
    The status is not looked up here: `status_list` and `SdJwtVc.status`.
    Raises InvalidCredential: those of `check_sd_jwt` (typ: UNKNOWN_FORMAT),
    FORBIDDEN_CLAIM, WRONG_CREDENTIAL_TYPE, MALFORMED, INDEX_OUT_OF_RANGE.
    """
    checked = check_sd_jwt(
        text,
        issuers,
        Purpose.MOBILE_ATTESTATION,
        typ=SD_JWT_VC_TYP,
        now=now,
        challenge=challenge,
        max_age=max_age,
    )
    if any(placed.path[0] in NEVER_DISCLOSED for placed in checked.placed):
        raise InvalidCredential(Reason.FORBIDDEN_CLAIM, "disclosed, though it decides")
    stated = text_of(checked.claims, "vct")
    if vct is not None and stated not in vct:
        raise InvalidCredential(Reason.WRONG_CREDENTIAL_TYPE, "vct is not asked for")
    return SdJwtVc(
        vct=stated,
        claims=checked.claims,
        disclosed=tuple(placed.path for placed in checked.placed),
        holder_key=checked.holder_key,
        bound_at=checked.bound_at,
        status=read_status_reference(checked.claims),
    )


def _check_names(claims: Mapping[str, object]) -> None:
    if wrong := _WRITTEN_OPEN & claims.keys():
        raise ValueError(f"not claims to disclose: {', '.join(sorted(wrong))}")
    for value in claims.values():
        _check_inside(value)


def _check_inside(value: object) -> None:
    if isinstance(value, Mapping):
        if value.keys() & {SD, ELEMENT}:
            raise ValueError(f"{SD} and {ELEMENT} are no names of members")
        for member in value.values():
            _check_inside(member)
    elif isinstance(value, list):
        for member in value:
            _check_inside(member)
