"""Which trusted keys the header of a foreign JWS may mean.

A header only points: `x5c` to the key of its first certificate, `kid` to an id, written
by us as hex and by others as any text. Trust comes from the keys that the caller holds
and from nowhere else: no chain is built, no address is fetched, and a key that travels
in the header (`jwk`, `jku`, `x5u`) is not looked at.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import Purpose
from epassport_credentials.trust import TrustedKey, keys_in_force

# Signers whose headers name no key are tried one by one: 16 checks take about a millisecond.
MAX_UNNAMED_KEYS = 16
MAX_CERTIFICATES = 4  # RFC 5280 sets none; signer, two authorities and a spare


def keys_named_by(
    header: Mapping[str, object], keys: Sequence[TrustedKey], purpose: Purpose, *, at: datetime
) -> Sequence[TrustedKey]:
    """All trusted keys of this purpose in force that the header may mean, at least one.

    Raises InvalidCredential: UNKNOWN_SIGNER, WRONG_PURPOSE, SIGNER_NOT_IN_FORCE,
    MALFORMED (x5c or kid).
    """
    if "x5c" in header:
        leaf = first_key(read_x5c(header))
        meant = [key for key in keys if key.public_key == leaf]
    elif "kid" in header:
        ids = _key_ids(header["kid"])
        meant = [key for key in keys if key.key_id in ids]
    else:
        meant = [key for key in keys if key.purpose is purpose]
        if len(meant) > MAX_UNNAMED_KEYS:
            raise InvalidCredential(Reason.UNKNOWN_SIGNER, "the header names none of many keys")
    return keys_in_force(meant, purpose, at=at)


def read_x5c(header: Mapping[str, object]) -> Sequence[x509.Certificate]:
    """The certificates of `x5c` (RFC 7515 §4.1.6), the signer's first.

    Raises InvalidCredential: MALFORMED.
    """
    chain = header.get("x5c")
    if not isinstance(chain, list) or not 0 < len(chain) <= MAX_CERTIFICATES:
        raise InvalidCredential(Reason.MALFORMED, "x5c is not an array of certificates")
    return [_certificate(entry) for entry in chain]


def write_x5c(certificates: Sequence[x509.Certificate]) -> list[str]:
    """For a header: base64, not base64url, of each DER."""
    return [base64.b64encode(_der(certificate)).decode() for certificate in certificates]


def first_key(certificates: Sequence[x509.Certificate]) -> ec.EllipticCurvePublicKey:
    """Raises InvalidCredential: MALFORMED, also for a key that is not on a curve."""
    try:
        public_key = certificates[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidCredential(Reason.MALFORMED, "a key of unknown kind") from error
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise InvalidCredential(Reason.MALFORMED, "a key that is not on a curve")
    return public_key


def certificate_hash(certificate: x509.Certificate) -> bytes:
    """SHA-256 of the DER, 32 bytes."""
    return hashlib.sha256(_der(certificate)).digest()


def _key_ids(kid: object) -> frozenset[bytes]:
    if not isinstance(kid, str):
        raise InvalidCredential(Reason.MALFORMED, "kid is not a text")
    as_text = kid.encode()  # JSON with lone surrogates has not come this far
    try:
        return frozenset({as_text, bytes.fromhex(kid)})
    except ValueError:
        return frozenset({as_text})


def _certificate(entry: object) -> x509.Certificate:
    try:
        if not isinstance(entry, str):
            raise ValueError("not a text")
        return x509.load_der_x509_certificate(base64.b64decode(entry, validate=True))
    except (ValueError, x509.InvalidVersion) as error:
        raise InvalidCredential(Reason.MALFORMED, "x5c holds no certificate") from error


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
