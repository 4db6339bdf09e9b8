"""The CSCA's revocation list: the next one, in the key ceremony, over the one before.

    python -m card_personalization.revocations --keys FOLDER --folder FOLDER
        (--sandbox | --production) [--revoke CERTIFICATE]... [--at TIME] [--pkcs11-module LIBRARY]

Writes FOLDER/csca.crl in the place of its predecessor, whose entries it keeps: a revocation is
final. Without --revoke it only says again what was said, which is due every 90 days
(Doc 9303-12). The bench reads the newest list for every chip.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from epassport.ceremony import paths_in
from epassport.errors import Unsafe
from epassport.keystore import write_new
from epassport.signing import Signer, SigningPurpose
from epassport_contracts import ServiceName
from epassport_credentials.crl import RevocationList, issue_crl, read_crl
from epassport_credentials.errors import InvalidCredential

CSCA_FILE, CRL_FILE = "csca.der", "csca.crl"
LIST_LIFE = timedelta(days=90)
SANDBOX_LIST_LIFE = timedelta(days=366)  # its clock is moved, and nobody is there to sign again


def first_list(csca: Signer, root: x509.Certificate, *, at: datetime, sandbox: bool) -> bytes:
    """Number 1, on which nobody stands. at: in whole seconds"""
    return issue_crl(_list(1, {}, at, sandbox=sandbox), csca, issuer=root)


def next_list(
    before: bytes,
    revoked: Sequence[x509.Certificate],
    csca: Signer,
    root: x509.Certificate,
    *,
    at: datetime,
    sandbox: bool,
) -> bytes:
    """The list after `before`. A certificate that stands there already keeps its date.

    Raises Unsafe: a certificate of another issuer, a time before the last list's;
    InvalidCredential, as `crl.read_crl` does.
    """
    known = read_crl(before, root)
    if at < known.issued_at:
        raise Unsafe("the list before is of a later time")
    if any(certificate.issuer != root.subject for certificate in revoked):
        raise Unsafe("a certificate that this CSCA did not issue")
    entries = {certificate.serial_number: at for certificate in revoked} | dict(known.revoked)
    return issue_crl(_list(known.number + 1, entries, at, sandbox=sandbox), csca, issuer=root)


def _list(
    number: int, entries: dict[int, datetime], at: datetime, *, sandbox: bool
) -> RevocationList:
    life = SANDBOX_LIST_LIFE if sandbox else LIST_LIFE
    return RevocationList(number, at, at + life, entries)


def replace_list(
    keys: Path,
    folder: Path,
    revoked: Sequence[Path],
    *,
    at: datetime,
    sandbox: bool,
    module: Path | None = None,
) -> None:
    """Raises Unsafe where a store does not open or a file is not what its name says."""
    store = paths_in(keys, [ServiceName.CARD_PERSONALIZATION], module).csca
    if store is None:
        raise Unsafe("this ceremony made no CSCA")
    root = _certificate(folder / CSCA_FILE)
    certificates = [_certificate(path) for path in revoked]
    opened = store.open([SigningPurpose.CSCA], sandbox=sandbox)
    try:
        signer = opened.signer(SigningPurpose.CSCA)
        before = (folder / CRL_FILE).read_bytes()
        made = next_list(before, certificates, signer, root, at=at, sandbox=sandbox)
    except (OSError, ValueError, InvalidCredential) as error:
        raise Unsafe(f"{CRL_FILE} is no list of {CSCA_FILE} and this key") from error
    finally:
        opened.close()
    fresh = folder / f"{CRL_FILE}.new"
    fresh.unlink(missing_ok=True)
    write_new(fresh, made)
    fresh.chmod(0o644)
    os.replace(fresh, folder / CRL_FILE)


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Unsafe(f"{path.name} is no certificate in DER") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 with one line that says why."""
    parser = argparse.ArgumentParser(
        prog="python -m card_personalization.revocations", description=__doc__
    )
    parser.add_argument("--keys", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--revoke", type=Path, action="append", default=[], help="DER, repeatable")
    parser.add_argument("--at", type=datetime.fromisoformat, help="with time zone; now if absent")
    parser.add_argument("--pkcs11-module", type=Path, help="the tokens' library")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--sandbox", action="store_true")
    kind.add_argument("--production", action="store_true")
    options = parser.parse_args(arguments)
    at = options.at or datetime.now(UTC)
    try:
        if at.tzinfo is None:
            raise Unsafe("--at needs its time zone")
        replace_list(
            options.keys,
            options.folder,
            options.revoke,
            at=at.replace(microsecond=0),
            sandbox=options.sandbox,
            module=options.pkcs11_module,
        )
    except Unsafe as fault:
        sys.stderr.write(f"revocations: {fault}\n")
        return 1
    sys.stdout.write(f"{options.folder / CRL_FILE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
