import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.base45 import decode_base45, encode_base45
from epassport_credentials.errors import InvalidCredential, Reason


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"", "")],
)
def test_the_examples_of_rfc_9285_are_reproduced(data: bytes, text: str) -> None:
    assert encode_base45(data) == text
    assert decode_base45(text, at_most=100) == data


@given(st.binary(max_size=300) | st.binary(min_size=750, max_size=770))
def test_any_bytes_round_trip(data: bytes) -> None:
    """Also around 1,134 characters, where the lanes need a mask of their own."""
    assert decode_base45(encode_base45(data), at_most=2000) == data


@pytest.mark.parametrize("text", ["A", "ABCD", "abc", "Привет", ":::", "GGX", "::", "ABC\x00BC"])
def test_what_is_not_base45_is_malformed(text: str) -> None:
    with pytest.raises(InvalidCredential) as refusal:
        decode_base45(text, at_most=100)
    assert refusal.value.reason is Reason.MALFORMED


def test_the_largest_groups_are_read_and_the_next_are_not() -> None:
    assert decode_base45("FGW", at_most=3) == b"\xff\xff"
    assert decode_base45("U5", at_most=3) == b"\xff"
    for beyond in ("GGW", "V5"):
        with pytest.raises(InvalidCredential):
            decode_base45(beyond, at_most=3)


def test_a_text_over_the_limit_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(InvalidCredential) as refusal:
        decode_base45("A" * 7, at_most=6)
    assert refusal.value.reason is Reason.TOO_LONG
