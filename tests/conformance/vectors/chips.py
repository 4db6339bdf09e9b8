"""Vectors of a chip: every command and answer of a reading, good and bad.

The reader's random bytes are eights and the chip's sevens, so that its commands come again byte
for byte; only the signature of active authentication differs from one making to the next.
"""

from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.apdu import Instruction, StatusWord
from epassport_credentials.chip import SimulatedChip
from epassport_credentials.chip_reader import (
    generate_chip_key,
    lock_chip,
    write_access_keys,
    write_files,
)
from epassport_credentials.lds import EF_CARD_ACCESS
from epassport_credentials.mrz import build_td1
from epassport_credentials.pace import key_of_access_number, key_of_mrz
from tests.conformance.vectors.case import Case, Inputs, Stages, passed, until
from tests.conformance.vectors.chip_data import CHIP_KEY, HOLDER, signed
from tests.conformance.vectors.judging_chip import CHIP_STAGES, converse
from tests.conformance.vectors.world import NOW, World, context, world_of

ACCESS_NUMBER = "417093"
BY_NUMBER: Inputs = {"access_number": ACCESS_NUMBER}
Transceive = Callable[[bytes], bytes]


def conversations() -> list[Case]:
    world = world_of(context())
    return [
        _case("by the access number", BY_NUMBER, chip(), None, None, world),
        _case("by the zone", {"lines": list(build_td1(HOLDER))}, chip(), None, None, world),
        *_closed(world),
        *_forged(world),
        *_broken(world),
    ]


def sevens(count: int) -> bytes:
    return b"\x07" * count


def chip(
    files: Mapping[str, bytes] | None = None, key: ec.EllipticCurvePrivateKey = CHIP_KEY
) -> Transceive:
    """A locked chip. key: its own, which DG15 need not be that of."""
    made = SimulatedChip(lambda: key, random_bytes=sevens, wait=lambda _: None)
    generate_chip_key(made.transceive)
    write_files(made.transceive, signed() if files is None else files)
    keys = [key_of_access_number(ACCESS_NUMBER), key_of_mrz(HOLDER)]
    write_access_keys(made.transceive, keys)
    lock_chip(made.transceive)
    return made.transceive


def _case(
    name: str,
    inputs: Inputs,
    transceive: Transceive,
    stage: str | None,
    reason: str | None,
    world: World,
) -> Case:
    exchanges: list[str] = []

    def recorded(command: bytes) -> bytes:
        answer = transceive(command)
        exchanges.append(f"{command.hex()} {answer.hex()}")
        return answer

    converse(inputs, recorded, NOW, world)
    expected: Stages = (
        passed(*CHIP_STAGES) if stage is None else until(CHIP_STAGES, stage, str(reason))
    )
    return Case(name, {**inputs, "exchanges": exchanges}, expected)


def _closed(world: World) -> list[Case]:
    return [
        _case("the fingers", {**BY_NUMBER, "file": "DG3"}, chip(), "read", "access-denied", world),
        _case("a group it lacks", {**BY_NUMBER, "file": "DG7"}, chip(), "read", "missing-file",
              world),
        _case("another access number", {"access_number": "417094"}, chip(), "session",
              "wrong-access-key", world),
    ]  # fmt: skip


def _forged(world: World) -> list[Case]:
    files = signed()
    zone = files["DG1"].replace(b"PODIEMNAIA", b"PODIEMNAIB")
    copied = chip(key=ec.derive_private_key(99, ec.SECP256R1()))
    weaker = files[EF_CARD_ACCESS].replace(b"\x02\x04\x02\x02", b"\x02\x04\x02\x03")
    return [
        _case("a copied chip", BY_NUMBER, copied, "active", "chip-not-authentic", world),
        _case("altered byte", BY_NUMBER, chip({**files, "DG1": zone}), "passive",
              "data-group-altered", world),
        _case("PACE of another kind", BY_NUMBER, chip({**files, EF_CARD_ACCESS: weaker}),
              "session", "unsupported-algorithm", world),
    ]  # fmt: skip


def _broken(world: World) -> list[Case]:
    return [
        _case("an answer altered on its way", BY_NUMBER, _flipped(chip()), "read",
              "secure-messaging-broken", world),
        _case("a chip that knows no PACE", BY_NUMBER,
              _answering(chip(), Instruction.MANAGE_SECURITY_ENVIRONMENT, StatusWord.WRONG_DATA),
              "session", "chip-refused", world),
        _case("an answer of one byte", BY_NUMBER,
              _replaced(chip(), Instruction.GENERAL_AUTHENTICATE, b"\x90"), "session", "malformed",
              world),
    ]  # fmt: skip


def _flipped(transceive: Transceive) -> Transceive:
    """Every protected answer has a bit of its checksum changed."""

    def wire(command: bytes) -> bytes:
        answer = transceive(command)
        if command[0] == 0x0C:
            return answer[:-3] + bytes((answer[-3] ^ 1,)) + answer[-2:]
        return answer

    return wire


def _answering(transceive: Transceive, instruction: Instruction, word: StatusWord) -> Transceive:
    return _replaced(transceive, instruction, word.to_bytes(2, "big"))


def _replaced(transceive: Transceive, instruction: Instruction, answer: bytes) -> Transceive:
    return lambda command: answer if command[1] == instruction else transceive(command)
