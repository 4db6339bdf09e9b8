"""The revocation list of a country signing CA (Doc 9303-12 §7, RFC 5280 §5).

Version 2, with authority key identifier and number, without extensions of entries. Lists of
certificates that nobody may rely on: document signers, which take all their documents along.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import algos, core
from asn1crypto import crl as asn1
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import Signer, der_signature

# A country has tens of document signers a year; the lists of ICAO's directory stay far below.
MAX_CRL_BYTES = 1_000_000


@dataclass(frozen=True)
class RevocationList:
    """revoked: serial numbers, and since when; next_update: when a newer list is due."""

    number: int
    issued_at: datetime
    next_update: datetime
    revoked: Mapping[int, datetime]


def issue_crl(content: RevocationList, csca: Signer, *, issuer: x509.Certificate) -> bytes:
    """DER. Raises ValueError where the key is not the issuer's or a time has fractions."""
    moments = (content.issued_at, content.next_update, *content.revoked.values())
    if any(moment.microsecond for moment in moments):
        raise ValueError("times are in whole seconds (RFC 5280 §5.1.2.4)")
    if issuer.public_key() != csca.public_key:
        raise ValueError("the key is not the issuer's")
    algorithm = algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"})
    to_be_signed = asn1.TbsCertList(
        {
            "version": "v2",
            "signature": algorithm,
            "issuer": asn1_x509.Name.load(issuer.subject.public_bytes()),
            "this_update": _time(content.issued_at),
            "next_update": _time(content.next_update),
            "revoked_certificates": [
                {"user_certificate": serial, "revocation_date": _time(since)}
                for serial, since in sorted(content.revoked.items())
            ]
            or None,
            "crl_extensions": _extensions(content.number, issuer),
        }
    )
    encoded: bytes = asn1.CertificateList(
        {
            "tbs_cert_list": to_be_signed,
            "signature_algorithm": algorithm,
            "signature": core.OctetBitString(der_signature(csca.sign(to_be_signed.dump()))),
        }
    ).dump()
    return encoded


def read_crl(data: bytes, issuer: x509.Certificate) -> RevocationList:
    """What the CSCA signed; whether it is recent is for who relies on it.

    Raises InvalidCredential: TOO_LONG, MALFORMED, UNTRUSTED_DOCUMENT_SIGNER (of another
    issuer), WRONG_SIGNATURE, UNSUPPORTED_ALGORITHM.
    """
    if len(data) > MAX_CRL_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"a CRL of more than {MAX_CRL_BYTES} bytes")
    try:
        return _read(x509.load_der_x509_crl(data), issuer)
    except UnsupportedAlgorithm as error:
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "a CRL's signature") from error
    except (
        ValueError,
        TypeError,
        x509.ExtensionNotFound,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise InvalidCredential(Reason.MALFORMED, "a CRL") from error


def _read(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> RevocationList:
    if crl.issuer != issuer.subject:
        raise InvalidCredential(Reason.UNTRUSTED_DOCUMENT_SIGNER, "a CRL of another issuer")
    key = issuer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "only ECDSA")
    if not crl.is_signature_valid(key):
        raise InvalidCredential(Reason.WRONG_SIGNATURE, "a CRL")
    if crl.next_update_utc is None or any(extension.critical for extension in crl.extensions):
        raise InvalidCredential(Reason.MALFORMED, "no next update, or a partial CRL")
    return RevocationList(
        number=crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number,
        issued_at=crl.last_update_utc,
        next_update=crl.next_update_utc,
        revoked={entry.serial_number: entry.revocation_date_utc for entry in crl},
    )


def _extensions(number: int, issuer: x509.Certificate) -> list[asn1.TBSCertListExtension]:
    key_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    members = {
        "authority_key_identifier": {"key_identifier": key_id},
        "crl_number": number,
    }
    return [
        asn1.TBSCertListExtension({"extn_id": name, "critical": False, "extn_value": value})
        for name, value in members.items()
    ]


def _time(at: datetime) -> asn1_x509.Time:
    """UTCTime until 2049, as RFC 5280 §5.1.2.4 demands."""
    return asn1_x509.Time({"utc_time" if at.year < 2050 else "general_time": at})
