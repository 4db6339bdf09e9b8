"""A chip from the bench passes every check; one that lies or fails is found out."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_personalization import revocations
from card_personalization.bench import Bench, open_bench, simulated_blank
from card_personalization.certificates import issue_certificates, main
from card_personalization.chip_data import chip_portrait
from card_personalization.revocations import LIST_LIFE, first_list, next_list
from epassport.ceremony import hold_ceremony, paths_in
from epassport.errors import Unsafe
from epassport.keystore import KeyStore
from epassport.signing import LocalSigner, Signer, SigningPurpose
from epassport_contracts import ServiceName
from epassport_credentials.apdu import Instruction, StatusWord, Transceive
from epassport_credentials.chip_reader import generate_chip_key, read_chip
from epassport_credentials.chip_session import open_session
from epassport_credentials.crl import read_crl
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.face import build_dg2
from epassport_credentials.file_transfer import read_file
from epassport_credentials.finger import Compression, Finger, FingerImage, build_dg3
from epassport_credentials.identity import Sex
from epassport_credentials.lds import EF_CARD_ACCESS, EF_COM, EF_SOD, build_dg1, build_ef_com
from epassport_credentials.mrz import Mrz, build_td1
from epassport_credentials.pace import key_of_access_number
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.pki import is_sandbox
from epassport_credentials.security_infos import build_card_access, build_dg14
from epassport_credentials.trust_anchors import TrustAnchors
from epassport_sandbox.portraits import draw_portrait

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
ZONE = Mrz("I", "RUS", "IVANOVA", "ANNA", "900000123", "RUS", "900517", "F", "361122")
GROUPS = {
    EF_CARD_ACCESS: build_card_access(),
    EF_COM: build_ef_com((1, 2, 14, 15)),
    "DG1": build_dg1(build_td1(ZONE)),
    "DG2": build_dg2(chip_portrait(draw_portrait(7, Sex.FEMALE, 36))),
    "DG14": build_dg14(),
}
CSCA, DOCUMENT_SIGNER = (LocalSigner(ec.derive_private_key(n, ec.SECP256R1())) for n in (11, 12))
CERTIFICATES = issue_certificates(
    CSCA, DOCUMENT_SIGNER, at=AT - timedelta(days=1), sandbox=True, crl_uri="https://crl.test/1"
)


FIRST_LIST = first_list(CSCA, CERTIFICATES.csca, at=AT - timedelta(days=1), sandbox=False)


def bench(**changes: Any) -> Bench:
    given = {
        "signer": DOCUMENT_SIGNER,
        "certificate": CERTIFICATES.document_signer,
        "csca": CERTIFICATES.csca,
        "sandbox": True,
        "load_blank": simulated_blank,
        "revocations": lambda: FIRST_LIST,
    }
    return Bench(**{**given, **changes})


def test_a_chip_from_the_bench_is_what_the_state_signed() -> None:
    made = bench().make(GROUPS, "417093", AT)
    assert made.fault is None
    assert set(made.files) == {*GROUPS, "DG15", EF_SOD}
    verified = passive_authentication(
        made.files, TrustAnchors([CERTIFICATES.csca]), AT, accept_sandbox=True
    )
    assert (verified.mrz, verified.unread) == (ZONE, frozenset())


def test_every_chip_has_a_key_of_its_own() -> None:
    first, second = bench().make(GROUPS, "417093", AT), bench().make(GROUPS, "417093", AT)
    assert first.files["DG15"] != second.files["DG15"]
    assert first.files["DG1"] == second.files["DG1"]


def test_a_production_bench_finds_fault_with_a_sandbox_certificate() -> None:
    assert bench(sandbox=False).make(GROUPS, "417093", AT).fault == Reason.SANDBOX_SIGNER


def test_a_chip_signed_by_a_key_without_certificate_is_found_out() -> None:
    stranger = LocalSigner(ec.derive_private_key(99, ec.SECP256R1()))
    assert bench(signer=stranger).make(GROUPS, "417093", AT).fault == Reason.WRONG_SIGNATURE


def test_a_chip_under_another_root_is_found_out() -> None:
    other = issue_certificates(DOCUMENT_SIGNER, CSCA, at=AT, sandbox=True, crl_uri="https://c/1")
    listed = first_list(DOCUMENT_SIGNER, other.csca, at=AT, sandbox=True)
    strange = bench(csca=other.csca, revocations=lambda: listed)
    assert strange.make(GROUPS, "417093", AT).fault == Reason.UNTRUSTED_DOCUMENT_SIGNER


FINGERS = {
    **GROUPS,
    EF_COM: build_ef_com((1, 2, 3, 14, 15)),
    "DG3": build_dg3([FingerImage(Finger.RIGHT_INDEX, 8, 8, Compression.PNG, b"\x89PNG ridges")]),
}


def test_fingers_are_signed_written_and_closed_to_whoever_reads_the_locked_chip() -> None:
    chips: list[Transceive] = []

    def load() -> Transceive:
        chips.append(simulated_blank())
        return chips[-1]

    made = bench(load_blank=load).make(FINGERS, "417093", AT)
    assert made.fault is None
    assert set(made.files) == {*GROUPS, "DG15", EF_SOD}
    verified = passive_authentication(
        made.files, TrustAnchors([CERTIFICATES.csca]), AT, accept_sandbox=True
    )
    assert verified.unread == {3}
    chips[0](bytes.fromhex("00A4000C023F00"))  # in the clear: ends the bench's own session
    session = open_session(
        chips[0], key_of_access_number("417093"), random_bytes=secrets.token_bytes
    )
    assert "DG3" not in read_chip(session)
    with pytest.raises(InvalidCredential) as refused:
        read_file(session, "DG3")
    assert refused.value.reason is Reason.ACCESS_DENIED


def test_fingers_that_the_chip_did_not_keep_as_written_stop_the_bench() -> None:
    def load() -> Transceive:
        chip = simulated_blank()
        return lambda apdu: chip(apdu.replace(b"PNG ridges", b"PNG others"))

    with pytest.raises(InvalidCredential, match="DG3 is not what was written"):
        bench(load_blank=load).make(FINGERS, "417093", AT)


def next_crl(at: datetime, *revoked: x509.Certificate) -> bytes:
    return next_list(FIRST_LIST, revoked, CSCA, CERTIFICATES.csca, at=at, sandbox=False)


def no_blank() -> Transceive:
    raise AssertionError("a blank was touched")


def test_a_revoked_signer_spends_no_blank() -> None:
    listed = next_crl(AT, CERTIFICATES.document_signer)
    revoked = bench(revocations=lambda: listed, load_blank=no_blank)
    with pytest.raises(InvalidCredential) as refused:
        revoked.make(GROUPS, "417093", AT)
    assert refused.value.reason is Reason.DOCUMENT_SIGNER_REVOKED


def test_a_list_that_is_due_spends_no_blank_and_a_new_one_is_heard_of_at_once() -> None:
    lists = [FIRST_LIST]
    stopped = bench(revocations=lambda: lists[-1], load_blank=no_blank)
    due = AT - timedelta(days=1) + LIST_LIFE
    with pytest.raises(InvalidCredential) as refused:
        stopped.make(GROUPS, "417093", due)
    assert refused.value.reason is Reason.REVOCATION_LIST_OUTDATED
    lists.append(next_crl(due))
    goes_on = bench(revocations=lambda: lists[-1])
    assert goes_on.make(GROUPS, "417093", due).fault is None


def test_revocation_is_final_and_lists_are_numbered() -> None:
    first = next_crl(AT, CERTIFICATES.document_signer)
    later = AT + timedelta(days=5)
    second = next_list(
        first, [CERTIFICATES.document_signer], CSCA, CERTIFICATES.csca, at=later, sandbox=False
    )
    known = read_crl(second, CERTIFICATES.csca)
    assert known.number == 3
    assert known.revoked == {CERTIFICATES.document_signer.serial_number: AT}
    with pytest.raises(Unsafe, match="later time"):
        next_list(second, [], CSCA, CERTIFICATES.csca, at=AT, sandbox=False)


def altered(instruction: Instruction, change: Callable[[bytes], bytes]) -> Callable[[], Any]:
    """A blank whose answers to one instruction are changed on their way."""

    def load() -> Any:
        chip = simulated_blank()

        def transceive(apdu: bytes) -> bytes:
            answer = chip(apdu)
            return change(answer) if apdu[1] == instruction else answer

        return transceive

    return load


def test_a_chip_that_gives_back_other_octets_is_found_out() -> None:
    """What it gives back is protected on its way, so it is what it keeps that differs."""

    def load() -> Transceive:
        chip = simulated_blank()
        return lambda apdu: chip(apdu.replace(b"IVANOVA", b"PETROVA"))

    assert bench(load_blank=load).make(GROUPS, "417093", AT).fault == Reason.DATA_GROUP_ALTERED


def test_a_chip_that_cannot_prove_its_key_is_found_out() -> None:
    other = generate_chip_key(simulated_blank()).public_bytes(
        Encoding.X962, PublicFormat.UncompressedPoint
    )
    forged = altered(
        Instruction.GENERATE_KEY_PAIR,
        lambda answer: answer[: -len(other) - 2] + other + answer[-2:],
    )
    fault = bench(load_blank=forged).make(GROUPS, "417093", AT).fault
    assert fault == Reason.CHIP_NOT_AUTHENTIC


def test_a_blank_that_takes_nothing_stops_the_bench() -> None:
    broken = altered(Instruction.CREATE_FILE, lambda _: StatusWord.WRONG_DATA.to_bytes(2, "big"))
    with pytest.raises(InvalidCredential) as refused:
        bench(load_blank=broken).make(GROUPS, "417093", AT)
    assert refused.value.reason is Reason.CHIP_REFUSED


def test_a_chip_without_its_own_key_is_found_out() -> None:
    """EF.COM says nothing of DG15, so no reader can tell this chip from a copy."""
    groups = {**GROUPS, EF_COM: build_ef_com((1, 2, 14))}
    assert bench().make(groups, "417093", AT).fault == Reason.DATA_GROUP_ALTERED


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    hold_ceremony(folder, [ServiceName.CARD_PERSONALIZATION], sandbox=True, at=AT)
    return folder


def signer_of(keys: Path) -> Signer:
    store = paths_in(keys, [ServiceName.CARD_PERSONALIZATION]).services[
        ServiceName.CARD_PERSONALIZATION
    ]
    purpose = SigningPurpose.DOCUMENT_SIGNER
    opened = KeyStore.open(store.keystore, store.passphrase, [purpose], sandbox=True)
    return opened.signer(purpose)


def arguments(keys: Path, folder: Path, *more: str) -> list[str]:
    return ["--keys", str(keys), "--folder", str(folder), *more]


def test_the_ceremonys_certificates_open_a_bench_whose_chips_pass(
    keys: Path, tmp_path: Path
) -> None:
    begin = AT - timedelta(microseconds=1)
    assert main(arguments(keys, tmp_path, "--at", begin.isoformat(), "--sandbox")) == 0
    signer_file, csca_file = tmp_path / "document_signer.der", tmp_path / "csca.der"
    crl_file = tmp_path / "csca.crl"
    opened = open_bench(signer_of(keys), signer_file, csca_file, crl_file, sandbox=True)
    assert opened.make(GROUPS, "417093", AT).fault is None
    revoke = arguments(keys, tmp_path, "--at", AT.isoformat(), "--revoke", str(signer_file))
    assert revocations.main([*revoke, "--sandbox"]) == 0
    with pytest.raises(InvalidCredential) as refused:
        opened.make(GROUPS, "417093", AT)
    assert refused.value.reason is Reason.DOCUMENT_SIGNER_REVOKED
    crl_file.write_bytes(b"no list")
    with pytest.raises(Unsafe, match="is no revocation list of"):
        open_bench(signer_of(keys), signer_file, csca_file, crl_file, sandbox=True)
    assert revocations.main([*revoke, "--sandbox"]) == 1
    certificate = x509.load_der_x509_certificate(signer_file.read_bytes())
    assert is_sandbox(certificate)
    assert certificate.not_valid_after_utc >= AT + timedelta(days=3652)


def test_certificates_are_never_overwritten(
    keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(keys, tmp_path, "--sandbox")) == 0
    before = (tmp_path / "csca.der").read_bytes()
    assert main(arguments(keys, tmp_path, "--sandbox")) == 1
    assert "never overwritten" in capsys.readouterr().err
    assert (tmp_path / "csca.der").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--production",), "--crl-uri"),
        (("--production", "--crl-uri", "https://crl/1"), "sandbox key store"),
        (("--sandbox", "--at", "2026-11-22T09:00:00"), "time zone"),
    ],
)
def test_unsafe_certificates_are_not_made(
    keys: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    said: str,
) -> None:
    assert main(arguments(keys, tmp_path, *more)) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_bench_refuses_certificates_that_do_not_fit(keys: Path, tmp_path: Path) -> None:
    signer_file, csca_file = tmp_path / "document_signer.der", tmp_path / "csca.der"
    crl_file = tmp_path / "csca.crl"
    signer_file.write_bytes(CERTIFICATES.document_signer.public_bytes(Encoding.DER))
    csca_file.write_bytes(CERTIFICATES.csca.public_bytes(Encoding.DER))
    with pytest.raises(Unsafe, match="not the certificate"):
        open_bench(signer_of(keys), signer_file, csca_file, crl_file, sandbox=True)
    with pytest.raises(Unsafe, match="another profile"):
        open_bench(DOCUMENT_SIGNER, signer_file, csca_file, crl_file, sandbox=False)
    csca_file.write_bytes(b"no certificate")
    with pytest.raises(Unsafe, match=r"csca\.der is no certificate"):
        open_bench(DOCUMENT_SIGNER, signer_file, csca_file, crl_file, sandbox=True)
