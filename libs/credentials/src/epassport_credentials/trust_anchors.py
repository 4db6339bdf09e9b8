"""Which document signers may be believed: the known CSCAs, their certificates and revocations.

Everything about a document signer that does not depend on the time of the question is found
out once for each certificate (Doc 9303-11 §5.1, Doc 9303-12 §7.1) and kept: thousands of chips
carry the same one.

1. a known country signing CA issued it                             UNTRUSTED_DOCUMENT_SIGNER
2. both keep to their profile                                       WRONG_CERTIFICATE_PROFILE
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID

from epassport_credentials.crl import RevocationList, read_crl
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.pki import SANDBOX_OID

# A state certifies a few signers a year and documents live for ten; beyond that, start anew.
MAX_KNOWN_SIGNERS = 1000

# What `cryptography` raises where it comes to read a name or an extension.
_CANNOT_BE_READ = (
    ValueError,
    TypeError,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_UNDERSTOOD = {
    ExtensionOID.BASIC_CONSTRAINTS.dotted_string,
    ExtensionOID.KEY_USAGE.dotted_string,
    SANDBOX_OID,
}


@dataclass(frozen=True)
class Anchor:
    """One CSCA. revocations: its newest list that was given, if any."""

    certificate: x509.Certificate
    revocations: RevocationList | None

    @cached_property
    def extensions(self) -> x509.Extensions:
        return self.certificate.extensions


@dataclass(frozen=True)
class DocumentSigner:
    """A certificate under a known CSCA, in its profile; not yet that it is in force."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePublicKey
    anchor: Anchor
    country: str
    sandbox: bool
    issued_at: datetime
    expires_at: datetime


class TrustAnchors:
    """csca: certificates that are believed, by whatever way they came

    crls: DER, at most one list a CSCA counts, the one of the highest number; each must be
        signed by one of them

    Raises InvalidCredential, as `crl.read_crl` does.
    """

    def __init__(self, csca: Sequence[x509.Certificate], crls: Sequence[bytes] = ()) -> None:
        newest: dict[x509.Certificate, RevocationList] = {}
        for data in crls:
            issuer, revocations = _read_by_any(data, csca)
            if issuer not in newest or newest[issuer].number < revocations.number:
                newest[issuer] = revocations
        self._anchors = [Anchor(certificate, newest.get(certificate)) for certificate in csca]
        self._known: dict[bytes, DocumentSigner] = {}

    def document_signer(self, encoded: bytes) -> DocumentSigner:
        """encoded: the certificate in DER.

        Raises InvalidCredential: MALFORMED, UNSUPPORTED_ALGORITHM, UNTRUSTED_DOCUMENT_SIGNER,
        WRONG_CERTIFICATE_PROFILE.
        """
        found = self._known.get(encoded)
        if found is None:
            found = self._examine(encoded)
            if len(self._known) >= MAX_KNOWN_SIGNERS:
                self._known.clear()
            self._known[encoded] = found
        return found

    def _examine(self, encoded: bytes) -> DocumentSigner:
        try:
            certificate = x509.load_der_x509_certificate(encoded)
            key = certificate.public_key()
        except UnsupportedAlgorithm as error:
            raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "an unknown curve") from error
        except (ValueError, x509.InvalidVersion) as error:
            raise InvalidCredential(Reason.MALFORMED, "a certificate") from error
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "only ECDSA")
        anchor = self._issuer(certificate)
        critical = _check_profiles(certificate, anchor)
        return DocumentSigner(
            certificate=certificate,
            key=key,
            anchor=anchor,
            country=_country(certificate),
            sandbox=SANDBOX_OID in critical,
            issued_at=certificate.not_valid_before_utc,
            expires_at=certificate.not_valid_after_utc,
        )

    def _issuer(self, certificate: x509.Certificate) -> Anchor:
        for anchor in self._anchors:
            try:
                certificate.verify_directly_issued_by(anchor.certificate)
            except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
                continue  # another name, another kind of key, another signature
            return anchor
        raise InvalidCredential(Reason.UNTRUSTED_DOCUMENT_SIGNER, "issued by no known CSCA")


def _read_by_any(
    data: bytes, csca: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, RevocationList]:
    """CSCAs of one country may share a name: the one whose key fits is the issuer."""
    refusal = InvalidCredential(Reason.UNTRUSTED_DOCUMENT_SIGNER, "a CRL of no known CSCA")
    for certificate in csca:
        try:
            return certificate, read_crl(data, certificate)
        except InvalidCredential as error:
            if error.reason is not Reason.UNTRUSTED_DOCUMENT_SIGNER:
                refusal = error
    raise refusal


def _check_profiles(document_signer: x509.Certificate, anchor: Anchor) -> set[str]:
    """Returns the critical extensions of both; the sandbox's is always critical."""
    try:
        csca, below = anchor.extensions, document_signer.extensions
        constraints = csca.get_extension_for_class(x509.BasicConstraints).value
        csca_usage = csca.get_extension_for_class(x509.KeyUsage).value
        signer_usage = below.get_extension_for_class(x509.KeyUsage).value
    except _CANNOT_BE_READ as error:
        raise InvalidCredential(Reason.WRONG_CERTIFICATE_PROFILE, "extensions") from error
    marked = (extension for extension in (*csca, *below) if extension.critical)
    critical = {extension.oid.dotted_string for extension in marked}
    if not critical <= _UNDERSTOOD:
        raise InvalidCredential(Reason.WRONG_CERTIFICATE_PROFILE, "an unknown critical extension")
    if not constraints.ca or not csca_usage.key_cert_sign:
        raise InvalidCredential(Reason.WRONG_CERTIFICATE_PROFILE, "the issuer is no CA")
    if not signer_usage.digital_signature or signer_usage.key_cert_sign:
        raise InvalidCredential(Reason.WRONG_CERTIFICATE_PROFILE, "not a document signer")
    if _country(anchor.certificate) != _country(document_signer):
        raise InvalidCredential(Reason.WRONG_CERTIFICATE_PROFILE, "two countries")
    return critical


def _country(certificate: x509.Certificate) -> str:
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME)
    except _CANNOT_BE_READ as error:
        raise InvalidCredential(Reason.WRONG_CERTIFICATE_PROFILE, "a subject") from error
    return str(names[0].value) if names else ""
