"""What a chip answers to single commands, right and wrong, as bytes on the wire."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from epassport_credentials.apdu import Command, Instruction, read_command
from epassport_credentials.chip import SimulatedChip
from epassport_credentials.chip_session import open_session
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.file_transfer import read_file
from epassport_credentials.pace import key_of_access_number
from epassport_credentials.secure_messaging import SecureMessaging, SessionKeys

SELECT = "00a4040c07a0000002471001"
CREATE = "00e000000a62088002000483020101"
KEYS = ("00da000103aabbcc", "00da000206313233343536")
CARD_ACCESS = ("00e000000a6208800200168302011c",)
LOCK = "00440000"
CHOOSE = "0022c1a4128" + "00a04007f00070202040202830102" + "84010c"


def no_wait(_: timedelta) -> None:
    pass


def new_chip() -> SimulatedChip:
    return SimulatedChip(
        lambda: ec.derive_private_key(77, ec.SECP256R1()),
        random_bytes=lambda count: b"\x07" * count,
        wait=no_wait,
    )


def send(chip: SimulatedChip, *apdus: str) -> str:
    for apdu in apdus:
        answer = chip.transceive(bytes.fromhex(apdu.replace(" ", "")))
    return answer.hex()


def locked_chip() -> SimulatedChip:
    chip = new_chip()
    assert send(chip, *CARD_ACCESS, SELECT, "0047800000", *KEYS, LOCK) == "9000"
    return chip


@pytest.mark.parametrize(
    ("apdus", "answer"),
    [
        (["00a4"], "6700"),
        (["80a4040c07a0000002471001"], "6e00"),
        (["0ca4040c07a0000002471001"], "6882"),
        (["00a4040c05a000000247"], "6a82"),
        (["00a4020c02011e"], "6a82"),
        (["00a4000c023f00"], "9000"),
        (["00a4000c023f01"], "6b00"),
        (["00b0000000"], "6986"),
        (["0088000008313233343536373800"], "6985"),
        ([CHOOSE], "6985"),
        ([SELECT, "00a4020c02011e"], "6a82"),
        ([SELECT, "00a4020c0101"], "6b00"),
        ([SELECT, "00a4040007a0000002471001"], "6b00"),
        ([SELECT, "00b0000000"], "6986"),
        ([SELECT, "00b0810000"], "6a82"),
        ([SELECT, "00d600000161"], "6986"),
        ([SELECT, "0022c1a500"], "6b00"),
        ([SELECT, "00ca000000"], "6d00"),
        ([SELECT, "00a40404ff01"], "6700"),
        ([SELECT, "00e00000026201"], "6a80"),
        ([SELECT, "00e000000a62088002000083020101"], "6a80"),
        ([SELECT, "00e000000a62088002ffff83020101", "00e000000a62088002ffff83020102"], "6a80"),
        ([SELECT, CREATE], "9000"),
        ([SELECT, CREATE, CREATE], "6a89"),
        ([SELECT, CREATE, "00a4000c023f00", CREATE], "9000"),
        ([SELECT, CREATE, "00d6000203610203"], "6b00"),
        ([SELECT, CREATE, "00d6800001aa"], "6b00"),
        ([SELECT, CREATE, "00d6000002aabb", "00b0000102"], "bb009000"),
        ([SELECT, CREATE, "00d6000002aabb", "00b0810102"], "bb009000"),
        ([SELECT, CREATE, "00b0000501"], "6b00"),
        ([SELECT, CREATE, "00b0000401"], "9000"),
        ([SELECT, CREATE, "00d700000854020001 5302aabb", "00b00000 04"], "00aabb009000"),
        ([SELECT, CREATE, "00d7000004530 2aabb"], "6b00"),
        ([SELECT, CREATE, "00d70000035301"], "6700"),
        ([SELECT, CREATE, "00d7000002 5301"], "6b00"),
        ([SELECT, CREATE, "00d600000 2aabb", "00b1000004 54020001 05"], "5302bb009000"),
        ([SELECT, CREATE, "00b1000004 53020001 05"], "6b00"),
        ([SELECT, CREATE, "00b1000004 54020005 05"], "6b00"),
        (["00da0003 01aa"], "6b00"),
        (["00da0001"], "6a80"),
        ([SELECT, "0047800000", "0088000008313233343536373800"], "6985"),
        (["0047800000", LOCK], "6985"),
        (["0047800000", "0047800000"], "6985"),
        (["0047800000", *KEYS, LOCK], "6985"),
        ([*CARD_ACCESS, *KEYS, LOCK], "9000"),
    ],
)
def test_each_command_to_a_blank_has_its_status_word(apdus: list[str], answer: str) -> None:
    assert send(new_chip(), *apdus) == answer


@pytest.mark.parametrize(
    ("apdus", "answer"),
    [
        ([SELECT], "6982"),
        (["00a4020c020101"], "6a82"),
        (["00b09c0004"], "000000009000"),
        (["0047800000"], "6d00"),
        ([*KEYS], "6d00"),
        ([LOCK], "6d00"),
        ([*CARD_ACCESS], "6d00"),
        (["1086000002 7c0000"], "6985"),
        ([CHOOSE.replace("04020283", "04020483")], "6a80"),
        ([CHOOSE.replace("84010c", "84010d")], "6a80"),
        ([CHOOSE.replace("830102", "830103")], "6a88"),
        (["0022c1a40f800a04007f00070202040202830102"], "9000"),
        (["0022c1a402800a"], "6a80"),
        ([CHOOSE], "9000"),
        ([CHOOSE, "0086000002 7c0000"], "6a80"),
        ([CHOOSE, "1086000002 7d0000"], "6a80"),
        ([CHOOSE, "1086000004 7c028100 00"], "6a80"),
        ([CHOOSE, "008600000c 7c0a8508 0000000000000000 00"], "6a80"),
        ([CHOOSE, "1086000002 7c0000", "1086000002 7c0000"], "6a80"),
        ([CHOOSE, "1086000002 7c0000", "1086000005 7c03810104 00"], "6a80"),
        ([CHOOSE, "1086000002 7c0000", "1086000005 7c03830104 00"], "6a80"),
        ([CHOOSE, "1086000002 7c0000", "1086000005 7c03810104 00", "1086000002 7c0000"], "6985"),
    ],
)
def test_each_command_to_a_locked_chip_has_its_status_word(apdus: list[str], answer: str) -> None:
    assert send(locked_chip(), *apdus) == answer


@given(st.lists(st.binary(max_size=30), max_size=6), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_answered_with_a_status_word(apdus: list[bytes], locked: bool) -> None:
    chip = locked_chip() if locked else new_chip()
    chip.transceive(bytes.fromhex(SELECT))
    for apdu in apdus:
        assert 2 <= len(chip.transceive(apdu)) <= 258


PACE_DATA = st.sampled_from([b"", b"\x81\x01\x04", b"\x83\x01\x04", b"\x85\x08" + bytes(8)])


@given(st.lists(st.tuples(st.sampled_from([0x00, 0x10]), PACE_DATA | st.binary(max_size=8))))
@settings(max_examples=100, deadline=None)
def test_no_other_order_of_steps_ends_in_a_session(steps: list[tuple[int, bytes]]) -> None:
    chip = locked_chip()
    send(chip, CHOOSE)
    for class_byte, data in steps:
        wrapped = b"\x7c" + bytes((len(data),)) + data
        command = Command(0x86, 0, 0, wrapped, expected=256, class_byte=class_byte)
        chip.transceive(command.encode())
    assert send(chip, SELECT) == "6982"


@given(
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=255),
    st.integers(0, 256),
    st.sampled_from([0x00, 0x10, 0x0C]),
)
def test_commands_round_trip(
    instruction: int, p1: int, p2: int, data: bytes, expected: int, class_byte: int
) -> None:
    command = Command(instruction, p1, p2, data, expected, class_byte)
    assert read_command(command.encode()) == command


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", Reason.MALFORMED),
        (bytes(300), Reason.MALFORMED),
        (b"\x69\x82", Reason.ACCESS_DENIED),
        (b"\x6a\x82", Reason.MISSING_FILE),
        (b"\x6f\x00", Reason.CHIP_REFUSED),
        (b"\x90\x00", Reason.MALFORMED),
        (b"\x60\x84\x00\x00\x00\x10\x90\x00", Reason.MALFORMED),
        (b"\x60\x83\x01\x00\x00\x90\x00", Reason.TOO_LONG),
        (b"\x60\x05" + bytes(20) + b"\x90\x00", Reason.MALFORMED),
    ],
)
def test_a_chip_that_answers_badly_is_refused(answer: bytes, reason: Reason) -> None:
    def transceive(apdu: bytes) -> bytes:
        return b"\x90\x00" if apdu[1] == 0xA4 and answer[-2:] == b"\x90\x00" else answer

    assert reason_of(read_file, transceive, "EF.COM") is reason
    key = key_of_access_number("123456")
    assert reason_of(open_session, transceive, key, random_bytes=bytes) is reason


def test_a_file_that_ends_early_is_cut() -> None:
    answers = {0xA4: b"\x90\x00"}

    def transceive(apdu: bytes) -> bytes:
        head = b"\x60\x20\x5f\x01\x04\x30\x31\x90\x00"
        return answers.get(apdu[1], head if apdu[2:4] == b"\0\0" else b"\x90\x00")

    assert reason_of(read_file, transceive, "EF.COM") is Reason.MALFORMED


KEYS_OF_SESSION = SessionKeys(bytes(16), bytes(range(16)))


@given(
    st.sampled_from([Instruction.READ_BINARY, Instruction.READ_BINARY_ODD]),
    st.lists(
        st.tuples(st.binary(max_size=200), st.integers(0, 256), st.binary(max_size=223)),
        max_size=4,
    ),
)
def test_protected_commands_and_answers_round_trip(
    instruction: int, exchanges: list[tuple[bytes, int, bytes]]
) -> None:
    reader, chip = SecureMessaging(KEYS_OF_SESSION), SecureMessaging(KEYS_OF_SESSION)
    for data, expected, answer in exchanges:
        command = Command(instruction, 1, 2, data, expected)
        protected = read_command(reader.protect_command(command))
        assert isinstance(protected, Command)
        assert chip.open_command(protected) == command
        wire = chip.protect_answer(answer, 0x9000, instruction)
        assert len(wire) <= 258
        assert reader.open_answer(wire, instruction) == answer + b"\x90\x00"


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_in_a_session_are_refused(body: bytes, answer: bytes) -> None:
    broken = (Reason.SECURE_MESSAGING_BROKEN, Reason.MALFORMED)
    reader, chip = SecureMessaging(KEYS_OF_SESSION), SecureMessaging(KEYS_OF_SESSION)
    command = Command(Instruction.READ_BINARY, 0, 0, body, 256, 0x0C)
    assert reason_of(chip.open_command, command) in broken
    assert reason_of(reader.open_answer, answer, Instruction.READ_BINARY) in broken


def test_what_fits_no_protected_message_is_an_error() -> None:
    messaging = SecureMessaging(KEYS_OF_SESSION)
    with pytest.raises(ValueError, match="255"):
        messaging.protect_command(Command(Instruction.UPDATE_BINARY, 0, 0, bytes(240)))
    with pytest.raises(ValueError, match="223"):
        messaging.protect_answer(bytes(224), 0x9000, Instruction.READ_BINARY)
