import contextlib
from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.face import build_dg2, parse_dg2
from epassport_credentials.lds import (
    build_dg1,
    build_dg15,
    build_ef_com,
    parse_dg1,
    parse_dg15,
    parse_ef_com,
)
from epassport_credentials.leniency import Lapse, Lenient
from epassport_credentials.signer import LocalSigner
from epassport_credentials.tlv import encode_tlv, object_length, read_all, read_tlv

TD3 = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
)
TAGS = st.sampled_from([0x02, 0x5C, 0x61, 0x77, 0x5F1F, 0x5F2E, 0x7F61])


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


@given(st.lists(st.tuples(TAGS, st.binary(max_size=300)), max_size=5))
def test_objects_round_trip_in_order(objects: list[tuple[int, bytes]]) -> None:
    data = b"".join(encode_tlv(tag, value) for tag, value in objects)
    assert read_all(data) == objects


@given(st.binary(max_size=70_000))
def test_an_object_tells_its_length_from_its_head(value: bytes) -> None:
    data = encode_tlv(0x5F2E, value)
    assert object_length(data[:7]) == len(data)
    assert read_tlv(data, 0x5F2E) == value


@pytest.mark.parametrize(
    "data",
    ["61", "6105aa", "618100", "61810500", "6180", "61840000000100", "5f", "5f1f", "1fffffff00"],
)
def test_objects_of_another_form_are_malformed(data: str) -> None:
    assert reason_of(read_all, bytes.fromhex(data)) is Reason.MALFORMED


@given(st.binary(max_size=100))
def test_any_bytes_end_in_objects_or_our_own_error(data: bytes) -> None:
    for parse in (read_all, parse_ef_com, parse_dg1, parse_dg2, parse_dg15):
        with contextlib.suppress(InvalidCredential):
            parse(data)


def test_ef_com_lists_the_data_groups() -> None:
    built = build_ef_com([15, 1, 2])
    assert built.hex() == "60155f0104303130375f36063034303030305c0361756f"
    assert parse_ef_com(built).data_groups == (1, 2, 15)


def test_an_lds_version_that_nobody_knows_is_refused_or_forgiven() -> None:
    older = bytes.fromhex("60145F0104303130365F36063034303030305C026175")
    assert reason_of(parse_ef_com, older) is Reason.UNKNOWN_VERSION
    lenient = Lenient()
    assert parse_ef_com(older, lenient).data_groups == (1, 2)
    assert [forgiven.lapse for forgiven in lenient.forgiven] == [Lapse.OTHER_LDS_VERSION]


@pytest.mark.parametrize(
    "data",
    [
        "60155f0104303130375f36063034303030305c03617561",
        "60155f0104303130375f36063034303030305c03617500",
        "60155f0104303130585f36063034303030305c0361756f",
        "60075f010430313037",
        "61155f0104303130375f36063034303030305c0361756f",
    ],
)
def test_ef_com_of_another_form_is_malformed(data: str) -> None:
    assert reason_of(parse_ef_com, bytes.fromhex(data)) is Reason.MALFORMED


def test_dg1_holds_td1_and_td3(data_groups: Mapping[int, bytes]) -> None:
    assert parse_dg1(data_groups[1]).number == "700123456"
    assert parse_dg1(build_dg1(TD3)).number == "L898902C3"
    assert build_dg1(TD3)[:5].hex() == "615b5f1f58"


def test_dg1_of_another_length_or_alphabet_is_malformed() -> None:
    for zone in (b"P<UTO", b"\xff" * 88):
        data = encode_tlv(0x61, encode_tlv(0x5F1F, zone))
        assert reason_of(parse_dg1, data) is Reason.MALFORMED


def test_dg15_holds_the_key_of_the_chip(phone: LocalSigner) -> None:
    assert parse_dg15(build_dg15(phone.public_key)) == phone.public_key


def test_dg15_without_a_key_on_a_curve_is_refused() -> None:
    public = rsa.generate_private_key(65537, 2048).public_key()
    other = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert reason_of(parse_dg15, encode_tlv(0x6F, other)) is Reason.UNSUPPORTED_ALGORITHM
    assert reason_of(parse_dg15, encode_tlv(0x6F, b"key")) is Reason.MALFORMED


def test_dg2_brings_back_the_image_and_its_size(photo: bytes) -> None:
    face = parse_dg2(build_dg2(photo))
    assert (face.width, face.height, face.image) == (480, 600, photo)


def test_dg2_takes_no_other_image_and_none_too_large() -> None:
    assert reason_of(build_dg2, b"\x89PNG") is Reason.MALFORMED
    assert reason_of(build_dg2, b"\xff\xd8\xff" + bytes(32_000)) is Reason.TOO_LONG


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"\x88\x02\x00\x08", b"\x88\x02\x00\x2a", Reason.UNKNOWN_FORMAT),
        (b"FAC\x00", b"FIR\x00", Reason.UNKNOWN_FORMAT),
        (b"010\x00\x00\x00", b"010\x00\x00\x01", Reason.MALFORMED),
        (b"\xff\xd8\xff\xe0", b"\x00\xd8\xff\xe0", Reason.MALFORMED),
        (b"\x02\x01\x01", b"\x02\x01\x02", Reason.MALFORMED),
        (b"\x5f\x2e", b"\x5f\x2f", Reason.MALFORMED),
    ],
)
def test_dg2_of_another_form_is_refused(
    old: bytes, new: bytes, reason: Reason, photo: bytes
) -> None:
    data = build_dg2(photo)
    assert old in data
    assert reason_of(parse_dg2, data.replace(old, new, 1)) is reason


def test_a_face_without_image_is_malformed_for_either_reader(photo: bytes) -> None:
    data = build_dg2(photo)
    block = 20 + 12 + len(photo)
    bare = data.replace(block.to_bytes(4, "big"), (20 + 12).to_bytes(4, "big"), 1)
    assert bare != data
    for lenient in (None, Lenient()):
        assert reason_of(parse_dg2, bare, lenient) is Reason.MALFORMED


def test_a_cut_face_record_is_malformed() -> None:
    template = encode_tlv(0xA1, bytes.fromhex("8702010188020008")) + encode_tlv(0x5F2E, b"FAC\0")
    group = encode_tlv(0x7F61, encode_tlv(2, b"\x01") + encode_tlv(0x7F60, template))
    assert reason_of(parse_dg2, encode_tlv(0x75, group)) is Reason.MALFORMED
