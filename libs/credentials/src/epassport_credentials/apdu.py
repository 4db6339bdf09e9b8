"""Commands and answers of a chip (ISO/IEC 7816-4 §5.1), short lengths only.

One table of what both sides need; `chip` answers these commands, `chip_reader` sends them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from epassport_credentials.errors import InvalidCredential, Reason

MAX_DATA_BYTES = 255
MAX_ANSWER_BYTES = 256
MAX_OFFSET = 0x7FFF  # READ and UPDATE BINARY give an offset 15 bits

SELECT_BY_NAME = 0x04
SELECT_ELEMENTARY_FILE = 0x02
NO_FILE_INFORMATION = 0x0C

Transceive = Callable[[bytes], bytes]


class Instruction(IntEnum):
    ACTIVATE_FILE = 0x44
    GENERATE_KEY_PAIR = 0x47
    INTERNAL_AUTHENTICATE = 0x88
    SELECT = 0xA4
    READ_BINARY = 0xB0
    UPDATE_BINARY = 0xD6
    CREATE_FILE = 0xE0


class StatusWord(IntEnum):
    DONE = 0x9000
    WRONG_LENGTH = 0x6700
    CONDITIONS_NOT_SATISFIED = 0x6985
    COMMAND_NOT_ALLOWED = 0x6986
    WRONG_DATA = 0x6A80
    FILE_NOT_FOUND = 0x6A82
    FILE_ALREADY_EXISTS = 0x6A89
    WRONG_PARAMETERS = 0x6B00
    INSTRUCTION_NOT_SUPPORTED = 0x6D00
    CLASS_NOT_SUPPORTED = 0x6E00


@dataclass(frozen=True)
class Command:
    """expected: number of bytes the answer may have, 0 for none, at most 256."""

    instruction: int
    p1: int
    p2: int
    data: bytes = b""
    expected: int = 0

    @property
    def offset(self) -> int:
        return self.p1 << 8 | self.p2

    def encode(self) -> bytes:
        head = bytes((0x00, self.instruction, self.p1, self.p2))
        body = bytes((len(self.data),)) + self.data if self.data else b""
        return head + body + (bytes((self.expected % 256,)) if self.expected else b"")


def read_command(apdu: bytes) -> Command | StatusWord:
    """The command, or the status word that answers bytes which are none."""
    if len(apdu) < 4:
        return StatusWord.WRONG_LENGTH
    if apdu[0] != 0x00:
        return StatusWord.CLASS_NOT_SUPPORTED
    instruction, p1, p2 = apdu[1:4]
    body = apdu[4:]
    if len(body) <= 1:
        expected = (body[0] or 256) if body else 0
        return Command(instruction, p1, p2, expected=expected)
    length = body[0]
    data, rest = body[1 : 1 + length], body[1 + length :]
    if length == 0 or len(data) != length or len(rest) > 1:
        return StatusWord.WRONG_LENGTH
    expected = (rest[0] or 256) if rest else 0
    return Command(instruction, p1, p2, data, expected)


def exchange(transceive: Transceive, command: Command) -> bytes:
    """Send one command and take its data. Raises InvalidCredential: MALFORMED, MISSING_FILE,
    CHIP_REFUSED."""
    answer = transceive(command.encode())
    if not 2 <= len(answer) <= MAX_ANSWER_BYTES + 2:
        raise InvalidCredential(Reason.MALFORMED, "an answer of another length")
    word = int.from_bytes(answer[-2:], "big")
    if word == StatusWord.FILE_NOT_FOUND:
        raise InvalidCredential(Reason.MISSING_FILE, f"{command.instruction:02X}")
    if word != StatusWord.DONE:
        raise InvalidCredential(
            Reason.CHIP_REFUSED, f"{command.instruction:02X} answered {word:04X}"
        )
    return answer[:-2]
