"""The key ceremony: every service's key store, and the one signed trust file.

    python -m epassport.ceremony --folder FOLDER (--sandbox | --production)

FOLDER/root-public-key.pem, FOLDER/trust.jws     mounted by every service
FOLDER/<service>/keystore.json, passphrase       mounted by that service alone
FOLDER/ceremony/root.json, csca.json, passphrase stay with the ceremony

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
from epassport.keystore import KeyStore, PublicKeys
from epassport.signing import SigningPurpose, public_key_octets
from epassport.trustfile import HpkeEntry, SigningEntry, write_public_key, write_trust_file
from epassport_contracts import ServiceName

# A document lives ten years, and its signatures are checked to the end.
VALIDITY = timedelta(days=12 * 366)

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
    keystore: Path
    passphrase: Path


@dataclass(frozen=True)
class CeremonyResult:
    """csca is None where no service of this ceremony issues cards."""

    root_public_key: Path
    trust_file: Path
    services: Mapping[ServiceName, StorePaths]
    root: StorePaths
    csca: StorePaths | None


def hold_ceremony(
    folder: Path, services: Collection[ServiceName], sandbox: bool = True, *, at: datetime
) -> CeremonyResult:
    """Make all keys of these services. Raises Unsafe, before it writes, where a file exists."""
    result = paths_in(folder, services)
    _refuse_to_overwrite(result)
    stores = [*result.services.values(), result.root]
    for passphrase in sorted({store.passphrase for store in stores}):
        _have_passphrase(passphrase, sandbox=sandbox)
    _create(result.root, "ceremony", {SigningPurpose.TRUST_LIST}, sandbox=sandbox)
    made = []
    for service, store in result.services.items():
        made.append(
            keystore.create(
                store.keystore, store.passphrase, service, PURPOSES[service], sandbox=sandbox
            )
        )
    if result.csca is not None:
        issuer = _create(result.csca, "ceremony", {SigningPurpose.CSCA}, sandbox=sandbox)
        made.append(PublicKeys(ServiceName.CARD_PERSONALIZATION, issuer.signing, None))
    _publish(result, made, sandbox=sandbox, at=at)
    return result


def paths_in(folder: Path, services: Collection[ServiceName]) -> CeremonyResult:
    """Where a ceremony held in `folder` puts, or has put, its files."""
    own = folder / "ceremony"
    issues_cards = ServiceName.CARD_PERSONALIZATION in services
    return CeremonyResult(
        folder / "root-public-key.pem",
        folder / "trust.jws",
        {
            service: StorePaths(folder / service / "keystore.json", folder / service / "passphrase")
            for service in sorted(services)
        },
        StorePaths(own / "root.json", own / "passphrase"),
        StorePaths(own / "csca.json", own / "passphrase") if issues_cards else None,
    )


def _refuse_to_overwrite(result: CeremonyResult) -> None:
    stores = [*result.services.values(), result.root, *([result.csca] if result.csca else [])]
    files = [result.root_public_key, result.trust_file, *(store.keystore for store in stores)]
    for path in files:
        if path.exists():
            raise Unsafe(f"{path} exists and is never overwritten")


def _have_passphrase(path: Path, *, sandbox: bool) -> None:
    if path.exists():
        return
    if not sandbox:
        raise Unsafe(f"put a passphrase into {path} first")
    keystore.write_new(path, secrets.token_urlsafe(32).encode())


def _create(
    store: StorePaths, name: str, purposes: Collection[SigningPurpose], *, sandbox: bool
) -> PublicKeys:
    return keystore.create(
        store.keystore, store.passphrase, name, purposes, sandbox=sandbox, with_secrets=False
    )


def _publish(
    result: CeremonyResult, made: Sequence[PublicKeys], *, sandbox: bool, at: datetime
) -> None:
    """Public keys of all stores, signed by the root as it will be opened later."""
    root = KeyStore.open(
        result.root.keystore,
        result.root.passphrase,
        [SigningPurpose.TRUST_LIST],
        sandbox=sandbox,
    ).signer(SigningPurpose.TRUST_LIST)
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


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m epassport.ceremony", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument(
        "--service", type=ServiceName, action="append", help="repeatable; all where none is named"
    )
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
        )
    except Unsafe as fault:
        sys.stderr.write(f"ceremony: {fault}\n")
        return 1
    sys.stdout.write(f"{result.trust_file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
