import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from asn1crypto import cms
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import EF_SOD, build_dg1
from epassport_credentials.mrz import build_td1, parse_td3
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.pki import (
    CertificateTerms,
    is_sandbox,
    issue_csca,
    issue_document_signer,
)
from epassport_credentials.signer import LocalSigner
from epassport_credentials.sod import issue_sod, read_sod
from epassport_credentials.tlv import encode_tlv, read_tlv
from epassport_credentials.trust_anchors import TrustAnchors

Files = Mapping[str, bytes]


def trusting(*csca: x509.Certificate) -> TrustAnchors:
    return TrustAnchors(csca)


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


def test_what_the_state_signed_is_verified(
    files: Files, csca: x509.Certificate, phone: LocalSigner, now: datetime
) -> None:
    verified = passive_authentication(files, trusting(csca), now)
    assert verified.mrz.number == "700123456"
    assert set(verified.data_groups) == {1, 2, 15}
    assert verified.unread == frozenset()
    assert verified.authentication_key == phone.public_key


def test_a_data_group_that_was_not_read_is_named(
    files: Files, csca: x509.Certificate, now: datetime
) -> None:
    rest = {name: data for name, data in files.items() if name not in ("DG2", "DG15")}
    verified = passive_authentication(rest, trusting(csca), now)
    assert verified.unread == {2, 15}
    assert verified.authentication_key is None


@pytest.mark.parametrize("name", ["EF.SOD", "DG1"])
def test_without_a_needed_file_nothing_is_verified(
    name: str, files: Files, csca: x509.Certificate, now: datetime
) -> None:
    rest = {other: data for other, data in files.items() if other != name}
    assert reason_of(passive_authentication, rest, trusting(csca), now) is Reason.MISSING_FILE


@pytest.mark.parametrize("name", ["DG1", "DG2", "DG15"])
def test_an_altered_data_group_is_noticed(
    name: str, files: Files, csca: x509.Certificate, now: datetime
) -> None:
    altered = {**files, name: files[name][:-1] + bytes((files[name][-1] ^ 1,))}
    assert reason_of(passive_authentication, altered, trusting(csca), now) is (
        Reason.DATA_GROUP_ALTERED
    )


def test_a_data_group_that_nobody_signed_is_noticed(
    files: Files, csca: x509.Certificate, now: datetime
) -> None:
    more = {**files, "DG11": encode_tlv(0x6B, b"")}
    assert reason_of(passive_authentication, more, trusting(csca), now) is (
        Reason.DATA_GROUP_NOT_SIGNED
    )


def test_an_unknown_csca_is_not_believed(
    files: Files, csca_terms: CertificateTerms, stranger: LocalSigner, now: datetime
) -> None:
    impostor = issue_csca(csca_terms, stranger)  # the same name and serial, another key
    other = issue_csca(replace(csca_terms, common_name="Other"), stranger)
    for known in ([], [impostor], [other]):
        assert reason_of(passive_authentication, files, TrustAnchors(known), now) is (
            Reason.UNTRUSTED_DOCUMENT_SIGNER
        )


def test_the_right_csca_is_found_among_others(
    files: Files,
    csca: x509.Certificate,
    csca_terms: CertificateTerms,
    stranger: LocalSigner,
    now: datetime,
) -> None:
    impostor = issue_csca(csca_terms, stranger)
    assert passive_authentication(files, TrustAnchors([impostor, csca]), now)


def test_a_document_signer_outside_its_period_is_refused(
    files: Files, csca: x509.Certificate, document_signer: x509.Certificate
) -> None:
    second = timedelta(seconds=1)
    early = document_signer.not_valid_before_utc - second
    late = document_signer.not_valid_after_utc
    assert reason_of(passive_authentication, files, trusting(csca), early) is Reason.NOT_YET_VALID
    assert passive_authentication(files, trusting(csca), late - second)
    assert reason_of(passive_authentication, files, trusting(csca), late) is Reason.EXPIRED


Make = Callable[..., tuple[Files, x509.Certificate]]


@pytest.fixture(scope="session")
def make(
    data_groups: Mapping[int, bytes],
    csca_terms: CertificateTerms,
    document_signer_terms: CertificateTerms,
    csca_key: LocalSigner,
    document_signer_key: LocalSigner,
    now: datetime,
) -> Make:
    """A chip's files under certificates that differ in something."""

    def build(
        root: Mapping[str, object] | None = None,
        signer: Mapping[str, object] | None = None,
        groups: Mapping[int, bytes] = data_groups,
        sod_key: LocalSigner = document_signer_key,
    ) -> tuple[Files, x509.Certificate]:
        csca = issue_csca(replace(csca_terms, **(root or {})), csca_key)  # type: ignore[arg-type]
        certificate = issue_document_signer(
            replace(document_signer_terms, **(signer or {})),  # type: ignore[arg-type]
            document_signer_key,
            issuer=csca,
            csca=csca_key,
            document_types=["I"],
        )
        sod = issue_sod(groups, sod_key, certificate, signed_at=now)
        return {"DG1": groups[1], EF_SOD: sod}, csca

    return build


def test_explicit_curve_parameters_are_understood(make: Make, now: datetime) -> None:
    explicit = {"explicit_parameters": True}
    files, csca = make(explicit, explicit)
    assert len(files[EF_SOD]) > 1250  # the certificate inside spells the curve out
    assert passive_authentication(files, trusting(csca), now)


def test_a_csca_that_had_ended_when_it_issued_is_refused(make: Make, now: datetime) -> None:
    files, csca = make({"not_after": now - timedelta(days=2)})
    assert reason_of(passive_authentication, files, trusting(csca), now) is Reason.EXPIRED


def test_a_csca_that_ended_since_then_is_no_obstacle(make: Make, now: datetime) -> None:
    files, csca = make({"not_after": now - timedelta(hours=2)})
    assert passive_authentication(files, trusting(csca), now)


@pytest.mark.parametrize(("root", "signer"), [(True, True), (True, False), (False, True)])
def test_the_sandbox_is_refused_in_production(
    root: bool, signer: bool, make: Make, now: datetime
) -> None:
    files, csca = make({"sandbox": root}, {"sandbox": signer})
    assert reason_of(passive_authentication, files, trusting(csca), now) is Reason.SANDBOX_SIGNER
    verified = passive_authentication(files, trusting(csca), now, accept_sandbox=True)
    assert is_sandbox(csca) is root
    assert is_sandbox(verified.document_signer) is signer
    assert csca.subject.rfc4514_string().startswith(f"CN=CSCA{' SANDBOX' if root else ''},")


def test_a_signature_of_another_key_is_refused(
    make: Make, stranger: LocalSigner, now: datetime
) -> None:
    files, csca = make(sod_key=stranger)
    assert reason_of(passive_authentication, files, trusting(csca), now) is Reason.WRONG_SIGNATURE


def test_an_mrz_of_another_state_is_refused(
    make: Make, data_groups: Mapping[int, bytes], now: datetime
) -> None:
    utopian = parse_td3(
        (
            "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
            "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
        )
    )
    files, csca = make(groups={**data_groups, 1: build_dg1(build_td1(utopian))})
    assert reason_of(passive_authentication, files, trusting(csca), now) is (
        Reason.WRONG_ISSUING_STATE
    )


def test_a_ca_certificate_signs_no_documents(
    data_groups: Mapping[int, bytes], csca: x509.Certificate, csca_key: LocalSigner, now: datetime
) -> None:
    sod = issue_sod(data_groups, csca_key, csca, signed_at=now)
    files = {"DG1": data_groups[1], EF_SOD: sod}
    assert reason_of(passive_authentication, files, trusting(csca), now) is (
        Reason.WRONG_CERTIFICATE_PROFILE
    )


def test_a_document_signer_issues_no_document_signers(
    document_signer_terms: CertificateTerms,
    document_signer: x509.Certificate,
    document_signer_key: LocalSigner,
    stranger: LocalSigner,
    data_groups: Mapping[int, bytes],
    now: datetime,
) -> None:
    below = issue_document_signer(
        document_signer_terms,
        stranger,
        issuer=document_signer,
        csca=document_signer_key,
        document_types=["I"],
    )
    sod = issue_sod(data_groups, stranger, below, signed_at=now)
    files = {"DG1": data_groups[1], EF_SOD: sod}
    assert reason_of(passive_authentication, files, TrustAnchors([document_signer]), now) is (
        Reason.WRONG_CERTIFICATE_PROFILE
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0603551d1104133011a4", "0603551d1104133011a3"),  # another name, as an X.400 address
        ("060355040613025255", "060355040603020052"),  # the subject's country, as BIT STRING
        ("060355040613025255", "060355040602025255"),  # and as INTEGER
    ],
)
def test_a_certificate_with_names_that_cannot_be_read_is_refused(
    old: str,
    new: str,
    resigned: Callable[[x509.Certificate, LocalSigner, bytes, bytes], bytes],
    csca: x509.Certificate,
    csca_key: LocalSigner,
    document_signer: x509.Certificate,
) -> None:
    """Signed by the right CSCA, so that nothing before it refuses the certificate."""
    encoded = resigned(document_signer, csca_key, bytes.fromhex(old), bytes.fromhex(new))
    refusal = reason_of(trusting(csca).document_signer, encoded)
    assert refusal is Reason.WRONG_CERTIFICATE_PROFILE


def changed_sod(files: Files, change: Callable[[cms.SignedData], None]) -> bytes:
    message = cms.ContentInfo.load(read_tlv(files[EF_SOD], 0x77))
    change(message["content"])
    return encode_tlv(0x77, message.dump(force=True))


def test_another_list_of_hashes_under_the_same_attributes_is_noticed(files: Files) -> None:
    data = files[EF_SOD]
    place = data.index(bytes.fromhex("020101"), data.index(bytes.fromhex("0606678108010101"))) + 10
    altered = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
    assert reason_of(read_sod, altered) is Reason.DATA_GROUP_ALTERED


def test_a_sod_of_another_shape_is_refused(files: Files) -> None:
    no_signer = changed_sod(files, lambda data: data.__setitem__("signer_infos", []))
    assert reason_of(read_sod, no_signer) is Reason.MALFORMED
    no_certificate = changed_sod(files, lambda data: data.__setitem__("certificates", []))
    assert reason_of(read_sod, no_certificate) is Reason.MALFORMED
    other = changed_sod(files, lambda data: data.__setitem__("version", "v1"))
    assert reason_of(read_sod, other) is Reason.UNKNOWN_VERSION
    not_signed = cms.ContentInfo({"content_type": "data", "content": b"x"}).dump()
    assert reason_of(read_sod, encode_tlv(0x77, not_signed)) is Reason.UNKNOWN_FORMAT
    assert reason_of(read_sod, encode_tlv(0x77, b"\x30\x80")) is Reason.MALFORMED
    assert reason_of(read_sod, bytes(20_001)) is Reason.TOO_LONG


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
@settings(max_examples=300)
def test_an_altered_sod_ends_in_our_own_error(
    files: Files, csca: x509.Certificate, now: datetime, where: float, bits: int
) -> None:
    sod = bytearray(files[EF_SOD])
    sod[int(where * len(sod))] ^= bits
    with contextlib.suppress(InvalidCredential):
        passive_authentication({**files, EF_SOD: bytes(sod)}, trusting(csca), now)
