"""Vectors of what stands on a chip: single files, and whole chips under passive authentication."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.crl import RevocationList, issue_crl
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
from epassport_credentials.pki import issue_csca, issue_document_signer
from epassport_credentials.security_infos import build_card_access, build_dg14
from epassport_credentials.signature_image import build_dg7
from epassport_credentials.signer import LocalSigner
from epassport_credentials.sod import issue_sod
from epassport_credentials.tlv import encode_tlv
from tests.conformance.vectors.case import Case, Inputs, passed, until
from tests.conformance.vectors.world import (
    CHIP_SECRET,
    CSCA,
    CSCA_CERTIFICATE,
    DAY,
    DOCUMENT_SIGNER,
    NOW,
    STRANGER,
    TERMS,
)

HOLDER = Mrz("I", "RUS", "PODIEMNAIA", "IULIIA", "700123456", "RUS", "900517", "F", "361120")
CHIP_KEY = ec.derive_private_key(CHIP_SECRET, ec.SECP256R1())
# One grey pixel (T.81): the smallest baseline JPEG.
JPEG = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300" + "08" * 64 + "ffc0000b080001000101011100"
    "ffc4001400010000000000000000000000000000000affc40014100100000000000000000000000000000000"
    "ffda0008010100003f0037ffd9"
)
FINGER = FingerImage(Finger.RIGHT_INDEX, 8, 8, Compression.WSQ, b"\xff\xa0 ridges", 80)
SIGNER_TERMS = replace(TERMS, common_name="Document Signer", serial=2)

Groups = Mapping[int, bytes]


def signer_certificate(key: LocalSigner = CSCA, **terms: object) -> x509.Certificate:
    """key: that signs it; the issuer's name is always the CSCA's."""
    above = CSCA_CERTIFICATE if key is CSCA else issue_csca(TERMS, key)
    wanted = replace(SIGNER_TERMS, **terms)  # type: ignore[arg-type]
    return issue_document_signer(
        wanted, DOCUMENT_SIGNER, issuer=above, csca=key, document_types=["I"]
    )


SIGNER = signer_certificate()
GROUPS: Groups = {
    1: build_dg1(build_td1(HOLDER)),
    2: build_dg2(JPEG),
    3: build_dg3([FINGER]),
    13: build_dg13(OptionalDetails(inn="500100732259", snils="11223344595")),
    14: build_dg14(),
    15: build_dg15(CHIP_KEY.public_key()),
}


def signed(groups: Groups = GROUPS, certificate: x509.Certificate = SIGNER) -> dict[str, bytes]:
    return {
        EF_CARD_ACCESS: build_card_access(),
        EF_COM: build_ef_com(groups),
        **{data_group_name(number): data for number, data in groups.items()},
        EF_SOD: issue_sod(groups, DOCUMENT_SIGNER, certificate, signed_at=NOW),
    }


def single_files() -> list[Case]:
    person = PersonalDetails("ПОДЪЁМНАЯ<<ЮЛИЯ", birth_date="19900517", birth_place=("Казань",))
    document = DocumentDetails("МВД РОССИИ", "20261122", personalised_at="20261122093000")
    files = signed() | {
        "DG7": build_dg7(JPEG),
        "DG11": build_dg11(person),
        "DG12": build_dg12(document),
    }
    good = [_file(name, name, data) for name, data in files.items()]
    cut = [_file(f"{name} cut", name, data[:-1], "malformed") for name, data in files.items()]
    other = [
        _file(f"DG1 as {name}", name, files["DG1"], "malformed")
        for name in files
        if name not in ("DG1", EF_CARD_ACCESS)
    ]
    long = encode_tlv(0x75, bytes(65_536))
    version = files["DG13"].replace(b"\x80\x01\x01", b"\x80\x01\x02")
    digit = files["DG13"].replace(b"11223344595", b"11223344596")
    zone = files["DG1"].replace(b"700123456", b"700123457")
    return [
        *good,
        *cut,
        *other,
        _file("DG13 of another version", "DG13", version, "unknown-version"),
        _file("DG13, a check digit", "DG13", digit, "wrong-check-digit"),
        _file("DG1, a check digit", "DG1", zone, "wrong-check-digit"),
        _file("DG2 oversized", "DG2", long, "too-long"),
        _file("nothing", "DG1", b"", "malformed"),
    ]


def _file(case: str, name: str, data: bytes, reason: str | None = None) -> Case:
    stages = passed("file") if reason is None else [["file", reason]]
    return Case(case, {"name": name, "data": data.hex()}, stages)


def whole_chips() -> list[Case]:
    return [*_good(), *_altered(), *_unsigned(), *_revoked()]


def _chip(
    files: Mapping[str, bytes] | None = None, crl: bytes | None = None, **without: None
) -> Inputs:
    given = signed() if files is None else files
    inputs: dict[str, str | dict[str, str]] = {
        "files": {name: data.hex() for name, data in given.items()}
    }
    if crl is not None:
        inputs["crl"] = crl.hex()
    return inputs


def _refused(name: str, inputs: Inputs, reason: str, now: datetime = NOW) -> Case:
    return Case(name, inputs, until(("anchors", "passive"), "passive", reason), now)


def _good() -> list[Case]:
    unread = {name: data for name, data in signed().items() if name != "DG3"}
    return [
        Case("every group", _chip(), passed("anchors", "passive")),
        Case("without the closed group", _chip(unread), passed("anchors", "passive")),
        Case("with a list that is recent", _chip(crl=_crl()), passed("anchors", "passive")),
    ]


def _altered() -> list[Case]:
    files = signed()
    zone = files["DG1"].replace(b"PODIEMNAIA", b"PODIEMNAIB")
    return [
        _refused("altered byte", _chip({**files, "DG1": zone}), "data-group-altered"),
        _refused("a group nobody signed", _chip({**files, "DG7": build_dg7(JPEG)}),
                 "data-group-not-signed"),
        _refused("no EF.SOD", _chip({n: d for n, d in files.items() if n != EF_SOD}),
                 "missing-file"),
        _refused("no DG1", _chip({n: d for n, d in files.items() if n != "DG1"}), "missing-file"),
        _refused("EF.SOD cut", _chip({**files, EF_SOD: files[EF_SOD][:-9]}), "malformed"),
    ]  # fmt: skip


def _unsigned() -> list[Case]:
    other = replace(HOLDER, issuing_state="UTO")
    elsewhere = {**GROUPS, 1: build_dg1(build_td1(other))}
    stranger = issue_sod(GROUPS, STRANGER, SIGNER, signed_at=NOW)
    sandbox = signed(certificate=signer_certificate(sandbox=True))
    late = signed(certificate=signer_certificate(not_after=NOW, key_use=DAY))
    early = signed(certificate=signer_certificate(not_before=NOW + DAY))
    return [
        _refused("wrong key", _chip({**signed(), EF_SOD: stranger}), "wrong-signature"),
        _refused(
            "another root",
            _chip(signed(certificate=signer_certificate(STRANGER))),
            "untrusted-document-signer",
        ),
        _refused("signed by the CSCA itself", _chip(_by_the_csca()), "wrong-certificate-profile"),
        _refused("a signer of the sandbox", _chip(sandbox), "sandbox-signer"),
        _refused("signer expired", _chip(late), "expired", NOW + timedelta(seconds=1)),
        _refused("signer not yet valid", _chip(early), "not-yet-valid"),
        _refused("a zone of another state", _chip(signed(elsewhere)), "wrong-issuing-state"),
    ]


def _by_the_csca() -> dict[str, bytes]:
    sod = issue_sod(GROUPS, CSCA, CSCA_CERTIFICATE, signed_at=NOW)
    return {**signed(), EF_SOD: sod}


def _crl(*serials: int, key: LocalSigner = CSCA) -> bytes:
    entries = dict.fromkeys(serials, NOW - DAY)
    issuer = CSCA_CERTIFICATE if key is CSCA else issue_csca(replace(TERMS, common_name="B"), key)
    return issue_crl(RevocationList(1, NOW - DAY, NOW + 89 * DAY, entries), key, issuer=issuer)


def _revoked() -> list[Case]:
    foreign = _chip(crl=_crl(key=STRANGER))
    return [
        _refused("signer revoked", _chip(crl=_crl(2)), "document-signer-revoked"),
        _refused("the list is due", _chip(crl=_crl()), "revocation-list-outdated", NOW + 89 * DAY),
        Case(
            "a list of another CSCA",
            foreign,
            until(("anchors", "passive"), "anchors", "untrusted-document-signer"),
        ),
        Case(
            "no list at all",
            _chip(crl=b"\x30\x00"),
            until(("anchors", "passive"), "anchors", "malformed"),
        ),
    ]
