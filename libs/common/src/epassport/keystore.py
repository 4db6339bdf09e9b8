"""The encrypted key store of one service: a file, opened with a passphrase from another file.

- Each key is encrypted by itself (AES-256-GCM under scrypt of the passphrase), and only the
  signing keys whose purposes the process lists are decrypted.
- The tag of every key covers version, service, sandbox marker and the key's name, so a
  marker cannot be taken off and no key can be passed off for another.
- A sandbox store never opens in production, nor the other way round.
- A store that exists is never overwritten.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, ValidationError

from epassport import hpke
from epassport.errors import Unsafe
from epassport.signing import (
    LocalSigner,
    Signer,
    SigningPurpose,
    new_private_key,
    private_key_octets,
    private_key_of,
)
from epassport_contracts.sealed import Base64Bytes

MAX_FILE_BYTES = 64 * 1024
MIN_PASSPHRASE_BYTES = 16
SYMMETRIC_KEY_BYTES = 32
_NONCE_BYTES = 12


class Secret(StrEnum):
    """A service's own keys, which sign nothing."""

    WRAPPING = "wrapping"  # wraps persons' data keys
    SEARCH = "search"  # keyed digests of personal data
    ANSWERS = "answers"  # HMAC of the bodies of idempotent commands
    HPKE = "hpke"  # opens data keys that other services send


class _StoredKey(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    nonce: Base64Bytes
    ct: Base64Bytes


class _StoreFile(BaseModel):
    """Version 1 also means scrypt with N = 2^15, r = 8, p = 1 (32 MB, 70 ms)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    service: str
    sandbox: bool
    salt: Base64Bytes
    keys: tuple[_StoredKey, ...]

    def associated_data(self, name: str) -> bytes:
        marker = "sandbox" if self.sandbox else "production"
        return f"{self.version}\nkeystore\n{self.service}\n{marker}\n{name}".encode()


class KeyStore:
    """What one process may use of its service's keys."""

    def __init__(
        self,
        service: str,
        signers: Mapping[SigningPurpose, Signer],
        secrets: Mapping[Secret, bytes],
        *,
        sandbox: bool,
    ) -> None:
        self.service = service
        self.sandbox = sandbox
        self._signers = signers
        self._secrets = secrets
        hpke_octets = secrets.get(Secret.HPKE)
        self._hpke = None if hpke_octets is None else hpke.private_key_of(hpke_octets)

    @classmethod
    def open(
        cls,
        path: Path,
        passphrase_file: Path,
        purposes: Collection[SigningPurpose],
        *,
        sandbox: bool,
    ) -> "KeyStore":
        """Decrypt the signing keys of `purposes` and the service's own keys.

        sandbox: which kind of store the caller's profile allows; never the other kind.
        Raises Unsafe: no such file, wrong passphrase, changed file, wrong kind, a purpose
        that the store does not have.
        """
        stored = _read(path)
        if stored.sandbox != sandbox:
            found = "a sandbox" if stored.sandbox else "a production"
            raise Unsafe(f"{path.name} is {found} key store, which this profile refuses")
        cipher = _cipher(passphrase_file, stored.salt)
        wanted = {signing_name(purpose) for purpose in purposes} | set(Secret)
        opened = {
            key.name: _decrypt(cipher, stored, key) for key in stored.keys if key.name in wanted
        }
        missing = [purpose for purpose in purposes if signing_name(purpose) not in opened]
        if missing:
            raise Unsafe(f"{path.name} has no key for {min(missing)}")
        signers = {p: LocalSigner(private_key_of(opened[signing_name(p)])) for p in purposes}
        secrets = {secret: opened[secret] for secret in Secret if secret in opened}
        return cls(stored.service, signers, secrets, sandbox=stored.sandbox)

    def signer(self, purpose: SigningPurpose) -> Signer:
        """Raises Unsafe where this process did not list the purpose."""
        if purpose not in self._signers:
            raise Unsafe(f"this process has not opened the key for {purpose}")
        return self._signers[purpose]

    def close(self) -> None:
        """End what the store holds open: nothing here, a session where keys are on a token."""

    @property
    def wrapping(self) -> bytes:
        return self._secret(Secret.WRAPPING)

    @property
    def search(self) -> bytes:
        return self._secret(Secret.SEARCH)

    @property
    def answers(self) -> bytes:
        return self._secret(Secret.ANSWERS)

    @property
    def hpke_private_key(self) -> hpke.PrivateKey:
        if self._hpke is None:
            raise Unsafe(f"the key store of {self.service} has no HPKE key")
        return self._hpke

    def _secret(self, secret: Secret) -> bytes:
        if secret not in self._secrets:
            raise Unsafe(f"the key store of {self.service} has no {secret} key")
        return self._secrets[secret]


@dataclass(frozen=True)
class PublicKeys:
    """What others may know of a new store; hpke is None where the store only signs."""

    service: str
    signing: Mapping[SigningPurpose, ec.EllipticCurvePublicKey]
    hpke: bytes | None


def create(
    path: Path,
    passphrase_file: Path,
    service: str,
    purposes: Collection[SigningPurpose],
    *,
    sandbox: bool,
    with_secrets: bool = True,
) -> PublicKeys:
    """Make new keys and write them, readable by the owner of the file alone.

    with_secrets: also the service's own keys; the ceremony's stores only sign.
    Raises Unsafe where the store exists or the passphrase is too short.
    """
    keys = {purpose: new_private_key() for purpose in sorted(purposes)}
    octets = {signing_name(purpose): private_key_octets(key) for purpose, key in keys.items()}
    public_hpke = None
    if with_secrets:
        octets[Secret.HPKE], public_hpke = hpke.generate()
        for secret in (Secret.WRAPPING, Secret.SEARCH, Secret.ANSWERS):
            octets[secret] = os.urandom(SYMMETRIC_KEY_BYTES)
    empty = _StoreFile(service=service, sandbox=sandbox, salt=os.urandom(16), keys=())
    cipher = _cipher(passphrase_file, empty.salt)
    stored = tuple(_encrypt(cipher, empty, name, value) for name, value in octets.items())
    write_new(path, empty.model_copy(update={"keys": stored}).model_dump_json(indent=1).encode())
    return PublicKeys(service, {p: key.public_key() for p, key in keys.items()}, public_hpke)


def write_new(path: Path, octets: bytes) -> None:
    """Write a file that did not exist, for its owner alone. Raises Unsafe where it does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Unsafe(f"{path.name} exists and is never overwritten") from error
    with os.fdopen(handle, "wb") as file:
        file.write(octets)


def signing_name(purpose: SigningPurpose) -> str:
    return f"sign:{purpose}"


def _read(path: Path) -> _StoreFile:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Unsafe(f"key store {path.name} cannot be read") from error
    if len(octets) > MAX_FILE_BYTES:
        raise Unsafe(f"{path.name} is too large for a key store")
    try:
        return _StoreFile.model_validate_json(octets)
    except ValidationError as error:
        raise Unsafe(f"{path.name} is not a key store of version 1") from error


def _cipher(passphrase_file: Path, salt: bytes) -> AESGCM:
    try:
        passphrase = passphrase_file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise Unsafe(f"passphrase file {passphrase_file.name} cannot be read") from error
    if len(passphrase) < MIN_PASSPHRASE_BYTES:
        raise Unsafe(f"a passphrase has at least {MIN_PASSPHRASE_BYTES} octets")
    return AESGCM(Scrypt(salt, SYMMETRIC_KEY_BYTES, n=2**15, r=8, p=1).derive(passphrase))


def _encrypt(cipher: AESGCM, store: _StoreFile, name: str, octets: bytes) -> _StoredKey:
    nonce = os.urandom(_NONCE_BYTES)
    ct = cipher.encrypt(nonce, octets, store.associated_data(name))
    return _StoredKey(name=name, nonce=nonce, ct=ct)


def _decrypt(cipher: AESGCM, store: _StoreFile, key: _StoredKey) -> bytes:
    try:
        return cipher.decrypt(key.nonce, key.ct, store.associated_data(key.name))
    except (InvalidTag, ValueError) as error:
        raise Unsafe(f"wrong passphrase, or the {key.name} key was changed") from error
