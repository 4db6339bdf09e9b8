"""Writing a chip once and reading it ever after, over any `transceive`.

Personalisation: `generate_chip_key`, then the files that need the key (DG15, EF.SOD) can be
made, then `write_files`, `write_access_keys`, then `lock_chip`. Reading: `open_session` of
`chip_session`, `read_chip`, then passive and active authentication.
"""

from collections.abc import Iterable, Mapping

from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.apdu import (
    MASTER_FILE_ID,
    MAX_ANSWER_BYTES,
    NO_FILE_INFORMATION,
    SELECT_BY_NAME,
    SELECT_MASTER_FILE,
    Command,
    Instruction,
    Transceive,
    exchange,
)
from epassport_credentials.chip import CHALLENGE_BYTES, PUBLIC_KEY, PUBLIC_POINT
from epassport_credentials.chip_session import Session
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.file_transfer import read_file, write_file
from epassport_credentials.lds import (
    APPLICATION_ID,
    EF_CARD_ACCESS,
    EF_COM,
    EF_SOD,
    TERMINAL_AUTHENTICATED,
    data_group_name,
    parse_ef_com,
)
from epassport_credentials.pace import AccessKey
from epassport_credentials.signer import verify_es256
from epassport_credentials.tlv import read_tlv


def generate_chip_key(transceive: Transceive) -> ec.EllipticCurvePublicKey:
    """Let a blank chip make its authentication key. Raises InvalidCredential: CHIP_REFUSED,
    MALFORMED."""
    command = Command(Instruction.GENERATE_KEY_PAIR, 0x80, 0x00, expected=MAX_ANSWER_BYTES)
    point = read_tlv(read_tlv(exchange(transceive, command), PUBLIC_KEY), PUBLIC_POINT)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise InvalidCredential(Reason.MALFORMED, "not a point on P-256") from error


def write_files(transceive: Transceive, files: Mapping[str, bytes]) -> None:
    """files: by the names of `lds`; EF.CardAccess goes to the master file, the rest to the
    application. Raises InvalidCredential: CHIP_REFUSED."""
    _select_master_file(transceive)
    if EF_CARD_ACCESS in files:
        write_file(transceive, EF_CARD_ACCESS, files[EF_CARD_ACCESS])
    _select_application(transceive)
    for name, data in files.items():
        if name != EF_CARD_ACCESS:
            write_file(transceive, name, data)


def write_access_keys(transceive: Transceive, keys: Iterable[AccessKey]) -> None:
    """What will open the chip: one of each kind. Raises InvalidCredential: CHIP_REFUSED."""
    for key in keys:
        exchange(transceive, Command(Instruction.PUT_DATA, 0, key.reference, key.secret))


def lock_chip(transceive: Transceive) -> None:
    """End personalisation for good. Raises InvalidCredential: CHIP_REFUSED."""
    exchange(transceive, Command(Instruction.ACTIVATE_FILE, 0, 0))


def read_chip(session: Session) -> dict[str, bytes]:
    """EF.CardAccess, EF.COM, EF.SOD and the data groups that EF.COM lists, by name.

    What needs terminal authentication is left out where the chip keeps it closed.
    Raises InvalidCredential: ACCESS_DENIED, CHIP_REFUSED, MISSING_FILE, TOO_LONG, MALFORMED,
    SECURE_MESSAGING_BROKEN.
    """
    _select_application(session)
    files = {EF_CARD_ACCESS: session.card_access, EF_COM: read_file(session, EF_COM)}
    for number in parse_ef_com(files[EF_COM]).data_groups:
        name = data_group_name(number)
        try:
            files[name] = read_file(session, name)
        except InvalidCredential as refusal:
            if refusal.reason is not Reason.ACCESS_DENIED or number not in TERMINAL_AUTHENTICATED:
                raise
    files[EF_SOD] = read_file(session, EF_SOD)
    return files


def active_authentication(
    session: Transceive, key: ec.EllipticCurvePublicKey, *, challenge: bytes
) -> None:
    """Tell the original chip from a copy: it signs a challenge with the key of DG15.

    ECDSA over SHA-256 of the challenge, in plain format r || s (Doc 9303-11 §6.1.2).
    key: from passively authenticated files, else it proves nothing
    challenge: 8 fresh random bytes
    Raises InvalidCredential: CHIP_REFUSED, CHIP_NOT_AUTHENTIC.
    """
    if len(challenge) != CHALLENGE_BYTES:
        raise ValueError(f"a challenge has {CHALLENGE_BYTES} bytes")
    command = Command(Instruction.INTERNAL_AUTHENTICATE, 0, 0, challenge, expected=MAX_ANSWER_BYTES)
    signature = exchange(session, command)
    try:
        verify_es256(key, signature, challenge)
    except InvalidCredential as refusal:
        raise InvalidCredential(Reason.CHIP_NOT_AUTHENTIC, "the challenge") from refusal


def _select_master_file(transceive: Transceive) -> None:
    exchange(
        transceive,
        Command(Instruction.SELECT, SELECT_MASTER_FILE, NO_FILE_INFORMATION, MASTER_FILE_ID),
    )


def _select_application(transceive: Transceive) -> None:
    exchange(
        transceive,
        Command(Instruction.SELECT, SELECT_BY_NAME, NO_FILE_INFORMATION, APPLICATION_ID),
    )
