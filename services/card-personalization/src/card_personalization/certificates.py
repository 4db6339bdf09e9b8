"""The certificates above every chip, made in the key ceremony and mounted by the service.

    python -m card_personalization.certificates --keys FOLDER --folder FOLDER
        (--sandbox | --production) [--at TIME] [--crl-uri URI] [--pkcs11-module LIBRARY]

--keys names the folder in which `epassport.ceremony` was held; the CSCA's store is opened
here and nowhere else. Writes FOLDER/csca.der, FOLDER/document_signer.der and the CSCA's first
revocation list, FOLDER/csca.crl (later ones: `revocations`); nothing that exists is overwritten.
"""

import argparse
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from card_personalization.chip_data import DOCUMENT_CODE
from card_personalization.revocations import CRL_FILE, CSCA_FILE, first_list
from epassport.ceremony import StorePaths, paths_in
from epassport.errors import Unsafe
from epassport.keystore import write_new
from epassport.signing import Signer, SigningPurpose
from epassport_contracts import ServiceName
from epassport_credentials.pki import CertificateTerms, issue_csca, issue_document_signer

DOCUMENT_SIGNER_FILE = "document_signer.der"
SANDBOX_CRL = "https://crl.epassport-sandbox.invalid/csca.crl"

# A signer's certificate outlives the last document it signed, the CSCA's its last signer's.
DOCUMENT_LIFE = timedelta(days=10 * 366)
DOCUMENT_SIGNER_USE = timedelta(days=366)  # until the next yearly ceremony
CSCA_USE = timedelta(days=5 * 366)

ORGANIZATION = "Ministry of Internal Affairs"
SERIAL_BYTES = 16


@dataclass(frozen=True)
class Certificates:
    csca: x509.Certificate
    document_signer: x509.Certificate


def issue_certificates(
    csca: Signer, document_signer: Signer, *, at: datetime, sandbox: bool, crl_uri: str
) -> Certificates:
    """at: from when both are valid, in whole seconds (RFC 5280 §4.1.2.5.2)."""
    at = at.replace(microsecond=0)

    def terms(common_name: str, use: timedelta, life: timedelta) -> CertificateTerms:
        return CertificateTerms(
            common_name=common_name,
            organization=ORGANIZATION,
            serial=int.from_bytes(secrets.token_bytes(SERIAL_BYTES)) | 1,
            not_before=at,
            not_after=at + use + life,
            key_use=use,
            crl_uri=crl_uri,
            sandbox=sandbox,
        )

    signer_life = DOCUMENT_SIGNER_USE + DOCUMENT_LIFE
    root = issue_csca(terms("CSCA", CSCA_USE, signer_life), csca)
    signer = issue_document_signer(
        terms("Document Signer", DOCUMENT_SIGNER_USE, DOCUMENT_LIFE),
        document_signer,
        issuer=root,
        csca=csca,
        document_types=[DOCUMENT_CODE],
    )
    return Certificates(root, signer)


def hold(
    keys: Path,
    folder: Path,
    *,
    at: datetime,
    sandbox: bool,
    crl_uri: str,
    module: Path | None = None,
) -> None:
    """module: of the tokens, where the ceremony made its stores on tokens

    Raises Unsafe where a store does not open or a certificate exists.
    """
    stores = paths_in(keys, [ServiceName.CARD_PERSONALIZATION], module)
    if stores.csca is None:
        raise Unsafe("this ceremony made no CSCA")
    own = stores.services[ServiceName.CARD_PERSONALIZATION]
    at = at.replace(microsecond=0)
    csca = _signer(stores.csca, SigningPurpose.CSCA, sandbox=sandbox)
    made = issue_certificates(
        csca,
        _signer(own, SigningPurpose.DOCUMENT_SIGNER, sandbox=sandbox),
        at=at,
        sandbox=sandbox,
        crl_uri=crl_uri,
    )
    write_new(folder / CSCA_FILE, made.csca.public_bytes(Encoding.DER))
    write_new(folder / DOCUMENT_SIGNER_FILE, made.document_signer.public_bytes(Encoding.DER))
    write_new(folder / CRL_FILE, first_list(csca, made.csca, at=at, sandbox=sandbox))


def _signer(store: StorePaths, purpose: SigningPurpose, *, sandbox: bool) -> Signer:
    return store.open([purpose], sandbox=sandbox).signer(purpose)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 with one line that says why."""
    parser = argparse.ArgumentParser(
        prog="python -m card_personalization.certificates", description=__doc__
    )
    parser.add_argument("--keys", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--at", type=datetime.fromisoformat, help="with time zone; now if absent")
    parser.add_argument("--crl-uri", help="where revocations of the signer are published")
    parser.add_argument("--pkcs11-module", type=Path, help="the tokens' library")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--sandbox", action="store_true")
    kind.add_argument("--production", action="store_true")
    options = parser.parse_args(arguments)
    crl_uri = options.crl_uri or (SANDBOX_CRL if options.sandbox else None)
    at = options.at or datetime.now(UTC)
    try:
        if crl_uri is None:
            raise Unsafe("production needs --crl-uri")
        if at.tzinfo is None:
            raise Unsafe("--at needs its time zone")
        hold(
            options.keys,
            options.folder,
            at=at,
            sandbox=options.sandbox,
            crl_uri=crl_uri,
            module=options.pkcs11_module,
        )
    except Unsafe as fault:
        sys.stderr.write(f"certificates: {fault}\n")
        return 1
    sys.stdout.write(f"{options.folder / DOCUMENT_SIGNER_FILE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
