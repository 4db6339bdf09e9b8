import contextlib

import pytest
from cbor2 import CBORTag
from hypothesis import example, given
from hypothesis import strategies as st

from epassport_credentials.base45 import encode_base45
from epassport_credentials.cbor import encode_cbor
from epassport_credentials.compression import deflate
from epassport_credentials.described import describe
from epassport_credentials.described.outline import lines_of
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.jws import encode_base64url

HEADER = encode_base64url(b'{"alg":"none"}')
STARTS = st.sampled_from(
    [b"", b"\xd2\x84", b"\x84\x43", b"\x30\x82", b"\x77\x20", b"-----BEGIN X-----\n", b"eyJ9.e30."]
)


@given(STARTS, st.binary(max_size=200))
@example(b"eyJ", b"9.e30.e30")
@example(b"-----BEGIN X-----\n", b"MA==\n-----END X-----")
@example(b"\x30", b"\x03\x06\x01\x80")
@example(b"\x30", b"\x02\x00\x00")
def test_any_bytes_end_in_lines_or_our_own_error(start: bytes, rest: bytes) -> None:
    for data in (start + rest, encode_base45(start + rest).encode(), deflate(rest)):
        with contextlib.suppress(InvalidCredential):
            assert all("\n" not in line for line in lines_of(describe(data)))


def test_deep_nesting_is_shown_only_so_far() -> None:
    data = b"\x04\x00"
    for _ in range(2000):
        data = b"\x30" + _length(len(data)) + data
    assert len(list(lines_of(describe(data)))) < 100


def test_a_text_cannot_move_the_cursor() -> None:
    """The MRZ of a DG1 that begins with an escape sequence is shown as bytes."""
    lines = list(lines_of(describe(b"\x61\x06\x5f\x1f\x03\x1b[2")))
    assert lines[-1].endswith("1b5b32")


def test_control_characters_of_a_token_are_not_sent_to_the_screen() -> None:
    payload = encode_base64url(b'{"name": "\\u001b[2J", "\\u202e": 1}')
    lines = list(lines_of(describe(f"{HEADER}.{payload}.AA".encode())))
    assert any("name: " in line for line in lines)
    assert not any("\x1b" in line or "\u202e" in line for line in lines)


def test_control_characters_of_a_member_inside_a_member_are_not_sent_to_the_screen() -> None:
    payload = encode_cbor({-70000: {"\x1b[2J": "\u202e"}})
    message = encode_cbor(CBORTag(18, [b"", {}, payload, bytes(64)]))
    lines = list(lines_of(describe(message)))
    assert any("[2J: " in line for line in lines)
    assert not any("\x1b" in line or "\u202e" in line for line in lines)


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidCredential) as refusal:
        describe(bytes(60_000_001))
    assert refusal.value.reason is Reason.TOO_LONG


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    count = (size.bit_length() + 7) // 8
    return bytes((0x80 | count,)) + size.to_bytes(count, "big")
