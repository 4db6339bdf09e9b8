"""Reading and writing one file of a chip, over any `Transceive` (ISO/IEC 7816-4 §11.2)."""

from epassport_credentials.apdu import (
    DATA_OBJECT,
    MAX_ANSWER_BYTES,
    MAX_DATA_BYTES,
    MAX_OFFSET,
    NO_FILE_INFORMATION,
    OFFSET_OBJECT,
    SELECT_ELEMENTARY_FILE,
    Command,
    Instruction,
    Transceive,
    exchange,
)
from epassport_credentials.chip_files import FILE_CONTROL, FILE_ID, FILE_SIZE
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import FILE_IDS, MAX_FILE_BYTES
from epassport_credentials.tlv import encode_tlv, object_length, read_tlv

_LENGTH_HEAD_BYTES = 7
# Tag and length of the offset object, its two bytes, tag and length of the data object.
_ODD_OVERHEAD_BYTES = 4 + 3


def read_file(transceive: Transceive, name: str) -> bytes:
    """The file in the current directory, as long as its own first object says.

    Raises InvalidCredential: MISSING_FILE, ACCESS_DENIED, CHIP_REFUSED, TOO_LONG, MALFORMED.
    """
    file_id = FILE_IDS[name].to_bytes(2, "big")
    exchange(
        transceive,
        Command(Instruction.SELECT, SELECT_ELEMENTARY_FILE, NO_FILE_INFORMATION, file_id),
    )
    data = _read_part(transceive, 0, _LENGTH_HEAD_BYTES)
    length = object_length(data)
    if length > MAX_FILE_BYTES:
        raise InvalidCredential(Reason.TOO_LONG, f"{name} of {length} bytes")
    data = data[:length]
    while len(data) < length:
        part = _read_part(transceive, len(data), length - len(data))
        if not part:
            raise InvalidCredential(Reason.MALFORMED, f"{name} is cut")
        data += part
    return data


def write_file(transceive: Transceive, name: str, data: bytes) -> None:
    """Create the file in the current directory and fill it. Raises InvalidCredential:
    CHIP_REFUSED; ValueError where it is too long."""
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"a file has at most {MAX_FILE_BYTES} bytes")
    control = encode_tlv(FILE_SIZE, len(data).to_bytes(2, "big"))
    control += encode_tlv(FILE_ID, FILE_IDS[name].to_bytes(2, "big"))
    create = Command(Instruction.CREATE_FILE, 0, 0, encode_tlv(FILE_CONTROL, control))
    exchange(transceive, create)
    offset = 0
    while offset < len(data):
        offset += _write_part(transceive, offset, data)


def _read_part(transceive: Transceive, offset: int, wanted: int) -> bytes:
    expected = min(wanted, MAX_ANSWER_BYTES)
    if offset <= MAX_OFFSET:
        command = Command(Instruction.READ_BINARY, offset >> 8, offset & 0xFF, expected=expected)
        part = exchange(transceive, command)
    else:
        place = encode_tlv(OFFSET_OBJECT, offset.to_bytes(2, "big"))
        command = Command(Instruction.READ_BINARY_ODD, 0, 0, place, expected=MAX_ANSWER_BYTES)
        part = read_tlv(exchange(transceive, command), DATA_OBJECT)[:wanted]
    if len(part) > expected:
        raise InvalidCredential(Reason.MALFORMED, "more than was asked for")
    return part


def _write_part(transceive: Transceive, offset: int, data: bytes) -> int:
    """Returns how many bytes were written."""
    if offset <= MAX_OFFSET:
        part = data[offset : offset + MAX_DATA_BYTES]
        command = Command(Instruction.UPDATE_BINARY, offset >> 8, offset & 0xFF, part)
    else:
        part = data[offset : offset + MAX_DATA_BYTES - _ODD_OVERHEAD_BYTES]
        objects = encode_tlv(OFFSET_OBJECT, offset.to_bytes(2, "big"))
        objects += encode_tlv(DATA_OBJECT, part)
        command = Command(Instruction.UPDATE_BINARY_ODD, 0, 0, objects)
    exchange(transceive, command)
    return len(part)
