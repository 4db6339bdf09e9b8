"""The key store of one service on a token (PKCS#11): in production a hardware module.

- Signing keys are made on the token, sensitive and not extractable, and sign there; the store
  finds those of the purposes that the process lists, and looks for no others.
- The service's own secrets (`keystore.Secret`), which sign nothing, are the token's private
  data objects, read after login.
- An object's label names version, kind, service and key, and cannot be changed, so no key can
  be passed off for another, nor a sandbox's for production's.
- A private key and the public key beside it are tried against each other as they are opened.
- A token with keys of this store is never written again.

One token holds one store. Initialising it and its PIN is done with the vendor's tool.
"""

import hashlib
import os
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, Session
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from epassport import hpke
from epassport.errors import Unsafe
from epassport.key_store_address import TokenAddress
from epassport.keystore import (
    SYMMETRIC_KEY_BYTES,
    KeyStore,
    PublicKeys,
    Secret,
    signing_name,
)
from epassport.signing import SigningPurpose, is_signed_by, key_id_of, public_key_of
from epassport.token_session import TokenSession, only, private_key

VERSION = "epassport-1"
MAX_OBJECTS = 1000  # of one kind on one token; a store has a dozen
_PROBE = b"epassport: is this the public key of that private key?"
_SECRET_KEY: Mapping[Attribute, Any] = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,
}


class TokenSigner:
    """A private key that stays on its token."""

    def __init__(
        self, session: TokenSession, label: str, public_key: ec.EllipticCurvePublicKey
    ) -> None:
        self._session = session
        self._label = label
        self._public_key = public_key
        self._key_id = key_id_of(public_key)

    @property
    def key_id(self) -> bytes:
        return self._key_id

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        return self._session.sign(self._label, hashlib.sha256(message).digest())


class _TokenKeyStore(KeyStore):
    def __init__(
        self,
        session: TokenSession,
        service: str,
        signers: Mapping[SigningPurpose, TokenSigner],
        secrets: Mapping[Secret, bytes],
        *,
        sandbox: bool,
    ) -> None:
        super().__init__(service, signers, secrets, sandbox=sandbox)
        self._session = session

    def close(self) -> None:
        self._session.close()


def open_on_token(
    address: TokenAddress, pin_file: Path, purposes: Collection[SigningPurpose], *, sandbox: bool
) -> KeyStore:
    """The signing keys of `purposes` and the service's own secrets.

    Raises Unsafe: no such module or token, wrong PIN, a store of the wrong kind, a purpose
    that the store does not have, a public key that is not the private one's.
    """
    session = TokenSession(address, pin_file)
    try:
        service = session.use(lambda opened: _service_on(opened, address, sandbox=sandbox))
        names = _Names(service, sandbox=sandbox)
        signers = {purpose: _signer(session, names, purpose) for purpose in sorted(purposes)}
        secrets = session.use(lambda opened: _secrets(opened, names))
    except BaseException:
        session.close()
        raise
    return _TokenKeyStore(session, service, signers, secrets, sandbox=sandbox)


def create_on_token(
    address: TokenAddress,
    pin_file: Path,
    service: str,
    purposes: Collection[SigningPurpose],
    *,
    sandbox: bool,
    with_secrets: bool = True,
) -> PublicKeys:
    """Make new keys on the token. Raises Unsafe where it holds a store already."""
    session = TokenSession(address, pin_file, writes=True)
    names = _Names(service, sandbox=sandbox)
    try:
        session.use(lambda opened: _refuse_to_overwrite(opened, address))
        signing = {
            purpose: session.use(partial(_generate, label=names.signing(purpose)))
            for purpose in sorted(purposes)
        }
        public_hpke = None
        if with_secrets:
            octets, public_hpke = hpke.generate()
            made = {secret: os.urandom(SYMMETRIC_KEY_BYTES) for secret in Secret}
            made[Secret.HPKE] = octets
            session.use(lambda opened: _store(opened, names, made))
    finally:
        session.close()
    return PublicKeys(service, signing, public_hpke)


def refuse_a_used_token(address: TokenAddress, pin_file: Path) -> None:
    """Raises Unsafe where it holds a store already, or does not open."""
    session = TokenSession(address, pin_file)
    try:
        session.use(lambda opened: _refuse_to_overwrite(opened, address))
    finally:
        session.close()


class _Names:
    """Labels of one store's objects."""

    def __init__(self, service: str, *, sandbox: bool) -> None:
        self._start = f"{VERSION}/{_kind(sandbox=sandbox)}/{service}/"

    def signing(self, purpose: SigningPurpose) -> str:
        return self._start + signing_name(purpose)

    def secret(self, secret: Secret) -> str:
        return self._start + secret


def _kind(*, sandbox: bool) -> str:
    return "sandbox" if sandbox else "production"


def _labels(session: Session, kind: ObjectClass) -> list[str]:
    found = []
    for item in session.get_objects({Attribute.CLASS: kind, Attribute.TOKEN: True}):
        label = str(item[Attribute.LABEL])
        if label.startswith(f"{VERSION}/"):
            found.append(label)
        if len(found) > MAX_OBJECTS:
            raise Unsafe("more objects on the token than a key store has")
    return found


def _service_on(session: Session, address: TokenAddress, *, sandbox: bool) -> str:
    labels = _labels(session, ObjectClass.PRIVATE_KEY) + _labels(session, ObjectClass.DATA)
    owners = {tuple(label.split("/", 3)[1:3]) for label in labels}
    if not owners:
        raise Unsafe(f"token {address.token} holds no key store of version 1")
    if len(owners) > 1:
        raise Unsafe(f"token {address.token} holds more than one key store")
    ((kind, service),) = owners
    if kind != _kind(sandbox=sandbox):
        raise Unsafe(f"token {address.token} is a {kind} key store, which this profile refuses")
    return service


def _refuse_to_overwrite(session: Session, address: TokenAddress) -> None:
    if _labels(session, ObjectClass.PRIVATE_KEY) or _labels(session, ObjectClass.DATA):
        raise Unsafe(f"token {address.token} holds a key store and is never overwritten")


def _signer(session: TokenSession, names: _Names, purpose: SigningPurpose) -> TokenSigner:
    label, where = names.signing(purpose), f"token {session.address.token}"

    def public_key(opened: Session) -> ec.EllipticCurvePublicKey:
        private_key(opened, label)
        return _public_key(only(opened, ObjectClass.PUBLIC_KEY, label))

    try:
        signer = TokenSigner(session, label, session.use(public_key))
        fits = is_signed_by(signer.public_key, signer.sign(_PROBE), _PROBE)
    except pkcs11.NoSuchKey as error:
        raise Unsafe(f"{where} has no key for {purpose}") from error
    except (pkcs11.MultipleObjectsReturned, ValueError) as error:
        raise Unsafe(f"{where} has no one key on P-256 for {purpose}") from error
    if not fits:
        raise Unsafe(f"{where}: the public key for {purpose} is not that of its private key")
    return signer


def _public_key(key: Any) -> ec.EllipticCurvePublicKey:
    """Raises ValueError where it is not on P-256."""
    return public_key_of(encode_ec_public_key(key))


def _generate(session: Session, label: str) -> ec.EllipticCurvePublicKey:
    curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
    public, _ = parameters.generate_keypair(
        label=label,
        store=True,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        mechanism=Mechanism.EC_KEY_PAIR_GEN,
        public_template={Attribute.PRIVATE: True, Attribute.MODIFIABLE: False},
        private_template=dict(_SECRET_KEY),
    )
    return _public_key(public)


def _store(session: Session, names: _Names, secrets: Mapping[Secret, bytes]) -> None:
    for secret, octets in secrets.items():
        session.create_object(
            {
                Attribute.CLASS: ObjectClass.DATA,
                Attribute.TOKEN: True,
                Attribute.PRIVATE: True,
                Attribute.MODIFIABLE: False,
                Attribute.APPLICATION: VERSION,
                Attribute.LABEL: names.secret(secret),
                Attribute.VALUE: octets,
            }
        )


def _secrets(session: Session, names: _Names) -> dict[Secret, bytes]:
    found = {}
    for secret in Secret:
        asked = {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: names.secret(secret)}
        for item in session.get_objects(asked):
            if secret in found:
                raise Unsafe(f"the token has more than one {secret} key")
            found[secret] = bytes(item[Attribute.VALUE])
    return found
