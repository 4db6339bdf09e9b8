"""A simulated chip: APDU bytes in, APDU bytes out, as a card behind a reader.

Life: blank -> the chip makes its own authentication key, files and access keys are written ->
ACTIVATE locks it; from then on it only reads and authenticates. The authentication key never
leaves it. Once locked (Doc 9303-11 §4.2, §6.1):

- without PACE nothing can be read but EF.CardAccess, which says how to begin PACE;
- after PACE everything goes through secure messaging; one plain or altered command ends the
  session, and PACE begins anew;
- DG3 and DG4 stay closed: they need terminal authentication, which this chip does not have.
"""

from collections.abc import Callable
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from epassport_credentials.apdu import (
    MAX_ANSWER_BYTES,
    PROTECTED_CLASS,
    SET_FOR_MUTUAL_AUTHENTICATION,
    Command,
    Instruction,
    StatusWord,
    read_command,
)
from epassport_credentials.chip_files import (
    Answer,
    ChipFiles,
    selected_identifier,
    short_identifier,
)
from epassport_credentials.chip_pace import ChipPace
from epassport_credentials.curves import RandomBytes
from epassport_credentials.errors import InvalidCredential
from epassport_credentials.lds import FILE_IDS, TERMINAL_AUTHENTICATED, data_group_name
from epassport_credentials.pace import ACCESS_NUMBER_REFERENCE, MRZ_REFERENCE, AccessKey
from epassport_credentials.secure_messaging import MAX_ANSWER_DATA, SecureMessaging
from epassport_credentials.signer import LocalSigner
from epassport_credentials.tlv import encode_tlv

# Objects of ISO/IEC 7816-8 (public key).
PUBLIC_KEY, PUBLIC_POINT = 0x7F49, 0x86

CHALLENGE_BYTES = 8

_CLOSED_FILES = frozenset(FILE_IDS[data_group_name(number)] for number in TERMINAL_AUTHENTICATED)
_REFERENCES = (MRZ_REFERENCE, ACCESS_NUMBER_REFERENCE)


class SimulatedChip:
    """One card.

    new_key: where the chip takes its authentication key from
    random_bytes: its random generator, asked for a number of bytes
    wait: lets time pass, after wrong access keys
    """

    def __init__(
        self,
        new_key: Callable[[], ec.EllipticCurvePrivateKey],
        *,
        random_bytes: RandomBytes,
        wait: Callable[[timedelta], None],
    ) -> None:
        self._new_key = new_key
        self._key: LocalSigner | None = None
        self._files = ChipFiles()
        self._access_keys: dict[int, AccessKey] = {}
        self._pace = ChipPace(self._access_keys, random_bytes, wait)
        self._session: SecureMessaging | None = None
        self._locked = False

    def transceive(self, apdu: bytes) -> bytes:
        """Answer one command: data, if any, and the two bytes of the status word."""
        command = read_command(apdu)
        if isinstance(command, StatusWord):
            return self._refuse(command)
        if self._session is not None:
            return self._transceive_protected(self._session, command)
        if command.class_byte == PROTECTED_CLASS:
            return self._refuse(StatusWord.SECURE_MESSAGING_NOT_SUPPORTED)
        answer = self._execute(command, at_most=MAX_ANSWER_BYTES)
        if isinstance(answer, StatusWord):
            return answer.to_bytes(2, "big")
        return answer + StatusWord.DONE.to_bytes(2, "big")

    def _transceive_protected(self, session: SecureMessaging, protected: Command) -> bytes:
        """Doc 9303-11 §9.8.8: a missing or wrong protection is answered without any."""
        if protected.class_byte != PROTECTED_CLASS:
            return self._refuse(StatusWord.PROTECTION_MISSING)
        try:
            command = session.open_command(protected)
        except InvalidCredential:
            return self._refuse(StatusWord.PROTECTION_INCORRECT)
        answer = self._execute(command, at_most=MAX_ANSWER_DATA)
        if isinstance(answer, StatusWord):
            return session.protect_answer(b"", answer, command.instruction)
        return session.protect_answer(answer, StatusWord.DONE, command.instruction)

    def _refuse(self, word: StatusWord) -> bytes:
        """And end the session, if there is one."""
        if self._session is not None:
            self._session = None
            self._files.leave()
        return word.to_bytes(2, "big")

    def _execute(self, command: Command, *, at_most: int) -> Answer:
        match command.instruction:
            case Instruction.SELECT:
                return self._select(command)
            case Instruction.READ_BINARY | Instruction.READ_BINARY_ODD:
                return self._read(command, at_most)
            case Instruction.MANAGE_SECURITY_ENVIRONMENT:
                return self._choose_pace(command)
            case Instruction.GENERAL_AUTHENTICATE:
                return self._step_pace(command)
            case Instruction.INTERNAL_AUTHENTICATE:
                return self._authenticate(command)
        if self._locked:
            return StatusWord.INSTRUCTION_NOT_SUPPORTED
        return self._personalise(command)

    def _personalise(self, command: Command) -> Answer:
        match command.instruction:
            case Instruction.CREATE_FILE:
                return self._files.create(command)
            case Instruction.UPDATE_BINARY | Instruction.UPDATE_BINARY_ODD:
                return self._files.update(command)
            case Instruction.PUT_DATA:
                return self._put_access_key(command)
            case Instruction.GENERATE_KEY_PAIR:
                return self._generate_key()
            case Instruction.ACTIVATE_FILE:
                return self._lock()
        return StatusWord.INSTRUCTION_NOT_SUPPORTED

    def _select(self, command: Command) -> Answer:
        """The application opens only to a session, a closed file to nobody."""
        before = self._files.in_application
        if self._is_closed(selected_identifier(command)):
            return StatusWord.SECURITY_STATUS_NOT_SATISFIED
        answer = self._files.select(command)
        entered = self._files.in_application and not before
        if entered and self._locked and self._session is None:
            self._files.leave()
            return StatusWord.SECURITY_STATUS_NOT_SATISFIED
        return answer

    def _read(self, command: Command, at_most: int) -> Answer:
        if command.instruction == Instruction.READ_BINARY and self._is_closed(
            short_identifier(command)
        ):
            return StatusWord.SECURITY_STATUS_NOT_SATISFIED
        return self._files.read(command, at_most=at_most)

    def _is_closed(self, identifier: int | None) -> bool:
        return self._locked and self._files.in_application and identifier in _CLOSED_FILES

    def _choose_pace(self, command: Command) -> Answer:
        if (command.p1, command.p2) != SET_FOR_MUTUAL_AUTHENTICATION:
            return StatusWord.WRONG_PARAMETERS
        if not self._locked:
            return StatusWord.CONDITIONS_NOT_SATISFIED
        return self._pace.choose(command)

    def _step_pace(self, command: Command) -> Answer:
        answer = self._pace.step(command)
        if isinstance(answer, tuple):
            encoded, keys = answer
            self._session = SecureMessaging(keys)
            return encoded
        return answer

    def _put_access_key(self, command: Command) -> Answer:
        if command.p1 or command.p2 not in _REFERENCES:
            return StatusWord.WRONG_PARAMETERS
        if not command.data:
            return StatusWord.WRONG_DATA
        self._access_keys[command.p2] = AccessKey(command.p2, command.data)
        return b""

    def _generate_key(self) -> Answer:
        if self._key is not None:  # a chip has one key for life
            return StatusWord.CONDITIONS_NOT_SATISFIED
        self._key = LocalSigner(self._new_key())
        point = self._key.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return encode_tlv(PUBLIC_KEY, encode_tlv(PUBLIC_POINT, point))

    def _lock(self) -> Answer:
        """A chip that nobody could open again is not locked."""
        if set(self._access_keys) != set(_REFERENCES) or not self._files.holds_card_access():
            return StatusWord.CONDITIONS_NOT_SATISFIED
        self._locked = True
        self._files.leave()
        return b""

    def _authenticate(self, command: Command) -> Answer:
        """Active authentication (Doc 9303-11 §6.1): ECDSA over the challenge, r || s."""
        if self._key is None or not self._locked or not self._files.in_application:
            return StatusWord.CONDITIONS_NOT_SATISFIED
        if len(command.data) != CHALLENGE_BYTES:
            return StatusWord.WRONG_DATA
        return self._key.sign(command.data)
