"""Where a key store is: `file:…`, an encrypted file, or `pkcs11:…`, a token (RFC 7512).

    file:/run/epassport/keystore.json
    pkcs11:token=enrollment?module-path=/usr/lib/softhsm/libsofthsm2.so

A bare path is a file. The PIN never stands in the address: it has a file of its own.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from epassport.errors import Unsafe

FILE, PKCS11 = "file:", "pkcs11:"


@dataclass(frozen=True)
class FileAddress:
    path: Path

    def __str__(self) -> str:
        return f"{FILE}{self.path}"


@dataclass(frozen=True)
class TokenAddress:
    """module: the vendor's PKCS#11 library; token: its label, unique within that library."""

    module: Path
    token: str

    def __str__(self) -> str:
        return f"{PKCS11}token={quote(self.token)}?module-path={quote(str(self.module))}"


def read_address(text: str) -> FileAddress | TokenAddress:
    """Raises Unsafe, whose message holds nothing of the text."""
    if text.startswith(PKCS11):
        return _token_address(text.removeprefix(PKCS11))
    return FileAddress(Path(text.removeprefix(FILE)))


def _token_address(text: str) -> TokenAddress:
    path, _, query = text.partition("?")
    attributes = [*_pairs(path, ";"), *_pairs(query, "&")]
    if any(name == "pin-value" for name, _ in attributes):
        raise Unsafe("a PIN does not stand in pkcs11:…, it has a file of its own")
    if sorted(name for name, _ in attributes) != ["module-path", "token"]:
        raise Unsafe("pkcs11:… names token and module-path, each once, and nothing else")
    found = dict(attributes)
    if not all(found.values()):
        raise Unsafe("token and module-path of pkcs11:… are not empty")
    return TokenAddress(Path(found["module-path"]), found["token"])


def _pairs(text: str, separator: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split(separator) if part)
    return [(name, unquote(value)) for name, _, value in pairs]
