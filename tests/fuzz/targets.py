"""What is fuzzed: any bytes end in a value or InvalidCredential, never in another exception.

Whoever adds a decoder adds it here: a function of bytes, and seeds that lead deep into it.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from epassport_credentials.base45 import decode_base45, encode_base45
from epassport_credentials.cbor import decode_cbor, encode_cbor
from epassport_credentials.compression import deflate, inflate
from epassport_credentials.cose import read_sign1, sign_sign1, verify_sign1
from epassport_credentials.cwt import read_claims
from epassport_credentials.described import describe
from epassport_credentials.described.outline import lines_of
from epassport_credentials.errors import InvalidCredential
from epassport_credentials.mrz import parse_td1, parse_td3
from epassport_credentials.offline_pack import open_offline_pack
from epassport_credentials.paper_passport import parse_paper_passport
from epassport_credentials.status_list import open_status_list
from epassport_credentials.status_list_cwt import open_status_list_cwt
from epassport_credentials.trust import open_trust_list
from epassport_credentials.verifier import verify_offline
from tests.conformance.vectors.world import CARD, NOW, PHONE, URI, trusted_keys, world_of

VECTORS = Path(__file__).parents[1] / "conformance" / "vectors" / "v1"
WORLD = world_of(json.loads((VECTORS / "context.json").read_text()))
KEYS = trusted_keys()
LIMIT = 100_000  # bytes of one input: more than any limit under test but those of packs


@dataclass(frozen=True)
class Target:
    """run raises nothing but InvalidCredential; seeds: names of vector files and members."""

    run: Callable[[bytes], object]
    seeds: tuple[tuple[str, str], ...]


def one_input(target: Target, data: bytes) -> None:
    with contextlib.suppress(InvalidCredential):
        target.run(data)


def seeds_of(target: Target) -> Iterator[bytes]:
    for form, member in target.seeds:
        for case in json.loads((VECTORS / f"{form}.json").read_text())["cases"]:
            value = case["inputs"].get(member)
            if isinstance(value, list):
                yield "\n".join(value).encode()
            elif value is not None:
                yield bytes.fromhex(value) if member == "message" else value.encode()


def _code(data: bytes) -> None:
    verify_offline(data.decode("latin-1"), WORLD.pack, now=NOW, audience="gate-7", nonce=b"n")


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
    for opened in (
        lambda: open_status_list(token, KEYS, uri=URI, now=NOW + timedelta(seconds=1)),
        lambda: open_status_list_cwt(data, KEYS, uri=URI, now=NOW),
        lambda: open_offline_pack(token, KEYS, now=NOW),
        lambda: open_trust_list(token, KEYS, now=NOW),
    ):
        with contextlib.suppress(InvalidCredential):
            opened()


def _lines(data: bytes) -> None:
    lines = data.decode("latin-1").split("\n")
    for parse in (parse_td1, parse_td3, parse_paper_passport):
        with contextlib.suppress(InvalidCredential):
            parse(lines)


def _described(data: bytes) -> None:
    for line in lines_of(describe(data)):
        assert "\n" not in line


_ALL_TOKENS = (("status-list", "token"), ("trust-list", "token"), ("offline-pack", "token"))
_CODES = (("card-qr", "text"), ("mobile-qr", "text"))

TARGETS = {
    "code": Target(_code, _CODES),
    "code-bytes": Target(_code_bytes, (("cose-sign1", "message"),)),
    "signed-claims": Target(_signed_claims, ()),
    "cbor": Target(_cbor, (("cose-sign1", "message"),)),
    "message": Target(_message, (("cose-sign1", "message"),)),
    "layers": Target(_layers, _CODES),
    "tokens": Target(_tokens, _ALL_TOKENS),
    "lines": Target(_lines, (("mrz", "lines"),)),
    "described": Target(_described, (*_CODES, *_ALL_TOKENS, ("mrz", "lines"))),
}
