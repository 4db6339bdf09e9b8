import io
from collections.abc import Callable
from dataclasses import replace

import pytest
import wsq  # noqa: F401 - teaches Pillow to write WSQ
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from epassport_credentials.details import (
    DocumentDetails,
    PersonalDetails,
    build_dg11,
    build_dg12,
    parse_dg11,
    parse_dg12,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.finger import (
    Compression,
    Finger,
    FingerImage,
    build_dg3,
    parse_dg3,
    wsq_size,
)
from epassport_credentials.leniency import Forgiven, Lapse, Lenient
from epassport_credentials.optional_details import OptionalDetails, build_dg13, parse_dg13
from epassport_credentials.security_infos import (
    OUR_ACTIVE_AUTHENTICATION,
    OUR_PACE,
    PACE_ECDH_GM_AES_128,
    OtherInfo,
    PaceInfo,
    build_card_access,
    build_dg14,
    parse_card_access,
    parse_dg14,
)
from epassport_credentials.signature_image import build_dg7, parse_dg7
from epassport_credentials.tlv import encode_tlv, read_tlv

JPEG = b"\xff\xd8\xff\xe0 a picture"
WSQ = b"\xff\xa0 ridges"
INDEX = FingerImage(Finger.RIGHT_INDEX, 300, 400, Compression.WSQ, WSQ, quality=80)
THUMB = FingerImage(Finger.LEFT_THUMB, 320, 420, Compression.PNG, b"\x89PNG whorl")
PERSON = PersonalDetails(
    full_name="ПОДЪЁМНАЯ<<ЮЛИЯ<ЭДУАРДОВНА",
    other_names=("ЩУКИНА<<ЮЛИЯ", "IOULIA"),
    birth_date="19900517",
    birth_place=("Казань", "Татарстан"),
    address=("Баумана, 1", "Казань", "420111"),
    telephone="+78430000000",
    proof_of_citizenship=JPEG,
    other_documents=("700123456", "8200999999"),
)
DOCUMENT = DocumentDetails(
    authority="МВД РОССИИ",
    issue_date="20261122",
    other_persons=("IVANOV<<PETR",),
    front=JPEG,
    personalised_at="20261122093000",
    system_serial="BUREAU-1",
)


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


def forgiven_by(parse: Callable[..., object], data: bytes) -> list[Lapse]:
    lenient = Lenient()
    parse(data, lenient)
    return [forgiven.lapse for forgiven in lenient.forgiven]


def test_dg3_brings_back_every_finger() -> None:
    assert parse_dg3(build_dg3([INDEX, THUMB])) == (INDEX, THUMB)


def test_wsq_says_its_size_behind_its_tables() -> None:
    out = io.BytesIO()
    Image.effect_noise((120, 160), 40).save(out, "WSQ")
    made = out.getvalue()
    assert wsq_size(made) == (120, 160)
    frame = made.index(b"\xff\xa2")
    assert frame > 2, "tables come first"
    for broken in (b"", b"\xff\xa0", made[1:], made[: frame + 9], made[:2] + made[3:]):
        assert reason_of(wsq_size, broken) is Reason.MALFORMED


def test_dg3_names_the_finger_twice_as_the_standards_do() -> None:
    built = build_dg3([INDEX, THUMB])
    assert bytes.fromhex("a1128002010181010882010987020101") in built  # right index is 09
    assert bytes.fromhex("810108820106") in built  # left thumb is 06
    place = built.index(b"FIR\x00010\x00")
    record = built[place : place + 46 + len(WSQ)]
    assert int.from_bytes(record[8:14], "big") == 46 + len(WSQ)
    assert record[14:32].hex() == "0000001f010101f401f401f401f408020000"
    assert record[32:46].hex() == f"{14 + len(WSQ):08x}0201015000012c019000"


def test_an_empty_dg3_has_a_hash_that_nobody_can_guess() -> None:
    built = build_dg3([], filler=b"16 random octets")
    assert parse_dg3(built) == ()
    assert built != build_dg3([], filler=b"other 16 octets.")
    for fingers, filler in (([], b""), ([INDEX], b"random")):
        with pytest.raises(ValueError, match="random"):
            build_dg3(fingers, filler=filler)


@pytest.mark.parametrize(
    "change",
    [{"image": JPEG}, {"quality": 101}, {"width": 65_536}, {"compression": Compression.JPEG}],
)
def test_a_finger_that_fits_no_record_is_not_written(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"image|quality|width"):
        build_dg3([replace(INDEX, **change)])  # type: ignore[arg-type]


def test_eleven_fingers_and_a_file_out_of_reach_are_not_written() -> None:
    with pytest.raises(ValueError, match="10"):
        build_dg3([INDEX] * 11)
    large = replace(INDEX, image=WSQ + bytes(65_500))
    assert reason_of(build_dg3, [large]) is Reason.TOO_LONG


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("88020007", "88020009", Reason.UNKNOWN_FORMAT),
        ("46495200", "46414300", Reason.UNKNOWN_FORMAT),
        ("01f408020000", "01f408090000", Reason.UNKNOWN_FORMAT),
        ("5f2e", "5f2f", Reason.MALFORMED),
        ("0000001602", "0000001702", Reason.MALFORMED),
        ("0000001602", "0000000e02", Reason.MALFORMED),
        ("0000001602", "000000160b", Reason.MALFORMED),
    ],
)
def test_dg3_of_another_form_is_refused(old: str, new: str, reason: Reason) -> None:
    data = build_dg3([replace(INDEX, image=b"\xff\xa0 ridge")])
    assert bytes.fromhex(old) in data
    altered = data.replace(bytes.fromhex(old), bytes.fromhex(new), 1)
    assert reason_of(parse_dg3, altered) is reason
    assert reason_of(parse_dg3, altered, Lenient()) is reason


@pytest.mark.parametrize(
    ("old", "new", "lapse"),
    [
        (b"\x02\x01\x01", b"\x02\x01\x02", Lapse.COUNT_DIFFERS),
        (b"\x00\x36\x00\x00\x00\x1f", b"\x00\x37\x00\x00\x00\x1f", Lapse.RECORD_LENGTH_DIFFERS),
        (b"\xff\xa0", b"\xff\xa1", Lapse.UNKNOWN_IMAGE_TYPE),
    ],
)
def test_a_lenient_reader_names_what_it_forgave_in_dg3(
    old: bytes, new: bytes, lapse: Lapse
) -> None:
    data = build_dg3([replace(INDEX, image=b"\xff\xa0 ridge")])
    assert old in data
    altered = data.replace(old, new, 1)
    assert reason_of(parse_dg3, altered) is Reason.MALFORMED
    assert forgiven_by(parse_dg3, altered) == [lapse]


def test_a_group_has_no_more_templates_than_a_person_has_fingers() -> None:
    template = build_dg3([INDEX])[8:]
    group = encode_tlv(0x7F61, b"\x02\x01\x0b" + template * 11)
    assert template[:2] == b"\x7f\x60"
    assert reason_of(parse_dg3, encode_tlv(0x63, group)) is Reason.MALFORMED
    assert reason_of(parse_dg3, encode_tlv(0x63, group), Lenient()) is Reason.MALFORMED


def test_what_follows_a_group_or_its_last_finger_is_noticed() -> None:
    group = read_tlv(build_dg3([INDEX]), 0x63)
    followed = encode_tlv(0x63, group + encode_tlv(0x53, b"random"))
    assert reason_of(parse_dg3, followed) is Reason.MALFORMED
    assert forgiven_by(parse_dg3, followed) == [Lapse.TRAILING_BYTES]
    assert reason_of(parse_dg3, encode_tlv(0x63, b"\x7f\x61\x03\x02\x01\x00" + b"\x53\x00")) is (
        Reason.MALFORMED
    )
    image = INDEX.image
    longer = build_dg3([replace(INDEX, image=image + b"..")])
    one_less = longer.replace(
        (16 + len(image)).to_bytes(4, "big") + b"\x02",
        (14 + len(image)).to_bytes(4, "big") + b"\x02",
    )
    assert reason_of(parse_dg3, one_less) is Reason.MALFORMED
    assert forgiven_by(parse_dg3, one_less) == [Lapse.TRAILING_BYTES]
    assert parse_dg3(one_less, Lenient()) == (INDEX,)


def test_dg7_brings_back_the_signature() -> None:
    assert build_dg7(JPEG) == bytes.fromhex("67140201015f430e") + JPEG
    assert parse_dg7(build_dg7(JPEG)) == (JPEG,)
    with pytest.raises(ValueError, match="JPEG"):
        build_dg7(WSQ)
    assert reason_of(build_dg7, JPEG + bytes(65_530)) is Reason.TOO_LONG


def test_dg7_of_another_form_is_refused_or_forgiven() -> None:
    count, image = encode_tlv(2, b"\x02"), encode_tlv(0x5F43, JPEG)
    assert reason_of(parse_dg7, encode_tlv(0x67, image)) is Reason.MALFORMED
    assert reason_of(parse_dg7, encode_tlv(0x67, count + encode_tlv(0x5F40, JPEG))) is (
        Reason.MALFORMED
    )
    assert reason_of(parse_dg7, encode_tlv(0x67, count + image)) is Reason.MALFORMED
    assert forgiven_by(parse_dg7, encode_tlv(0x67, count + image)) == [Lapse.COUNT_DIFFERS]
    other = encode_tlv(0x67, count + image + encode_tlv(0x5F43, WSQ))
    assert forgiven_by(parse_dg7, other) == [Lapse.UNKNOWN_IMAGE_TYPE]


def test_details_of_holder_and_document_come_back() -> None:
    assert parse_dg11(build_dg11(PERSON)) == PERSON
    assert parse_dg12(build_dg12(DOCUMENT)) == DOCUMENT
    assert parse_dg11(build_dg11(PersonalDetails())) == PersonalDetails()


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="<"), max_size=20)
PARTS = st.lists(TEXTS, max_size=3).map(tuple).filter(lambda parts: parts != ("",))
DIGITS = st.from_regex(r"[0-9]{8}", fullmatch=True, alphabet=st.characters(codec="ascii"))


@given(
    st.builds(
        PersonalDetails,
        full_name=TEXTS,
        other_names=st.lists(TEXTS, max_size=3).map(tuple),
        birth_date=st.just("") | DIGITS,
        birth_place=PARTS,
        address=PARTS,
        summary=TEXTS,
        proof_of_citizenship=st.binary(max_size=300),
    )
)
def test_any_details_round_trip(details: PersonalDetails) -> None:
    assert parse_dg11(build_dg11(details)) == details


def test_details_say_what_they_hold_and_in_which_order() -> None:
    assert build_dg12(replace(DocumentDetails(), issue_date="20261122", authority="МВД")).hex() == (
        "6c1a" + "5c045f195f26" + "5f1906d09cd092d094" + "5f2608" + b"20261122".hex()
    )
    names = PersonalDetails(other_names=("A", "B"))
    assert build_dg11(names).hex() == "6b115c025f0fa00b0201025f0f01415f0f0142"


@pytest.mark.parametrize(
    "details",
    [
        PersonalDetails(birth_date="1990-05-17"),
        PersonalDetails(birth_place=("Казань<", "Татарстан")),
        PersonalDetails(other_names=("A",) * 256),
    ],
)
def test_details_of_another_form_are_not_written(details: PersonalDetails) -> None:
    with pytest.raises(ValueError, match="is no"):
        build_dg11(details)


def dg12(tags: str, *objects: tuple[int, bytes]) -> bytes:
    content = b"".join(encode_tlv(tag, value) for tag, value in objects)
    return encode_tlv(0x6C, encode_tlv(0x5C, bytes.fromhex(tags)) + content)


@pytest.mark.parametrize(
    ("data", "lapses", "details"),
    [
        (
            dg12("5f26", (0x5F26, bytes.fromhex("20261122"))),
            [Lapse.DATE_IN_BCD],
            DocumentDetails(issue_date="20261122"),
        ),
        (
            dg12("5f195f26", (0x5F19, b"MVD")),
            [Lapse.TAG_LIST_DIFFERS],
            DocumentDetails(authority="MVD"),
        ),
        (
            dg12("5f19", (0x5F19, b"M\xfcnchen")),
            [Lapse.NOT_UTF8],
            DocumentDetails(authority="München"),
        ),
        (dg12("", (0x5F57, b"?")), [Lapse.UNKNOWN_OBJECT], DocumentDetails()),
        (
            dg12("5f1a5f1a", (0x5F1A, b"A"), (0x5F1A, b"B")),
            [Lapse.NAME_NOT_IN_GROUP, Lapse.NAME_NOT_IN_GROUP],
            DocumentDetails(other_persons=("A", "B")),
        ),
        (
            dg12("5f1a", (0xA0, bytes.fromhex("0201025f1a0141"))),
            [Lapse.COUNT_DIFFERS],
            DocumentDetails(other_persons=("A",)),
        ),
        (
            dg12("5f19", (0x5F19, b"MVD")) + b"\0\0",
            [Lapse.TRAILING_BYTES],
            DocumentDetails(authority="MVD"),
        ),
        (
            b"\x6c\x81\x0a" + dg12("5f19", (0x5F19, b"MVD"))[2:],
            [Lapse.LENGTH_NOT_SHORTEST],
            DocumentDetails(authority="MVD"),
        ),
    ],
)
def test_a_lenient_reader_names_what_it_forgave_in_details(
    data: bytes, lapses: list[Lapse], details: DocumentDetails
) -> None:
    assert reason_of(parse_dg12, data) is Reason.MALFORMED
    assert forgiven_by(parse_dg12, data) == lapses
    assert parse_dg12(data, Lenient()) == details


def test_what_was_forgiven_says_where_and_never_what() -> None:
    lenient = Lenient()
    parse_dg12(dg12("5f26", (0x5F26, bytes.fromhex("20261122"))), lenient)
    assert lenient.forgiven == [Forgiven(Lapse.DATE_IN_BCD, "5F26")]


@pytest.mark.parametrize(
    "data",
    [
        encode_tlv(0x6C, b""),
        encode_tlv(0x6C, encode_tlv(0x5F19, b"MVD")),
        dg12("5f26", (0x5F26, b"22.11.26")),
        dg12("5f195f19", (0x5F19, b"MVD"), (0x5F19, b"FMS")),
        dg12("5f1a", (0xA0, bytes.fromhex("5f1a0141"))),
        dg12("5f1a", (0xA0, bytes.fromhex("0201015f190141"))),
    ],
)
def test_details_that_nobody_can_forgive_are_malformed(data: bytes) -> None:
    assert reason_of(parse_dg12, data) is Reason.MALFORMED
    assert reason_of(parse_dg12, data, Lenient()) is Reason.MALFORMED


WISHED = OptionalDetails(inn="500100732259", snils="11223344595", driving_licence="7799123456")


def test_dg13_holds_what_the_holder_wished() -> None:
    assert parse_dg13(build_dg13(WISHED)) == WISHED
    assert build_dg13(OptionalDetails()).hex() == "6d03800101"
    one = OptionalDetails(snils="11223344595")
    assert parse_dg13(build_dg13(one)) == one


def test_a_mistyped_number_is_neither_written_nor_read() -> None:
    with pytest.raises(ValueError, match="snils"):
        build_dg13(replace(WISHED, snils="11223344596"))
    altered = build_dg13(WISHED).replace(b"11223344595", b"11223344596")
    assert reason_of(parse_dg13, altered) is Reason.WRONG_CHECK_DIGIT


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("6d03800102", Reason.UNKNOWN_VERSION),
        ("6d00", Reason.MALFORMED),
        ("6d05800101840 0", Reason.MALFORMED),
        ("6d07800101830081 00", Reason.MALFORMED),
        ("6d0680010181 01ff", Reason.MALFORMED),
    ],
)
def test_dg13_of_another_form_is_refused(data: str, reason: Reason) -> None:
    assert reason_of(parse_dg13, bytes.fromhex(data.replace(" ", ""))) is reason


def test_card_access_is_the_worked_example_but_for_the_curve() -> None:
    """Doc 9303-11 appendix G.1 uses brainpoolP256r1, whose number is 13."""
    example = bytes.fromhex("31143012060A04007F0007020204020202010202010D")
    assert build_card_access(PaceInfo(PACE_ECDH_GM_AES_128, 13)) == example
    assert parse_card_access(example) == (PaceInfo(PACE_ECDH_GM_AES_128, 13),)


def test_dg14_repeats_pace_and_adds_active_authentication() -> None:
    assert parse_dg14(build_dg14()) == (OUR_PACE, OUR_ACTIVE_AUTHENTICATION)
    assert build_card_access()[2:] in build_dg14()


def test_a_protocol_not_spoken_here_is_passed_on() -> None:
    chip_authentication = bytes.fromhex("3012060a04007f00070202030202020101020101")
    assert parse_card_access(encode_tlv(0x31, chip_authentication)) == (
        OtherInfo("0.4.0.127.0.7.2.2.3.2.2", chip_authentication),
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("3100", Reason.MALFORMED),
        ("3000", Reason.MALFORMED),
        ("310230", Reason.MALFORMED),
        ("31023000", Reason.MALFORMED),
        ("31143012060A04007F0007020204020202010302010D", Reason.UNKNOWN_VERSION),
        ("31143012060A04007F0007020204020204010202010D", Reason.MALFORMED),
        ("31143012060A04007F0007020204028202010202010D", Reason.MALFORMED),
        ("31143012040A04007F0007020204020202010202010D", Reason.MALFORMED),
    ],
)
def test_security_infos_of_another_form_are_refused(data: str, reason: Reason) -> None:
    assert reason_of(parse_card_access, bytes.fromhex(data)) is reason


def test_security_infos_without_end_are_refused() -> None:
    one = build_card_access()[2:]
    assert reason_of(parse_card_access, encode_tlv(0x31, one * 65)) is Reason.MALFORMED
    assert reason_of(parse_card_access, bytes(65_536)) is Reason.TOO_LONG
