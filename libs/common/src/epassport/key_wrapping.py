"""How stored data keys become usable: own ones wrapped by the service's key, received ones as
the HPKE messages they came in.

Unwrapping an own key costs 2 us and is done each time; opening a message costs 65 us, so the
last ones opened stay in memory, by their octets: whoever has no row opens nothing with them.
"""

import os
from collections import OrderedDict
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from epassport.errors import Unsafe
from epassport.key_messages import KeySet, open_message
from epassport.keystore import KeyStore
from epassport.sealing import NONCE_BYTES
from epassport_contracts import DataPurpose

REMEMBERED_MESSAGES = 10_000


class KeyWrapping:
    def __init__(self, keystore: KeyStore, *, remembered: int = REMEMBERED_MESSAGES) -> None:
        self._cipher = AESGCM(keystore.wrapping)
        self._private_key = keystore.hpke_private_key
        self._limit = remembered
        self._opened: OrderedDict[bytes, dict[DataPurpose, bytes]] = OrderedDict()

    def wrap(self, subject: UUID, purpose: DataPurpose, generation: int, key: bytes) -> bytes:
        """Nonce followed by ciphertext, bound to whose key it is."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, _about(subject, purpose, generation))

    def unwrap(self, subject: UUID, purpose: DataPurpose, generation: int, wrapped: bytes) -> bytes:
        """Raises Unsafe where this key store did not wrap it: the service has the wrong one."""
        nonce, ct = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, ct, _about(subject, purpose, generation))
        except (InvalidTag, ValueError) as error:
            raise Unsafe("a data key was not wrapped by this key store") from error

    def open_received(self, about: KeySet, message: bytes) -> dict[DataPurpose, bytes]:
        """Raises Poison where the message was not made for this service."""
        if message in self._opened:
            self._opened.move_to_end(message)
            return self._opened[message]
        keys = open_message(self._private_key, about, message)
        self._opened[message] = keys
        if len(self._opened) > self._limit:
            self._opened.popitem(last=False)
        return keys

    def forget(self, message: bytes) -> None:
        self._opened.pop(message, None)


def _about(subject: UUID, purpose: DataPurpose, generation: int) -> bytes:
    return f"1\nwrapped-key\n{subject}\n{purpose}\n{generation}".encode()
