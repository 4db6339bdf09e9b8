"""Is what was read from a chip what the state signed? (ICAO Doc 9303-11 §5.1)

The order is the standard's, with a reason for each step:

1. EF.SOD can be read and names its document signer                 MALFORMED …
2. a known country signing CA issued that certificate, and both     UNTRUSTED_DOCUMENT_SIGNER,
   keep to their profile                                            WRONG_CERTIFICATE_PROFILE
3. neither is the sandbox's                                         SANDBOX_SIGNER
4. the CA was valid when it issued, the signer is valid now         NOT_YET_VALID, EXPIRED
5. the signer is not revoked, by a list that is recent              DOCUMENT_SIGNER_REVOKED,
                                                                    REVOCATION_LIST_OUTDATED
6. the signature of EF.SOD is the document signer's                 WRONG_SIGNATURE
7. every data group read has the signed hash                        DATA_GROUP_NOT_SIGNED,
                                                                    DATA_GROUP_ALTERED
8. EF.CardAccess promised no protocol that DG14 does not confirm    DATA_GROUP_ALTERED
9. the MRZ in DG1 names the state of the certificates               WRONG_ISSUING_STATE

A copied chip passes too: only active authentication tells a copy from the original.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.claims import check_period
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import (
    DATA_GROUP_TAGS,
    EF_CARD_ACCESS,
    EF_SOD,
    data_group_name,
    file_content,
    parse_dg1,
    parse_dg15,
)
from epassport_credentials.mrz import Mrz
from epassport_credentials.security_infos import encoded_infos
from epassport_credentials.sod import Sod, read_sod, verify_sod
from epassport_credentials.trust_anchors import DocumentSigner, TrustAnchors

# Code of the issuing state in the MRZ, and the country of its certificates (ISO 3166-1).
_COUNTRY_OF_STATE = {"RUS": "RU"}
_NUMBER_OF_NAME = {data_group_name(number): number for number in DATA_GROUP_TAGS}
_HASH = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}


@dataclass(frozen=True)
class Verified:
    """What may be relied on.

    unread: data groups that are signed but were not read, such as protected ones
    authentication_key: the chip's own, from DG15 if it was read. A copy may leave DG15 out of
        EF.COM, which nobody signs: where `unread` has 15, refuse
    revocation_known_at: when the list was issued by which the signer is not revoked; None
        where no list of its CSCA was at hand
    """

    mrz: Mrz
    data_groups: Mapping[int, bytes]
    unread: frozenset[int]
    document_signer: x509.Certificate
    authentication_key: ec.EllipticCurvePublicKey | None
    revocation_known_at: datetime | None


def passive_authentication(
    files: Mapping[str, bytes],
    anchors: TrustAnchors,
    at: datetime,
    *,
    accept_sandbox: bool = False,
) -> Verified:
    """Check the files of a chip against trusted country signing CAs.

    files: by the names of `lds`, at least EF.SOD and DG1
    Raises InvalidCredential: see the steps above, and MISSING_FILE.
    """
    sod = read_sod(_file(files, EF_SOD))
    signer = anchors.document_signer(sod.certificate)
    if signer.sandbox and not accept_sandbox:
        raise InvalidCredential(Reason.SANDBOX_SIGNER, "made for the sandbox")
    csca = signer.anchor.certificate
    check_period(csca.not_valid_before_utc, csca.not_valid_after_utc, now=signer.issued_at)
    check_period(signer.issued_at, signer.expires_at, now=at)
    revocation_known_at = _check_revocation(signer, at)
    verify_sod(sod, signer.key)
    data_groups = _check_hashes(files, sod)
    if EF_CARD_ACCESS in files and 14 in data_groups:
        _check_card_access(files[EF_CARD_ACCESS], data_groups[14])
    mrz = parse_dg1(_file(files, data_group_name(1)))
    if _COUNTRY_OF_STATE.get(mrz.issuing_state) != signer.country:
        raise InvalidCredential(Reason.WRONG_ISSUING_STATE, "MRZ and certificate differ")
    return Verified(
        mrz=mrz,
        data_groups=data_groups,
        unread=frozenset(sod.data_group_hashes) - frozenset(data_groups),
        document_signer=signer.certificate,
        authentication_key=parse_dg15(data_groups[15]) if 15 in data_groups else None,
        revocation_known_at=revocation_known_at,
    )


def _file(files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise InvalidCredential(Reason.MISSING_FILE, name)
    return files[name]


def _check_revocation(signer: DocumentSigner, at: datetime) -> datetime | None:
    """What a list says against a signer holds also when the list is old."""
    revocations = signer.anchor.revocations
    if revocations is None:
        return None
    since = revocations.revoked.get(signer.certificate.serial_number)
    if since is not None and since <= at:
        raise InvalidCredential(Reason.DOCUMENT_SIGNER_REVOKED, since.isoformat())
    if at >= revocations.next_update:
        raise InvalidCredential(
            Reason.REVOCATION_LIST_OUTDATED, revocations.next_update.isoformat()
        )
    return revocations.issued_at


def _check_hashes(files: Mapping[str, bytes], sod: Sod) -> Mapping[int, bytes]:
    data_groups = {}
    digest_of = _HASH[sod.digest_name]
    for name, data in files.items():
        number = _NUMBER_OF_NAME.get(name)
        if number is None:
            continue
        signed = sod.data_group_hashes.get(number)
        if signed is None:
            raise InvalidCredential(Reason.DATA_GROUP_NOT_SIGNED, name)
        if digest_of(data).digest() != signed:
            raise InvalidCredential(Reason.DATA_GROUP_ALTERED, name)
        data_groups[number] = data
    return data_groups


def _check_card_access(card_access: bytes, dg14: bytes) -> None:
    """Doc 9303-11 §4.4: else an unsigned file could have chosen the weakest protocol."""
    if not encoded_infos(card_access) <= encoded_infos(file_content(dg14, DATA_GROUP_TAGS[14])):
        raise InvalidCredential(Reason.DATA_GROUP_ALTERED, EF_CARD_ACCESS)
