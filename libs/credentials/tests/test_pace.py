"""PACE against the worked example of Doc 9303-11 appendix G.1, which is on brainpoolP256r1."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from epassport_credentials.curves import BRAINPOOL_P256, P256, Curve, Point
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.mrz import Mrz
from epassport_credentials.pace import (
    AccessKey,
    decrypt_nonce,
    encrypt_nonce,
    key_of_access_number,
    key_of_mrz,
    map_nonce,
    session_keys,
    token,
)

CURVE = BRAINPOOL_P256
NONCE = bytes.fromhex("3F00C4D39D153F2B2A214A078D899B22")
MAPPING_SCALARS = (
    0x7F4EF07B9EA82FD78AD689B38D0BC78CF21F249D953BC46F4C6E19259C010F99,
    0x498FF49756F2DC1587840041839A85982BE7761D14715FB091EFA7BCE9058560,
)
MAPPED = (
    0x8CED63C91426D4F0EB1435E7CB1D74A46723A0AF21C89634F65A9AE87A9265E2,
    0x8C879506743F8611AC33645C5B985C80B5F09A0B83407C1B6A4D857AE76FE522,
)
TERMINAL_SCALAR = 0xA73FB703AC1436A18E0CFA5ABB3F7BEC7A070E7A6788486BEE230C4A22762595
TERMINAL_POINT = (
    0x2DB7A64C0355044EC9DF190514C625CBA2CEA48754887122F3A5EF0D5EDD301C,
    0x3556F3B3B186DF10B857B58F6A7EB80F20BA5DC7BE1D43D9BF850149FBB36462,
)
CHIP_SCALAR = 0x107CF58696EF6155053340FD633392BA81909DF7B9706F226F32086C7AFF974A
CHIP_POINT = (
    0x9E880F842905B8B3181F7AF7CAA9F0EFB743847F44A306D2D28C1D9EC65DF6DB,
    0x7764B22277A2EDDC3C265A9F018F9CB852E111B768B326904B59A0193776F094,
)


def mrz_key() -> AccessKey:
    return key_of_mrz(Mrz("I", "D", "M", "E", "T22000129", "D", "640812", "F", "101031"))


def test_the_key_of_an_mrz_is_the_examples() -> None:
    assert mrz_key().secret.hex() == "7e2d2a41c74ea0b38cd36f863939bfa8e9032aad"


def test_the_nonce_is_encrypted_as_in_the_example() -> None:
    encrypted = bytes.fromhex("95A3A016522EE98D01E76CB6B98B42C3")
    assert decrypt_nonce(mrz_key(), encrypted) == NONCE
    assert encrypt_nonce(mrz_key(), NONCE) == encrypted
    assert decrypt_nonce(key_of_access_number("123456"), encrypted) != NONCE


def test_both_ends_map_the_nonce_to_the_examples_generator() -> None:
    one, other = MAPPING_SCALARS
    assert map_nonce(CURVE, NONCE, one, CURVE.multiple_of_generator(other)) == MAPPED
    assert map_nonce(CURVE, NONCE, other, CURVE.multiple_of_generator(one)) == MAPPED


def test_both_ends_have_the_examples_keys_and_tokens() -> None:
    assert CURVE.multiple(TERMINAL_SCALAR, MAPPED) == TERMINAL_POINT
    assert CURVE.multiple(CHIP_SCALAR, MAPPED) == CHIP_POINT
    keys = session_keys(CURVE, TERMINAL_SCALAR, CHIP_POINT)
    assert keys == session_keys(CURVE, CHIP_SCALAR, TERMINAL_POINT)
    assert keys.encryption.hex() == "f5f0e35c0d7161ee6724ee513a0d9a7f"
    assert keys.authentication.hex() == "fe251c7858b356b24514b3bd5f4297d1"
    assert token(keys, CURVE, CHIP_POINT).hex() == "c2b0bd78d94ba866"
    assert token(keys, CURVE, TERMINAL_POINT).hex() == "3abb9674bce93c08"


@pytest.mark.parametrize("number", ["12345", "1234567", "12345a", "١٢٣٤٥٦"])
def test_an_access_number_has_six_digits(number: str) -> None:
    with pytest.raises(ValueError, match="six digits"):
        key_of_access_number(number)


SCALARS = st.integers(1, 2**255)


def plain_multiple(curve: Curve, scalar: int, point: Point) -> Point:
    """Double and add, as in a textbook."""
    result: Point | None = None
    while scalar:
        if scalar & 1:
            result = point if result is None else plain_sum(curve, result, point)
        point = plain_sum(curve, point, point)
        scalar >>= 1
    assert result is not None
    return result


def plain_sum(curve: Curve, one: Point, other: Point) -> Point:
    if one == other:
        slope = (3 * one[0] ** 2 + curve.a) * pow(2 * one[1], -1, curve.p)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, curve.p)
    x = (slope**2 - one[0] - other[0]) % curve.p
    return x, (slope * (one[0] - x) - one[1]) % curve.p


@pytest.mark.parametrize("curve", [P256, BRAINPOOL_P256])
@given(scalar=SCALARS, place=SCALARS)
@settings(max_examples=15, deadline=None)
def test_any_point_is_multiplied_as_in_a_textbook(curve: Curve, scalar: int, place: int) -> None:
    point = curve.multiple_of_generator(place)
    assert curve.multiple(scalar, point) == plain_multiple(curve, scalar, point)
    assert curve.decode(curve.encode(point)) == point


@pytest.mark.parametrize("curve", [P256, BRAINPOOL_P256])
def test_the_smallest_and_the_largest_scalar_multiply_rightly(curve: Curve) -> None:
    generator = curve.multiple_of_generator(1)
    assert curve.multiple(1, generator) == generator
    largest = curve.multiple(curve.n - 2, generator)
    double = curve.multiple(2, generator)
    assert largest == (double[0], curve.p - double[1])


def test_a_random_scalar_is_in_its_range() -> None:
    assert P256.random_scalar(lambda count: bytes(count)) == 1
    largest = (P256.n - 3).to_bytes(40, "big")
    assert P256.random_scalar(lambda count: largest[-count:]) == P256.n - 2


@pytest.mark.parametrize("encoded", [b"", b"\x04" + bytes(64), b"\x02" + bytes(32), bytes(65)])
def test_what_is_no_point_is_malformed(encoded: bytes) -> None:
    with pytest.raises(InvalidCredential) as refusal:
        P256.decode(encoded)
    assert refusal.value.reason is Reason.MALFORMED


def test_a_point_and_its_mirror_have_no_sum_here() -> None:
    x, y = P256.multiple_of_generator(5)
    with pytest.raises(InvalidCredential):
        P256.sum((x, y), (x, P256.p - y))


def test_the_curves_are_those_of_openssl() -> None:
    for curve in (P256, BRAINPOOL_P256):
        key = ec.derive_private_key(1, curve.named).public_key().public_numbers()
        assert (key.y**2 - key.x**3 - curve.a * key.x - curve.b) % curve.p == 0
        last = ec.derive_private_key(curve.n - 1, curve.named).public_key().public_numbers()
        assert (last.x, last.y) == (key.x, curve.p - key.y)
