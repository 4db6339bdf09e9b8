"""The files of a simulated chip: where they lie, how they are selected, read and written.

A master file with EF.CardAccess, and the passport application with everything else. Who may
do what is decided in `chip`; here is only what a file system can and cannot do.
"""

from epassport_credentials.apdu import (
    DATA_OBJECT,
    MASTER_FILE_ID,
    MAX_OFFSET,
    NO_FILE_INFORMATION,
    OFFSET_OBJECT,
    SELECT_BY_NAME,
    SELECT_ELEMENTARY_FILE,
    SELECT_MASTER_FILE,
    Command,
    StatusWord,
    is_odd,
)
from epassport_credentials.errors import InvalidCredential
from epassport_credentials.lds import APPLICATION_ID, EF_CARD_ACCESS, FILE_IDS, MAX_FILE_BYTES
from epassport_credentials.tlv import encode_tlv, read_all, read_tlv

MEMORY_BYTES = 128_000

# Objects of ISO/IEC 7816-4 §5.3.3 (file control).
FILE_CONTROL, FILE_SIZE, FILE_ID = 0x62, 0x80, 0x83

Answer = bytes | StatusWord

_SHORT_ID_FLAG, _SHORT_ID_MASK = 0x80, 0x1F
_DATA_OBJECT_HEAD_BYTES = 3  # tag and length of up to 255 bytes


class ChipFiles:
    """A directory is the master file or the application; identifiers are unique in each."""

    def __init__(self) -> None:
        self._files: dict[tuple[bool, int], bytearray] = {}
        self._in_application = False
        self._selected: int | None = None

    @property
    def in_application(self) -> bool:
        return self._in_application

    def holds_card_access(self) -> bool:
        return (False, FILE_IDS[EF_CARD_ACCESS]) in self._files

    def leave(self) -> None:
        """Back to the master file, with nothing selected."""
        self._in_application, self._selected = False, None

    def select(self, command: Command) -> Answer:
        """SELECT (ISO/IEC 7816-4 §11.2.1): by name, by identifier, or the master file."""
        if command.p2 != NO_FILE_INFORMATION:
            return StatusWord.WRONG_PARAMETERS
        if command.p1 == SELECT_BY_NAME and command.data == APPLICATION_ID:
            self._in_application, self._selected = True, None
            return b""
        if command.p1 == SELECT_MASTER_FILE and command.data in (b"", MASTER_FILE_ID):
            self.leave()
            return b""
        if command.p1 == SELECT_ELEMENTARY_FILE and len(command.data) == 2:
            return self._select_file(int.from_bytes(command.data, "big"))
        by_name = command.p1 == SELECT_BY_NAME
        return StatusWord.FILE_NOT_FOUND if by_name else StatusWord.WRONG_PARAMETERS

    def read(self, command: Command, *, at_most: int) -> Answer:
        """READ BINARY (§11.2.3); at_most: what an answer has room for.

        The even instruction reads the selected file, or the one whose short identifier stands
        in P1; the odd one takes an offset of any length from its data.
        """
        room = min(command.expected, at_most)
        if is_odd(command.instruction):
            data = self._slice(_offset_object(command.data), room - _DATA_OBJECT_HEAD_BYTES)
            return encode_tlv(DATA_OBJECT, data) if isinstance(data, bytes) else data
        short = short_identifier(command)
        if short is None:
            return self._slice(command.offset, room)
        answer = self._select_file(short)
        return self._slice(command.p2, room) if isinstance(answer, bytes) else answer

    def create(self, command: Command) -> Answer:
        try:
            control = dict(read_all(read_tlv(command.data, FILE_CONTROL)))
        except InvalidCredential:
            return StatusWord.WRONG_DATA
        size = int.from_bytes(control.get(FILE_SIZE, b""), "big")
        identifier = int.from_bytes(control.get(FILE_ID, b""), "big")
        place = (self._in_application, identifier)
        if place in self._files:
            return StatusWord.FILE_ALREADY_EXISTS
        free = MEMORY_BYTES - sum(map(len, self._files.values()))
        if not 0 < size <= min(free, MAX_FILE_BYTES) or not 0 < identifier <= 0xFFFF:
            return StatusWord.WRONG_DATA
        self._files[place] = bytearray(size)
        self._selected = identifier
        return b""

    def update(self, command: Command) -> Answer:
        """UPDATE BINARY (§11.2.5) of the selected file, odd and even as in `read`."""
        if self._selected is None:
            return StatusWord.COMMAND_NOT_ALLOWED
        file = self._files[self._in_application, self._selected]
        offset: int | None = command.offset if command.offset <= MAX_OFFSET else None
        data = command.data
        if is_odd(command.instruction):
            offset, data = _offset_and_data(command.data)
        if offset is None or offset + len(data) > len(file):
            return StatusWord.WRONG_PARAMETERS
        file[offset : offset + len(data)] = data
        return b""

    def _select_file(self, identifier: int) -> Answer:
        known = (self._in_application, identifier) in self._files
        self._selected = identifier if known else None
        return b"" if known else StatusWord.FILE_NOT_FOUND

    def _slice(self, offset: int | None, room: int) -> Answer:
        if self._selected is None:
            return StatusWord.COMMAND_NOT_ALLOWED
        file = self._files[self._in_application, self._selected]
        if offset is None or offset > len(file) or room < 0:
            return StatusWord.WRONG_PARAMETERS
        return bytes(file[offset : offset + room])


def selected_identifier(command: Command) -> int | None:
    """Which elementary file a SELECT names, if it names one."""
    named = command.p1 == SELECT_ELEMENTARY_FILE and len(command.data) == 2
    return int.from_bytes(command.data, "big") if named else None


def short_identifier(command: Command) -> int | None:
    """Which file an even READ BINARY names: identifiers are 01 and the short one here."""
    return 0x0100 | command.p1 & _SHORT_ID_MASK if command.p1 & _SHORT_ID_FLAG else None


def _offset_object(data: bytes) -> int | None:
    try:
        return int.from_bytes(read_tlv(data, OFFSET_OBJECT), "big")
    except InvalidCredential:
        return None


def _offset_and_data(data: bytes) -> tuple[int | None, bytes]:
    try:
        objects = read_all(data)
    except InvalidCredential:
        return None, b""
    if [tag for tag, _ in objects] != [OFFSET_OBJECT, DATA_OBJECT]:
        return None, b""
    return int.from_bytes(objects[0][1], "big"), objects[1][1]
