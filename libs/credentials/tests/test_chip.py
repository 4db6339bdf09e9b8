"""A chip's whole life, and what it withholds from whom."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.apdu import Command, Instruction
from epassport_credentials.chip import SimulatedChip
from epassport_credentials.chip_reader import (
    active_authentication,
    generate_chip_key,
    lock_chip,
    read_chip,
    write_access_keys,
    write_files,
)
from epassport_credentials.chip_session import Session, open_session
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.finger import Compression, Finger, FingerImage, build_dg3
from epassport_credentials.lds import (
    EF_CARD_ACCESS,
    EF_COM,
    EF_SOD,
    build_dg15,
    build_ef_com,
    data_group_name,
    parse_dg1,
)
from epassport_credentials.pace import AccessKey, key_of_access_number, key_of_mrz
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.security_infos import (
    PACE_ECDH_GM_AES_128,
    PaceInfo,
    build_card_access,
    build_dg14,
)
from epassport_credentials.signer import LocalSigner
from epassport_credentials.sod import issue_sod
from epassport_credentials.trust_anchors import TrustAnchors

CHALLENGE = b"8 random"
ACCESS_NUMBER = key_of_access_number("417093")
WRONG_NUMBER = key_of_access_number("417094")
FINGER = FingerImage(Finger.RIGHT_INDEX, 300, 400, Compression.WSQ, b"\xff\xa0" + bytes(40_000))


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


class Randomness:
    """Different at every call, the same in every run."""

    def __init__(self, seed: int = 1) -> None:
        self._state = seed

    def __call__(self, count: int) -> bytes:
        self._state += 1
        return (self._state**97 % 2**1279).to_bytes(160, "big")[-count:]


def new_chip(secret: int = 77, waits: list[timedelta] | None = None) -> SimulatedChip:
    return SimulatedChip(
        lambda: ec.derive_private_key(secret, ec.SECP256R1()),
        random_bytes=Randomness(),
        wait=([] if waits is None else waits).append,
    )


def open_chip(chip: SimulatedChip, key: AccessKey = ACCESS_NUMBER) -> Session:
    return open_session(chip.transceive, key, random_bytes=Randomness(500))


def personalise(chip: SimulatedChip, files: Mapping[str, bytes]) -> None:
    write_files(chip.transceive, files)
    mrz = key_of_mrz(parse_dg1(files["DG1"]))
    write_access_keys(chip.transceive, [ACCESS_NUMBER, mrz])
    lock_chip(chip.transceive)


Sign = Callable[[Mapping[int, bytes]], Mapping[str, bytes]]


@pytest.fixture(scope="session")
def sign(
    document_signer_key: LocalSigner, document_signer: x509.Certificate, now: datetime
) -> Sign:
    def signed(groups: Mapping[int, bytes]) -> Mapping[str, bytes]:
        return {
            EF_CARD_ACCESS: build_card_access(),
            EF_COM: build_ef_com(groups),
            **{data_group_name(number): data for number, data in groups.items()},
            EF_SOD: issue_sod(groups, document_signer_key, document_signer, signed_at=now),
        }

    return signed


@pytest.fixture
def chip() -> SimulatedChip:
    return new_chip()


@pytest.fixture
def written(
    chip: SimulatedChip, data_groups: Mapping[int, bytes], sign: Sign
) -> Mapping[str, bytes]:
    """The files of `chip`, which is personalised and locked."""
    key = generate_chip_key(chip.transceive)
    own = {3: build_dg3([FINGER]), 14: build_dg14(), 15: build_dg15(key)}
    files = sign({**data_groups, **own})
    personalise(chip, files)
    return files


def without_fingers(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return {name: data for name, data in files.items() if name != "DG3"}


def test_a_chip_is_personalised_read_and_authenticated(
    chip: SimulatedChip, written: Mapping[str, bytes], csca: x509.Certificate, now: datetime
) -> None:
    session = open_chip(chip)
    read = read_chip(session)
    assert read == without_fingers(written)
    verified = passive_authentication(read, TrustAnchors([csca]), now)
    assert verified.unread == {3}
    assert verified.authentication_key is not None
    active_authentication(session, verified.authentication_key, challenge=CHALLENGE)


def test_the_mrz_opens_a_chip_as_the_access_number_does(
    chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    mrz = parse_dg1(written["DG1"])
    assert read_chip(open_chip(chip, key_of_mrz(mrz))) == without_fingers(written)
    other = key_of_mrz(replace(mrz, number="700123457"))
    assert reason_of(open_chip, ended(chip), other) is Reason.WRONG_ACCESS_KEY


def test_skimming_without_an_access_key_reads_nothing(
    chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    plain = chip.transceive
    application = Command(Instruction.SELECT, 0x04, 0x0C, bytes.fromhex("A0000002471001"))
    for enter in (b"", application.encode()):
        if enter:
            assert plain(enter).hex() == "6982"
        for identifier in (*range(0x0101, 0x0111), 0x011D, 0x011E):
            select = Command(Instruction.SELECT, 0x02, 0x0C, identifier.to_bytes(2, "big"))
            assert len(plain(select.encode())) == 2
            short = Command(Instruction.READ_BINARY, 0x80 | identifier & 0x1F, 0, expected=256)
            assert len(plain(short.encode())) == 2
            assert len(plain(bytes.fromhex("00b0000000"))) == 2
            assert len(plain(bytes.fromhex("00b1000004540200 0000"))) == 2
    assert plain(bytes.fromhex("0088000008313233343536373800")).hex() == "6985"


def test_card_access_is_read_by_everybody(
    chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    chip.transceive(bytes.fromhex("00a4020c02011c"))
    answer = chip.transceive(bytes.fromhex("00b0000000"))
    assert answer == written[EF_CARD_ACCESS] + b"\x90\x00"
    assert chip.transceive(bytes.fromhex("00b09c0000")) == answer


def test_fingers_stay_closed_without_terminal_authentication(
    chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    session = open_chip(chip)
    read_chip(session)
    select = Command(Instruction.SELECT, 0x02, 0x0C, b"\x01\x03")
    assert session(select.encode()).hex() == "6982"
    short = Command(Instruction.READ_BINARY, 0x83, 0, expected=16)
    assert session(short.encode()).hex() == "6982"


def test_files_beyond_the_reach_of_an_offset_are_written_and_read(
    chip: SimulatedChip, written: Mapping[str, bytes], data_groups: Mapping[int, bytes], sign: Sign
) -> None:
    large = new_chip(secret=78)
    generate_chip_key(large.transceive)
    data = b"\x6d\x82\xff\xfb" + bytes(index % 251 for index in range(65_531))
    personalise(large, sign({**data_groups, 13: data}))
    assert read_chip(open_chip(large))["DG13"] == data
    with pytest.raises(ValueError, match="65535"):
        write_files(new_chip().transceive, {"DG2": bytes(65_536)})


def test_a_copied_chip_is_told_from_the_original(
    chip: SimulatedChip, written: Mapping[str, bytes], csca: x509.Certificate, now: datetime
) -> None:
    copy = new_chip(secret=78)
    generate_chip_key(copy.transceive)
    personalise(copy, written)
    session = open_chip(copy)
    verified = passive_authentication(read_chip(session), TrustAnchors([csca]), now)
    key = verified.authentication_key
    assert key is not None
    assert reason_of(active_authentication, session, key, challenge=CHALLENGE) is (
        Reason.CHIP_NOT_AUTHENTIC
    )
    original = open_chip(chip)
    read_chip(original)
    active_authentication(original, key, challenge=CHALLENGE)


def test_an_answer_to_another_challenge_proves_nothing(
    chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    session, key = open_chip(chip), generate_chip_key(new_chip().transceive)
    read_chip(session)

    def repeated(apdu: bytes) -> bytes:
        command = Command(Instruction.INTERNAL_AUTHENTICATE, 0, 0, b"earlier.", expected=256)
        return session(command.encode())

    assert reason_of(active_authentication, repeated, key, challenge=CHALLENGE) is (
        Reason.CHIP_NOT_AUTHENTIC
    )


def test_a_wrong_access_number_opens_nothing_and_costs_time(
    written: Mapping[str, bytes],
) -> None:
    waits: list[timedelta] = []
    chip = new_chip(waits=waits)
    generate_chip_key(chip.transceive)
    personalise(chip, written)
    for _ in range(11):
        assert reason_of(open_chip, chip, WRONG_NUMBER) is Reason.WRONG_ACCESS_KEY
        assert chip.transceive(bytes.fromhex("00a4040c07a0000002471001")).hex() == "6982"
    assert [wait.total_seconds() for wait in waits] == [1, 2, 4, 8, 16, 32, 60, 60]
    open_chip(chip)
    waits.clear()
    assert reason_of(open_chip, ended(chip), WRONG_NUMBER) is Reason.WRONG_ACCESS_KEY
    assert waits == []


def ended(chip: SimulatedChip) -> SimulatedChip:
    """A plain command, which ends the session that there was."""
    assert chip.transceive(bytes.fromhex("00a4000c023f00")).hex() == "6987"
    return chip


@pytest.mark.parametrize("place", [0, 4, 7, -12, -3])
def test_one_altered_bit_ends_the_session(
    place: int, chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    altering = False

    def wire(apdu: bytes) -> bytes:
        if not altering:
            return chip.transceive(apdu)
        altered = bytearray(apdu)
        altered[place] ^= 0x01 if place else 0x0C
        return chip.transceive(bytes(altered))

    session = open_session(wire, ACCESS_NUMBER, random_bytes=Randomness(9))
    read_chip(session)
    altering = True
    assert reason_of(read_chip, session) is Reason.SECURE_MESSAGING_BROKEN
    altering = False
    assert reason_of(read_chip, session) is Reason.SECURE_MESSAGING_BROKEN
    assert chip.transceive(bytes.fromhex("00a4040c07a0000002471001")).hex() == "6982"
    assert read_chip(open_chip(chip)) == without_fingers(written)


@pytest.mark.parametrize("place", [0, 3, 20, -3, -1])
def test_an_answer_altered_on_its_way_is_refused(
    place: int, chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    altering = False

    def wire(apdu: bytes) -> bytes:
        answer = bytearray(chip.transceive(apdu))
        if altering:
            answer[min(place, len(answer) - 1)] ^= 1
        return bytes(answer)

    session = open_session(wire, ACCESS_NUMBER, random_bytes=Randomness(9))
    read_chip(session)
    altering = True
    assert reason_of(read_chip, session) in (Reason.SECURE_MESSAGING_BROKEN, Reason.MALFORMED)


def test_a_repeated_command_ends_the_session(
    chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    sent: list[bytes] = []

    def wire(apdu: bytes) -> bytes:
        sent.append(apdu)
        return chip.transceive(apdu)

    read_chip(open_session(wire, ACCESS_NUMBER, random_bytes=Randomness(9)))
    assert chip.transceive(sent[-1]).hex() == "6988"


def test_a_listener_sees_nothing_of_the_files(
    chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    heard: list[bytes] = []

    def wire(apdu: bytes) -> bytes:
        answer = chip.transceive(apdu)
        heard.extend((apdu, answer))
        return answer

    read_chip(open_session(wire, ACCESS_NUMBER, random_bytes=Randomness(9)))
    everything = b"".join(heard)
    assert b"PODIEMNAIA" not in everything
    assert written["DG1"][5:20] not in everything
    assert max(map(len, heard)) <= 258


def test_every_session_has_keys_of_its_own(
    chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    exchanges: list[list[bytes]] = [[], []]
    for heard in exchanges:

        def wire(apdu: bytes, heard: list[bytes] = heard) -> bytes:
            answer = chip.transceive(apdu)
            heard.append(answer)
            return answer

        if heard is exchanges[1]:
            ended(chip)
        read_chip(open_session(wire, ACCESS_NUMBER, random_bytes=Randomness(9)))
    first, second = exchanges
    assert first[:5] == second[:5]  # EF.CardAccess and the choice of PACE
    assert all(one != other for one, other in zip(first[5:], second[5:], strict=True))


def test_a_chip_that_speaks_another_pace_is_not_opened(
    chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    for info in (PaceInfo(PACE_ECDH_GM_AES_128, 15), PaceInfo(PACE_ECDH_GM_AES_128[:-1] + "4", 12)):
        other = new_chip()
        personalise(other, {**written, EF_CARD_ACCESS: build_card_access(info)})
        assert reason_of(open_chip, other) is Reason.UNSUPPORTED_ALGORITHM


def test_a_locked_chip_takes_nothing_more(
    chip: SimulatedChip, written: Mapping[str, bytes]
) -> None:
    session = open_chip(chip)
    for change in (
        lambda: generate_chip_key(session),
        lambda: write_files(session, {"DG11": b"\x6b\x00"}),
        lambda: write_access_keys(session, [WRONG_NUMBER]),
        lambda: lock_chip(session),
    ):
        assert reason_of(change) is Reason.CHIP_REFUSED
    assert read_chip(session) == without_fingers(written)
    for change in (
        lambda: generate_chip_key(ended(chip).transceive),  # it has one, for life
        lambda: write_access_keys(chip.transceive, [WRONG_NUMBER]),
        lambda: lock_chip(chip.transceive),
    ):
        assert reason_of(change) is Reason.CHIP_REFUSED


def test_a_chip_that_nobody_could_open_is_not_locked(written: Mapping[str, bytes]) -> None:
    one_key, no_card_access = new_chip(), new_chip()
    write_files(one_key.transceive, written)
    write_access_keys(one_key.transceive, [ACCESS_NUMBER])
    assert reason_of(lock_chip, one_key.transceive) is Reason.CHIP_REFUSED
    write_files(no_card_access.transceive, {"DG1": written["DG1"]})
    keys = [ACCESS_NUMBER, key_of_mrz(parse_dg1(written["DG1"]))]
    write_access_keys(no_card_access.transceive, keys)
    assert reason_of(lock_chip, no_card_access.transceive) is Reason.CHIP_REFUSED


def test_a_file_that_ef_com_lists_and_the_chip_lacks_is_missing(
    written: Mapping[str, bytes],
) -> None:
    chip = new_chip()
    generate_chip_key(chip.transceive)
    personalise(chip, {name: data for name, data in written.items() if name != "DG2"})
    assert reason_of(read_chip, open_chip(chip)) is Reason.MISSING_FILE


def test_a_challenge_has_eight_bytes(
    chip: SimulatedChip, written: Mapping[str, bytes], phone: LocalSigner
) -> None:
    session = open_chip(chip)
    with pytest.raises(ValueError, match="8 bytes"):
        active_authentication(session, phone.public_key, challenge=b"few")
    command = Command(Instruction.INTERNAL_AUTHENTICATE, 0, 0, b"few", expected=256)
    read_chip(session)
    assert session(command.encode()).hex() == "6a80"
