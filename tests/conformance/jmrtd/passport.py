"""One synthetic passport, whole: its certificates, its files and its chip."""

import io
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from epassport_credentials.chip import SimulatedChip
from epassport_credentials.chip_reader import (
    generate_chip_key,
    lock_chip,
    write_access_keys,
    write_files,
)
from epassport_credentials.details import (
    DocumentDetails,
    PersonalDetails,
    build_dg11,
    build_dg12,
)
from epassport_credentials.face import build_dg2
from epassport_credentials.finger import Compression, Finger, FingerImage, build_dg3
from epassport_credentials.lds import (
    EF_CARD_ACCESS,
    EF_COM,
    EF_SOD,
    build_dg1,
    build_dg15,
    build_ef_com,
    data_group_name,
)
from epassport_credentials.mrz import Mrz, build_td1
from epassport_credentials.optional_details import OptionalDetails, build_dg13
from epassport_credentials.pace import key_of_access_number, key_of_mrz
from epassport_credentials.pki import CertificateTerms, issue_csca, issue_document_signer
from epassport_credentials.security_infos import build_card_access, build_dg14
from epassport_credentials.signature_image import build_dg7
from epassport_credentials.signer import LocalSigner
from epassport_credentials.sod import issue_sod

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ACCESS_NUMBER = "417093"
MRZ = Mrz("I", "RUS", "PODIEMNAIA", "IULIIA", "700123456", "RUS", "900517", "F", "361120")
FINGERS = (
    FingerImage(Finger.RIGHT_INDEX, 300, 400, Compression.WSQ, b"\xff\xa0" + bytes(19_000), 80),
    FingerImage(Finger.LEFT_INDEX, 310, 410, Compression.WSQ, b"\xff\xa0" + bytes(18_000), 75),
)
PERSON = PersonalDetails(
    full_name="ПОДЪЁМНАЯ<<ЮЛИЯ<ЭДУАРДОВНА",
    other_names=("ЩУКИНА<<ЮЛИЯ",),
    personal_number="112233",
    birth_date="19900517",
    birth_place=("Казань", "Татарстан"),
    address=("Баумана, 1", "Казань", "420111"),
    telephone="+78430000000",
    profession="ТОКАРЬ",
    other_documents=("700123455", "8200999999"),
)
DOCUMENT = DocumentDetails(
    authority="МВД РОССИИ",
    issue_date="20261122",
    other_persons=("IVANOV<<PETR",),
    endorsements="БЕЗ ОТМЕТОК",
    personalised_at="20261122093000",
    system_serial="BUREAU-1",
)
CSCA_PRIVATE, SIGNER_PRIVATE = (ec.derive_private_key(n, ec.SECP256R1()) for n in (31, 32))
CSCA_KEY, SIGNER_KEY = LocalSigner(CSCA_PRIVATE), LocalSigner(SIGNER_PRIVATE)
TERMS = CertificateTerms(
    common_name="CSCA",
    organization="epassport test",
    serial=1,
    not_before=NOON - timedelta(days=10),
    not_after=NOON + timedelta(days=5000),
    key_use=timedelta(days=1000),
    crl_uri="https://crl.epassport.test/csca",
)


@dataclass(frozen=True)
class Chain:
    csca: x509.Certificate
    signer: x509.Certificate


@cache
def chain(*, explicit: bool = False) -> Chain:
    """explicit: whether the certificates spell their curve out (Doc 9303-12 §4.1.6.3)."""
    terms = replace(TERMS, explicit_parameters=explicit)
    csca = issue_csca(terms, CSCA_KEY)
    below = replace(terms, common_name="Document Signer", serial=2, not_after=terms.not_after)
    signer = issue_document_signer(
        below, SIGNER_KEY, issuer=csca, csca=CSCA_KEY, document_types=["I"]
    )
    return Chain(csca, signer)


@cache
def portrait() -> bytes:
    """A JPEG of 480 x 600, noisy enough to need many commands."""
    return _noise(spread=12)


@cache
def signature() -> bytes:
    """An image that takes DG7 over 32 KiB, beyond the reach of an even READ BINARY."""
    return _noise(spread=20)


def _noise(*, spread: int) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((480, 600), spread).convert("RGB").save(out, "JPEG", quality=30)
    return out.getvalue()


def data_groups(chip_key: ec.EllipticCurvePublicKey) -> Mapping[int, bytes]:
    wished = OptionalDetails(inn="500100732259", snils="11223344595")
    return {
        1: build_dg1(build_td1(MRZ)),
        2: build_dg2(portrait()),
        3: build_dg3(FINGERS),
        7: build_dg7(signature()),
        11: build_dg11(PERSON),
        12: build_dg12(DOCUMENT),
        13: build_dg13(wished),
        14: build_dg14(),
        15: build_dg15(chip_key),
    }


def signed_files(groups: Mapping[int, bytes], above: Chain) -> Mapping[str, bytes]:
    return {
        EF_CARD_ACCESS: build_card_access(),
        EF_COM: build_ef_com(groups),
        **{data_group_name(number): data for number, data in groups.items()},
        EF_SOD: issue_sod(groups, SIGNER_KEY, above.signer, signed_at=NOON),
    }


def personalised(above: Chain) -> tuple[SimulatedChip, Mapping[str, bytes]]:
    """A locked chip and what was written to it."""
    chip = blank()
    files = signed_files(data_groups(generate_chip_key(chip.transceive)), above)
    finish(chip, files)
    return chip, files


def blank() -> SimulatedChip:
    return SimulatedChip(
        lambda: ec.generate_private_key(ec.SECP256R1()),
        random_bytes=secrets.token_bytes,
        wait=lambda _: None,
    )


def finish(chip: SimulatedChip, files: Mapping[str, bytes]) -> None:
    write_files(chip.transceive, files)
    write_access_keys(chip.transceive, [key_of_access_number(ACCESS_NUMBER), key_of_mrz(MRZ)])
    lock_chip(chip.transceive)
