"""A simulated chip: APDU bytes in, APDU bytes out, as a card behind a reader.

Life: blank -> the chip makes its own authentication key and files are written -> ACTIVATE
locks it; from then on it only reads and authenticates. The key never leaves it. A file
can be read by its identifier within the passport application. What gates reading (PACE,
secure messaging) belongs in `transceive`, before a command is looked at.
"""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from epassport_credentials.apdu import (
    MAX_OFFSET,
    NO_FILE_INFORMATION,
    SELECT_BY_NAME,
    SELECT_ELEMENTARY_FILE,
    Command,
    Instruction,
    StatusWord,
    read_command,
)
from epassport_credentials.errors import InvalidCredential
from epassport_credentials.lds import APPLICATION_ID
from epassport_credentials.signer import LocalSigner
from epassport_credentials.tlv import encode_tlv, read_all, read_tlv

MEMORY_BYTES = 80_000

# Objects of ISO/IEC 7816-4 §5.3.3 (file control) and 7816-8 (public key).
FILE_CONTROL, FILE_SIZE, FILE_ID = 0x62, 0x80, 0x83
PUBLIC_KEY, PUBLIC_POINT = 0x7F49, 0x86

CHALLENGE_BYTES = 8

_Answer = bytes | StatusWord


class SimulatedChip:
    """One card. new_key: where the chip takes its key from, its random generator."""

    def __init__(self, new_key: Callable[[], ec.EllipticCurvePrivateKey]) -> None:
        self._new_key = new_key
        self._key: LocalSigner | None = None
        self._files: dict[int, bytearray] = {}
        self._application_selected = False
        self._selected: bytearray | None = None
        self._locked = False

    def transceive(self, apdu: bytes) -> bytes:
        """Answer one command: data, if any, and the two bytes of the status word."""
        command = read_command(apdu)
        answer = self._execute(command) if isinstance(command, Command) else command
        if isinstance(answer, StatusWord):
            return answer.to_bytes(2, "big")
        return answer + StatusWord.DONE.to_bytes(2, "big")

    def _execute(self, command: Command) -> _Answer:
        if command.instruction == Instruction.SELECT:
            return self._select(command)
        if not self._application_selected:
            return StatusWord.CONDITIONS_NOT_SATISFIED
        match command.instruction:
            case Instruction.READ_BINARY:
                return self._read(command)
            case Instruction.INTERNAL_AUTHENTICATE:
                return self._authenticate(command)
            case (
                Instruction.CREATE_FILE
                | Instruction.UPDATE_BINARY
                | Instruction.GENERATE_KEY_PAIR
                | Instruction.ACTIVATE_FILE
            ):
                if self._locked:
                    return StatusWord.CONDITIONS_NOT_SATISFIED
                return self._personalise(command)
        return StatusWord.INSTRUCTION_NOT_SUPPORTED

    def _personalise(self, command: Command) -> _Answer:
        match command.instruction:
            case Instruction.CREATE_FILE:
                return self._create(command)
            case Instruction.UPDATE_BINARY:
                return self._update(command)
            case Instruction.GENERATE_KEY_PAIR:
                return self._generate_key()
        self._locked = True
        return b""

    def _select(self, command: Command) -> _Answer:
        if command.p2 != NO_FILE_INFORMATION:
            return StatusWord.WRONG_PARAMETERS
        if command.p1 == SELECT_BY_NAME:
            self._application_selected = command.data == APPLICATION_ID
            self._selected = None
            return b"" if self._application_selected else StatusWord.FILE_NOT_FOUND
        if command.p1 != SELECT_ELEMENTARY_FILE or len(command.data) != 2:
            return StatusWord.WRONG_PARAMETERS
        if not self._application_selected:
            return StatusWord.CONDITIONS_NOT_SATISFIED
        self._selected = self._files.get(int.from_bytes(command.data, "big"))
        return b"" if self._selected is not None else StatusWord.FILE_NOT_FOUND

    def _read(self, command: Command) -> _Answer:
        if self._selected is None:
            return StatusWord.COMMAND_NOT_ALLOWED
        if command.offset > MAX_OFFSET or command.offset > len(self._selected):
            return StatusWord.WRONG_PARAMETERS
        return bytes(self._selected[command.offset : command.offset + command.expected])

    def _create(self, command: Command) -> _Answer:
        try:
            control = dict(read_all(read_tlv(command.data, FILE_CONTROL)))
        except InvalidCredential:
            return StatusWord.WRONG_DATA
        size = int.from_bytes(control.get(FILE_SIZE, b""), "big")
        identifier = int.from_bytes(control.get(FILE_ID, b""), "big")
        if identifier in self._files:
            return StatusWord.FILE_ALREADY_EXISTS
        taken = sum(map(len, self._files.values()))
        if not 0 < size <= MEMORY_BYTES - taken or not 0 < identifier <= 0xFFFF:
            return StatusWord.WRONG_DATA
        self._selected = self._files[identifier] = bytearray(size)
        return b""

    def _update(self, command: Command) -> _Answer:
        if self._selected is None:
            return StatusWord.COMMAND_NOT_ALLOWED
        end = command.offset + len(command.data)
        if command.offset > MAX_OFFSET or end > len(self._selected):
            return StatusWord.WRONG_PARAMETERS
        self._selected[command.offset : end] = command.data
        return b""

    def _generate_key(self) -> _Answer:
        if self._key is not None:  # a chip has one key for life
            return StatusWord.CONDITIONS_NOT_SATISFIED
        self._key = LocalSigner(self._new_key())
        point = self._key.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return encode_tlv(PUBLIC_KEY, encode_tlv(PUBLIC_POINT, point))

    def _authenticate(self, command: Command) -> _Answer:
        """Active authentication (Doc 9303-11 §6.1): ECDSA over the challenge, r || s."""
        if self._key is None or not self._locked:
            return StatusWord.CONDITIONS_NOT_SATISFIED
        if len(command.data) != CHALLENGE_BYTES:
            return StatusWord.WRONG_DATA
        return self._key.sign(command.data)
