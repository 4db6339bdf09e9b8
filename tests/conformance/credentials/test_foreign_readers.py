"""Our tokens and chip files as software that nobody here wrote sees them."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import ECKey

from epassport_credentials.lds import build_dg1
from epassport_credentials.mrz import Mrz, build_td1
from epassport_credentials.pki import CertificateTerms, issue_csca, issue_document_signer
from epassport_credentials.signer import LocalSigner
from epassport_credentials.sod import issue_sod
from epassport_credentials.status_list import STATUS_LIST_TYP, issue_status_list, pack_statuses
from epassport_credentials.tlv import read_tlv

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = LocalSigner(ec.derive_private_key(31, ec.SECP256R1()))
PHONE = LocalSigner(ec.derive_private_key(32, ec.SECP256R1()))
OPENSSL = shutil.which("openssl")


def test_a_status_list_token_verifies_with_a_foreign_jws_library() -> None:
    token = issue_status_list(
        pack_statuses([0, 1, 2, 3]),
        KEY,
        uri="https://status.epassport.test/1",
        issued_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )
    foreign = ECKey.import_key(
        KEY.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    verified = jws.deserialize_compact(token, foreign, algorithms=["ES256"])
    assert verified.headers() == {"alg": "ES256", "kid": KEY.key_id.hex(), "typ": STATUS_LIST_TYP}


@pytest.fixture(scope="module")
def chain() -> tuple[x509.Certificate, x509.Certificate]:
    terms = CertificateTerms(
        common_name="CSCA",
        organization="epassport test",
        serial=1,
        not_before=NOW - timedelta(days=10),
        not_after=NOW + timedelta(days=5000),
        key_use=timedelta(days=1000),
        crl_uri="https://crl.epassport.test/csca",
    )
    csca = issue_csca(terms, KEY)
    signer_terms = CertificateTerms(
        common_name="Document Signer",
        organization="epassport test",
        serial=2,
        not_before=NOW - timedelta(days=1),
        not_after=NOW + timedelta(days=3743),
        key_use=timedelta(days=90),
        crl_uri="https://crl.epassport.test/csca",
    )
    signer = issue_document_signer(signer_terms, PHONE, issuer=csca, csca=KEY, document_types=["I"])
    return csca, signer


def openssl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *arguments], capture_output=True, timeout=30, check=False)


@pytest.mark.skipif(OPENSSL is None, reason="no openssl on this machine")
def test_openssl_believes_our_ef_sod_and_not_an_altered_one(
    chain: tuple[x509.Certificate, x509.Certificate], tmp_path: Path
) -> None:
    csca, signer = chain
    mrz = Mrz("I", "RUS", "PODIEMNAIA", "IULIIA", "700123456", "RUS", "900517", "F", "361120")
    sod = issue_sod({1: build_dg1(build_td1(mrz))}, PHONE, signer, signed_at=NOW)
    root, message, content = (tmp_path / name for name in ("csca.pem", "sod.der", "content"))
    root.write_bytes(csca.public_bytes(Encoding.PEM))
    arguments = ["cms", "-verify", "-inform", "DER", "-in", str(message), "-CAfile", str(root)]
    arguments += ["-purpose", "any", "-attime", str(int(NOW.timestamp())), "-out", str(content)]
    message.write_bytes(read_tlv(sod, 0x77))
    verified = openssl(*arguments)
    assert verified.returncode == 0, verified.stderr.decode()
    assert sha256(build_dg1(build_td1(mrz))).digest() in content.read_bytes()
    message.write_bytes(read_tlv(sod[:-1] + bytes((sod[-1] ^ 1,)), 0x77))
    assert openssl(*arguments).returncode != 0


@pytest.mark.skipif(OPENSSL is None, reason="no openssl on this machine")
def test_openssl_accepts_the_chain_under_strict_rules(
    chain: tuple[x509.Certificate, x509.Certificate], tmp_path: Path
) -> None:
    csca, signer = chain
    root, below = tmp_path / "csca.pem", tmp_path / "signer.pem"
    root.write_bytes(csca.public_bytes(Encoding.PEM))
    below.write_bytes(signer.public_bytes(Encoding.PEM))
    attime = str(int(NOW.timestamp()))
    verified = openssl(
        *("verify", "-x509_strict", "-CAfile", str(root), "-attime", attime, str(below))
    )
    assert verified.returncode == 0, verified.stderr.decode()
