"""The key ceremony: every service's key store, and the one signed trust file.

    python -m epassport.ceremony --folder FOLDER (--sandbox | --production)
        [--pkcs11-module LIBRARY]

FOLDER/root-public-key.pem, FOLDER/trust.jws     mounted by every service
FOLDER/<service>/keystore.json, passphrase       mounted by that service alone
FOLDER/ceremony/root.json, csca.json, passphrase stay with the ceremony

With --pkcs11-module, which production must give, the stores are made on tokens in place of
files: one labelled `epassport-<service>` for each service, `epassport-root` and
`epassport-csca`. Their owners have initialised them with the vendor's tool and put each PIN
where the passphrase would be.

A key has one purpose and lives in one store; CSCA and the root never leave the ceremony.
Nothing that exists is overwritten. In production each passphrase is put there beforehand.
"""

import argparse
import secrets
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from epassport import keystore
from epassport.errors import Unsafe
from epassport.key_store_address import FileAddress, TokenAddress
from epassport.key_stores import Address, create_key_store, open_key_store
from epassport.keystore import KeyStore, PublicKeys
from epassport.signing import SigningPurpose, public_key_octets
from epassport.token_store import refuse_a_used_token
from epassport.trustfile import HpkeEntry, SigningEntry, write_public_key, write_trust_file
from epassport_contracts import ServiceName

# A document lives ten years, and its signatures are checked to the end.
VALIDITY = timedelta(days=12 * 366)

LABEL_PREFIX = "epassport-"

PURPOSES: Mapping[ServiceName, frozenset[SigningPurpose]] = {
    ServiceName.ENROLLMENT: frozenset({SigningPurpose.DESK_TICKET, SigningPurpose.SUBJECT_KEY}),
    ServiceName.BIOMETRICS: frozenset({SigningPurpose.SUBJECT_KEY}),
    ServiceName.CARD_PERSONALIZATION: frozenset(
        {SigningPurpose.DOCUMENT_SIGNER, SigningPurpose.CARD_QR}
    ),
    ServiceName.CLOUD_PROFILE: frozenset(
        {SigningPurpose.MOBILE_ATTESTATION, SigningPurpose.SUBJECT_KEY}
    ),
    ServiceName.VERIFICATION: frozenset(
        {
            SigningPurpose.STATUS_LIST,
            SigningPurpose.TRUST_LIST,
            SigningPurpose.OFFLINE_PACK,
            SigningPurpose.PUBLIC_EVENT,
            SigningPurpose.RECEIPT,
        }
    ),
}


@dataclass(frozen=True)
class StorePaths:
    """keystore: the file, where there is no token; passphrase: of either, or its PIN"""

    keystore: Path
    passphrase: Path
    token: TokenAddress | None = None

    @property
    def address(self) -> Address:
        return self.token or FileAddress(self.keystore)

    def open(self, purposes: Collection[SigningPurpose], *, sandbox: bool) -> KeyStore:
        return open_key_store(self.address, self.passphrase, purposes, sandbox=sandbox)


@dataclass(frozen=True)
class CeremonyResult:
    """csca is None where no service of this ceremony issues cards."""

    root_public_key: Path
    trust_file: Path
    services: Mapping[ServiceName, StorePaths]
    root: StorePaths
    csca: StorePaths | None

    @property
    def stores(self) -> Sequence[StorePaths]:
        return [*self.services.values(), self.root, *([self.csca] if self.csca else [])]


def hold_ceremony(
    folder: Path,
    services: Collection[ServiceName],
    sandbox: bool = True,
    *,
    at: datetime,
    module: Path | None = None,
) -> CeremonyResult:
    """Make all keys of these services.

    module: of the tokens on which they are made; in files where it is None, which is the
    sandbox's way

    Raises Unsafe, before it writes, where a file or a store on a token exists.
    """
    if module is None and not sandbox:
        raise Unsafe("production needs --pkcs11-module: its keys are made on tokens")
    result = paths_in(folder, services, module)
    _refuse_to_overwrite(result)
    for passphrase in sorted({store.passphrase for store in result.stores}):
        _have_passphrase(passphrase, makes_its_own=module is None)
    for store in result.stores:
        if store.token is not None:
            refuse_a_used_token(store.token, store.passphrase)
    _create(result.root, "ceremony", {SigningPurpose.TRUST_LIST}, sandbox=sandbox)
    made = []
    for service, store in result.services.items():
        made.append(
            create_key_store(
                store.address, store.passphrase, service, PURPOSES[service], sandbox=sandbox
            )
        )
    if result.csca is not None:
        issuer = _create(result.csca, "ceremony", {SigningPurpose.CSCA}, sandbox=sandbox)
        made.append(PublicKeys(ServiceName.CARD_PERSONALIZATION, issuer.signing, None))
    _publish(result, made, sandbox=sandbox, at=at)
    return result


def paths_in(
    folder: Path, services: Collection[ServiceName], module: Path | None = None
) -> CeremonyResult:
    """Where a ceremony held in `folder`, or on the tokens of `module`, has its stores."""
    own = folder / "ceremony"

    def store(keystore: Path, passphrase: str, role: str) -> StorePaths:
        token = TokenAddress(module, f"{LABEL_PREFIX}{role}") if module else None
        return StorePaths(keystore, keystore.parent / passphrase, token)

    # Each token of the ceremony has a PIN of its own; its two files share a passphrase.
    root_secret, csca_secret = ("root-pin", "csca-pin") if module else ("passphrase",) * 2
    issues_cards = ServiceName.CARD_PERSONALIZATION in services
    return CeremonyResult(
        folder / "root-public-key.pem",
        folder / "trust.jws",
        {
            service: store(folder / service / "keystore.json", "passphrase", service)
            for service in sorted(services)
        },
        store(own / "root.json", root_secret, "root"),
        store(own / "csca.json", csca_secret, "csca") if issues_cards else None,
    )


def _refuse_to_overwrite(result: CeremonyResult) -> None:
    files = [result.root_public_key, result.trust_file]
    for path in (*files, *(store.keystore for store in result.stores if store.token is None)):
        if path.exists():
            raise Unsafe(f"{path} exists and is never overwritten")


def _have_passphrase(path: Path, *, makes_its_own: bool) -> None:
    if path.exists():
        return
    if not makes_its_own:
        raise Unsafe(f"put the PIN into {path} first")
    keystore.write_new(path, secrets.token_urlsafe(32).encode())


def _create(
    store: StorePaths, name: str, purposes: Collection[SigningPurpose], *, sandbox: bool
) -> PublicKeys:
    return create_key_store(
        store.address, store.passphrase, name, purposes, sandbox=sandbox, with_secrets=False
    )


def _publish(
    result: CeremonyResult, made: Sequence[PublicKeys], *, sandbox: bool, at: datetime
) -> None:
    """Public keys of all stores, signed by the root as it will be opened later."""
    opened = result.root.open([SigningPurpose.TRUST_LIST], sandbox=sandbox)
    root = opened.signer(SigningPurpose.TRUST_LIST)
    signing = [
        SigningEntry(
            service=ServiceName(keys.service),
            purpose=purpose,
            key=public_key_octets(key),
            valid_from=at,
            valid_until=at + VALIDITY,
        )
        for keys in made
        for purpose, key in keys.signing.items()
    ]
    hpke = [
        HpkeEntry(service=ServiceName(keys.service), key=keys.hpke)
        for keys in made
        if keys.hpke is not None
    ]
    write_trust_file(result.trust_file, root, signing, hpke, sandbox=sandbox, at=at)
    write_public_key(result.root_public_key, root.public_key)
    opened.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m epassport.ceremony", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--service", type=ServiceName, action="append", help="repeatable; all where none is named"
    )
    parser.add_argument("--pkcs11-module", type=Path, help="the tokens' library")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--sandbox", action="store_true")
    kind.add_argument("--production", action="store_true")
    options = parser.parse_args(arguments)
    try:
        result = hold_ceremony(
            options.folder,
            options.service or list(ServiceName),
            options.sandbox,
            at=datetime.now(UTC),
            module=options.pkcs11_module,
        )
    except Unsafe as fault:
        sys.stderr.write(f"ceremony: {fault}\n")
        return 1
    sys.stdout.write(f"{result.trust_file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
