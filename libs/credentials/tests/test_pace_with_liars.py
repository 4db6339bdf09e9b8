"""PACE and secure messaging with another side that does not keep to them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from epassport_credentials.apdu import Command, Instruction
from epassport_credentials.chip import SimulatedChip
from epassport_credentials.chip_reader import (
    generate_chip_key,
    lock_chip,
    write_access_keys,
    write_files,
)
from epassport_credentials.chip_session import open_session
from epassport_credentials.curves import P256
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.lds import EF_CARD_ACCESS, EF_COM, build_ef_com
from epassport_credentials.pace import (
    AccessKey,
    decrypt_nonce,
    encrypt_nonce,
    key_of_access_number,
    map_nonce,
    session_keys,
    token,
)
from epassport_credentials.secure_messaging import SecureMessaging, SessionKeys, cmac
from epassport_credentials.security_infos import build_card_access
from epassport_credentials.tlv import encode_tlv, read_tlv

KEY = key_of_access_number("417093")
CHOOSE = "0022c1a412800a04007f0007020204020283010284010c"


def sevens(count: int) -> bytes:
    return b"\x07" * count


def eights(count: int) -> bytes:
    return b"\x08" * count


def no_wait(_: timedelta) -> None:
    pass


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@pytest.fixture
def chip() -> SimulatedChip:
    made = SimulatedChip(
        lambda: ec.derive_private_key(77, ec.SECP256R1()), random_bytes=sevens, wait=no_wait
    )
    generate_chip_key(made.transceive)
    files = {EF_CARD_ACCESS: build_card_access(), EF_COM: build_ef_com([1])}
    write_files(made.transceive, files)
    write_access_keys(made.transceive, [KEY, AccessKey(1, bytes(20))])
    lock_chip(made.transceive)
    return made


def lying(chip: SimulatedChip, tag: int, lie: bytes) -> Callable[[bytes], bytes]:
    """The chip, but for the answer that holds one object, which is replaced."""

    def transceive(apdu: bytes) -> bytes:
        answer = chip.transceive(apdu)
        if apdu[1] == Instruction.GENERAL_AUTHENTICATE and answer[2:3] == bytes((tag,)):
            return encode_tlv(0x7C, encode_tlv(tag, lie)) + b"\x90\x00"
        return answer

    return transceive


@pytest.mark.parametrize(
    ("tag", "lie", "reason"),
    [
        (0x80, bytes(8), Reason.MALFORMED),
        (0x80, encrypt_nonce(KEY, bytes(16)), Reason.WRONG_ACCESS_KEY),
        (0x82, b"\x04" + bytes(64), Reason.MALFORMED),
        (0x84, b"\x04" + bytes(64), Reason.MALFORMED),
        (0x86, bytes(8), Reason.WRONG_ACCESS_KEY),
    ],
)
def test_a_reader_believes_no_chip_that_does_not_know_the_secret(
    tag: int, lie: bytes, reason: Reason, chip: SimulatedChip
) -> None:
    assert open_session(chip.transceive, KEY, random_bytes=eights)
    chip.transceive(b"")
    wire = lying(chip, tag, lie)
    assert reason_of(open_session, wire, KEY, random_bytes=eights) is reason


def test_a_reader_refuses_its_own_key_from_the_chip(chip: SimulatedChip) -> None:
    assert reason_of(open_session, chip.transceive, KEY, random_bytes=sevens) is Reason.MALFORMED


def test_a_chip_refuses_its_own_key_from_the_reader(chip: SimulatedChip) -> None:
    """A terminal that mirrors the chip's key would have the right token for it."""

    def step(data: bytes, *, class_byte: int = 0x10) -> bytes:
        command = Command(0x86, 0, 0, encode_tlv(0x7C, data), 256, class_byte)
        return chip.transceive(command.encode())

    chip.transceive(bytes.fromhex(CHOOSE))
    nonce = decrypt_nonce(KEY, read_tlv(read_tlv(step(b"")[:-2], 0x7C), 0x80))
    scalar = P256.random_scalar(sevens)
    own = P256.multiple_of_generator(scalar)
    step(encode_tlv(0x81, P256.encode(own)))
    point = P256.multiple(scalar, map_nonce(P256, nonce, scalar, own))
    step(encode_tlv(0x83, P256.encode(point)))
    mirrored = token(session_keys(P256, scalar, point), P256, point)
    assert step(encode_tlv(0x85, mirrored), class_byte=0).hex() == "6300"


KEYS = SessionKeys(bytes(16), bytes(range(16)))


def answer_with(plain: bytes) -> bytes:
    """A first answer with a right MAC around any blocks."""
    counter = (1).to_bytes(16, "big")

    def encrypted(data: bytes, vector: bytes) -> bytes:
        encryptor = Cipher(algorithms.AES(KEYS.encryption), modes.CBC(vector)).encryptor()
        return encryptor.update(data)

    cryptogram = encrypted(plain, encrypted(counter, bytes(16)))
    body = encode_tlv(0x87, b"\x01" + cryptogram) + bytes.fromhex("99029000")
    padded = body + b"\x80" + bytes(-(len(body) + 1) % 16)
    mac = cmac(KEYS.authentication, counter + padded)[:8]
    return body + encode_tlv(0x8E, mac) + b"\x90\x00"


@pytest.mark.parametrize(
    ("plain", "good"),
    [
        (b"fifteen octets.\x80", True),
        (b"\x80" + bytes(15), True),
        (b"sixteen octets..", False),
        (bytes(16), False),
        (b"fifteen octets.\x80" + bytes(16), False),
    ],
)
def test_padding_of_another_form_breaks_a_session(plain: bytes, good: bool) -> None:
    reader = SecureMessaging(KEYS)
    if good:
        expected = plain.rstrip(b"\0")[:-1] + b"\x90\x00"
        assert reader.open_answer(answer_with(plain), Instruction.READ_BINARY) == expected
    else:
        assert reason_of(reader.open_answer, answer_with(plain), Instruction.READ_BINARY) is (
            Reason.SECURE_MESSAGING_BROKEN
        )
