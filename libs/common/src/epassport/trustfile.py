"""The trust file: which service signs what with which key, and where to send it secrets.

A compact JWS by the ceremony's root key (purpose `trust-list`); every service mounts the
same file and the root's public key. The signature is checked before anything inside is
read. A sandbox file names itself so in a critical header (RFC 7515 §4.1.11), which a
production verifier must refuse, and in the signed content.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from pydantic import AwareDatetime, BaseModel, ConfigDict

from epassport import hpke
from epassport.errors import Unsafe
from epassport.jws import MalformedJws, parse_compact, sign_compact
from epassport.keystore import write_new
from epassport.signing import Signer, SigningPurpose, is_signed_by, key_id_of, public_key_of
from epassport_contracts import ServiceName
from epassport_contracts.sealed import Base64Bytes

MAX_FILE_BYTES = 1024 * 1024
TYPE = "epassport-trust"
SANDBOX_ISSUER = "sandbox.epassport.invalid"
PRODUCTION_ISSUER = "epassport"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SigningEntry(_Part):
    """key: SubjectPublicKeyInfo in DER. A purpose may have several keys while one is replaced."""

    service: ServiceName
    purpose: SigningPurpose
    key: Base64Bytes
    valid_from: AwareDatetime
    valid_until: AwareDatetime


class HpkeEntry(_Part):
    service: ServiceName
    key: Base64Bytes


class TrustContent(_Part):
    version: Literal[1] = 1
    issuer: str
    sandbox: bool
    issued_at: AwareDatetime
    signing_keys: tuple[SigningEntry, ...]
    hpke_keys: tuple[HpkeEntry, ...]


class TrustedKey:
    """A public signing key with its one purpose and its time."""

    def __init__(self, entry: SigningEntry) -> None:
        self.public_key = public_key_of(entry.key)
        self.key_id = key_id_of(self.public_key)
        self.valid_from = entry.valid_from
        self.valid_until = entry.valid_until


class TrustFile:
    """Public keys by service and purpose."""

    def __init__(self, content: TrustContent) -> None:
        """Raises ValueError where a key cannot be read."""
        self.sandbox = content.sandbox
        self.issued_at = content.issued_at
        self._signing: dict[tuple[ServiceName, SigningPurpose], list[TrustedKey]] = {}
        for entry in content.signing_keys:
            keys = self._signing.setdefault((entry.service, entry.purpose), [])
            keys.append(TrustedKey(entry))
        self._hpke = {entry.service: hpke.public_key_of(entry.key) for entry in content.hpke_keys}

    @classmethod
    def open(
        cls, path: Path, root_public_key: ec.EllipticCurvePublicKey, *, sandbox: bool
    ) -> "TrustFile":
        """sandbox: which kind of file the caller's profile allows; never the other kind.

        Raises Unsafe: no such file, not signed by the root, the other kind, unreadable.
        """
        text = _read(path).strip()
        try:
            jws = parse_compact(text)
        except MalformedJws as error:
            raise Unsafe(f"{path.name} is not a trust file") from error
        if not jws.is_signed_by(root_public_key):
            raise Unsafe(f"{path.name} is not signed by the given root key")
        key_id = key_id_of(root_public_key).hex()
        if jws.header == {"alg": "ES256", "kid": key_id, **_header(sandbox=not sandbox)}:
            found = "a production" if sandbox else "a sandbox"
            raise Unsafe(f"{path.name} is {found} trust file, which this profile refuses")
        if jws.header != {"alg": "ES256", "kid": key_id, **_header(sandbox=sandbox)}:
            raise Unsafe(f"{path.name} has a header that this version does not know")
        try:
            content = TrustContent.model_validate_json(jws.payload)
            if (content.sandbox, content.issuer) != (sandbox, _issuer(sandbox=sandbox)):
                raise Unsafe(f"{path.name} contradicts its own header")
            return cls(content)
        except ValueError as error:
            raise Unsafe(f"{path.name} is not a trust file of version 1") from error

    def signing_keys(self, service: ServiceName, purpose: SigningPurpose) -> Sequence[TrustedKey]:
        """Every key of the service for this purpose, whatever its time; perhaps none."""
        return self._signing.get((service, purpose), [])

    def is_signed(
        self,
        service: ServiceName,
        purpose: SigningPurpose,
        key_id: bytes,
        signature: bytes,
        message: bytes,
        *,
        at: datetime,
    ) -> bool:
        """Whether a key of this service, purpose and id, valid at `at`, signed the message."""
        return any(
            key.key_id == key_id
            and key.valid_from <= at <= key.valid_until
            and is_signed_by(key.public_key, signature, message)
            for key in self.signing_keys(service, purpose)
        )

    def hpke_key(self, service: ServiceName) -> hpke.PublicKey:
        """Raises Unsafe where the ceremony was held without this service."""
        if service not in self._hpke:
            raise Unsafe(f"the trust file has no HPKE key of {service}")
        return self._hpke[service]


def write_trust_file(
    path: Path,
    root: Signer,
    signing_keys: Sequence[SigningEntry],
    hpke_keys: Sequence[HpkeEntry],
    *,
    sandbox: bool,
    at: datetime,
) -> None:
    """Raises Unsafe where the file exists."""
    content = TrustContent(
        issuer=_issuer(sandbox=sandbox),
        sandbox=sandbox,
        issued_at=at,
        signing_keys=tuple(signing_keys),
        hpke_keys=tuple(hpke_keys),
    )
    text = sign_compact(_header(sandbox=sandbox), content.model_dump_json().encode(), root)
    write_new(path, text.encode("ascii"))


def write_public_key(path: Path, public_key: ec.EllipticCurvePublicKey) -> None:
    """PEM. Raises Unsafe where the file exists."""
    write_new(path, public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def read_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """The root's public key, from PEM. Raises Unsafe."""
    try:
        key = load_pem_public_key(_read(path).encode())
    except ValueError as error:
        raise Unsafe(f"{path.name} is not a public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Unsafe(f"{path.name} is not a public key on P-256")
    return key


def _issuer(*, sandbox: bool) -> str:
    return SANDBOX_ISSUER if sandbox else PRODUCTION_ISSUER


def _header(*, sandbox: bool) -> dict[str, Any]:
    plain: dict[str, Any] = {"typ": TYPE}
    return {**plain, "crit": ["sandbox"], "sandbox": True} if sandbox else plain


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE_BYTES + 1)
        if len(octets) > MAX_FILE_BYTES:
            raise Unsafe(f"{path.name} is too large")
        return octets.decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise Unsafe(f"{path.name} cannot be read") from error
