"""The reader's side of PACE, and the protected session that comes of it (Doc 9303-11 §4.4).

EF.CardAccess says which protocol the chip speaks; it is not signed, so passive authentication
compares it with DG14 afterwards. A session is a `Transceive`: whatever is sent through it is
protected on the way and its answer opened.
"""

from dataclasses import dataclass

from epassport_credentials.apdu import (
    CHAINED_CLASS,
    MASTER_FILE_ID,
    MAX_ANSWER_BYTES,
    NO_FILE_INFORMATION,
    PLAIN_CLASS,
    SELECT_MASTER_FILE,
    SET_FOR_MUTUAL_AUTHENTICATION,
    Command,
    Instruction,
    StatusWord,
    Transceive,
    exchange,
    read_command,
)
from epassport_credentials.curves import CURVES, Curve, RandomBytes
from epassport_credentials.der import encode_object_identifier
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.file_transfer import read_file
from epassport_credentials.lds import EF_CARD_ACCESS
from epassport_credentials.pace import (
    CHIP_KEY,
    CHIP_MAPPING,
    CHIP_TOKEN,
    DYNAMIC_AUTHENTICATION_DATA,
    ENCRYPTED_NONCE,
    NONCE_BYTES,
    PARAMETER_REFERENCE,
    PASSWORD_REFERENCE,
    PROTOCOL,
    TERMINAL_KEY,
    TERMINAL_MAPPING,
    TERMINAL_TOKEN,
    AccessKey,
    decrypt_nonce,
    map_nonce,
    session_keys,
    token,
)
from epassport_credentials.secure_messaging import SecureMessaging, SessionKeys
from epassport_credentials.security_infos import (
    PACE_ECDH_GM_AES_128,
    PaceInfo,
    parse_card_access,
)
from epassport_credentials.tlv import encode_tlv, read_tlv


@dataclass(frozen=True)
class Session:
    """card_access: the file EF.CardAccess as it was read, for passive authentication."""

    _transceive: Transceive
    _messaging: SecureMessaging
    card_access: bytes

    def __call__(self, apdu: bytes) -> bytes:
        """One plain command in, its plain answer out. Raises InvalidCredential:
        SECURE_MESSAGING_BROKEN, MALFORMED; the session is of no use after that."""
        command = read_command(apdu)
        if isinstance(command, StatusWord):
            raise ValueError("not a command")
        answer = self._transceive(self._messaging.protect_command(command))
        if len(answer) == 2:  # the chip has ended the session
            raise InvalidCredential(Reason.SECURE_MESSAGING_BROKEN, f"answered {answer.hex()}")
        return self._messaging.open_answer(answer, command.instruction)


def open_session(transceive: Transceive, key: AccessKey, *, random_bytes: RandomBytes) -> Session:
    """Run PACE. key: of the access number or the MRZ; random_bytes: for the ephemeral keys.

    Raises InvalidCredential: UNSUPPORTED_ALGORITHM where the chip speaks no PACE that is spoken
    here, WRONG_ACCESS_KEY, CHIP_REFUSED, ACCESS_DENIED, MISSING_FILE, MALFORMED.
    """
    select = Command(Instruction.SELECT, SELECT_MASTER_FILE, NO_FILE_INFORMATION, MASTER_FILE_ID)
    exchange(transceive, select)
    card_access = read_file(transceive, EF_CARD_ACCESS)
    curve = _spoken(card_access)
    _choose(transceive, key, curve)
    keys = _agree(transceive, key, curve, random_bytes)
    return Session(transceive, SecureMessaging(keys), card_access)


def _spoken(card_access: bytes) -> Curve:
    for info in parse_card_access(card_access):
        match info:
            case PaceInfo(protocol, parameter_id) if (
                protocol == PACE_ECDH_GM_AES_128 and parameter_id in CURVES
            ):
                return CURVES[parameter_id]
    raise InvalidCredential(Reason.UNSUPPORTED_ALGORITHM, "PACE of another kind")


def _choose(transceive: Transceive, key: AccessKey, curve: Curve) -> None:
    data = encode_tlv(PROTOCOL, encode_object_identifier(PACE_ECDH_GM_AES_128)[2:])
    data += encode_tlv(PASSWORD_REFERENCE, bytes((key.reference,)))
    data += encode_tlv(PARAMETER_REFERENCE, bytes((curve.parameter_id,)))
    p1, p2 = SET_FOR_MUTUAL_AUTHENTICATION
    exchange(transceive, Command(Instruction.MANAGE_SECURITY_ENVIRONMENT, p1, p2, data))


def _agree(
    transceive: Transceive, key: AccessKey, curve: Curve, random_bytes: RandomBytes
) -> SessionKeys:
    """The four steps of GENERAL AUTHENTICATE."""
    encrypted = _step(transceive, b"", ENCRYPTED_NONCE)
    if len(encrypted) != NONCE_BYTES:
        raise InvalidCredential(Reason.MALFORMED, "a nonce of another length")
    scalar = curve.random_scalar(random_bytes)
    own = curve.encode(curve.multiple_of_generator(scalar))
    other = _step(transceive, encode_tlv(TERMINAL_MAPPING, own), CHIP_MAPPING)
    nonce = decrypt_nonce(key, encrypted)
    if not any(nonce):
        raise InvalidCredential(Reason.WRONG_ACCESS_KEY, "a nonce of zero")
    generator = map_nonce(curve, nonce, scalar, curve.decode(other))

    scalar = curve.random_scalar(random_bytes)
    own_point = curve.multiple(scalar, generator)
    own = encode_tlv(TERMINAL_KEY, curve.encode(own_point))
    chip_point = curve.decode(_step(transceive, own, CHIP_KEY))
    if chip_point == own_point:
        raise InvalidCredential(Reason.MALFORMED, "the chip returned the reader's own key")
    keys = session_keys(curve, scalar, chip_point)

    presented = encode_tlv(TERMINAL_TOKEN, token(keys, curve, chip_point))
    if _step(transceive, presented, CHIP_TOKEN, last=True) != token(keys, curve, own_point):
        raise InvalidCredential(Reason.WRONG_ACCESS_KEY, "the chip does not know it")
    return keys


def _step(transceive: Transceive, data: bytes, answered: int, *, last: bool = False) -> bytes:
    command = Command(
        *(Instruction.GENERAL_AUTHENTICATE, 0, 0),
        encode_tlv(DYNAMIC_AUTHENTICATION_DATA, data),
        expected=MAX_ANSWER_BYTES,
        class_byte=PLAIN_CLASS if last else CHAINED_CLASS,
    )
    return read_tlv(read_tlv(exchange(transceive, command), DYNAMIC_AUTHENTICATION_DATA), answered)
