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
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import (
    EF_CARD_ACCESS,
    EF_COM,
    EF_SOD,
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

LoadBlank = Callable[[], Transceive]


@dataclass(frozen=True)
class Made:
    """files: as read back; fault: the reason code of the first check that failed."""

    files: Mapping[str, bytes]
    fault: str | None


@dataclass(frozen=True)
class Bench:
    """signer: of purpose document-signer; load_blank: puts the next blank on the reader."""

    signer: Signer
    certificate: x509.Certificate
    csca: x509.Certificate
    sandbox: bool
    load_blank: LoadBlank

    def make(self, data_groups: Mapping[str, bytes], access_number: str, at: datetime) -> Made:
        """data_groups: EF.CardAccess, EF.COM and the data groups but DG15, by the names of `lds`.

        access_number: printed on the card; with the MRZ, what opens the chip from now on

        Raises InvalidCredential: CHIP_REFUSED, where a blank takes nothing.
        """
        chip = self.load_blank()
        signed = {**data_groups, DG15: build_dg15(generate_chip_key(chip))}
        hashed = {int(name[2:]): octets for name, octets in signed.items() if name not in _UNSIGNED}
        sod = issue_sod(hashed, self.signer, self.certificate, signed_at=at)
        written = {**signed, EF_SOD: sod}
        write_files(chip, written)
        opening = key_of_access_number(access_number)
        write_access_keys(chip, [opening, key_of_mrz(parse_dg1(signed[DG1]))])
        lock_chip(chip)
        return self._read_back(chip, opening, written, at)

    def _read_back(
        self, chip: Transceive, opening: AccessKey, written: Mapping[str, bytes], at: datetime
    ) -> Made:
        """EF.COM is not signed, so it is compared; the rest must hold for any verifier."""
        session = open_session(chip, opening, random_bytes=secrets.token_bytes)
        files = read_chip(session)
        if files != written:
            return Made(files, Reason.DATA_GROUP_ALTERED)
        try:
            found = passive_authentication(
                files, TrustAnchors([self.csca]), at, accept_sandbox=self.sandbox
            )
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
    return Bench(signer, certificate, csca, sandbox, load_blank or simulated_blank)


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
