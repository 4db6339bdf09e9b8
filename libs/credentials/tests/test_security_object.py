"""EF.SOD and certificates made for one fault each, and signed as if they were right."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from asn1crypto import cms, core
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.signer import LocalSigner, der_signature
from epassport_credentials.sod import LDS_SECURITY_OBJECT_OID, read_sod, verify_sod
from epassport_credentials.tlv import encode_tlv
from epassport_credentials.trust_anchors import TrustAnchors

SHA256 = bytes.fromhex("300d06096086480165030402010500")
DIGEST = bytes(range(32))


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


def entry(number: int, digest: bytes = DIGEST) -> bytes:
    return encode_tlv(0x30, encode_tlv(2, bytes((number,))) + encode_tlv(4, digest))


def security_object(*entries: bytes, version: int = 0, more: bytes = b"") -> bytes:
    listed = encode_tlv(0x30, b"".join(entries))
    return encode_tlv(0x30, encode_tlv(2, bytes((version,))) + SHA256 + listed + more)


GOOD = security_object(entry(1), entry(2))


class Forge:
    """Makes an EF.SOD of any content; what is not named is as it should be."""

    def __init__(self, key: LocalSigner, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = asn1.Certificate.load(certificate.public_bytes(Encoding.DER))

    def __call__(self, listed: bytes = GOOD, **changes: Any) -> bytes:
        attributes = cms.CMSAttributes(changes.get("attributes") or self.attributes(listed))
        named = {
            "issuer": changes.get("issuer", self._certificate.issuer),
            "serial_number": changes.get("serial", self._certificate.serial_number),
        }
        signer = cms.SignerInfo(
            {
                "version": changes.get("signer_version", "v1"),
                "sid": changes.get("sid")
                or cms.SignerIdentifier("issuer_and_serial_number", named),
                "digest_algorithm": {"algorithm": "sha256"},
                "signed_attrs": attributes,
                "signature_algorithm": {"algorithm": changes.get("algorithm", "sha256_ecdsa")},
                "signature": der_signature(self._key.sign(attributes.dump())),
                **changes.get("signer", {}),
            }
        )
        data = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": "sha256"}],
                "encap_content_info": {
                    "content_type": LDS_SECURITY_OBJECT_OID,
                    "content": cms.ParsableOctetString(listed),
                },
                "certificates": [cms.CertificateChoices("certificate", self._certificate)],
                "signer_infos": [signer],
            }
        )
        message = cms.ContentInfo({"content_type": "signed_data", "content": data})
        return encode_tlv(0x77, message.dump())

    def attributes(
        self, listed: bytes = GOOD, content_type: str = LDS_SECURITY_OBJECT_OID
    ) -> list[Mapping[str, object]]:
        return [
            {"type": "content_type", "values": [content_type]},
            {"type": "message_digest", "values": [sha256(listed).digest()]},
        ]

    @property
    def key_identifier(self) -> bytes:
        found: bytes = self._certificate.key_identifier
        return found


@pytest.fixture(scope="module")
def forge(document_signer_key: LocalSigner, document_signer: x509.Certificate) -> Forge:
    return Forge(document_signer_key, document_signer)


def test_what_is_forged_without_a_fault_is_right(
    forge: Forge, document_signer_key: LocalSigner
) -> None:
    sod = read_sod(forge())
    verify_sod(sod, document_signer_key.public_key)
    assert sod.data_group_hashes == {1: DIGEST, 2: DIGEST}


def test_lds_1_8_adds_its_versions(forge: Forge) -> None:
    versions = encode_tlv(0x30, encode_tlv(0x13, b"0108") + encode_tlv(0x13, b"040000"))
    newer = security_object(entry(1), version=1, more=versions)
    assert read_sod(forge(newer)).data_group_hashes == {1: DIGEST}


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (security_object(entry(1), version=2), Reason.UNKNOWN_VERSION),
        (security_object(entry(1), version=1), Reason.MALFORMED),
        (security_object(entry(1), more=encode_tlv(0x30, b"")), Reason.MALFORMED),
        (security_object(), Reason.MALFORMED),
        (security_object(entry(0)), Reason.MALFORMED),
        (security_object(entry(17)), Reason.MALFORMED),
        (security_object(entry(1), entry(1)), Reason.MALFORMED),
        (security_object(entry(1, DIGEST[:31])), Reason.MALFORMED),
        (security_object(entry(1)[:-1]), Reason.MALFORMED),
        (security_object(entry(1).replace(b"\x04\x20", b"\x05\x20")), Reason.MALFORMED),
        (
            encode_tlv(0x30, encode_tlv(2, b"\0") + SHA256 + encode_tlv(0x31, entry(1))),
            Reason.MALFORMED,
        ),
        (
            encode_tlv(
                0x30,
                encode_tlv(2, b"\0") + bytes.fromhex("300706052b0e03021a") + GOOD[20:],
            ),
            Reason.UNSUPPORTED_ALGORITHM,
        ),
    ],
)
def test_a_list_of_another_form_is_refused(listed: bytes, reason: Reason, forge: Forge) -> None:
    assert reason_of(read_sod, forge(listed)) is reason


def test_a_signature_over_another_kind_of_content_is_refused(forge: Forge) -> None:
    other = forge.attributes(content_type="2.23.136.1.1.2")
    assert reason_of(read_sod, forge(attributes=other)) is Reason.MALFORMED


def test_a_signed_attribute_stands_once(forge: Forge) -> None:
    twice = [*forge.attributes(), forge.attributes()[1]]
    assert reason_of(read_sod, forge(attributes=twice)) is Reason.MALFORMED
    without_digest = forge.attributes()[:1]
    assert reason_of(read_sod, forge(attributes=without_digest)) is Reason.DATA_GROUP_ALTERED


def test_the_signer_is_named_by_its_certificate(
    forge: Forge, document_signer_key: LocalSigner
) -> None:
    other = asn1.Name.build({"country_name": "RU", "common_name": "Other"})
    assert reason_of(read_sod, forge(issuer=other)) is Reason.MALFORMED
    assert reason_of(read_sod, forge(serial=0x23)) is Reason.MALFORMED
    key_id = cms.SignerIdentifier("subject_key_identifier", forge.key_identifier)
    by_key = read_sod(forge(sid=key_id, signer_version="v3"))
    verify_sod(by_key, document_signer_key.public_key)
    wrong = cms.SignerIdentifier("subject_key_identifier", bytes(20))
    assert reason_of(read_sod, forge(sid=wrong, signer_version="v3")) is Reason.MALFORMED
    assert reason_of(read_sod, forge(signer_version="v5")) is Reason.UNKNOWN_VERSION


def test_an_algorithm_that_is_not_spoken_is_named(forge: Forge) -> None:
    for algorithm in ("sha1_ecdsa", "sha256_rsa"):
        assert reason_of(read_sod, forge(algorithm=algorithm)) is Reason.UNSUPPORTED_ALGORITHM


def test_unsigned_attributes_change_nothing(forge: Forge, document_signer_key: LocalSigner) -> None:
    extra = {"unsigned_attrs": [{"type": "1.2.3", "values": [core.Integer(1)]}]}
    verify_sod(read_sod(forge(signer=extra)), document_signer_key.public_key)


Extensions = Sequence[tuple[x509.ExtensionType, bool]]

SIGNING = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
CERTIFYING = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
AUTHORITY: Extensions = [(x509.BasicConstraints(ca=True, path_length=0), True), (CERTIFYING, True)]
NO_AUTHORITY = (x509.BasicConstraints(ca=False, path_length=None), True)
SIGNER: Extensions = [(SIGNING, True)]
UNHEARD_OF = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)


def certificate(
    subject: str, extensions: Extensions, now: datetime, country: str = "RU", key: int = 12
) -> x509.Certificate:
    def name(common: str, code: str) -> x509.Name:
        oid = x509.NameOID
        return x509.Name(
            [
                x509.NameAttribute(oid.COUNTRY_NAME, code),
                x509.NameAttribute(oid.COMMON_NAME, common),
            ]
        )

    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject, country))
        .issuer_name(name("CSCA", "RU"))
        .public_key(ec.derive_private_key(key, ec.SECP256R1()).public_key())
        .serial_number(5)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(ec.derive_private_key(11, ec.SECP256R1()), hashes.SHA256())


@pytest.mark.parametrize(
    ("authority", "signer", "country", "good"),
    [
        (AUTHORITY, SIGNER, "RU", True),
        (AUTHORITY, SIGNER, "FR", False),
        (AUTHORITY, [], "RU", False),
        (AUTHORITY, [(CERTIFYING, True)], "RU", False),
        (AUTHORITY, [*SIGNER, UNHEARD_OF], "RU", False),
        (AUTHORITY, [*SIGNER, (UNHEARD_OF[0], False)], "RU", True),
        ([*AUTHORITY, UNHEARD_OF], SIGNER, "RU", False),
        ([NO_AUTHORITY, AUTHORITY[1]], SIGNER, "RU", False),
        ([AUTHORITY[0], (SIGNING, True)], SIGNER, "RU", False),
        ([AUTHORITY[0]], SIGNER, "RU", False),
        ([AUTHORITY[1]], SIGNER, "RU", False),
    ],
)
def test_certificates_outside_their_profile_vouch_for_nothing(
    authority: Extensions,
    signer: Extensions,
    country: str,
    good: bool,
    data_groups: Mapping[int, bytes],
    document_signer_key: LocalSigner,
    now: datetime,
) -> None:
    csca = certificate("CSCA", authority, now, key=11)
    below = certificate("Document Signer", signer, now, country)
    listed = security_object(entry(1, sha256(data_groups[1]).digest()))
    files = {"DG1": data_groups[1], "EF.SOD": Forge(document_signer_key, below)(listed)}
    anchors = TrustAnchors([csca])
    if good:
        assert passive_authentication(files, anchors, now)
    else:
        assert reason_of(passive_authentication, files, anchors, now) is (
            Reason.WRONG_CERTIFICATE_PROFILE
        )
