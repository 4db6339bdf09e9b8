"""Whatever stands in a file of a chip, its reader ends in a value or in our own error.

Files that were right once and have bytes changed, cut out or put in reach deeper than chance.
"""

import contextlib
import io
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from epassport_credentials.der import (
    encode_integer,
    encode_object_identifier,
    integer,
    object_identifier,
    only,
)
from epassport_credentials.details import (
    DocumentDetails,
    PersonalDetails,
    build_dg11,
    build_dg12,
    parse_dg11,
    parse_dg12,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.face import build_dg2, parse_dg2
from epassport_credentials.finger import Compression, Finger, FingerImage, build_dg3, parse_dg3
from epassport_credentials.lds import (
    EF_CARD_ACCESS,
    EF_COM,
    EF_SOD,
    build_dg1,
    build_dg15,
    build_ef_com,
    parse_dg1,
    parse_dg15,
    parse_ef_com,
)
from epassport_credentials.leniency import Lenient
from epassport_credentials.optional_details import OptionalDetails, build_dg13, parse_dg13
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.security_infos import (
    build_card_access,
    build_dg14,
    parse_card_access,
    parse_dg14,
)
from epassport_credentials.signature_image import build_dg7, parse_dg7
from epassport_credentials.signer import LocalSigner
from epassport_credentials.sod import read_sod
from epassport_credentials.tlv import encode_tlv, object_length, read_all
from epassport_credentials.trust_anchors import TrustAnchors

Parse = Callable[..., object]

JPEG = b"\xff\xd8\xff\xe0 a picture"
FINGERS = [
    FingerImage(finger, 300, 400, Compression.WSQ, b"\xff\xa0 ridges")
    for finger in (Finger.RIGHT_INDEX, Finger.LEFT_INDEX)
]
PERSON = PersonalDetails("A<<B", ("C", "D"), "12", "19900517", ("E", "F"), telephone="+7")
DOCUMENT = DocumentDetails("MVD", "20261122", ("G",), front=JPEG, system_serial="1")
TD3 = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
)


def small_jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("L", (8, 8)).save(out, "JPEG")
    return out.getvalue()


READERS: Mapping[str, tuple[Parse, bytes]] = {
    EF_COM: (parse_ef_com, build_ef_com([1, 2, 3, 15])),
    EF_CARD_ACCESS: (parse_card_access, build_card_access()),
    "DG1": (parse_dg1, build_dg1(TD3)),
    "DG2": (parse_dg2, build_dg2(small_jpeg())),
    "DG3": (parse_dg3, build_dg3(FINGERS)),
    "empty DG3": (parse_dg3, build_dg3([], filler=b"random")),
    "DG7": (parse_dg7, build_dg7(JPEG)),
    "DG11": (parse_dg11, build_dg11(PERSON)),
    "DG12": (parse_dg12, build_dg12(DOCUMENT)),
    "DG13": (parse_dg13, build_dg13(OptionalDetails("500100732259", "11223344595"))),
    "DG14": (parse_dg14, build_dg14()),
}
LENIENT = [parse_ef_com, parse_dg1, parse_dg2, parse_dg3, parse_dg7, parse_dg11, parse_dg12]
LENIENT += [parse_dg14, parse_dg15]

EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(max_size=4)), min_size=1, max_size=4
)


def edited(data: bytes, edits: Sequence[tuple[float, int, bytes]]) -> bytes:
    """Each edit takes some bytes away at a place and puts others there."""
    for where, away, put in edits:
        place = int(where * len(data))
        data = data[:place] + put + data[place + away :]
    return data


def ends_well(parse: Parse, data: bytes) -> None:
    with contextlib.suppress(InvalidCredential):
        parse(data)
    if parse in LENIENT:
        with contextlib.suppress(InvalidCredential):
            parse(data, Lenient())


@pytest.mark.parametrize("name", READERS)
@given(edits=EDITS)
@settings(max_examples=150, deadline=None)
def test_an_edited_file_ends_in_a_value_or_our_own_error(
    name: str, edits: Sequence[tuple[float, int, bytes]]
) -> None:
    parse, data = READERS[name]
    ends_well(parse, edited(data, edits))


@given(data=st.binary(max_size=60), tag=st.sampled_from([0x61, 0x63, 0x67, 0x6B, 0x6E, 0x77]))
def test_any_bytes_in_a_file_end_in_a_value_or_our_own_error(data: bytes, tag: int) -> None:
    for parse, _ in READERS.values():
        ends_well(parse, data)
        ends_well(parse, encode_tlv(tag, data))
    ends_well(read_sod, encode_tlv(0x77, data))


@given(edits=EDITS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_edited_chip_is_refused_or_verified(
    files: Mapping[str, bytes],
    csca: x509.Certificate,
    now: datetime,
    edits: Sequence[tuple[float, int, bytes]],
) -> None:
    anchors = TrustAnchors([csca])
    for name in (EF_SOD, "DG1", "DG15"):
        with contextlib.suppress(InvalidCredential):
            passive_authentication({**files, name: edited(files[name], edits)}, anchors, now)


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_right_is_read_by_either_reader(name: str, phone: LocalSigner) -> None:
    """Else the fuzzing above would start from nothing."""
    parse, data = READERS[name]
    assert parse(data) is not None
    if parse in LENIENT:
        lenient = Lenient()
        assert parse(data, lenient) == parse(data)
        assert lenient.forgiven == []
    assert parse_dg15(build_dg15(phone.public_key))


@pytest.mark.parametrize("name", READERS)
def test_a_file_beyond_its_limit_is_refused_before_it_is_read(name: str) -> None:
    parse, data = READERS[name]
    long = encode_tlv(data[0], bytes(65_536))
    tracemalloc.start()
    with pytest.raises(InvalidCredential) as refusal:
        parse(long)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refusal.value.reason is Reason.TOO_LONG
    assert peak < len(long)


def test_nesting_is_read_only_as_deep_as_a_format_goes() -> None:
    data = b""
    for _ in range(2_000):
        data = encode_tlv(0x30, data)
    assert object_length(data[:7]) == len(data)
    assert read_all(data) == [(0x30, data[4:])]
    for parse, _ in READERS.values():
        ends_well(parse, data)
    ends_well(read_sod, encode_tlv(0x77, data))


@pytest.mark.parametrize(
    "data", ["30", "3080", "30810000", "3081", "308200050000000000", "3f000000"]
)
def test_der_of_another_form_is_malformed(data: str) -> None:
    encoded = bytes.fromhex(data)
    with pytest.raises(InvalidCredential) as refusal:
        only(encoded, 0, len(encoded), 0x30)
    assert refusal.value.reason is Reason.MALFORMED


@given(st.integers(-(2**160), 2**160))
def test_integers_round_trip_in_der(value: int) -> None:
    encoded = encode_integer(value)
    start, end = only(encoded, 0, len(encoded), 0x02)
    assert integer(encoded, (0x02, 0, start, end)) == value


@pytest.mark.parametrize("encoded", ["0200", "02020001", "0202ff80", "0216" + "01" * 22])
def test_an_integer_of_another_form_is_malformed(encoded: str) -> None:
    data = bytes.fromhex(encoded)
    with pytest.raises(InvalidCredential) as refusal:
        integer(data, (0x02, 0, 2, len(data)))
    assert refusal.value.reason is Reason.MALFORMED


ARCS = st.lists(st.integers(0, 2**40), max_size=8)


@given(st.integers(0, 2), st.integers(0, 39), ARCS)
def test_object_identifiers_round_trip(first: int, second: int, rest: list[int]) -> None:
    dotted = ".".join(map(str, (first, second, *rest)))
    assert object_identifier(encode_object_identifier(dotted)[2:]) == dotted


@pytest.mark.parametrize("encoded", ["", "80", "2a86", "2a" + "ff" * 12 + "7f"])
def test_an_object_identifier_of_another_form_is_malformed(encoded: str) -> None:
    with pytest.raises(InvalidCredential) as refusal:
        object_identifier(bytes.fromhex(encoded))
    assert refusal.value.reason is Reason.MALFORMED
