from collections.abc import Callable, Mapping
from datetime import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from epassport_credentials.apdu import Command, read_command
from epassport_credentials.chip import SimulatedChip
from epassport_credentials.chip_reader import (
    active_authentication,
    generate_chip_key,
    lock_chip,
    read_chip,
    write_files,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import EF_SOD, build_dg15, build_ef_com, data_group_name
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.signer import LocalSigner
from epassport_credentials.sod import issue_sod

CHALLENGE = b"8 random"
SELECT = "00a4040c07a0000002471001"


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


def new_chip(secret: int = 77) -> SimulatedChip:
    return SimulatedChip(lambda: ec.derive_private_key(secret, ec.SECP256R1()))


def send(chip: SimulatedChip, *apdus: str) -> str:
    for apdu in apdus:
        answer = chip.transceive(bytes.fromhex(apdu))
    return answer.hex()


@pytest.fixture
def written(files: Mapping[str, bytes]) -> SimulatedChip:
    chip = new_chip()
    generate_chip_key(chip.transceive)
    write_files(chip.transceive, files)
    lock_chip(chip.transceive)
    return chip


def test_a_chip_is_personalised_read_and_authenticated(
    data_groups: Mapping[int, bytes],
    document_signer_key: LocalSigner,
    document_signer: x509.Certificate,
    csca: x509.Certificate,
    now: datetime,
) -> None:
    chip = new_chip()
    key = generate_chip_key(chip.transceive)
    groups = {1: data_groups[1], 2: data_groups[2], 15: build_dg15(key)}
    files = {
        "EF.COM": build_ef_com(groups),
        **{data_group_name(number): data for number, data in groups.items()},
        EF_SOD: issue_sod(groups, document_signer_key, document_signer, signed_at=now),
    }
    write_files(chip.transceive, files)
    lock_chip(chip.transceive)
    read = read_chip(chip.transceive)
    assert read == files
    verified = passive_authentication(read, [csca], now)
    assert verified.authentication_key == key
    active_authentication(chip.transceive, key, challenge=CHALLENGE)


def test_a_copied_chip_is_told_from_the_original(
    written: SimulatedChip, files: Mapping[str, bytes]
) -> None:
    original = generate_chip_key(new_chip().transceive)
    copy = new_chip(secret=78)
    generate_chip_key(copy.transceive)
    write_files(copy.transceive, read_chip(written.transceive))
    lock_chip(copy.transceive)
    assert read_chip(copy.transceive) == files
    active_authentication(written.transceive, original, challenge=CHALLENGE)
    assert (
        reason_of(active_authentication, copy.transceive, original, challenge=CHALLENGE)
        is Reason.CHIP_NOT_AUTHENTIC
    )


def test_a_locked_chip_takes_nothing_more(
    written: SimulatedChip, files: Mapping[str, bytes]
) -> None:
    for change in (
        lambda: generate_chip_key(written.transceive),
        lambda: write_files(written.transceive, {"DG11": b"\x6b\x00"}),
        lambda: lock_chip(written.transceive),
    ):
        assert reason_of(change) is Reason.CHIP_REFUSED
    assert send(written, SELECT, "00a4020c020101", "00d600000161") == "6985"
    assert read_chip(written.transceive) == files


def test_a_chip_makes_one_key_in_its_life() -> None:
    chip = new_chip()
    generate_chip_key(chip.transceive)
    assert reason_of(generate_chip_key, chip.transceive) is Reason.CHIP_REFUSED


def test_a_chip_without_files_says_which_is_missing() -> None:
    assert reason_of(read_chip, new_chip().transceive) is Reason.MISSING_FILE


def test_a_file_over_the_reach_of_an_offset_is_an_error() -> None:
    with pytest.raises(ValueError, match="32767"):
        write_files(new_chip().transceive, {"DG2": bytes(32768)})


@pytest.mark.parametrize(
    ("apdus", "answer"),
    [
        (["00a4"], "6700"),
        (["80a4040c07a0000002471001"], "6e00"),
        (["00a4040c05a000000247"], "6a82"),
        (["00a4020c02011e"], "6985"),
        (["00b0000000"], "6985"),
        ([SELECT, "00a4020c02011e"], "6a82"),
        ([SELECT, "00a4020c0101"], "6b00"),
        ([SELECT, "00a4040007a0000002471001"], "6b00"),
        ([SELECT, "00b0000000"], "6986"),
        ([SELECT, "00d600000161"], "6986"),
        ([SELECT, "0022c1a400"], "6d00"),
        ([SELECT, "00a40404ff01"], "6700"),
        ([SELECT, "00e00000026201"], "6a80"),
        ([SELECT, "00e000000a62088002000083020101"], "6a80"),
        ([SELECT, "00e000000a62088002ffff83020101", "00e000000a62088002ffff83020102"], "6a80"),
        ([SELECT, "00e000000a62088002000483020101"], "9000"),
        ([SELECT, *["00e000000a62088002000483020101"] * 2], "6a89"),
        ([SELECT, "00e000000a62088002000483020101", "00d6000203610203"], "6b00"),
        ([SELECT, "00e000000a62088002000483020101", "00d6000002aabb", "00b0000102"], "bb009000"),
        ([SELECT, "00e000000a62088002000483020101", "00b0000501"], "6b00"),
        ([SELECT, "0088000008313233343536373800"], "6985"),
        ([SELECT, "0047800000", "0088000008313233343536373800"], "6985"),
        ([SELECT, "0047800000", "00440000", "00880000073132333435363700"], "6a80"),
    ],
)
def test_each_wrong_command_has_its_status_word(apdus: list[str], answer: str) -> None:
    assert send(new_chip(), *apdus) == answer


@given(st.lists(st.binary(max_size=30), max_size=6))
@settings(max_examples=100)
def test_any_bytes_are_answered_with_a_status_word(apdus: list[bytes]) -> None:
    chip = new_chip()
    chip.transceive(bytes.fromhex(SELECT))
    for apdu in apdus:
        assert len(chip.transceive(apdu)) >= 2


@given(
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=255),
    st.integers(0, 256),
)
def test_commands_round_trip(
    instruction: int, p1: int, p2: int, data: bytes, expected: int
) -> None:
    command = Command(instruction, p1, p2, data, expected)
    assert read_command(command.encode()) == command


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", Reason.MALFORMED),
        (bytes(300), Reason.MALFORMED),
        (b"\x69\x82", Reason.CHIP_REFUSED),
        (b"\x6a\x82", Reason.MISSING_FILE),
        (b"\x90\x00", Reason.MALFORMED),
        (b"\x60\x84\x00\x00\x00\x10\x90\x00", Reason.MALFORMED),
        (b"\x60\x83\x01\x00\x00\x90\x00", Reason.TOO_LONG),
    ],
)
def test_a_chip_that_answers_badly_is_refused(answer: bytes, reason: Reason) -> None:
    def transceive(apdu: bytes) -> bytes:
        return b"\x90\x00" if apdu[1] == 0xA4 and answer[-2:] == b"\x90\x00" else answer

    assert reason_of(read_chip, transceive) is reason


def test_a_file_that_ends_early_is_cut() -> None:
    answers = {0xA4: b"\x90\x00"}

    def transceive(apdu: bytes) -> bytes:
        head = b"\x60\x20\x5f\x01\x04\x30\x31\x90\x00"
        return answers.get(apdu[1], head if apdu[2:4] == b"\0\0" else b"\x90\x00")

    assert reason_of(read_chip, transceive) is Reason.MALFORMED


def test_a_challenge_has_eight_bytes(written: SimulatedChip, phone: LocalSigner) -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        active_authentication(written.transceive, phone.public_key, challenge=b"few")
