"""Commands and answers of a chip (ISO/IEC 7816-4 §5.1), short lengths only.

One table of what both sides need; `chip` answers these commands, `chip_reader` sends them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from epassport_credentials.errors import InvalidCredential, Reason

MAX_DATA_BYTES = 255
MAX_ANSWER_BYTES = 256
MAX_OFFSET = 0x7FFF  # even READ and UPDATE BINARY give an offset 15 bits, odd ones an object

PLAIN_CLASS, CHAINED_CLASS, PROTECTED_CLASS = 0x00, 0x10, 0x0C
_CLASSES = (PLAIN_CLASS, CHAINED_CLASS, PROTECTED_CLASS)

SELECT_MASTER_FILE = 0x00
SELECT_ELEMENTARY_FILE = 0x02
SELECT_BY_NAME = 0x04
NO_FILE_INFORMATION = 0x0C
MASTER_FILE_ID = b"\x3f\x00"

# P1 and P2 of MANAGE SECURITY ENVIRONMENT: Set AT for PACE (Doc 9303-11 §4.4.4.1).
SET_FOR_MUTUAL_AUTHENTICATION = (0xC1, 0xA4)

# Objects of READ and UPDATE BINARY with odd instruction (ISO/IEC 7816-4 §11.2.3).
OFFSET_OBJECT, DATA_OBJECT = 0x54, 0x53

Transceive = Callable[[bytes], bytes]


class Instruction(IntEnum):
    """PUT_DATA writes an access key: P1 is 0, P2 its kind."""

    MANAGE_SECURITY_ENVIRONMENT = 0x22
    ACTIVATE_FILE = 0x44
    GENERATE_KEY_PAIR = 0x47
    GENERAL_AUTHENTICATE = 0x86
    INTERNAL_AUTHENTICATE = 0x88
    SELECT = 0xA4
    READ_BINARY = 0xB0
    READ_BINARY_ODD = 0xB1
    UPDATE_BINARY = 0xD6
    UPDATE_BINARY_ODD = 0xD7
    PUT_DATA = 0xDA
    CREATE_FILE = 0xE0


class StatusWord(IntEnum):
    DONE = 0x9000
    VERIFICATION_FAILED = 0x6300
    WRONG_LENGTH = 0x6700
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882
    SECURITY_STATUS_NOT_SATISFIED = 0x6982
    CONDITIONS_NOT_SATISFIED = 0x6985
    COMMAND_NOT_ALLOWED = 0x6986
    PROTECTION_MISSING = 0x6987
    PROTECTION_INCORRECT = 0x6988
    WRONG_DATA = 0x6A80
    FILE_NOT_FOUND = 0x6A82
    REFERENCED_DATA_NOT_FOUND = 0x6A88
    FILE_ALREADY_EXISTS = 0x6A89
    WRONG_PARAMETERS = 0x6B00
    INSTRUCTION_NOT_SUPPORTED = 0x6D00
    CLASS_NOT_SUPPORTED = 0x6E00


_REASON_OF: Mapping[int, Reason] = {
    StatusWord.FILE_NOT_FOUND: Reason.MISSING_FILE,
    StatusWord.SECURITY_STATUS_NOT_SATISFIED: Reason.ACCESS_DENIED,
    StatusWord.VERIFICATION_FAILED: Reason.WRONG_ACCESS_KEY,
}


@dataclass(frozen=True)
class Command:
    """expected: number of bytes the answer may have, 0 for none, at most 256."""

    instruction: int
    p1: int
    p2: int
    data: bytes = b""
    expected: int = 0
    class_byte: int = PLAIN_CLASS

    @property
    def offset(self) -> int:
        return self.p1 << 8 | self.p2

    def encode(self) -> bytes:
        head = bytes((self.class_byte, self.instruction, self.p1, self.p2))
        body = bytes((len(self.data),)) + self.data if self.data else b""
        return head + body + (bytes((self.expected % 256,)) if self.expected else b"")


def read_command(apdu: bytes) -> Command | StatusWord:
    """The command, or the status word that answers bytes which are none."""
    if len(apdu) < 4:
        return StatusWord.WRONG_LENGTH
    if apdu[0] not in _CLASSES:
        return StatusWord.CLASS_NOT_SUPPORTED
    class_byte, instruction, p1, p2 = apdu[:4]
    body = apdu[4:]
    if len(body) <= 1:
        expected = (body[0] or 256) if body else 0
        return Command(instruction, p1, p2, expected=expected, class_byte=class_byte)
    length = body[0]
    data, rest = body[1 : 1 + length], body[1 + length :]
    if length == 0 or len(data) != length or len(rest) > 1:
        return StatusWord.WRONG_LENGTH
    expected = (rest[0] or 256) if rest else 0
    return Command(instruction, p1, p2, data, expected, class_byte)


def is_odd(instruction: int) -> bool:
    """Whether command and answer carry BER-TLV objects (ISO/IEC 7816-4 §5.5)."""
    return bool(instruction & 1)


def exchange(transceive: Transceive, command: Command) -> bytes:
    """Send one command and take its data. Raises InvalidCredential: MALFORMED, MISSING_FILE,
    ACCESS_DENIED, WRONG_ACCESS_KEY, CHIP_REFUSED."""
    answer = transceive(command.encode())
    if not 2 <= len(answer) <= MAX_ANSWER_BYTES + 2:
        raise InvalidCredential(Reason.MALFORMED, "an answer of another length")
    word = int.from_bytes(answer[-2:], "big")
    if word != StatusWord.DONE:
        reason = _REASON_OF.get(word, Reason.CHIP_REFUSED)
        raise InvalidCredential(reason, f"{command.instruction:02X} answered {word:04X}")
    return answer[:-2]
