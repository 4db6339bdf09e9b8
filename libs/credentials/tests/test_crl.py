"""Who signed a chip's files may be taken back: revocation lists, and what they do to a chip."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from asn1crypto import crl as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given, settings
from hypothesis import strategies as st

from epassport_credentials import trust_anchors
from epassport_credentials.crl import RevocationList, issue_crl, read_crl
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import EF_CARD_ACCESS
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.pki import CertificateTerms, issue_csca, issue_document_signer
from epassport_credentials.security_infos import (
    PACE_ECDH_GM_AES_128,
    PaceInfo,
    build_card_access,
    build_dg14,
)
from epassport_credentials.signer import LocalSigner, der_signature
from epassport_credentials.sod import issue_sod
from epassport_credentials.tlv import encode_tlv
from epassport_credentials.trust_anchors import TrustAnchors

Files = Mapping[str, bytes]


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@pytest.fixture
def clean(now: datetime) -> RevocationList:
    return RevocationList(7, now - timedelta(days=1), now + timedelta(days=89), {})


@pytest.fixture
def revoking(
    clean: RevocationList, document_signer: x509.Certificate, now: datetime
) -> RevocationList:
    since = {document_signer.serial_number: now, 99: now}
    return replace(clean, number=8, revoked=since)


@pytest.fixture
def signed(csca: x509.Certificate, csca_key: LocalSigner) -> Callable[[RevocationList], bytes]:
    return lambda content: issue_crl(content, csca_key, issuer=csca)


Signed = Callable[[RevocationList], bytes]


def test_a_list_comes_back(
    clean: RevocationList, revoking: RevocationList, signed: Signed, csca: x509.Certificate
) -> None:
    assert read_crl(signed(clean), csca) == clean
    assert read_crl(signed(revoking), csca) == revoking
    late = replace(clean, next_update=datetime.fromisoformat("2051-01-01T00:00:00+00:00"))
    assert read_crl(signed(late), csca) == late


def test_a_chip_of_a_signer_that_is_not_revoked_is_verified_as_of_the_list(
    files: Files, csca: x509.Certificate, clean: RevocationList, signed: Signed, now: datetime
) -> None:
    anchors = TrustAnchors([csca], [signed(clean)])
    assert passive_authentication(files, anchors, now).revocation_known_at == clean.issued_at
    unknown = passive_authentication(files, TrustAnchors([csca]), now)
    assert unknown.revocation_known_at is None


def test_a_chip_of_a_revoked_signer_is_refused_from_then_on(
    files: Files, csca: x509.Certificate, revoking: RevocationList, signed: Signed, now: datetime
) -> None:
    anchors = TrustAnchors([csca], [signed(revoking)])
    second = timedelta(seconds=1)
    assert reason_of(passive_authentication, files, anchors, now) is Reason.DOCUMENT_SIGNER_REVOKED
    assert passive_authentication(files, anchors, now - second)
    later = revoking.next_update + second
    assert reason_of(passive_authentication, files, anchors, later) is (
        Reason.DOCUMENT_SIGNER_REVOKED
    )


def test_the_list_of_the_highest_number_counts(
    files: Files,
    csca: x509.Certificate,
    clean: RevocationList,
    revoking: RevocationList,
    signed: Signed,
    now: datetime,
) -> None:
    for lists in ([clean, revoking], [revoking, clean]):
        anchors = TrustAnchors([csca], [signed(content) for content in lists])
        assert reason_of(passive_authentication, files, anchors, now) is (
            Reason.DOCUMENT_SIGNER_REVOKED
        )


def test_a_list_that_is_due_for_renewal_says_nothing_any_more(
    files: Files, csca: x509.Certificate, clean: RevocationList, signed: Signed
) -> None:
    anchors = TrustAnchors([csca], [signed(clean)])
    second = timedelta(seconds=1)
    assert passive_authentication(files, anchors, clean.next_update - second)
    assert reason_of(passive_authentication, files, anchors, clean.next_update) is (
        Reason.REVOCATION_LIST_OUTDATED
    )


def test_a_list_of_somebody_else_is_not_believed(
    clean: RevocationList,
    signed: Signed,
    csca: x509.Certificate,
    csca_terms: CertificateTerms,
    stranger: LocalSigner,
) -> None:
    impostor = issue_csca(csca_terms, stranger)  # the same name, another key
    other = issue_csca(replace(csca_terms, common_name="Other"), stranger)
    forged = issue_crl(clean, stranger, issuer=impostor)
    assert reason_of(read_crl, forged, csca) is Reason.WRONG_SIGNATURE
    assert reason_of(read_crl, signed(clean), other) is Reason.UNTRUSTED_DOCUMENT_SIGNER
    assert reason_of(TrustAnchors, [csca, other], [forged]) is Reason.WRONG_SIGNATURE
    assert reason_of(TrustAnchors, [other], [signed(clean)]) is Reason.UNTRUSTED_DOCUMENT_SIGNER
    assert TrustAnchors([impostor, csca], [signed(clean)])


def test_a_list_of_another_form_is_refused(clean: RevocationList, csca: x509.Certificate) -> None:
    assert reason_of(read_crl, bytes(1_000_001), csca) is Reason.TOO_LONG
    assert reason_of(read_crl, b"\x30\x00", csca) is Reason.MALFORMED
    private = ec.derive_private_key(11, ec.SECP256R1())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(csca.subject)
        .last_update(clean.issued_at)
        .next_update(clean.next_update)
    )
    delta = builder.add_extension(x509.DeltaCRLIndicator(3), critical=True)
    for built in (builder, delta):  # no number, a delta
        encoded = built.sign(private, hashes.SHA256()).public_bytes(Encoding.DER)
        assert reason_of(read_crl, encoded, csca) is Reason.MALFORMED


def test_a_list_with_a_name_that_cannot_be_read_is_malformed(
    clean: RevocationList, csca: x509.Certificate, csca_key: LocalSigner
) -> None:
    """The authority key identifier names an issuer by an X.400 address, signed all the same."""
    encoded = asn1.CertificateList.load(issue_crl(clean, csca_key, issuer=csca))
    before, after = encoded["tbs_cert_list"].dump().split(bytes.fromhex("30168014"))
    by_name = bytes.fromhex("3016a10ba309") + bytes(9) + bytes.fromhex("820701010101010101")
    listed = before + by_name + after[20:]
    signature = encode_tlv(0x03, b"\0" + der_signature(csca_key.sign(listed)))
    data = encode_tlv(0x30, listed + encoded["signature_algorithm"].dump() + signature)
    assert reason_of(read_crl, data, csca) is Reason.MALFORMED


def test_a_list_that_would_be_wrong_is_not_issued(
    clean: RevocationList, csca: x509.Certificate, csca_key: LocalSigner, stranger: LocalSigner
) -> None:
    fraction = replace(clean, issued_at=clean.issued_at + timedelta(microseconds=1))
    with pytest.raises(ValueError, match="whole seconds"):
        issue_crl(fraction, csca_key, issuer=csca)
    with pytest.raises(ValueError, match="not the issuer"):
        issue_crl(clean, stranger, issuer=csca)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
@example(0.03515625, 1)  # the version
@settings(max_examples=200, deadline=None)
def test_an_altered_list_ends_in_our_own_error(
    csca: x509.Certificate, csca_key: LocalSigner, now: datetime, where: float, bits: int
) -> None:
    content = RevocationList(7, now, now + timedelta(days=90), {5: now})
    data = bytearray(issue_crl(content, csca_key, issuer=csca))
    data[int(where * len(data))] ^= bits
    with pytest.raises(InvalidCredential):
        read_crl(bytes(data), csca)


def test_a_protocol_that_dg14_does_not_confirm_is_noticed(
    data_groups: Mapping[int, bytes],
    document_signer_key: LocalSigner,
    document_signer: x509.Certificate,
    csca: x509.Certificate,
    now: datetime,
) -> None:
    groups = {1: data_groups[1], 14: build_dg14()}
    files = {
        "DG1": groups[1],
        "DG14": groups[14],
        "EF.SOD": issue_sod(groups, document_signer_key, document_signer, signed_at=now),
    }
    anchors = TrustAnchors([csca])
    honest = {**files, EF_CARD_ACCESS: build_card_access()}
    assert passive_authentication(honest, anchors, now)
    weaker = {**files, EF_CARD_ACCESS: build_card_access(PaceInfo(PACE_ECDH_GM_AES_128, 13))}
    assert reason_of(passive_authentication, weaker, anchors, now) is Reason.DATA_GROUP_ALTERED


def test_a_signer_once_examined_is_known_and_the_clock_still_counts(
    files: Files, csca: x509.Certificate, document_signer: x509.Certificate, now: datetime
) -> None:
    anchors = TrustAnchors([csca])
    first = passive_authentication(files, anchors, now)
    assert passive_authentication(files, anchors, now) == first
    late = document_signer.not_valid_after_utc
    assert reason_of(passive_authentication, files, anchors, late) is Reason.EXPIRED


def test_more_signers_than_are_kept_are_all_examined(
    csca: x509.Certificate,
    csca_key: LocalSigner,
    document_signer_terms: CertificateTerms,
    document_signer_key: LocalSigner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trust_anchors, "MAX_KNOWN_SIGNERS", 2)
    anchors = TrustAnchors([csca])
    for serial in (1, 2, 3, 1):
        certificate = issue_document_signer(
            replace(document_signer_terms, serial=serial),
            document_signer_key,
            issuer=csca,
            csca=csca_key,
            document_types=["I"],
        )
        found = anchors.document_signer(certificate.public_bytes(Encoding.DER))
        assert found.certificate.serial_number == serial
