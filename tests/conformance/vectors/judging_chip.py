"""How a vector of the chip is judged: one file, all files, or a conversation of bytes."""

from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.chip_reader import active_authentication, read_chip
from epassport_credentials.chip_session import Session, open_session
from epassport_credentials.details import parse_dg11, parse_dg12
from epassport_credentials.face import parse_dg2
from epassport_credentials.file_transfer import read_file
from epassport_credentials.finger import parse_dg3
from epassport_credentials.lds import parse_dg1, parse_dg15, parse_ef_com
from epassport_credentials.mrz import parse_td1
from epassport_credentials.optional_details import parse_dg13
from epassport_credentials.pace import AccessKey, key_of_access_number, key_of_mrz
from epassport_credentials.passive_authentication import Verified, passive_authentication
from epassport_credentials.security_infos import parse_card_access, parse_dg14
from epassport_credentials.signature_image import parse_dg7
from epassport_credentials.sod import read_sod
from epassport_credentials.trust_anchors import TrustAnchors
from tests.conformance.vectors.case import Inputs, Stages, through
from tests.conformance.vectors.world import World

CHIP_STAGES = ("session", "read", "passive", "active")
CHALLENGE = bytes(range(8))

PARSERS: dict[str, Callable[[bytes], object]] = {
    "EF.COM": parse_ef_com,
    "EF.CardAccess": parse_card_access,
    "EF.SOD": read_sod,
    "DG1": parse_dg1,
    "DG2": parse_dg2,
    "DG3": parse_dg3,
    "DG7": parse_dg7,
    "DG11": parse_dg11,
    "DG12": parse_dg12,
    "DG13": parse_dg13,
    "DG14": parse_dg14,
    "DG15": parse_dg15,
}


class ConversationDiffers(AssertionError):
    """The reader sent other bytes than were recorded: the vector says nothing about it."""


class Recorded:
    """A chip that gives its recorded answers to the recorded commands, in their order."""

    def __init__(self, exchanges: list[str]) -> None:
        self._exchanges = iter(exchanges)

    def transceive(self, command: bytes) -> bytes:
        expected, _, answer = next(self._exchanges, "").partition(" ")
        if command.hex() != expected:
            raise ConversationDiffers(command.hex())
        return bytes.fromhex(answer)


def eights(count: int) -> bytes:
    """The reader's random bytes in every conversation."""
    return b"\x08" * count


def file(inputs: Inputs, _now: datetime, _world: World) -> Stages:
    """name: of the file; data: hex"""
    parse = PARSERS[str(inputs["name"])]
    return through(bytes.fromhex(str(inputs["data"])), [("file", parse)])


def files(inputs: Inputs, now: datetime, world: World) -> Stages:
    """files: hex by name; crl: of the CSCA, hex, if there is one"""
    named = inputs["files"]
    assert isinstance(named, dict)
    crls = [bytes.fromhex(str(inputs["crl"]))] if inputs.get("crl") else []

    def anchored(_: object) -> TrustAnchors:
        return TrustAnchors(world.csca, crls)

    def checked(anchors: TrustAnchors) -> object:
        octets = {name: bytes.fromhex(data) for name, data in named.items()}
        return passive_authentication(octets, anchors, now)

    return through(None, [("anchors", anchored), ("passive", checked)])


def access_key(inputs: Inputs) -> AccessKey:
    """access_number, or lines: the TD1 zone that opens the chip"""
    if "access_number" in inputs:
        return key_of_access_number(str(inputs["access_number"]))
    lines = inputs["lines"]
    assert isinstance(lines, list)
    return key_of_mrz(parse_td1(lines))


def conversation(inputs: Inputs, now: datetime, world: World) -> Stages:
    """exchanges: command and answer in hex, in order. file: read this one alone"""
    exchanges = inputs["exchanges"]
    assert isinstance(exchanges, list)
    chip = Recorded(exchanges)
    return converse(inputs, chip.transceive, now, world)


def converse(
    inputs: Inputs, transceive: Callable[[bytes], bytes], now: datetime, world: World
) -> Stages:
    sessions: list[Session] = []

    def opened(_: object) -> Session:
        sessions.append(open_session(transceive, access_key(inputs), random_bytes=eights))
        return sessions[0]

    def read(session: Session) -> dict[str, bytes]:
        found = read_chip(session)
        if "file" in inputs:
            read_file(session, str(inputs["file"]))
        return found

    def passive(found: dict[str, bytes]) -> Verified:
        return passive_authentication(found, TrustAnchors(world.csca), now)

    def active(verified: Verified) -> None:
        key = verified.authentication_key
        assert isinstance(key, ec.EllipticCurvePublicKey)
        active_authentication(sessions[0], key, challenge=CHALLENGE)

    return through(
        None, [("session", opened), ("read", read), ("passive", passive), ("active", active)]
    )
