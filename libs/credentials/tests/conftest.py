"""Known keys, a known day and a trust list that holds one key of every purpose."""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from PIL import Image, ImageDraw

from epassport_credentials.card_qr import IdentityCard, SmallCard
from epassport_credentials.cwt import StatusReference
from epassport_credentials.face import build_dg2
from epassport_credentials.identity import Identity, Sex
from epassport_credentials.lds import (
    EF_COM,
    EF_SOD,
    build_dg1,
    build_dg15,
    build_ef_com,
    data_group_name,
)
from epassport_credentials.mrz import Mrz, build_td1
from epassport_credentials.pki import CertificateTerms, issue_csca, issue_document_signer
from epassport_credentials.signer import LocalSigner, Purpose, der_signature
from epassport_credentials.sod import issue_sod
from epassport_credentials.tlv import encode_tlv
from epassport_credentials.trust import TrustList, trusted_key

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIST_URI = "https://status.epassport.test/1"


def signer(number: int) -> LocalSigner:
    return LocalSigner(ec.derive_private_key(number, ec.SECP256R1()))


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOON


@pytest.fixture(scope="session")
def signers() -> Mapping[Purpose, LocalSigner]:
    return {purpose: signer(1000 + place) for place, purpose in enumerate(Purpose)}


@pytest.fixture(scope="session")
def stranger() -> LocalSigner:
    return signer(99)


@pytest.fixture(scope="session")
def phone() -> LocalSigner:
    return signer(7)


@pytest.fixture(scope="session")
def trust(signers: Mapping[Purpose, LocalSigner]) -> TrustList:
    keys = tuple(
        trusted_key(
            key,
            purpose,
            not_before=NOON - timedelta(days=1),
            not_after=NOON + timedelta(days=5000),
        )
        for purpose, key in signers.items()
    )
    return TrustList("epassport test", NOON, NOON + timedelta(days=30), keys)


@pytest.fixture(scope="session")
def status() -> StatusReference:
    return StatusReference(LIST_URI, 70_001)


@pytest.fixture(scope="session")
def identity() -> Identity:
    return Identity("Подъёмная Юлия Эдуардовна", date(1990, 5, 17), Sex.FEMALE, "700123456", "RUS")


@pytest.fixture(scope="session")
def small_card(status: StatusReference) -> SmallCard:
    return SmallCard(bytes(range(16)), True, NOON, NOON + timedelta(days=3652), status)


@pytest.fixture(scope="session")
def identity_card(status: StatusReference, identity: Identity) -> IdentityCard:
    return IdentityCard(bytes(range(16)), identity, NOON, NOON + timedelta(days=3652), status)


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A drawn face with enough detail that the encoder has to choose."""
    grain = np.random.default_rng(7).normal(128, 30, (75, 60)).astype(np.uint8)
    image = Image.fromarray(grain).resize((480, 600)).convert("RGB")
    pen = ImageDraw.Draw(image)
    pen.ellipse((100, 80, 380, 520), fill=(224, 190, 170))
    pen.pieslice((90, 40, 390, 320), 180, 360, fill=(70, 50, 40))
    for left in (165, 265):
        pen.ellipse((left, 250, left + 50, 280), fill=(250, 250, 250))
        pen.ellipse((left + 15, 253, left + 35, 277), fill=(40, 60, 40))
    pen.polygon(((240, 280), (220, 370), (262, 370)), fill=(205, 165, 145))
    pen.arc((180, 380, 300, 450), 20, 160, fill=(150, 60, 60), width=8)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=75)
    return out.getvalue()


@pytest.fixture(scope="session")
def csca_key() -> LocalSigner:
    return signer(11)


@pytest.fixture(scope="session")
def document_signer_key() -> LocalSigner:
    return signer(12)


@pytest.fixture(scope="session")
def csca_terms() -> CertificateTerms:
    return CertificateTerms(
        common_name="CSCA",
        organization="epassport test",
        serial=0x1234567890ABCDEF,
        not_before=NOON - timedelta(days=10),
        not_after=NOON + timedelta(days=5000),
        key_use=timedelta(days=1000),
        crl_uri="https://crl.epassport.test/csca",
    )


@pytest.fixture(scope="session")
def document_signer_terms(csca_terms: CertificateTerms) -> CertificateTerms:
    return replace(
        csca_terms,
        common_name="Document Signer 1",
        serial=0x22,
        not_before=NOON - timedelta(days=1),
        not_after=NOON + timedelta(days=3743),
        key_use=timedelta(days=90),
    )


@pytest.fixture(scope="session")
def csca(csca_terms: CertificateTerms, csca_key: LocalSigner) -> x509.Certificate:
    return issue_csca(csca_terms, csca_key)


@pytest.fixture(scope="session")
def document_signer(
    document_signer_terms: CertificateTerms,
    document_signer_key: LocalSigner,
    csca: x509.Certificate,
    csca_key: LocalSigner,
) -> x509.Certificate:
    return issue_document_signer(
        document_signer_terms,
        document_signer_key,
        issuer=csca,
        csca=csca_key,
        document_types=["I"],
    )


@pytest.fixture(scope="session")
def data_groups(photo: bytes, phone: LocalSigner) -> Mapping[int, bytes]:
    mrz = Mrz("I", "RUS", "PODIEMNAIA", "IULIIA", "700123456", "RUS", "900517", "F", "361120")
    return {
        1: build_dg1(build_td1(mrz)),
        2: build_dg2(photo),
        15: build_dg15(phone.public_key),
    }


@pytest.fixture(scope="session")
def files(
    data_groups: Mapping[int, bytes],
    document_signer_key: LocalSigner,
    document_signer: x509.Certificate,
) -> Mapping[str, bytes]:
    return {
        EF_COM: build_ef_com(data_groups),
        **{data_group_name(number): data for number, data in data_groups.items()},
        EF_SOD: issue_sod(data_groups, document_signer_key, document_signer, signed_at=NOON),
    }


@pytest.fixture(scope="session")
def resigned() -> Callable[[x509.Certificate, LocalSigner, bytes, bytes], bytes]:
    """A certificate in DER where the last `old` is `new`, of the same length, signed again."""

    def change(certificate: x509.Certificate, key: LocalSigner, old: bytes, new: bytes) -> bytes:
        encoded = asn1.Certificate.load(certificate.public_bytes(Encoding.DER))
        before, after = encoded["tbs_certificate"].dump().rsplit(old, 1)
        changed = before + new + after
        signature = encode_tlv(0x03, b"\0" + der_signature(key.sign(changed)))
        return encode_tlv(0x30, changed + encoded["signature_algorithm"].dump() + signature)

    return change
