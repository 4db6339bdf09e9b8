"""A key store wherever it is: an encrypted file (`keystore`) or a token (`token_store`)."""

from collections.abc import Collection
from pathlib import Path

from epassport import keystore, token_store
from epassport.key_store_address import FileAddress, TokenAddress
from epassport.keystore import KeyStore, PublicKeys
from epassport.signing import SigningPurpose

Address = FileAddress | TokenAddress


def open_key_store(
    address: Address,
    passphrase_file: Path,
    purposes: Collection[SigningPurpose],
    *,
    sandbox: bool,
) -> KeyStore:
    """passphrase_file: of the file, or the PIN of the token. Raises Unsafe."""
    match address:
        case FileAddress(path):
            return KeyStore.open(path, passphrase_file, purposes, sandbox=sandbox)
        case TokenAddress():
            return token_store.open_on_token(address, passphrase_file, purposes, sandbox=sandbox)


def create_key_store(
    address: Address,
    passphrase_file: Path,
    service: str,
    purposes: Collection[SigningPurpose],
    *,
    sandbox: bool,
    with_secrets: bool = True,
) -> PublicKeys:
    """Make new keys there. Raises Unsafe where a store exists."""
    match address:
        case FileAddress(path):
            return keystore.create(
                path,
                passphrase_file,
                service,
                purposes,
                sandbox=sandbox,
                with_secrets=with_secrets,
            )
        case TokenAddress():
            return token_store.create_on_token(
                address,
                passphrase_file,
                service,
                purposes,
                sandbox=sandbox,
                with_secrets=with_secrets,
            )
