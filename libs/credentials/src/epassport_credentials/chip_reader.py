"""Writing a chip once and reading it ever after, over any `transceive`.

Personalisation: `generate_chip_key`, then the files that need the key (DG15, EF.SOD) can
be made, then `write_files`, then `lock_chip`. Reading: `read_chip`, then passive and
active authentication.
"""

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.apdu import (
    MAX_ANSWER_BYTES,
    MAX_DATA_BYTES,
    MAX_OFFSET,
    NO_FILE_INFORMATION,
    SELECT_BY_NAME,
    SELECT_ELEMENTARY_FILE,
    Command,
    Instruction,
    Transceive,
    exchange,
)
from epassport_credentials.chip import (
    CHALLENGE_BYTES,
    FILE_CONTROL,
    FILE_ID,
    FILE_SIZE,
    PUBLIC_KEY,
    PUBLIC_POINT,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import (
    APPLICATION_ID,
    EF_COM,
    EF_SOD,
    FILE_IDS,
    data_group_name,
    parse_ef_com,
)
from epassport_credentials.signer import verify_es256
from epassport_credentials.tlv import encode_tlv, object_length, read_tlv

_LENGTH_HEAD_BYTES = 7


def generate_chip_key(transceive: Transceive) -> ec.EllipticCurvePublicKey:
    """Let a blank chip make its authentication key. Raises InvalidCredential: CHIP_REFUSED,
    MALFORMED."""
    _select_application(transceive)
    command = Command(Instruction.GENERATE_KEY_PAIR, 0x80, 0x00, expected=MAX_ANSWER_BYTES)
    point = read_tlv(read_tlv(exchange(transceive, command), PUBLIC_KEY), PUBLIC_POINT)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise InvalidCredential(Reason.MALFORMED, "not a point on P-256") from error


def write_files(transceive: Transceive, files: Mapping[str, bytes]) -> None:
    """files: by the names of `lds`. Raises InvalidCredential: CHIP_REFUSED."""
    _select_application(transceive)
    for name, data in files.items():
        if len(data) > MAX_OFFSET:
            raise ValueError(f"a file has at most {MAX_OFFSET} bytes")
        control = encode_tlv(FILE_SIZE, len(data).to_bytes(2, "big"))
        control += encode_tlv(FILE_ID, FILE_IDS[name].to_bytes(2, "big"))
        create = Command(Instruction.CREATE_FILE, 0, 0, encode_tlv(FILE_CONTROL, control))
        exchange(transceive, create)
        for offset in range(0, len(data), MAX_DATA_BYTES):
            part = data[offset : offset + MAX_DATA_BYTES]
            exchange(transceive, _at(Instruction.UPDATE_BINARY, offset, data=part))


def lock_chip(transceive: Transceive) -> None:
    """End personalisation for good. Raises InvalidCredential: CHIP_REFUSED."""
    exchange(transceive, Command(Instruction.ACTIVATE_FILE, 0, 0))


def read_chip(transceive: Transceive) -> dict[str, bytes]:
    """EF.COM, EF.SOD and every data group that EF.COM lists, by name.

    Raises InvalidCredential: CHIP_REFUSED, MISSING_FILE, MALFORMED.
    """
    _select_application(transceive)
    files = {EF_COM: _read_file(transceive, EF_COM)}
    for number in parse_ef_com(files[EF_COM]).data_groups:
        name = data_group_name(number)
        files[name] = _read_file(transceive, name)
    files[EF_SOD] = _read_file(transceive, EF_SOD)
    return files


def active_authentication(
    transceive: Transceive, key: ec.EllipticCurvePublicKey, *, challenge: bytes
) -> None:
    """Tell the original chip from a copy: it signs a challenge with the key of DG15.

    key: from passively authenticated files, else it proves nothing
    challenge: 8 fresh random bytes
    Raises InvalidCredential: CHIP_REFUSED, CHIP_NOT_AUTHENTIC.
    """
    if len(challenge) != CHALLENGE_BYTES:
        raise ValueError(f"a challenge has {CHALLENGE_BYTES} bytes")
    command = Command(Instruction.INTERNAL_AUTHENTICATE, 0, 0, challenge, expected=MAX_ANSWER_BYTES)
    signature = exchange(transceive, command)
    try:
        verify_es256(key, signature, challenge)
    except InvalidCredential as refusal:
        raise InvalidCredential(Reason.CHIP_NOT_AUTHENTIC, "the challenge") from refusal


def _select_application(transceive: Transceive) -> None:
    exchange(
        transceive,
        Command(Instruction.SELECT, SELECT_BY_NAME, NO_FILE_INFORMATION, APPLICATION_ID),
    )


def _read_file(transceive: Transceive, name: str) -> bytes:
    file_id = FILE_IDS[name].to_bytes(2, "big")
    exchange(
        transceive,
        Command(Instruction.SELECT, SELECT_ELEMENTARY_FILE, NO_FILE_INFORMATION, file_id),
    )
    data = exchange(transceive, _at(Instruction.READ_BINARY, 0, expected=_LENGTH_HEAD_BYTES))
    length = object_length(data)
    if length > MAX_OFFSET:
        raise InvalidCredential(Reason.TOO_LONG, f"{name} of {length} bytes")
    data = data[:length]
    while len(data) < length:
        wanted = min(MAX_ANSWER_BYTES, length - len(data))
        part = exchange(transceive, _at(Instruction.READ_BINARY, len(data), expected=wanted))
        if not 0 < len(part) <= wanted:
            raise InvalidCredential(Reason.MALFORMED, f"{name} is cut")
        data += part
    return data


def _at(instruction: Instruction, offset: int, *, data: bytes = b"", expected: int = 0) -> Command:
    return Command(instruction, offset >> 8, offset & 0xFF, data, expected)
