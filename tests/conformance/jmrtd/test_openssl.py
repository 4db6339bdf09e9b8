"""OpenSSL over what stands above a chip: certificates, revocation list, EF.SOD."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from asn1crypto import pem
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from epassport_credentials.crl import RevocationList, issue_crl
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import EF_SOD
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.sod import read_sod
from epassport_credentials.tlv import encode_tlv, read_tlv
from epassport_credentials.trust_anchors import TrustAnchors
from tests.conformance.jmrtd.passport import (
    CSCA_KEY,
    CSCA_PRIVATE,
    MRZ,
    NOON,
    SIGNER_KEY,
    SIGNER_PRIVATE,
    Chain,
    chain,
    data_groups,
    signed_files,
)

Note = Callable[[str, object], None]
AT = ("-attime", str(int(NOON.timestamp())))
FILES = signed_files(data_groups(SIGNER_KEY.public_key), chain())


@dataclass(frozen=True)
class OpenSsl:
    program: str
    name: str

    def __call__(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [self.program, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture(scope="module")
def openssl() -> OpenSsl:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl on this machine")
    version = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    return OpenSsl(program, " ".join(version.stdout.split()[:2]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path, chain())
    return tmp_path


def put(folder: Path, above: Chain) -> None:
    (folder / "csca.pem").write_bytes(above.csca.public_bytes(Encoding.PEM))
    (folder / "signer.pem").write_bytes(above.signer.public_bytes(Encoding.PEM))


def revoking(*serials: int) -> bytes:
    content = RevocationList(
        1, NOON - timedelta(days=1), NOON + timedelta(days=89), dict.fromkeys(serials, NOON)
    )
    return issue_crl(content, CSCA_KEY, issuer=chain().csca)


def test_openssl_accepts_the_chain_under_strict_rules(
    openssl: OpenSsl, folder: Path, record_property: Note
) -> None:
    record_property("conformance", ("CSCA, signer", openssl.name, "ours to theirs", "accepted"))
    strict = ("verify", "-x509_strict", "-CAfile", folder / "csca.pem", *AT)
    verified = openssl(*strict, folder / "signer.pem")
    assert verified.returncode == 0, verified.stderr


def test_openssl_reads_explicit_parameters(
    openssl: OpenSsl, tmp_path: Path, record_property: Note
) -> None:
    """It refuses to chain through them (error 94), so only reading is asked for."""
    verdict = ("CSCA, signer with explicit parameters", openssl.name, "ours to theirs", "read")
    record_property("conformance", verdict)
    put(tmp_path, chain(explicit=True))
    for name in ("csca.pem", "signer.pem"):
        shown = openssl("x509", "-in", tmp_path / name, "-noout", "-text")
        assert shown.returncode == 0, shown.stderr
        assert "Field Type: prime-field" in shown.stdout
        assert "Cofactor:  1" in shown.stdout


def test_openssl_heeds_the_revocation_list(
    openssl: OpenSsl, folder: Path, record_property: Note
) -> None:
    for verdict in ("accepted", "revoked refused"):
        record_property("conformance", ("CRL", openssl.name, "ours to theirs", verdict))
    for serials, code in (((99,), 0), ((99, 2), 2)):
        (folder / "csca.crl").write_bytes(revoking(*serials))
        shown = openssl(
            *("crl", "-inform", "DER", "-in", folder / "csca.crl", "-CAfile"),
            *(folder / "csca.pem", "-out", folder / "crl.pem"),
        )
        assert "verify OK" in shown.stderr
        options = ("-crl_check", "-CRLfile", folder / "crl.pem", "-CAfile", folder / "csca.pem")
        verified = openssl("verify", *options, *AT, folder / "signer.pem")
        assert verified.returncode == code, verified.stderr


def test_openssl_believes_our_security_object_and_no_altered_one(
    openssl: OpenSsl, folder: Path, record_property: Note
) -> None:
    for verdict in ("accepted", "altered refused"):
        record_property("conformance", ("EF.SOD", openssl.name, "ours to theirs", verdict))
    message, content = folder / "sod.der", folder / "content"
    options = ("cms", "-verify", "-inform", "DER", "-in", message, "-purpose", "any")
    options = (*options, "-CAfile", folder / "csca.pem", *AT, "-out", content)
    message.write_bytes(read_tlv(FILES[EF_SOD], 0x77))
    verified = openssl(*options)
    assert verified.returncode == 0, verified.stderr
    assert all(sha256(FILES[name]).digest() in content.read_bytes() for name in ("DG1", "DG13"))
    message.write_bytes(read_tlv(FILES[EF_SOD][:-1] + bytes((FILES[EF_SOD][-1] ^ 1,)), 0x77))
    assert openssl(*options).returncode != 0


@pytest.mark.parametrize("named", ["issuer and serial", "key identifier"])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_we_believe_a_security_object_that_openssl_signed(
    digest: str, named: str, openssl: OpenSsl, folder: Path, record_property: Note
) -> None:
    record_property("conformance", ("EF.SOD", openssl.name, "theirs to ours", "accepted"))
    ours = read_sod(FILES[EF_SOD])
    assert ours.digest_name == "sha256"
    extracted = folder / "content"
    (folder / "ours.der").write_bytes(read_tlv(FILES[EF_SOD], 0x77))
    openssl(
        *("cms", "-verify", "-noverify", "-inform", "DER", "-in", folder / "ours.der"),
        *("-binary", "-out", extracted),
    )
    (folder / "key.pem").write_bytes(
        SIGNER_PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    made = openssl(
        *("cms", "-sign", "-in", extracted, "-binary", "-nodetach", "-outform", "DER"),
        *("-signer", folder / "signer.pem", "-inkey", folder / "key.pem", "-md", digest),
        *("-econtent_type", "2.23.136.1.1.1", "-nosmimecap", "-out", folder / "theirs.der"),
        *(("-keyid",) if named == "key identifier" else ()),
    )
    assert made.returncode == 0, made.stderr
    theirs = encode_tlv(0x77, (folder / "theirs.der").read_bytes())
    verified = passive_authentication(
        {**FILES, EF_SOD: theirs}, TrustAnchors([chain().csca], [revoking(99)]), NOON
    )
    assert verified.mrz == MRZ


CA_SETTINGS = """
[ca]
default_ca = csca
[csca]
database = {folder}/index.txt
crlnumber = {folder}/number.txt
default_md = sha256
crl_extensions = of_list
[of_list]
authorityKeyIdentifier = keyid
"""


def test_we_heed_a_revocation_list_that_openssl_made(
    openssl: OpenSsl, folder: Path, record_property: Note
) -> None:
    row = ("CRL", openssl.name, "theirs to ours")
    secret = CSCA_PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "csca.key").write_bytes(secret)
    (folder / "ca.cnf").write_text(CA_SETTINGS.format(folder=folder))
    began, ends = NOON - timedelta(days=1), NOON + timedelta(days=89)
    for serial, verdict in ((0x99, "accepted"), (2, "revoked refused")):
        record_property("conformance", (*row, verdict))
        lines = f"R\t{_moment(ends)}\t{_moment(began)}\t{serial:02X}\tunknown\t/C=RU/CN=signer\n"
        (folder / "index.txt").write_text(lines)
        (folder / "number.txt").write_text("07\n")
        made = openssl(
            *("ca", "-gencrl", "-config", folder / "ca.cnf", "-cert", folder / "csca.pem"),
            *("-keyfile", folder / "csca.key", "-crl_lastupdate", _moment(began)),
            *("-crl_nextupdate", _moment(ends), "-out", folder / "theirs.pem"),
        )
        assert made.returncode == 0, made.stderr
        listed = pem.unarmor((folder / "theirs.pem").read_bytes())[2]
        anchors = TrustAnchors([chain().csca], [listed])
        if verdict == "accepted":
            assert passive_authentication(FILES, anchors, NOON).revocation_known_at == began
            continue
        with pytest.raises(InvalidCredential) as refusal:
            passive_authentication(FILES, anchors, NOON)
        assert refusal.value.reason is Reason.DOCUMENT_SIGNER_REVOKED


def _moment(at: datetime) -> str:
    return at.strftime("%y%m%d%H%M%SZ")


EXTENSIONS = """
[csca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
[signer]
keyUsage = critical, digitalSignature
"""


def test_we_believe_a_chain_that_openssl_certified(
    openssl: OpenSsl, tmp_path: Path, record_property: Note
) -> None:
    record_property("conformance", ("CSCA, signer", openssl.name, "theirs to ours", "accepted"))
    (tmp_path / "extensions").write_text(EXTENSIONS)
    named = {"csca": CSCA_PRIVATE, "signer": SIGNER_PRIVATE}
    for name, private in named.items():
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{name}.key").write_bytes(secret)
        of_whom = ("-subj", f"/C=RU/CN={name}", "-out", tmp_path / f"{name}.req")
        asked = openssl("req", "-new", "-key", tmp_path / f"{name}.key", *of_whom)
        assert asked.returncode == 0, asked.stderr
        by = ("-signkey", tmp_path / "csca.key")
        if name == "signer":
            by = ("-CA", tmp_path / "csca.pem", "-CAkey", tmp_path / "csca.key", "-set_serial", "5")
        made = openssl(
            *("x509", "-req", "-in", tmp_path / f"{name}.req", *by, "-days", "90", "-sha256"),
            *("-extfile", tmp_path / "extensions", "-extensions", name),
            *("-out", tmp_path / f"{name}.pem"),
        )
        assert made.returncode == 0, made.stderr
    csca, signer = (
        x509.load_pem_x509_certificate((tmp_path / f"{name}.pem").read_bytes()) for name in named
    )
    at = signer.not_valid_before_utc
    groups = data_groups(SIGNER_KEY.public_key)
    files = signed_files(groups, Chain(csca, signer))
    assert passive_authentication(files, TrustAnchors([csca]), at).mrz == MRZ
