"""What is fuzzed: any bytes end in a value or InvalidCredential, never in another exception.

Whoever adds a decoder adds it here.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from epassport_credentials.apdu import (
    MAX_ANSWER_BYTES,
    Instruction,
    StatusWord,
    Transceive,
    read_command,
)
from epassport_credentials.base45 import decode_base45, encode_base45
from epassport_credentials.cbor import decode_cbor, encode_cbor
from epassport_credentials.chip import SimulatedChip
from epassport_credentials.chip_reader import (
    active_authentication,
    generate_chip_key,
    read_chip,
)
from epassport_credentials.chip_session import open_session
from epassport_credentials.compression import deflate, inflate
from epassport_credentials.cose import read_sign1, sign_sign1, verify_sign1
from epassport_credentials.crl import read_crl
from epassport_credentials.cwt import read_claims
from epassport_credentials.dcql import read_dcql
from epassport_credentials.described import describe
from epassport_credentials.described.outline import lines_of
from epassport_credentials.details import parse_dg11, parse_dg12
from epassport_credentials.errors import InvalidCredential
from epassport_credentials.face import parse_dg2
from epassport_credentials.file_transfer import read_file
from epassport_credentials.finger import parse_dg3
from epassport_credentials.jwk import read_jwk
from epassport_credentials.jws import encode_base64url, read_json, read_json_object
from epassport_credentials.key_binding import Challenge
from epassport_credentials.lds import EF_SOD, parse_dg1, parse_dg15, parse_ef_com
from epassport_credentials.leniency import Lenient
from epassport_credentials.mrz import parse_td1, parse_td3
from epassport_credentials.offline_pack import open_offline_pack
from epassport_credentials.openid4vp import read_direct_post, read_request
from epassport_credentials.openid4vp_request_object import open_request_object
from epassport_credentials.optional_details import parse_dg13
from epassport_credentials.pace import key_of_access_number
from epassport_credentials.paper_passport import parse_paper_passport
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.sd_jwt import digest_of, reveal, split_sd_jwt
from epassport_credentials.sd_jwt_vc import verify_sd_jwt_vc
from epassport_credentials.secure_messaging import SecureMessaging, SessionKeys
from epassport_credentials.security_infos import parse_card_access, parse_dg14
from epassport_credentials.signature_image import parse_dg7
from epassport_credentials.sod import read_sod
from epassport_credentials.status_history import read_aggregation
from epassport_credentials.status_list import open_status_list
from epassport_credentials.status_list_cwt import open_status_list_cwt
from epassport_credentials.trust import open_trust_list
from epassport_credentials.trust_anchors import TrustAnchors
from epassport_credentials.verifier import Outcome, has_form_of_a_code, verify_offline
from tests.conformance.vectors.chip_data import CHIP_KEY, signed
from tests.conformance.vectors.chips import ACCESS_NUMBER, sevens
from tests.conformance.vectors.chips import chip as locked_chip
from tests.conformance.vectors.judging_chip import CHALLENGE, eights
from tests.conformance.vectors.world import (
    CARD,
    CSCA_CERTIFICATE,
    NOW,
    PHONE,
    URI,
    trusted_keys,
    world_of,
)

VECTORS = Path(__file__).parents[1] / "conformance" / "vectors" / "v2"
WORLD = world_of(json.loads((VECTORS / "context.json").read_text()))
KEYS = trusted_keys()
ACCESS_KEY = key_of_access_number(ACCESS_NUMBER)
SESSION_KEYS = SessionKeys(bytes(range(16)), bytes(range(16, 32)))
CHIP_FILES = signed()
LIMIT = 100_000  # bytes of one input: more than any limit under test but those of packs


@dataclass(frozen=True)
class Target:
    """run raises nothing but InvalidCredential; seeds: inputs that lead deep into it."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]] = tuple


def one_input(target: Target, data: bytes) -> None:
    with contextlib.suppress(InvalidCredential):
        target.run(data)


def each(data: bytes, *decoders: Callable[[bytes], object]) -> None:
    for decode in decoders:
        with contextlib.suppress(InvalidCredential):
            decode(data)


def vectors(*members: tuple[str, str]) -> Callable[[], Iterator[bytes]]:
    """The inputs of our vectors, by format and member."""

    def seeds() -> Iterator[bytes]:
        for form, member in members:
            for case in json.loads((VECTORS / f"{form}.json").read_text())["cases"]:
                value = case["inputs"].get(member)
                if isinstance(value, list):
                    yield "\n".join(value).encode()
                elif value is not None:
                    yield bytes.fromhex(value) if member == "message" else value.encode()

    return seeds


def _code(data: bytes) -> None:
    """Nothing but what has the form of a code may be anything but refused."""
    text = data.decode("latin-1")
    verdict = verify_offline(text, WORLD.pack, now=NOW, audience="gate-7", nonce=b"n")
    assert has_form_of_a_code(text) or verdict.outcome is Outcome.REFUSED


def _code_bytes(data: bytes) -> None:
    """After Base45, which would keep a fuzzer from the formats behind it."""
    for layer in (data, deflate(data)):
        verify_offline(encode_base45(layer), WORLD.pack, now=NOW)


def _signed_claims(data: bytes) -> None:
    """Claims that a trusted key has signed: what a broken issuer could print."""
    for signer, named in ((CARD, True), (PHONE, False)):
        message = sign_sign1(data, signer, name_key=named)
        verify_offline(encode_base45(deflate(message)), WORLD.pack, now=NOW)
        verify_offline(encode_base45(message), WORLD.pack, now=NOW)


def _cbor(data: bytes) -> None:
    value = decode_cbor(data)
    assert encode_cbor(value) == data


def _message(data: bytes) -> None:
    message = read_sign1(data)
    read_claims(message)
    verify_sign1(message, CARD.public_key)


def _layers(data: bytes) -> None:
    inflate(decode_base45(data.decode("latin-1"), at_most=LIMIT), at_most=LIMIT)


def _tokens(data: bytes) -> None:
    token = data.decode("latin-1")
    each(
        data,
        lambda _: open_status_list(token, KEYS, uri=URI, now=NOW),
        lambda _: open_status_list_cwt(data, KEYS, uri=URI, now=NOW),
        lambda _: open_offline_pack(token, KEYS, now=NOW),
        lambda _: open_trust_list(token, KEYS, now=NOW),
    )


def _lines(data: bytes) -> None:
    lines = data.decode("latin-1").split("\n")
    for parse in (parse_td1, parse_td3, parse_paper_passport):
        with contextlib.suppress(InvalidCredential):
            parse(lines)


def _described(data: bytes) -> None:
    for line in lines_of(describe(data)):
        assert "\n" not in line


def _disclosures(data: bytes) -> None:
    """The first line is the payload, the others are disclosures, whose digests stand in it."""
    split_sd_jwt(data.decode("latin-1").replace("\n", "~"))
    payload, *lines = data.split(b"\n")
    encoded = [encode_base64url(line) for line in lines]
    digests = [digest_of(text) for text in encoded]
    reveal({**read_json_object(payload), "_sd": digests}, encoded)


def _disclosed() -> Iterable[bytes]:
    yield b'{"vct":"v","_sd_alg":"sha-256"}\n["AAAAAAAAAAAAAAAAAAAAAA","name",{"a":[1,{}]}]'
    yield b'{"a":[{"...":"x"}]}\n["AAAAAAAAAAAAAAAAAAAAAA",5]'


def _query(data: bytes) -> None:
    each(data, lambda data: read_dcql(read_json(data)), read_direct_post)


def _chip_file(data: bytes) -> None:
    each(data, parse_ef_com, parse_dg1, parse_dg2, parse_dg3, parse_dg7, parse_dg11, parse_dg12)
    each(data, parse_dg13, parse_dg14, parse_dg15, parse_card_access, read_sod)
    for parse in (parse_dg2, parse_dg3, parse_dg7, parse_dg11, parse_dg12, parse_dg14):
        with contextlib.suppress(InvalidCredential):
            parse(data, Lenient())


def _chip_files() -> Iterable[bytes]:
    """Written by the conformance tests' passport; only this needs Pillow."""
    from tests.conformance.jmrtd.passport import SIGNER_KEY, chain, data_groups, signed_files

    return signed_files(data_groups(SIGNER_KEY.public_key), chain()).values()


def _certificates(data: bytes) -> None:
    """A list, a document signer, and EF.SOD under a CSCA that is believed."""
    anchors = TrustAnchors(WORLD.csca)
    each(
        data,
        lambda data: read_crl(data, CSCA_CERTIFICATE),
        anchors.document_signer,
        lambda data: passive_authentication({**CHIP_FILES, EF_SOD: data}, anchors, NOW),
        read_aggregation,
    )


def _request(data: bytes) -> None:
    token = data.decode("latin-1")
    each(
        data,
        lambda _: open_request_object(token, WORLD.csca, client_id="x509_hash:a", now=NOW),
        lambda data: read_request(read_json_object(data)),
        lambda data: read_jwk(read_json(data)),
    )


def _credential(data: bytes) -> None:
    """As a wallet shows it, with and without a binding that was asked for."""
    text = data.decode("latin-1")
    for challenge in (None, Challenge("a", "b")):
        with contextlib.suppress(InvalidCredential):
            verify_sd_jwt_vc(text, KEYS, now=NOW, challenge=challenge)


def pieces(data: bytes) -> Iterator[bytes]:
    """What was sent, one after the other: each piece is preceded by its length, one byte."""
    while data:
        length = data[0]
        yield data[1 : 1 + length]
        data = data[1 + length :]


def _chip(data: bytes) -> None:
    """Commands to a blank, to a locked chip and, in the clear, to one in a session: each is
    answered by a status word at least, and nothing ends the chip."""
    for transceive in (blank_chip(), locked_chip(), chip_in_session()):
        for command in pieces(data):
            assert 2 <= len(transceive(command)) <= MAX_ANSWER_BYTES + 2


def _protected(data: bytes) -> None:
    """Commands and answers under keys that both sides have."""
    command = read_command(data)
    if not isinstance(command, StatusWord):
        with contextlib.suppress(InvalidCredential):
            SecureMessaging(SESSION_KEYS).open_command(command)
    for instruction in (Instruction.READ_BINARY, Instruction.READ_BINARY_ODD):
        with contextlib.suppress(InvalidCredential):
            SecureMessaging(SESSION_KEYS).open_answer(data, instruction)


def _reader(data: bytes) -> None:
    """A chip that answers whatever it likes."""
    for read in (
        lambda wire: open_session(wire, ACCESS_KEY, random_bytes=eights),
        lambda wire: read_file(wire, "DG2"),
        generate_chip_key,
        lambda wire: active_authentication(wire, CARD.public_key, challenge=CHALLENGE),
    ):
        answers = pieces(data)
        with contextlib.suppress(InvalidCredential):
            read(lambda _, answers=answers: next(answers, b""))


def _reader_in_session(data: bytes) -> None:
    """Genuine up to the session, and from then on whatever it likes."""
    chip, answers = locked_chip(), pieces(data)
    session = open_session(chip, ACCESS_KEY, random_bytes=eights)
    lying = replace(session, _transceive=lambda _: next(answers, b""))
    read_chip(lying)


def _commands() -> Iterable[bytes]:
    for exchange in _exchanges():
        command = bytes.fromhex(exchange.partition(" ")[0])
        yield bytes((len(command),)) + command


def _answers() -> Iterable[bytes]:
    answers = [bytes.fromhex(exchange.partition(" ")[2]) for exchange in _exchanges()]
    whole = b"".join(bytes((len(answer),)) + answer for answer in answers if len(answer) < 256)
    yield whole
    yield from (bytes((len(answer),)) + answer for answer in answers if len(answer) < 256)


def _wire() -> Iterable[bytes]:
    for exchange in _exchanges():
        command, _, answer = exchange.partition(" ")
        yield bytes.fromhex(command)
        yield bytes.fromhex(answer)


def _exchanges() -> list[str]:
    cases = json.loads((VECTORS / "chip.json").read_text())["cases"]
    exchanges: list[str] = cases[0]["inputs"]["exchanges"]
    return exchanges


def _signed_files() -> Iterable[bytes]:
    for case in json.loads((VECTORS / "chip-files.json").read_text())["cases"]:
        inputs = case["inputs"]
        yield bytes.fromhex(inputs["files"].get(EF_SOD, ""))
        yield bytes.fromhex(inputs.get("crl", ""))


def blank_chip() -> Transceive:
    return SimulatedChip(lambda: CHIP_KEY, random_bytes=sevens, wait=lambda _: None).transceive


def chip_in_session() -> Transceive:
    chip = locked_chip()
    open_session(chip, ACCESS_KEY, random_bytes=eights)
    return chip


_ALL_TOKENS = (("status-list", "token"), ("trust-list", "token"), ("offline-pack", "token"))
_CODES = (("card-qr", "text"), ("mobile-qr", "text"))

TARGETS = {
    "code": Target(_code, vectors(*_CODES)),
    "code-bytes": Target(_code_bytes, vectors(("cose-sign1", "message"))),
    "signed-claims": Target(_signed_claims),
    "cbor": Target(_cbor, vectors(("cose-sign1", "message"))),
    "message": Target(_message, vectors(("cose-sign1", "message"))),
    "layers": Target(_layers, vectors(*_CODES)),
    "tokens": Target(_tokens, vectors(*_ALL_TOKENS)),
    "disclosures": Target(_disclosures, _disclosed),
    "query": Target(_query, vectors(("openid4vp-response", "body"))),
    "lines": Target(_lines, vectors(("mrz", "lines"))),
    "chip-file": Target(_chip_file, _chip_files),
    "certificates": Target(_certificates, _signed_files),
    "request": Target(_request, vectors(("openid4vp-request", "parameters"))),
    "credential": Target(_credential, vectors(("sd-jwt-vc", "text"))),
    "chip": Target(_chip, _commands),
    "protected": Target(_protected, _wire),
    "reader": Target(_reader, _answers),
    "reader-session": Target(_reader_in_session, _answers),
    "described": Target(_described, vectors(*_CODES, *_ALL_TOKENS, ("mrz", "lines"))),
}
