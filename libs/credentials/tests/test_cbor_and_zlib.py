import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.cbor import decode_cbor, decode_cbor_map, encode_cbor
from epassport_credentials.compression import deflate, inflate
from epassport_credentials.errors import InvalidCredential, Reason

SCALAR = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.text() | st.binary()
LABEL = st.integers(-70000, 70000) | st.text(max_size=5)
INNER = st.lists(SCALAR, max_size=4) | st.dictionaries(LABEL, SCALAR, max_size=4)
PLAIN = SCALAR | st.lists(SCALAR | INNER, max_size=4) | st.dictionaries(LABEL, INNER, max_size=4)


@given(PLAIN)
def test_any_plain_value_round_trips(value: object) -> None:
    assert decode_cbor(encode_cbor(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_value_or_our_own_error(data: bytes) -> None:
    try:
        value = decode_cbor(data)
    except InvalidCredential:
        return
    assert encode_cbor(value) == data


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ("0102", "bytes after the value"),
        ("1801", "not the shortest form"),
        ("9fff", "an indefinite length"),
        ("a201020103", "a duplicate key"),
        ("c11a5bd30000", "a date to compute"),
        ("c24101", "a big number"),
        ("d8238063282b29", "a pattern"),
        ("d81c81d81d00", "a value that holds itself"),
        ("d9010080", "string references"),
        ("5b7fffffffffffffff", "a length beyond the data"),
        ("8181818181818181818101", "nested too deeply"),
        ("", "nothing"),
    ],
)
def test_what_costs_more_than_its_length_is_refused(data: str, what: str) -> None:
    with pytest.raises(InvalidCredential) as refusal:
        decode_cbor(bytes.fromhex(data))
    assert refusal.value.reason is Reason.MALFORMED, what


@pytest.mark.parametrize("data", ["a1f501", "a1fb3ff000000000000001", "80", "a14001"])
def test_true_and_one_point_zero_are_no_labels(data: str) -> None:
    with pytest.raises(InvalidCredential):
        decode_cbor_map(bytes.fromhex(data))


@given(st.binary(max_size=500))
def test_zlib_round_trips(data: bytes) -> None:
    assert inflate(deflate(data), at_most=500) == data


def test_a_bomb_is_stopped_at_the_limit() -> None:
    with pytest.raises(InvalidCredential) as refusal:
        inflate(deflate(bytes(10_000_000)), at_most=1000)
    assert refusal.value.reason is Reason.TOO_LONG


WHOLE = deflate(b"content")


@pytest.mark.parametrize("damaged", [WHOLE[:-1], WHOLE + b"x", b"y" + WHOLE])
def test_anything_but_one_whole_stream_is_malformed(damaged: bytes) -> None:
    with pytest.raises(InvalidCredential) as refusal:
        inflate(damaged, at_most=1000)
    assert refusal.value.reason is Reason.MALFORMED
