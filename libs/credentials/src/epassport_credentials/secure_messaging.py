"""Secure messaging with AES-128: what goes between reader and chip after PACE (Doc 9303-11 §9.8).

Every command and every answer is encrypted and carries a MAC over a counter that both ends
keep, so that nothing can be read, changed, repeated or left out. One fault ends the session.
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.constant_time import bytes_eq

from epassport_credentials.apdu import (
    MAX_ANSWER_BYTES,
    MAX_DATA_BYTES,
    PROTECTED_CLASS,
    Command,
    is_odd,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.tlv import encode_tlv, read_all

MAC_BYTES = 8

_BLOCK_BYTES = 16
_PADDED_WITH_INDICATOR, _PADDED = 0x87, 0x85  # for even and odd instructions
_EXPECTED, _STATUS, _MAC = 0x97, 0x99, 0x8E
_INDICATOR = b"\x01"
_COUNTER_LIMIT = 2**128

# What an answer of 256 bytes has room for: 14 go to status and MAC, 4 to the head of the
# cryptogram, which is whole blocks, and one byte at least to padding.
MAX_ANSWER_DATA = (MAX_ANSWER_BYTES - 14 - 4) // _BLOCK_BYTES * _BLOCK_BYTES - 1


@dataclass(frozen=True)
class SessionKeys:
    encryption: bytes = field(repr=False)
    authentication: bytes = field(repr=False)


class SecureMessaging:
    """One end of a session; both ends count each command and each answer."""

    def __init__(self, keys: SessionKeys) -> None:
        self._keys = keys
        self._counter = 0  # Doc 9303-11 §9.8: zero after PACE

    def protect_command(self, command: Command) -> bytes:
        """Raises ValueError where the command is too long for a short APDU."""
        head = bytes((PROTECTED_CLASS, command.instruction, command.p1, command.p2))
        self._count()
        body = self._cryptogram(command.data, is_odd(command.instruction))
        if command.expected:
            body += encode_tlv(_EXPECTED, bytes((command.expected % 256,)))
        body += encode_tlv(_MAC, self._mac(_pad(head), body))
        if len(body) > MAX_DATA_BYTES:
            raise ValueError("a protected command has at most 255 bytes")
        return head + bytes((len(body),)) + body + b"\x00"

    def open_command(self, command: Command) -> Command:
        """The command inside. Raises InvalidCredential: SECURE_MESSAGING_BROKEN, MALFORMED."""
        head = bytes((PROTECTED_CLASS, command.instruction, command.p1, command.p2))
        self._count()
        objects = self._authentic(_pad(head), command.data)
        expected = objects.pop(_EXPECTED, b"")
        data = self._plain(objects, is_odd(command.instruction))
        if objects or len(expected) > 1:
            raise _broken("other objects than a command has")
        return Command(
            *(command.instruction, command.p1, command.p2, data),
            expected=(expected[0] or MAX_ANSWER_BYTES) if expected else 0,
        )

    def protect_answer(self, data: bytes, status: int, instruction: int) -> bytes:
        """data: at most MAX_ANSWER_DATA bytes; the status word is given inside and outside."""
        if len(data) > MAX_ANSWER_DATA:
            raise ValueError(f"a protected answer has at most {MAX_ANSWER_DATA} bytes")
        word = status.to_bytes(2, "big")
        self._count()
        body = self._cryptogram(data, is_odd(instruction)) + encode_tlv(_STATUS, word)
        return body + encode_tlv(_MAC, self._mac(b"", body)) + word

    def open_answer(self, answer: bytes, instruction: int) -> bytes:
        """Data and status word. Raises InvalidCredential: SECURE_MESSAGING_BROKEN, MALFORMED."""
        self._count()
        objects = self._authentic(b"", answer[:-2])
        word = objects.pop(_STATUS, b"")
        data = self._plain(objects, is_odd(instruction))
        if objects or word != answer[-2:]:
            raise _broken("another status inside than outside")
        return data + word

    def _count(self) -> None:
        self._counter = (self._counter + 1) % _COUNTER_LIMIT

    def _authentic(self, head: bytes, body: bytes) -> dict[int, bytes]:
        """Its objects but the MAC, once that is found right; each once, the MAC last."""
        objects = read_all(body)
        found = dict(objects)
        if len(found) != len(objects) or not objects or objects[-1][0] != _MAC:
            raise _broken("no MAC at the end, or an object twice")
        mac = found.pop(_MAC)
        covered = body[: len(body) - len(encode_tlv(_MAC, mac))]
        if not bytes_eq(mac, self._mac(head, covered)):
            raise _broken("the MAC")
        return found

    def _mac(self, head: bytes, body: bytes) -> bytes:
        """Over counter, padded head and objects, padded unless there are none (§9.8.4)."""
        covered = self._counter.to_bytes(_BLOCK_BYTES, "big") + head
        return cmac(self._keys.authentication, covered + (_pad(body) if body else b""))[:MAC_BYTES]

    def _cryptogram(self, data: bytes, odd: bool) -> bytes:
        if not data:
            return b""
        encryptor = self._cipher().encryptor()
        encrypted = encryptor.update(_pad(data)) + encryptor.finalize()
        if odd:
            return encode_tlv(_PADDED, encrypted)
        return encode_tlv(_PADDED_WITH_INDICATOR, _INDICATOR + encrypted)

    def _plain(self, objects: dict[int, bytes], odd: bool) -> bytes:
        """The decrypted data, empty where there is none; takes its object away."""
        encrypted = objects.pop(_PADDED if odd else _PADDED_WITH_INDICATOR, None)
        if encrypted is None:
            return b""
        if not odd:
            if encrypted[:1] != _INDICATOR:
                raise _broken("another padding indicator")
            encrypted = encrypted[1:]
        if not encrypted or len(encrypted) % _BLOCK_BYTES:
            raise _broken("a cryptogram of no whole blocks")
        decryptor = self._cipher().decryptor()
        return _unpad(decryptor.update(encrypted) + decryptor.finalize())

    def _cipher(self) -> Cipher[modes.CBC]:
        """AES-CBC whose first vector is the encrypted counter (§9.8.6.1)."""
        key = algorithms.AES(self._keys.encryption)
        # One block after a vector of zeros is the bare block cipher.
        encryptor = Cipher(key, modes.CBC(bytes(_BLOCK_BYTES))).encryptor()
        vector = encryptor.update(self._counter.to_bytes(_BLOCK_BYTES, "big"))
        return Cipher(key, modes.CBC(vector))


def cmac(key: bytes, data: bytes) -> bytes:
    """AES-CMAC (RFC 4493), 16 bytes."""
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()


def _pad(data: bytes) -> bytes:
    """ISO/IEC 9797-1 method 2."""
    return data + b"\x80" + bytes(-(len(data) + 1) % _BLOCK_BYTES)


def _unpad(data: bytes) -> bytes:
    stripped = data.rstrip(b"\0")
    if stripped[-1:] != b"\x80" or len(data) - len(stripped) >= _BLOCK_BYTES:
        raise _broken("the padding")
    return stripped[:-1]


def _broken(detail: str) -> InvalidCredential:
    return InvalidCredential(Reason.SECURE_MESSAGING_BROKEN, detail)
