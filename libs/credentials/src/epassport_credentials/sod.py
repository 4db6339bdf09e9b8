"""EF.SOD: the signed list of a chip's data group hashes (Doc 9303-10 §4.7.1, CMS RFC 5652).

Emitted: LDSSecurityObject version 0, SHA-256, one SignerInfo by issuer and serial number,
the document signer's certificate inside. Accepted: SHA-256, SHA-384, SHA-512 with ECDSA.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import Signer, der_signature
from epassport_credentials.tlv import encode_tlv, read_tlv

LDS_SECURITY_OBJECT_OID = "2.23.136.1.1.1"
MAX_SOD_BYTES = 20_000

_TAG = 0x77
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    algorithm.name: algorithm for algorithm in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
}


@dataclass(frozen=True)
class Sod:
    """An EF.SOD taken apart; its signature has not been checked yet."""

    digest_name: str
    data_group_hashes: Mapping[int, bytes]
    document_signer: x509.Certificate
    signed: bytes
    signature: bytes
    signature_digest_name: str


class _DataGroupHash(core.Sequence):  # type: ignore[misc]
    _fields = [("number", core.Integer), ("value", core.OctetString)]  # noqa: RUF012


class _DataGroupHashes(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _DataGroupHash


class _LdsSecurityObject(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("version", core.Integer),
        ("hash_algorithm", algos.DigestAlgorithm),
        ("hashes", _DataGroupHashes),
        ("lds_version_info", core.Any, {"optional": True}),
    ]


def issue_sod(
    data_groups: Mapping[int, bytes],
    signer: Signer,
    certificate: x509.Certificate,
    *,
    signed_at: datetime,
) -> bytes:
    """The file EF.SOD over whole data group files, by their numbers."""
    content = _security_object(data_groups)
    certificate_info = asn1.Certificate.load(certificate.public_bytes(Encoding.DER))
    signed_data = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {
                "content_type": LDS_SECURITY_OBJECT_OID,
                "content": cms.ParsableOctetString(content),
            },
            "certificates": [cms.CertificateChoices("certificate", certificate_info)],
            "signer_infos": [_signer_info(content, certificate_info, signer, signed_at)],
        }
    )
    message = cms.ContentInfo({"content_type": "signed_data", "content": signed_data})
    return encode_tlv(_TAG, message.dump())


def read_sod(data: bytes) -> Sod:
    """Raises InvalidCredential: TOO_LONG, MALFORMED, UNKNOWN_FORMAT, UNKNOWN_VERSION,
    UNSUPPORTED_ALGORITHM, DATA_GROUP_ALTERED (the list itself is not what was signed)."""
    if len(data) > MAX_SOD_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"EF.SOD of more than {MAX_SOD_BYTES} bytes")
    message = read_tlv(data, _TAG)
    try:
        return _read_message(message)
    except (ValueError, TypeError, KeyError, OverflowError, x509.InvalidVersion) as error:
        # asn1crypto parses as it is asked and reports every fault by one of the first three.
        raise InvalidCredential(Reason.MALFORMED, "EF.SOD is no CMS of its profile") from error


def verify_sod(sod: Sod) -> None:
    """The document signer's signature. Raises InvalidCredential: WRONG_SIGNATURE,
    UNSUPPORTED_ALGORITHM."""
    try:
        key = sod.document_signer.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "an unknown curve") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "only ECDSA")
    algorithm = ec.ECDSA(_HASHES[sod.signature_digest_name])
    try:
        key.verify(sod.signature, sod.signed, algorithm)
    except InvalidSignature as error:
        raise InvalidCredential(Reason.WRONG_SIGNATURE, "EF.SOD") from error


def _security_object(data_groups: Mapping[int, bytes]) -> bytes:
    encoded: bytes = _LdsSecurityObject(
        {
            "version": 0,
            "hash_algorithm": {"algorithm": "sha256"},
            "hashes": [
                {"number": number, "value": hashlib.sha256(data_groups[number]).digest()}
                for number in sorted(data_groups)
            ],
        }
    ).dump()
    return encoded


def _signer_info(
    content: bytes, certificate: asn1.Certificate, signer: Signer, signed_at: datetime
) -> cms.SignerInfo:
    attributes = _signed_attributes(content, signed_at)
    named = {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    return cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier("issuer_and_serial_number", named),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": der_signature(signer.sign(attributes.dump())),
        }
    )


def _signed_attributes(content: bytes, signed_at: datetime) -> cms.CMSAttributes:
    return cms.CMSAttributes(
        [
            {"type": "content_type", "values": [LDS_SECURITY_OBJECT_OID]},
            {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
            {
                "type": "signing_time",
                "values": [cms.Time({"utc_time": signed_at.replace(microsecond=0)})],
            },
        ]
    )


def _read_message(message: bytes) -> Sod:
    content_info = cms.ContentInfo.load(message, strict=True)
    if content_info["content_type"].native != "signed_data":
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, "not SignedData")
    signed_data = content_info["content"]
    encapsulated = signed_data["encap_content_info"]
    if encapsulated["content_type"].native != LDS_SECURITY_OBJECT_OID:
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, "not an LDS security object")
    if len(signed_data["signer_infos"]) != 1 or len(signed_data["certificates"]) != 1:
        raise InvalidCredential(Reason.MALFORMED, "not one signer with one certificate")
    content = bytes(encapsulated["content"])
    signer_info = signed_data["signer_infos"][0]
    if (signed_data["version"].native, signer_info["version"].native) != ("v3", "v1"):
        raise InvalidCredential(Reason.UNKNOWN_VERSION, "SignedData v3 with SignerInfo v1")
    choice = signed_data["certificates"][0]
    if choice.name != "certificate":
        raise InvalidCredential(Reason.MALFORMED, "not an X.509 certificate")
    certificate = choice.chosen
    _check_signer(signer_info, certificate)
    security_object = _LdsSecurityObject.load(content, strict=True)
    return Sod(
        digest_name=_digest_name(security_object["hash_algorithm"]["algorithm"].native),
        data_group_hashes=_hashes(security_object),
        document_signer=x509.load_der_x509_certificate(certificate.dump()),
        signed=_signed_bytes(signer_info, content),
        signature=signer_info["signature"].native,
        signature_digest_name=_signature_digest(signer_info),
    )


def _check_signer(signer_info: cms.SignerInfo, certificate: asn1.Certificate) -> None:
    named = signer_info["sid"]
    if named.name != "issuer_and_serial_number":
        raise InvalidCredential(Reason.MALFORMED, "the signer is not named by issuer and serial")
    if (
        named.chosen["issuer"].dump() != certificate.issuer.dump()
        or named.chosen["serial_number"].native != certificate.serial_number
    ):
        raise InvalidCredential(Reason.MALFORMED, "the certificate is not the signer's")


def _hashes(security_object: _LdsSecurityObject) -> Mapping[int, bytes]:
    hashes_found = {
        member["number"].native: member["value"].native for member in security_object["hashes"]
    }
    numbers = list(hashes_found)
    if len(numbers) != len(security_object["hashes"]) or not set(numbers) <= set(range(1, 17)):
        raise InvalidCredential(Reason.MALFORMED, "data group numbers")
    return hashes_found


def _signed_bytes(signer_info: cms.SignerInfo, content: bytes) -> bytes:
    """The attributes as SET OF (RFC 5652 §5.4), once they are found to speak of this content."""
    attributes = {
        attribute["type"].native: attribute["values"] for attribute in signer_info["signed_attrs"]
    }
    if len(attributes) != len(signer_info["signed_attrs"]):
        raise InvalidCredential(Reason.MALFORMED, "a signed attribute twice")
    digest_name = _digest_name(signer_info["digest_algorithm"]["algorithm"].native)
    if attributes["content_type"].native != [LDS_SECURITY_OBJECT_OID]:
        raise InvalidCredential(Reason.MALFORMED, "the signed content type is another")
    if attributes["message_digest"].native != [hashlib.new(digest_name, content).digest()]:
        raise InvalidCredential(
            Reason.DATA_GROUP_ALTERED, "the list of hashes is not the signed one"
        )
    signed: bytes = signer_info["signed_attrs"].untag().dump()
    return signed


def _signature_digest(signer_info: cms.SignerInfo) -> str:
    algorithm = signer_info["signature_algorithm"]
    if algorithm.signature_algo != "ecdsa":
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "only ECDSA")
    return _digest_name(algorithm.hash_algo)


def _digest_name(name: str) -> str:
    if name not in _HASHES:
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "SHA-256, SHA-384 or SHA-512")
    return name
