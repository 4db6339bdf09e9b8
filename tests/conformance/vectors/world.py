"""The world in which our vectors are valid or not: one clock, keys, a status list, a pack.

Every secret is a published example. Signatures are deterministic (RFC 6979), so a run of the
generator gives the same bytes again wherever zlib does.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from epassport_credentials.cwt import StatusReference
from epassport_credentials.offline_pack import OfflinePack, issue_offline_pack, open_offline_pack
from epassport_credentials.pki import CertificateTerms, issue_csca
from epassport_credentials.signer import LocalSigner, Purpose, public_key_info, raw_signature
from epassport_credentials.status_list import issue_status_list, pack_statuses
from epassport_credentials.trust import TrustedKey, TrustList, trusted_key

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
URI = "https://status.epassport.test/1"
OTHER_URI = "https://status.epassport.test/9"
STATUSES = [0, 1, 2, 3]  # valid, revoked, suspended, not in force
VALID, REVOKED, SUSPENDED, NOT_IN_FORCE = (StatusReference(URI, index) for index in STATUSES)


class RepeatableSigner(LocalSigner):
    def __init__(self, secret: int) -> None:
        self.secret = secret
        self._key = ec.derive_private_key(secret, ec.SECP256R1())
        super().__init__(self._key)

    def sign(self, message: bytes) -> bytes:
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        return raw_signature(self._key.sign(message, algorithm))


CARD = RepeatableSigner(1001)
ATTESTER = RepeatableSigner(1002)
LISTER = RepeatableSigner(1003)
PACKER = RepeatableSigner(1004)
ROOT = RepeatableSigner(1005)
RETIRED = RepeatableSigner(1006)
STRANGER = RepeatableSigner(1007)
PHONE = RepeatableSigner(1008)
OTHER_PHONE = RepeatableSigner(1009)
CSCA = RepeatableSigner(1010)
DOCUMENT_SIGNER = RepeatableSigner(1011)
CHIP_SECRET = 1012

TERMS = CertificateTerms(
    common_name="CSCA",
    organization="epassport vectors",
    serial=1,
    not_before=NOW - 10 * DAY,
    not_after=NOW + 5000 * DAY,
    key_use=1000 * DAY,
    crl_uri="https://crl.epassport.test/csca",
)
CSCA_CERTIFICATE = issue_csca(TERMS, CSCA)

KEYS = {
    "card": (CARD, Purpose.CARD_QR, NOW - DAY, NOW + 5000 * DAY),
    "attester": (ATTESTER, Purpose.MOBILE_ATTESTATION, NOW - DAY, NOW + 5000 * DAY),
    "lister": (LISTER, Purpose.STATUS_LIST, NOW - DAY, NOW + 5000 * DAY),
    "packer": (PACKER, Purpose.OFFLINE_PACK, NOW - DAY, NOW + 5000 * DAY),
    "root": (ROOT, Purpose.TRUST_LIST, NOW - DAY, NOW + 5000 * DAY),
    "retired": (RETIRED, Purpose.CARD_QR, NOW - 9 * DAY, NOW - DAY),
}


@dataclass(frozen=True)
class World:
    """What a verifier holds. keys: of every purpose; pack: opened; csca: since v2"""

    keys: tuple[TrustedKey, ...]
    pack: OfflinePack
    csca: tuple[x509.Certificate, ...] = ()

    def at(self, purpose: Purpose) -> tuple[TrustedKey, ...]:
        return tuple(key for key in self.keys if key.purpose is purpose)


def trusted_keys() -> tuple[TrustedKey, ...]:
    return tuple(
        trusted_key(signer, purpose, not_before=begins, not_after=ends)
        for signer, purpose, begins, ends in KEYS.values()
    )


def trust() -> TrustList:
    return TrustList("epassport vectors", NOW, NOW + 30 * DAY, trusted_keys())


def sandbox_trust() -> TrustList:
    keys = tuple(replace(key, sandbox=True) for key in trusted_keys())
    return replace(trust(), keys=keys, sandbox=True)


def status_token() -> str:
    listed = pack_statuses(STATUSES)
    return issue_status_list(listed, LISTER, uri=URI, issued_at=NOW, expires_at=NOW + DAY)


def pack_token() -> str:
    return issue_offline_pack(trust(), {URI: status_token()}, PACKER)


def context() -> dict[str, Any]:
    """What a reader of the vectors needs; the secrets are for making more of them."""
    return {
        "clock": int(NOW.timestamp()),
        "status_uri": URI,
        "statuses": STATUSES,
        "offline_pack": pack_token(),
        "csca": CSCA_CERTIFICATE.public_bytes(Encoding.DER).hex(),
        "keys": [
            {
                "name": name,
                "purpose": purpose.value,
                "secret": signer.secret,
                "public_key": public_key_info(signer.public_key).hex(),
                "key_id": signer.key_id.hex(),
                "not_before": int(begins.timestamp()),
                "not_after": int(ends.timestamp()),
            }
            for name, (signer, purpose, begins, ends) in KEYS.items()
        ],
    }


def world_of(written: dict[str, Any]) -> World:
    """From a context.json alone, so that an old version does not follow this file."""
    keys = tuple(_key_of(key) for key in written["keys"])
    at = datetime.fromtimestamp(written["clock"], UTC)
    pack = open_offline_pack(written["offline_pack"], keys, now=at)
    csca = [written["csca"]] if "csca" in written else []
    certificates = (x509.load_der_x509_certificate(bytes.fromhex(data)) for data in csca)
    return World(keys, pack, tuple(certificates))


def _key_of(written: dict[str, Any]) -> TrustedKey:
    public_key = load_der_public_key(bytes.fromhex(written["public_key"]))
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    return TrustedKey(
        purpose=Purpose(written["purpose"]),
        key_id=bytes.fromhex(written["key_id"]),
        public_key=public_key,
        not_before=datetime.fromtimestamp(written["not_before"], UTC),
        not_after=datetime.fromtimestamp(written["not_after"], UTC),
    )
