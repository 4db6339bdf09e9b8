"""Passive authentication of a whole chip against its bare signature checks and hashes."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.crl import RevocationList, issue_crl
from epassport_credentials.lds import EF_SOD
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.sod import read_sod
from epassport_credentials.trust_anchors import TrustAnchors
from tests.benchmarks.harness import Better, Row, compare
from tests.conformance.jmrtd.passport import (
    CSCA_KEY,
    CSCA_PRIVATE,
    NOON,
    SIGNER_KEY,
    chain,
    data_groups,
    signed_files,
)

FILES = signed_files(data_groups(SIGNER_KEY.public_key), chain())


def anchors() -> TrustAnchors:
    clean = RevocationList(1, NOON, NOON + timedelta(days=90), {})
    return TrustAnchors([chain().csca], [issue_crl(clean, CSCA_KEY, issuer=chain().csca)])


def bare() -> Callable[[], None]:
    """The signer's certificate and EF.SOD by loaded keys, and SHA-256 of every data group."""
    sod, certificate = read_sod(FILES[EF_SOD]), chain().signer
    csca_key, signer_key = CSCA_PRIVATE.public_key(), SIGNER_KEY.public_key
    algorithm = ec.ECDSA(hashes.SHA256())
    issued, signature = certificate.tbs_certificate_bytes, certificate.signature
    groups = [data for name, data in FILES.items() if name.startswith("DG")]

    def checks() -> None:
        csca_key.verify(signature, issued, algorithm)
        signer_key.verify(sod.signature, sod.signed, algorithm)
        for data in groups:
            sha256(data).digest()

    return checks


def rows() -> Iterator[Row]:
    known, checks = anchors(), bare()
    assert passive_authentication(FILES, known, NOON).revocation_known_at == NOON
    against = "bare: two ES256 verifies by loaded keys, SHA-256 of each data group, 95 kB"
    for name, target, call, how in (
        (
            "passive-auth",
            1.3,
            lambda: passive_authentication(FILES, known, NOON),
            "files to what may be relied on, revocation included, the document signer already met",
        ),
        (
            "passive-auth-new-signer",
            3.5,
            lambda: passive_authentication(FILES, TrustAnchors([chain().csca]), NOON),
            "the same for the first chip after the trust anchors were loaded, loading included",
        ),
    ):
        ours, floor, ratio = compare(call, checks)
        yield Row(name, ours, floor, 1 / ratio, target, Better.LOWER, "us", f"{how}; {against}")
