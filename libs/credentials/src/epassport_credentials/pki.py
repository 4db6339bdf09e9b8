"""The two certificates above a chip: country signing CA and document signer (Doc 9303-12 §7).

Both are P-256 and made behind `Signer`, so the private keys may live in an HSM. The
standard asks for explicit curve parameters, most tools for the curve's name: names are
the default, `explicit_parameters` is the switch. What the sandbox signs carries a
critical private extension and a name ending in SANDBOX.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from asn1crypto import algos, core, keys
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.signer import Signer, der_signature, public_key_info

COUNTRY = "RU"

DOCUMENT_TYPE_LIST_OID = "2.23.136.1.1.6.2"
# An arc that needs no registration: 2.25 and a random UUID (ITU-T X.667).
SANDBOX_OID = "2.25.287760484477462301933423128717421566027"

_SANDBOX_VALUE = core.Null().dump()
_SANDBOX_SUFFIX = " SANDBOX"

_P256 = {
    "p": 2**256 - 2**224 + 2**192 + 2**96 - 1,
    "a": 2**256 - 2**224 + 2**192 + 2**96 - 4,
    "b": 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    "order": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "x": 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    "y": 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
}


@dataclass(frozen=True)
class CertificateTerms:
    """What the ceremony decides about one certificate.

    serial: positive, at most 20 bytes, random
    key_use: how long the private key signs, from not_before
    not_after: for a CSCA key_use plus the life of a document signer, for a document
        signer key_use plus the life of a document
    """

    common_name: str
    organization: str
    serial: int
    not_before: datetime
    not_after: datetime
    key_use: timedelta
    crl_uri: str
    sandbox: bool = False
    explicit_parameters: bool = False

    def __post_init__(self) -> None:
        """A fraction of a second would make a certificate that readers refuse."""
        if any(moment.microsecond for moment in (self.not_before, self.not_after)):
            raise ValueError("validity is in whole seconds (RFC 5280 §4.1.2.5.2)")


def issue_csca(terms: CertificateTerms, csca: Signer) -> x509.Certificate:
    """The self-signed root of a country."""
    name = _name(terms)
    key_id = _key_identifier(csca.public_key)
    extensions = [
        _extension("basic_constraints", {"ca": True, "path_len_constraint": 0}, critical=True),
        _extension("key_usage", {"key_cert_sign", "crl_sign"}, critical=True),
        _extension("key_identifier", key_id),
        *_common_extensions(terms, key_id),
    ]
    return _sign(terms, issuer=name, subject=name, key=csca, extensions=extensions, signer=csca)


def issue_document_signer(
    terms: CertificateTerms,
    document_signer: Signer,
    *,
    issuer: x509.Certificate,
    csca: Signer,
    document_types: Sequence[str],
) -> x509.Certificate:
    """A certificate for the key that signs EF.SOD.

    document_types: first characters of the MRZ of the documents it may sign, such as "I"
    """
    extensions = [
        _extension("key_usage", {"digital_signature"}, critical=True),
        _extension("key_identifier", _key_identifier(document_signer.public_key)),
        *_common_extensions(terms, _key_identifier(csca.public_key)),
        asn1.Extension(
            {
                "extn_id": DOCUMENT_TYPE_LIST_OID,
                "critical": False,
                "extn_value": _document_type_list(document_types),
            }
        ),
    ]
    return _sign(
        terms,
        issuer=asn1.Name.load(issuer.subject.public_bytes()),
        subject=_name(terms),
        key=document_signer,
        extensions=extensions,
        signer=csca,
    )


def is_sandbox(certificate: x509.Certificate) -> bool:
    """Whether it carries the critical extension of the sandbox."""
    return any(extension.oid.dotted_string == SANDBOX_OID for extension in certificate.extensions)


class _PrintableStrings(core.SetOf):  # type: ignore[misc]
    _child_spec = core.PrintableString


class _DocumentTypeList(core.Sequence):  # type: ignore[misc]
    _fields = [("version", core.Integer), ("types", _PrintableStrings)]  # noqa: RUF012


def _document_type_list(document_types: Sequence[str]) -> bytes:
    encoded: bytes = _DocumentTypeList({"version": 0, "types": list(document_types)}).dump()
    return encoded


def _sign(
    terms: CertificateTerms,
    *,
    issuer: asn1.Name,
    subject: asn1.Name,
    key: Signer,
    extensions: Sequence[asn1.Extension],
    signer: Signer,
) -> x509.Certificate:
    algorithm = algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"})
    to_be_signed = asn1.TbsCertificate(
        {
            "version": "v3",
            "serial_number": terms.serial,
            "signature": algorithm,
            "issuer": issuer,
            "validity": _validity(terms),
            "subject": subject,
            "subject_public_key_info": _public_key_info(key, explicit=terms.explicit_parameters),
            "extensions": list(extensions),
        }
    )
    certificate = asn1.Certificate(
        {
            "tbs_certificate": to_be_signed,
            "signature_algorithm": algorithm,
            "signature_value": der_signature(signer.sign(to_be_signed.dump())),
        }
    )
    return x509.load_der_x509_certificate(certificate.dump())


def _common_extensions(terms: CertificateTerms, authority: bytes) -> list[asn1.Extension]:
    place = [asn1.GeneralName("directory_name", asn1.Name.build({"locality_name": COUNTRY}))]
    point = {
        "distribution_point": asn1.DistributionPointName(
            "full_name", [asn1.GeneralName("uniform_resource_identifier", terms.crl_uri)]
        )
    }
    extensions = [
        _extension("authority_key_identifier", {"key_identifier": authority}),
        _extension("subject_alt_name", place),
        _extension("issuer_alt_name", place),
        _extension("crl_distribution_points", [point]),
        _extension(
            "private_key_usage_period",
            {"not_before": terms.not_before, "not_after": terms.not_before + terms.key_use},
        ),
    ]
    if terms.sandbox:
        extensions.append(
            asn1.Extension({"extn_id": SANDBOX_OID, "critical": True, "extn_value": _SANDBOX_VALUE})
        )
    return extensions


def _extension(name: str, value: object, *, critical: bool = False) -> asn1.Extension:
    return asn1.Extension({"extn_id": name, "critical": critical, "extn_value": value})


def _name(terms: CertificateTerms) -> asn1.Name:
    return asn1.Name.build(
        {
            "country_name": COUNTRY,  # the same upper case in CSCA and document signer
            "organization_name": terms.organization,
            "common_name": terms.common_name + (_SANDBOX_SUFFIX if terms.sandbox else ""),
        },
        use_printable=True,
    )


def _validity(terms: CertificateTerms) -> asn1.Validity:
    return asn1.Validity(
        {"not_before": _time(terms.not_before), "not_after": _time(terms.not_after)}
    )


def _time(at: datetime) -> asn1.Time:
    """UTCTime until 2049, as RFC 5280 §4.1.2.5 demands."""
    kind = "utc_time" if at.year < 2050 else "general_time"
    return asn1.Time({kind: at.replace(microsecond=0)})


def _key_identifier(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """RFC 5280 §4.2.1.2, method 1: SHA-1 of the key's bits; an identifier, not a defence."""
    info = keys.PublicKeyInfo.load(public_key_info(public_key))
    return hashlib.sha1(bytes(info["public_key"]), usedforsecurity=False).digest()


def _public_key_info(signer: Signer, *, explicit: bool) -> keys.PublicKeyInfo:
    info = keys.PublicKeyInfo.load(public_key_info(signer.public_key))
    if not explicit:
        return info
    return keys.PublicKeyInfo(
        {
            "algorithm": {
                "algorithm": "ec",
                "parameters": keys.ECDomainParameters("specified", _explicit_p256()),
            },
            "public_key": info["public_key"],
        }
    )


def _explicit_p256() -> keys.SpecifiedECDomain:
    """ECParameters with cofactor and uncompressed base point (Doc 9303-12 §4.1.6.3)."""
    return keys.SpecifiedECDomain(
        {
            "version": "ecdpVer1",
            "field_id": {"field_type": "prime_field", "parameters": core.Integer(_P256["p"])},
            "curve": {
                "a": _P256["a"].to_bytes(32, "big"),
                "b": _P256["b"].to_bytes(32, "big"),
            },
            "base": keys.ECPoint.from_coords(_P256["x"], _P256["y"]),
            "order": _P256["order"],
            "cofactor": 1,
        }
    )
