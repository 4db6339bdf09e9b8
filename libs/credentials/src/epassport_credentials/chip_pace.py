"""The chip's side of PACE (Doc 9303-11 §4.4): four steps, then keys or a counted failure.

A failure is counted before the token is compared, so that cutting the power hides none; from
the third in a row on, the chip takes time before it hands out another nonce, twice as long
each time. The access number has a million values: at a minute a try, half of them take a year.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.constant_time import bytes_eq

from epassport_credentials.apdu import CHAINED_CLASS, Command, StatusWord
from epassport_credentials.curves import P256, Point, RandomBytes
from epassport_credentials.der import encode_object_identifier
from epassport_credentials.errors import InvalidCredential
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
    encrypt_nonce,
    map_nonce,
    session_keys,
    token,
)
from epassport_credentials.secure_messaging import SessionKeys
from epassport_credentials.security_infos import OUR_PACE
from epassport_credentials.tlv import encode_tlv, read_all, read_tlv

UNDELAYED_TRIES = 3
FIRST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(seconds=60)

Answer = bytes | StatusWord

_PROTOCOL = encode_object_identifier(OUR_PACE.protocol)[2:]
_PARAMETER = bytes((P256.parameter_id,))


@dataclass
class _Run:
    """What one run knows so far; each step adds to it, and a step out of order ends it."""

    key: AccessKey
    nonce: bytes = b""
    generator: Point | None = None
    own_point: Point | None = None
    other_point: Point | None = None
    keys: SessionKeys | None = None


class ChipPace:
    """access_keys: what the chip was given at personalisation, by reference.

    wait: lets time pass; the chip has no clock of its own.
    """

    def __init__(
        self,
        access_keys: Mapping[int, AccessKey],
        random_bytes: RandomBytes,
        wait: Callable[[timedelta], None],
    ) -> None:
        self._access_keys = access_keys
        self._random_bytes = random_bytes
        self._wait = wait
        self._failures = 0
        self._run: _Run | None = None

    def choose(self, command: Command) -> Answer:
        """MSE:Set AT: protocol, password and, if the terminal names it, parameters."""
        self._run = None
        try:
            objects = dict(read_all(command.data))
        except InvalidCredential:
            return StatusWord.WRONG_DATA
        reference = objects.pop(PASSWORD_REFERENCE, b"")
        if objects.pop(PROTOCOL, b"") != _PROTOCOL or len(reference) != 1:
            return StatusWord.WRONG_DATA
        if objects.pop(PARAMETER_REFERENCE, _PARAMETER) != _PARAMETER or objects:
            return StatusWord.WRONG_DATA
        if reference[0] not in self._access_keys:
            return StatusWord.REFERENCED_DATA_NOT_FOUND
        self._run = _Run(self._access_keys[reference[0]])
        return b""

    def step(self, command: Command) -> Answer | tuple[bytes, SessionKeys]:
        """GENERAL AUTHENTICATE: the answer, after the last step with the session's keys."""
        run, self._run = self._run, None
        if run is None:
            return StatusWord.CONDITIONS_NOT_SATISFIED
        try:
            objects = read_all(read_tlv(command.data, DYNAMIC_AUTHENTICATION_DATA))
            answer = self._answer(run, command.class_byte == CHAINED_CLASS, objects)
        except InvalidCredential:
            return StatusWord.WRONG_DATA
        if isinstance(answer, StatusWord):
            return answer
        tag, value = answer
        encoded = encode_tlv(DYNAMIC_AUTHENTICATION_DATA, encode_tlv(tag, value))
        if tag == CHIP_TOKEN and run.keys is not None:
            return encoded, run.keys
        self._run = run
        return encoded

    def _answer(
        self, run: _Run, chained: bool, objects: list[tuple[int, bytes]]
    ) -> StatusWord | tuple[int, bytes]:
        """Each step is recognised by its object, and possible only after the one before."""
        match chained, objects:
            case True, [] if not run.nonce:
                return ENCRYPTED_NONCE, self._draw_nonce(run)
            case True, [(tag, value)] if (
                tag == TERMINAL_MAPPING and run.nonce and run.generator is None
            ):
                return CHIP_MAPPING, self._map(run, value)
            case True, [(tag, value)] if (
                tag == TERMINAL_KEY and run.generator is not None and run.keys is None
            ):
                return CHIP_KEY, self._agree(run, run.generator, value)
            case False, [(tag, value)] if tag == TERMINAL_TOKEN:
                return self._authenticate(run, value)
        return StatusWord.WRONG_DATA

    def _draw_nonce(self, run: _Run) -> bytes:
        if self._failures >= UNDELAYED_TRIES:
            doubled = FIRST_DELAY * 2 ** min(self._failures - UNDELAYED_TRIES, 6)
            self._wait(min(doubled, LONGEST_DELAY))
        while not any(run.nonce):  # zero has no multiple of the generator
            run.nonce = self._random_bytes(NONCE_BYTES)
        return encrypt_nonce(run.key, run.nonce)

    def _map(self, run: _Run, encoded: bytes) -> bytes:
        scalar = P256.random_scalar(self._random_bytes)
        run.generator = map_nonce(P256, run.nonce, scalar, P256.decode(encoded))
        return P256.encode(P256.multiple_of_generator(scalar))

    def _agree(self, run: _Run, generator: Point, encoded: bytes) -> bytes:
        scalar = P256.random_scalar(self._random_bytes)
        run.other_point = P256.decode(encoded)
        run.own_point = P256.multiple(scalar, generator)
        run.keys = session_keys(P256, scalar, run.other_point)
        return P256.encode(run.own_point)

    def _authenticate(self, run: _Run, presented: bytes) -> StatusWord | tuple[int, bytes]:
        if run.keys is None or run.own_point is None or run.other_point is None:
            return StatusWord.WRONG_DATA
        self._failures += 1
        if run.own_point == run.other_point or not bytes_eq(
            presented, token(run.keys, P256, run.own_point)
        ):
            return StatusWord.VERIFICATION_FAILED
        self._failures = 0
        return CHIP_TOKEN, token(run.keys, P256, run.other_point)
