"""The personalisation bench: writes one chip, locks it, reads it back and checks it.

The chip makes its authentication key itself and keeps it; the bench holds the chip only
while it works on it. What is stored afterwards is what the locked chip answered.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from epassport.errors import Unsafe
from epassport_credentials.apdu import Transceive
from epassport_credentials.chip import CHALLENGE_BYTES, SimulatedChip
from epassport_credentials.chip_reader import (
    active_authentication,
    generate_chip_key,
    lock_chip,
    read_chip,
    write_access_keys,
    write_files,
)
from epassport_credentials.chip_session import open_session
from epassport_credentials.crl import read_crl
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.file_transfer import read_file
from epassport_credentials.lds import (
    EF_CARD_ACCESS,
    EF_COM,
    EF_SOD,
    TERMINAL_AUTHENTICATED,
    build_dg15,
    data_group_name,
    parse_dg1,
)
from epassport_credentials.pace import AccessKey, key_of_access_number, key_of_mrz
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.pki import is_sandbox
from epassport_credentials.signer import Signer, public_key_info
from epassport_credentials.sod import issue_sod
from epassport_credentials.trust_anchors import TrustAnchors

DG1, DG15 = data_group_name(1), data_group_name(15)
_UNSIGNED = (EF_COM, EF_CARD_ACCESS)
CLOSED_FILES = frozenset(map(data_group_name, TERMINAL_AUTHENTICATED))

LoadBlank = Callable[[], Transceive]


@dataclass(frozen=True)
class Made:
    """files: as read back; fault: the reason code of the first check that failed."""

    files: Mapping[str, bytes]
    fault: str | None


@dataclass(frozen=True)
class Bench:
    """signer: of purpose document-signer; load_blank: puts the next blank on the reader;
    revocations: the CSCA's newest list (DER), read anew for every chip"""

    signer: Signer
    certificate: x509.Certificate
    csca: x509.Certificate
    sandbox: bool
    load_blank: LoadBlank
    revocations: Callable[[], bytes]

    def make(self, data_groups: Mapping[str, bytes], access_number: str, at: datetime) -> Made:
        """data_groups: EF.CardAccess, EF.COM and the data groups but DG15, by the names of `lds`.

        access_number: printed on the card; with the MRZ, what opens the chip from now on

        Raises InvalidCredential: CHIP_REFUSED, where a blank takes nothing; before a blank is
        touched DOCUMENT_SIGNER_REVOKED, REVOCATION_LIST_OUTDATED.
        """
        self._check_own_signer(at)
        chip = self.load_blank()
        signed = {**data_groups, DG15: build_dg15(generate_chip_key(chip))}
        hashed = {int(name[2:]): octets for name, octets in signed.items() if name not in _UNSIGNED}
        sod = issue_sod(hashed, self.signer, self.certificate, signed_at=at)
        written = {**signed, EF_SOD: sod}
        write_files(chip, written)
        _check_closed_groups(chip, written)
        opening = key_of_access_number(access_number)
        write_access_keys(chip, [opening, key_of_mrz(parse_dg1(signed[DG1]))])
        lock_chip(chip)
        return self._read_back(chip, opening, written, at)

    def _anchors(self) -> TrustAnchors:
        return TrustAnchors([self.csca], [self.revocations()])

    def _check_own_signer(self, at: datetime) -> None:
        """No blank is spent on what every verifier would refuse."""
        listed = read_crl(self.revocations(), self.csca)
        if self.certificate.serial_number in listed.revoked:
            raise InvalidCredential(Reason.DOCUMENT_SIGNER_REVOKED, "the bench's own")
        if at >= listed.next_update:
            raise InvalidCredential(Reason.REVOCATION_LIST_OUTDATED, listed.next_update.isoformat())

    def _read_back(
        self, chip: Transceive, opening: AccessKey, written: Mapping[str, bytes], at: datetime
    ) -> Made:
        """EF.COM is not signed, so it is compared; the rest must hold for any verifier.

        A locked chip gives DG3 to nobody here, so one that gives it differs from what is due.
        """
        session = open_session(chip, opening, random_bytes=secrets.token_bytes)
        files = read_chip(session)
        if files != {name: octets for name, octets in written.items() if name not in CLOSED_FILES}:
            return Made(files, Reason.DATA_GROUP_ALTERED)
        try:
            found = passive_authentication(files, self._anchors(), at, accept_sandbox=self.sandbox)
            if found.authentication_key is None:
                return Made(files, Reason.MISSING_FILE)
            challenge = secrets.token_bytes(CHALLENGE_BYTES)
            active_authentication(session, found.authentication_key, challenge=challenge)
        except InvalidCredential as refusal:
            return Made(files, refusal.reason)
        return Made(files, None)


def open_bench(
    signer: Signer,
    certificate_file: Path,
    csca_file: Path,
    crl_file: Path,
    *,
    sandbox: bool,
    load_blank: LoadBlank | None = None,
) -> Bench:
    """Raises Unsafe where certificates and key do not belong together, or to this profile."""
    certificate, csca = _read(certificate_file), _read(csca_file)
    if public_key_info(_key_of(certificate)) != public_key_info(signer.public_key):
        raise Unsafe(f"{certificate_file.name} is not the certificate of the document signer key")
    if {is_sandbox(certificate), is_sandbox(csca)} != {sandbox}:
        raise Unsafe("the certificates belong to another profile")
    bench = Bench(
        signer, certificate, csca, sandbox, load_blank or simulated_blank, crl_file.read_bytes
    )
    try:
        read_crl(bench.revocations(), csca)
    except (OSError, InvalidCredential) as error:
        raise Unsafe(f"{crl_file.name} is no revocation list of {csca_file.name}") from error
    return bench


def _check_closed_groups(chip: Transceive, written: Mapping[str, bytes]) -> None:
    """While the chip still shows them. Raises InvalidCredential: CHIP_REFUSED, where it does not
    give back what it took."""
    for name in CLOSED_FILES & written.keys():
        if read_file(chip, name) != written[name]:
            raise InvalidCredential(Reason.CHIP_REFUSED, f"{name} is not what was written")


def simulated_blank() -> Transceive:
    """A blank behind a reader, which stands in for the bureau's machine."""
    return SimulatedChip(
        lambda: ec.generate_private_key(ec.SECP256R1()),
        random_bytes=secrets.token_bytes,
        wait=lambda delay: time.sleep(delay.total_seconds()),
    ).transceive


def _read(file: Path) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        raise Unsafe(f"{file.name} is no certificate in DER") from error


def _key_of(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Unsafe("the document signer's certificate holds no key on a curve")
    return key
