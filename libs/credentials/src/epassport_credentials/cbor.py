"""The CBOR (RFC 8949) that documents are made of: integers, texts, bytes, booleans, arrays, maps.

Stricter than the standard: shortest forms only, no indefinite lengths, no duplicate keys,
nothing after the value, and no tag that makes the reader compute (dates, big numbers,
references, patterns). What `decode_cbor` reads therefore has one encoding, and reading it
costs no more than its length.
"""

from collections.abc import Mapping
from typing import NoReturn

import cbor2

from epassport_credentials.errors import InvalidCredential, Reason

MAX_DEPTH = 8

_KEY_TYPES = frozenset({int, str})
_MAPS = (dict, cbor2.frozendict)

# Tags that cbor2 would turn into objects of its own.
_COMPUTED_TAGS = (
    *(0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100),
    *(256, 258, 260, 261, 1004, 43000, 55799),
)


def encode_cbor(value: object) -> bytes:
    """Maps keep the order they are given in: the format claim goes first."""
    return cbor2.dumps(value)


def byte_string(data: bytes) -> bytes:
    """The encoding of one byte string, for what is hashed at every check."""
    size = len(data)
    if size < 24:
        return bytes((0x40 | size,)) + data
    if size <= 0xFF:
        return bytes((0x58, size)) + data
    if size <= 0xFFFF:
        return b"\x59" + size.to_bytes(2, "big") + data
    return cbor2.dumps(data)


def decode_cbor(data: bytes) -> object:
    """Raises InvalidCredential: MALFORMED. The length is limited by the caller."""
    value = _load(data)
    try:
        again = cbor2.dumps(value)
    except cbor2.CBORError as error:
        raise InvalidCredential(Reason.MALFORMED, "not CBOR of this profile") from error
    if again != data:
        raise InvalidCredential(Reason.MALFORMED, "not the one encoding of its value")
    return value


def decode_cbor_map(data: bytes) -> Mapping[int | str, object]:
    """As `decode_cbor`, and a map of `as_map`."""
    return as_map(decode_cbor(data))


def decode_signed_map(data: bytes) -> Mapping[int | str, object]:
    """The map at the start of what a signature covers. Raises InvalidCredential: MALFORMED.

    Nobody but the signer could vary these bytes, so the second pass that proves their
    shortest form, a tenth of the time of a whole check after the signature, is left out.
    """
    return as_map(_load(data))


def as_map(value: object) -> Mapping[int | str, object]:
    """A map whose keys are integers and texts: `true` and 1.0 would equal 1 in Python.

    Raises InvalidCredential: MALFORMED.
    """
    # Inside a tag cbor2 gives its frozendict, which is no dict.
    if isinstance(value, _MAPS) and _KEY_TYPES.issuperset(map(type, value)):
        return value
    raise InvalidCredential(Reason.MALFORMED, "not a map with integer or text keys")


def _load(data: bytes) -> object:
    try:
        return cbor2.loads(
            data,
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders=_REFUSED_TAGS,
        )
    except cbor2.CBORError as error:
        raise InvalidCredential(Reason.MALFORMED, "not CBOR of this profile") from error


def _refuse(_value: object, _immutable: bool) -> NoReturn:
    raise InvalidCredential(Reason.MALFORMED, "a CBOR tag of no use here")


_REFUSED_TAGS = dict.fromkeys(_COMPUTED_TAGS, _refuse)
