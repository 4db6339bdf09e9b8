"""Where a vendor's ABIS fetches a record that a control message names: `referenceURL` (MOSIP).

Records never travel in control messages. Each lies under an unguessable address until it is
withdrawn, sealed for the ABIS alone:

    base64url( "VER_R2" || SHA-256 of the certificate || AES key by RSA-OAEP-SHA256
               || "#KEY_SPLITTER#" || 32 octets, also the associated data, whose first 12 are
               the nonce || AES-256-GCM )
"""

import asyncio
import base64
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION, SPLITTER = b"VER_R2", b"#KEY_SPLITTER#"
THUMBPRINT_BYTES, ASSOCIATED_BYTES, NONCE_BYTES = 32, 32, 12
REQUEST_BYTES, REQUEST_SECONDS = 4096, 5.0

_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class RecordShare:
    """Use as `async with`: entering starts to listen."""

    def __init__(self, certificate_pem: bytes, host: str, port: int) -> None:
        self._certificate = x509.load_pem_x509_certificate(certificate_pem)
        self._host, self._port = host, port
        self._records: dict[str, bytes] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Again: nothing."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._answer, self._host, self._port, limit=REQUEST_BYTES
            )

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    @asynccontextmanager
    async def shared(self, record: bytes) -> AsyncIterator[str]:
        """The address, good for as long as this lasts."""
        await self.open()
        assert self._server is not None, "just opened"
        port = self._server.sockets[0].getsockname()[1]
        name = secrets.token_urlsafe(32)
        self._records[name] = sealed_for(self._certificate, record)
        try:
            yield f"http://{self._host}:{port}/{name}"
        finally:
            del self._records[name]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            method, _, rest = head.decode("latin-1").partition(" ")
            name = rest.partition(" ")[0].removeprefix("/")
            record = self._records.get(name) if method == "GET" else None
            status = "404 Not Found" if record is None else "200 OK"
            body = record or b""
            told = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(told.encode() + body)
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()  # whoever it was does not speak HTTP
        finally:
            writer.close()


def sealed_for(certificate: x509.Certificate, record: bytes) -> bytes:
    public_key = certificate.public_key()
    if not isinstance(public_key, RSAPublicKey):
        raise ValueError("an ABIS certificate has an RSA key")
    key, associated = AESGCM.generate_key(256), os.urandom(ASSOCIATED_BYTES)
    ciphertext = AESGCM(key).encrypt(associated[:NONCE_BYTES], record, associated)
    thumbprint = certificate.fingerprint(hashes.SHA256())
    wrapped = public_key.encrypt(key, _OAEP)
    block = VERSION + thumbprint + wrapped + SPLITTER + associated + ciphertext
    return base64.urlsafe_b64encode(block)


def opened_by(private_key: RSAPrivateKey, octets: bytes) -> bytes:
    """What the ABIS does; also for platforms that put our own engine behind these messages."""
    block = base64.urlsafe_b64decode(octets)
    head = len(VERSION) + THUMBPRINT_BYTES
    wrapped, _, rest = block[head:].partition(SPLITTER)
    if not block.startswith(VERSION) or not rest:
        raise ValueError("not a shared record")
    key = private_key.decrypt(wrapped, _OAEP)
    associated, ciphertext = rest[:ASSOCIATED_BYTES], rest[ASSOCIATED_BYTES:]
    return AESGCM(key).decrypt(associated[:NONCE_BYTES], ciphertext, associated)
