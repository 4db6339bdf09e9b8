"""Is what was read from a chip what the state signed? (ICAO Doc 9303-11 §5.1)

The order is the standard's, with a reason for each step:

1. EF.SOD can be read and names its document signer                 MALFORMED …
2. a known country signing CA issued that certificate               UNTRUSTED_DOCUMENT_SIGNER
3. both keep to their profile, and neither is the sandbox's         WRONG_CERTIFICATE_PROFILE,
                                                                    SANDBOX_SIGNER
4. the CA was valid when it issued, the signer is valid now         NOT_YET_VALID, EXPIRED
5. the signature of EF.SOD is the document signer's                 WRONG_SIGNATURE
6. every data group read has the signed hash                        DATA_GROUP_NOT_SIGNED,
                                                                    DATA_GROUP_ALTERED
7. the MRZ in DG1 names the state of the certificates               WRONG_ISSUING_STATE

A copied chip passes too: only active authentication tells a copy from the original.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from epassport_credentials.claims import check_period
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import (
    DATA_GROUP_TAGS,
    EF_SOD,
    data_group_name,
    parse_dg1,
    parse_dg15,
)
from epassport_credentials.mrz import Mrz
from epassport_credentials.pki import is_sandbox
from epassport_credentials.sod import Sod, read_sod, verify_sod

# Code of the issuing state in the MRZ, and the country of its certificates (ISO 3166-1).
_COUNTRY_OF_STATE = {"RUS": "RU"}


@dataclass(frozen=True)
class Verified:
    """What may be relied on.

    unread: data groups that are signed but were not read, such as protected ones
    authentication_key: the chip's own, from DG15 if it was read
    """

    mrz: Mrz
    data_groups: Mapping[int, bytes]
    unread: frozenset[int]
    document_signer: x509.Certificate
    authentication_key: ec.EllipticCurvePublicKey | None


def passive_authentication(
    files: Mapping[str, bytes],
    csca: Sequence[x509.Certificate],
    at: datetime,
    *,
    accept_sandbox: bool = False,
) -> Verified:
    """Check the files of a chip against trusted country signing CAs.

    files: by the names of `lds`, at least EF.SOD and DG1
    Raises InvalidCredential: see the steps above, and MISSING_FILE.
    """
    sod = read_sod(_file(files, EF_SOD))
    issuer = _issuer(sod.document_signer, csca)
    _check_profiles(sod.document_signer, issuer, accept_sandbox=accept_sandbox)
    _check_periods(sod.document_signer, issuer, at)
    verify_sod(sod)
    data_groups = _check_hashes(files, sod)
    mrz = parse_dg1(_file(files, data_group_name(1)))
    if _COUNTRY_OF_STATE.get(mrz.issuing_state) != _country(sod.document_signer):
        raise InvalidCredential(Reason.WRONG_ISSUING_STATE, "MRZ and certificate differ")
    return Verified(
        mrz=mrz,
        data_groups=data_groups,
        unread=frozenset(sod.data_group_hashes) - frozenset(data_groups),
        document_signer=sod.document_signer,
        authentication_key=parse_dg15(data_groups[15]) if 15 in data_groups else None,
    )


def _file(files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise InvalidCredential(Reason.MISSING_FILE, name)
    return files[name]


def _issuer(
    document_signer: x509.Certificate, csca: Sequence[x509.Certificate]
) -> x509.Certificate:
    for candidate in csca:
        try:
            document_signer.verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue  # another name, another kind of key, another signature: not the issuer
        return candidate
    raise InvalidCredential(Reason.UNTRUSTED_DOCUMENT_SIGNER, "issued by no known CSCA")


def _check_profiles(
    document_signer: x509.Certificate, csca: x509.Certificate, *, accept_sandbox: bool
) -> None:
    try:
        constraints = csca.extensions.get_extension_for_class(x509.BasicConstraints).value
        csca_usage = csca.extensions.get_extension_for_class(x509.KeyUsage).value
        signer_usage = document_signer.extensions.get_extension_for_class(x509.KeyUsage).value
        sandbox = is_sandbox(document_signer) or is_sandbox(csca)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError) as error:
        raise InvalidCredential(Reason.WRONG_CERTIFICATE_PROFILE, "extensions") from error
    if not constraints.ca or not csca_usage.key_cert_sign:
        raise InvalidCredential(Reason.WRONG_CERTIFICATE_PROFILE, "the issuer is no CA")
    if not signer_usage.digital_signature or signer_usage.key_cert_sign:
        raise InvalidCredential(Reason.WRONG_CERTIFICATE_PROFILE, "not a document signer")
    if _country(csca) != _country(document_signer):
        raise InvalidCredential(Reason.WRONG_CERTIFICATE_PROFILE, "two countries")
    if sandbox and not accept_sandbox:
        raise InvalidCredential(Reason.SANDBOX_SIGNER, "made for the sandbox")


def _check_periods(document_signer: x509.Certificate, csca: x509.Certificate, at: datetime) -> None:
    issued = document_signer.not_valid_before_utc
    check_period(csca.not_valid_before_utc, csca.not_valid_after_utc, now=issued)
    check_period(issued, document_signer.not_valid_after_utc, now=at)


def _check_hashes(files: Mapping[str, bytes], sod: Sod) -> Mapping[int, bytes]:
    data_groups = {
        number: files[data_group_name(number)]
        for number in DATA_GROUP_TAGS
        if data_group_name(number) in files
    }
    for number, data in data_groups.items():
        if number not in sod.data_group_hashes:
            raise InvalidCredential(Reason.DATA_GROUP_NOT_SIGNED, data_group_name(number))
        if hashlib.new(sod.digest_name, data).digest() != sod.data_group_hashes[number]:
            raise InvalidCredential(Reason.DATA_GROUP_ALTERED, data_group_name(number))
    return data_groups


def _country(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME)
    return str(names[0].value) if names else ""
