"""EF.SOD: the signed list of a chip's data group hashes (Doc 9303-10 §4.6.2, CMS RFC 5652).

Emitted: LDSSecurityObject version 0, SHA-256, one SignerInfo by issuer and serial number,
the document signer's certificate inside. Accepted: versions 0 and 1 (LDS 1.8), SHA-256, SHA-384,
SHA-512 with ECDSA, one signer with its certificate. Reading takes the structure apart with `der`;
it checks no signature, `verify_sod` does.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from epassport_credentials.der import (
    BIT_STRING,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    Element,
    content,
    elements,
    encode_object_identifier,
    integer,
    members,
    only,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.signer import Signer, der_signature
from epassport_credentials.tlv import encode_tlv, read_object, read_tlv

LDS_SECURITY_OBJECT_OID = "2.23.136.1.1.1"
# One certificate and 16 hashes of SHA-512 take less than 4 kB; RSA keys add up to 2 kB.
MAX_SOD_BYTES = 20_000

_TAG = 0x77
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    algorithm.name: algorithm for algorithm in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
}


def _oid(dotted: str) -> bytes:
    """The content of an object identifier."""
    return encode_object_identifier(dotted)[2:]


_SIGNED_DATA = _oid("1.2.840.113549.1.7.2")
_SECURITY_OBJECT = _oid(LDS_SECURITY_OBJECT_OID)
_SECURITY_OBJECT_ELEMENT = encode_object_identifier(LDS_SECURITY_OBJECT_OID)
_CONTENT_TYPE, _MESSAGE_DIGEST = _oid("1.2.840.113549.1.9.3"), _oid("1.2.840.113549.1.9.4")
_SUBJECT_KEY_IDENTIFIER = _oid("2.5.29.14")
_DIGESTS = {
    _oid("2.16.840.1.101.3.4.2.1"): "sha256",
    _oid("2.16.840.1.101.3.4.2.2"): "sha384",
    _oid("2.16.840.1.101.3.4.2.3"): "sha512",
}
_ECDSA = {
    _oid("1.2.840.10045.4.3.2"): "sha256",
    _oid("1.2.840.10045.4.3.3"): "sha384",
    _oid("1.2.840.10045.4.3.4"): "sha512",
}
_NUMBERS = frozenset(range(1, 17))  # of data groups
_VERSION_3 = bytes.fromhex("A003020102")  # of a certificate
# Context-specific tags: [0] constructed and primitive, [1] and [3] constructed.
_FIRST, _FIRST_PRIMITIVE, _SECOND, _FOURTH = 0xA0, 0x80, 0xA1, 0xA3


@dataclass(frozen=True)
class Sod:
    """An EF.SOD taken apart; its signature has not been checked yet.

    certificate: the document signer's, in DER; signed: what `signature` is over
    """

    digest_name: str
    data_group_hashes: Mapping[int, bytes]
    certificate: bytes
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
    version, encapsulated, certificate, signer = _signed_data(message)
    if version != 3:
        raise InvalidCredential(Reason.UNKNOWN_VERSION, f"SignedData of version {version}")
    listed = _encapsulated(message, encapsulated)
    digest_name, data_group_hashes = _security_object_read(listed)
    _check_signer(message, signer, certificate)
    signature_algorithm = _identifier(message, signer[4])
    if signature_algorithm not in _ECDSA:
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "ECDSA with SHA-256, -384, -512")
    return Sod(
        digest_name=digest_name,
        data_group_hashes=data_group_hashes,
        certificate=message[certificate[1] : certificate[3]],
        signed=_signed_bytes(message, signer, listed),
        signature=content(message, signer[5], OCTET_STRING),
        signature_digest_name=_ECDSA[signature_algorithm],
    )


def verify_sod(sod: Sod, key: ec.EllipticCurvePublicKey) -> None:
    """key: of the document signer's certificate, once that is believed.

    Raises InvalidCredential: WRONG_SIGNATURE.
    """
    try:
        key.verify(sod.signature, sod.signed, ec.ECDSA(_HASHES[sod.signature_digest_name]))
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


def _signed_data(message: bytes) -> tuple[int, Element, Element, list[Element]]:
    """Version, encapsulated content, certificate and signer (RFC 5652 §5.1)."""
    content_type, explicit = _exactly(
        elements(message, *only(message, 0, len(message), SEQUENCE)), OBJECT_IDENTIFIER, _FIRST
    )
    if content(message, content_type, OBJECT_IDENTIFIER) != _SIGNED_DATA:
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, "not SignedData")
    fields = elements(message, *only(message, explicit[2], explicit[3], SEQUENCE))
    fields = [field for field in fields if field[0] != _SECOND]  # revocation lists: not used
    version, _, encapsulated, certificates, signers = _exactly(
        fields, INTEGER, SET, SEQUENCE, _FIRST, SET
    )
    found = members(message, certificates, _FIRST)
    infos = members(message, signers, SET)
    if len(found) != 1 or len(infos) != 1 or found[0][0] != SEQUENCE:
        raise InvalidCredential(Reason.MALFORMED, "not one signer with one X.509 certificate")
    signer = members(message, infos[0])
    if len(signer) == 7 and signer[6][0] == _SECOND:
        signer = signer[:6]  # unsigned attributes: nothing relies on them
    if len(signer) != 6:
        raise InvalidCredential(Reason.MALFORMED, "a signer of other members")
    return integer(message, version), encapsulated, found[0], signer


def _encapsulated(message: bytes, encapsulated: Element) -> bytes:
    content_type, explicit = _exactly(members(message, encapsulated), OBJECT_IDENTIFIER, _FIRST)
    if content(message, content_type, OBJECT_IDENTIFIER) != _SECURITY_OBJECT:
        raise InvalidCredential(Reason.UNKNOWN_FORMAT, "not an LDS security object")
    start, end = only(message, explicit[2], explicit[3], OCTET_STRING)
    return message[start:end]


def _security_object_read(listed: bytes) -> tuple[str, Mapping[int, bytes]]:
    """LDSSecurityObject (Doc 9303-10 §4.6.2); version 1 adds a member about versions."""
    fields = elements(listed, *only(listed, 0, len(listed), SEQUENCE))
    version = integer(listed, fields[0]) if fields else -1
    if version not in (0, 1):
        raise InvalidCredential(Reason.UNKNOWN_VERSION, f"LDSSecurityObject {version}")
    if len(fields) != 3 + version:
        raise InvalidCredential(Reason.MALFORMED, "an LDS security object of other members")
    digest_name = _digest_name(listed, fields[1])
    _, _, start, end = fields[2]
    if fields[2][0] != SEQUENCE:
        raise InvalidCredential(Reason.MALFORMED, "no list of hashes")
    return digest_name, _listed_hashes(listed[start:end], _HASHES[digest_name].digest_size)


def _listed_hashes(entries: bytes, size: int) -> Mapping[int, bytes]:
    """SEQUENCE { INTEGER 1 to 16, OCTET STRING }: in DER all entries are of one length."""
    head = bytes((SEQUENCE, size + 5, INTEGER, 1))
    middle = bytes((OCTET_STRING, size))
    length = len(head) + 1 + len(middle) + size
    found = {}
    for place in range(0, len(entries), length):
        entry = entries[place : place + length]
        if entry[:4] != head or entry[5:7] != middle or len(entry) != length:
            raise InvalidCredential(Reason.MALFORMED, "an entry of another form")
        found[entry[4]] = entry[7:]
    if not found or len(found) * length != len(entries) or not found.keys() <= _NUMBERS:
        raise InvalidCredential(Reason.MALFORMED, "data group numbers")
    return found


def _check_signer(message: bytes, signer: list[Element], certificate: Element) -> None:
    """By issuer and serial number in version 1, by key identifier in 3 (RFC 5652 §5.3)."""
    version, named = integer(message, signer[0]), signer[1]
    if version == 1:
        issuer, serial = _exactly(members(message, named), SEQUENCE, INTEGER)
        same = _is_of(message, certificate, _whole(message, issuer), _whole(message, serial))
    elif version == 3:
        named_key = content(message, named, _FIRST_PRIMITIVE)
        same = named_key == _key_identifier(message, certificate)
    else:
        raise InvalidCredential(Reason.UNKNOWN_VERSION, f"SignerInfo of version {version}")
    if not same:
        raise InvalidCredential(Reason.MALFORMED, "the certificate is not the signer's")


def _is_of(message: bytes, certificate: Element, issuer: bytes, serial: bytes) -> bool:
    """A certificate begins with its version, serial number, signature algorithm and issuer."""
    _, start, _ = read_object(message, certificate[2])
    place = start + len(_VERSION_3)
    if message[start:place] != _VERSION_3 or not message.startswith(serial, place):
        return False
    _, _, place = read_object(message, place + len(serial))
    return message.startswith(issuer, place)


def _key_identifier(message: bytes, certificate: Element) -> bytes | None:
    """Of the extensions, which are the last field of a certificate to be signed."""
    to_be_signed, *_ = _exactly(members(message, certificate), SEQUENCE, SEQUENCE, BIT_STRING)
    fields = members(message, to_be_signed)
    if not fields:
        return None
    _, _, start, end = fields[-1]
    if fields[-1][0] != _FOURTH:
        return None
    for extension in elements(message, *only(message, start, end, SEQUENCE)):
        if _identifier(message, extension) == _SUBJECT_KEY_IDENTIFIER:
            _, _, begin, stop = members(message, extension)[-1]
            return message[slice(*only(message, begin, stop, OCTET_STRING))]
    return None


def _signed_bytes(message: bytes, signer: list[Element], listed: bytes) -> bytes:
    """The attributes as SET OF (RFC 5652 §5.4), once they are found to speak of this list."""
    digest_name = _digest_name(message, signer[2])
    attributes = {}
    for attribute in members(message, signer[3], _FIRST):
        identifier, values = _exactly(members(message, attribute), OBJECT_IDENTIFIER, SET)
        key = content(message, identifier, OBJECT_IDENTIFIER)
        if key in attributes:
            raise InvalidCredential(Reason.MALFORMED, "a signed attribute twice")
        attributes[key] = message[values[2] : values[3]]
    if attributes.get(_CONTENT_TYPE) != _SECURITY_OBJECT_ELEMENT:
        raise InvalidCredential(Reason.MALFORMED, "the signed content type is another")
    digest = hashlib.new(digest_name, listed).digest()
    if attributes.get(_MESSAGE_DIGEST) != encode_tlv(OCTET_STRING, digest):
        raise InvalidCredential(
            Reason.DATA_GROUP_ALTERED, "the list of hashes is not the signed one"
        )
    whole = signer[3]
    return bytes((SET,)) + message[whole[1] + 1 : whole[3]]


def _exactly(found: list[Element], *tags: int) -> list[Element]:
    if [element[0] for element in found] != list(tags):
        raise InvalidCredential(Reason.MALFORMED, "EF.SOD is no CMS of its profile")
    return found


def _whole(message: bytes, element: Element) -> bytes:
    return message[element[1] : element[3]]


def _identifier(message: bytes, element: Element) -> bytes:
    fields = members(message, element)
    if not fields:
        raise InvalidCredential(Reason.MALFORMED, "an algorithm or extension without identifier")
    return content(message, fields[0], OBJECT_IDENTIFIER)


def _digest_name(message: bytes, element: Element) -> str:
    name = _DIGESTS.get(_identifier(message, element))
    if name is None:
        raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "SHA-256, SHA-384 or SHA-512")
    return name
