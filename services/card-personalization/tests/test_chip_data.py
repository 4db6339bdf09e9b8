"""What is prepared says of the holder what the order says, and every reader finds it."""

import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import wsq  # noqa: F401 - teaches Pillow to write WSQ
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from card_personalization.chip_data import (
    ACCESS_NUMBER,
    BACK,
    FRONT,
    IDENTITY_CODE,
    SMALL_CODE,
    Particulars,
    Prepared,
    chip_portrait,
    prepare,
)
from card_personalization.surface import FaceNotPrintable
from epassport_contracts.fields import Identity, Sex, Wishes
from epassport_credentials import identity as stated
from epassport_credentials.card_qr import IdentityCard, SmallCard, open_card_qr
from epassport_credentials.commands.reading import codes_in
from epassport_credentials.cwt import StatusReference
from epassport_credentials.details import (
    DocumentDetails,
    PersonalDetails,
    parse_dg11,
    parse_dg12,
)
from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.face import MAX_IMAGE_BYTES, parse_dg2
from epassport_credentials.finger import Compression, Finger, FingerImage, parse_dg3
from epassport_credentials.lds import EF_CARD_ACCESS, EF_COM, parse_dg1, parse_ef_com
from epassport_credentials.optional_details import OptionalDetails, parse_dg13
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.trust import TrustList, trusted_key
from epassport_sandbox.portraits import draw_portrait

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
SIGNER = LocalSigner(ec.derive_private_key(42, ec.SECP256R1()))
FACE = draw_portrait(7, stated.Sex.FEMALE, 36)
REF = UUID("6f1c1c2e-93d5-4b07-8a4e-d1e27ab35c90")
PERSON = Identity(
    surname="Подъёмная-Щукина",
    given_name="Юлия",
    patronymic="Эдуардовна",
    sex=Sex.FEMALE,
    birth_date=date(1990, 5, 17),
    birth_place="г. Казань",
)
ABOUT = Particulars(
    document_ref=REF,
    document_number="900000123",
    access_number="417093",
    identity=PERSON,
    face=FACE,
    region="RU-TA",
    made_at=AT,
    valid_until=date(2036, 11, 22),
    status=StatusReference("https://status.epassport.ru/s/1", 70_001),
)
TRUST = TrustList(
    "test",
    AT,
    AT + timedelta(days=1),
    (trusted_key(SIGNER, Purpose.CARD_QR, not_before=AT, not_after=AT + timedelta(days=4000)),),
)


@pytest.fixture(scope="module")
def made() -> Prepared:
    return prepare(ABOUT, SIGNER, dpi=300, specimen=True)


def test_the_zone_on_the_chip_is_the_holders(made: Prepared) -> None:
    zone = parse_dg1(made.chip["DG1"])
    assert (zone.document_code, zone.issuing_state, zone.nationality) == ("I", "RUS", "RUS")
    assert (zone.primary, zone.secondary) == ("PODIEEMNAIA SHCHUKINA", "IULII E")
    assert zone.name_truncated
    assert (zone.number, zone.sex) == ("900000123", "F")
    assert (zone.birth_date, zone.expiry_date) == ("900517", "361122")


def test_the_chip_lists_the_groups_it_will_have(made: Prepared) -> None:
    assert parse_ef_com(made.chip[EF_COM]).data_groups == (1, 2, 11, 12, 14, 15)
    assert set(made.chip) == {EF_CARD_ACCESS, EF_COM, "DG1", "DG2", "DG11", "DG12", "DG14"}


def test_the_chip_has_the_names_in_their_own_letters(made: Prepared) -> None:
    assert parse_dg11(made.chip["DG11"]) == PersonalDetails(
        full_name="ПОДЪЁМНАЯ-ЩУКИНА<<ЮЛИЯ<ЭДУАРДОВНА",
        birth_date="19900517",
        birth_place=("г. Казань",),
    )
    assert parse_dg12(made.chip["DG12"]) == DocumentDetails(
        authority="МВД РОССИИ", issue_date="20261122", personalised_at="20261122090000"
    )


def groups_of(**more: Any) -> Mapping[str, bytes]:
    return prepare(replace(ABOUT, **more), SIGNER, dpi=300, specimen=True).chip


def test_a_finger_is_on_the_chip_as_it_was_released() -> None:
    released = wsq_of(120, 160)
    groups = groups_of(finger=released)
    assert parse_ef_com(groups[EF_COM]).data_groups == (1, 2, 3, 11, 12, 14, 15)
    index = FingerImage(Finger.RIGHT_INDEX, 120, 160, Compression.WSQ, released)
    assert parse_dg3(groups["DG3"]) == (index,)


def test_a_finger_that_is_no_wsq_image_makes_no_chip() -> None:
    with pytest.raises(InvalidCredential) as caught:
        groups_of(finger=b"\x89PNG ridges")
    assert caught.value.reason is Reason.MALFORMED


def wsq_of(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((width, height), 40).save(out, "WSQ")
    return out.getvalue()


@pytest.mark.parametrize(
    "wishes",
    [
        {"snils": "11223344595"},
        {"inn": "500100732259", "driving_licence": "9901123456"},
        {"snils": "11223344595", "inn": "500100732259", "driving_licence": "9901123456"},
    ],
)
def test_what_the_holder_wished_and_nothing_else_is_on_the_chip(wishes: dict[str, str]) -> None:
    groups = groups_of(wishes=Wishes(**wishes))
    assert parse_ef_com(groups[EF_COM]).data_groups == (1, 2, 11, 12, 13, 14, 15)
    assert parse_dg13(groups["DG13"]) == OptionalDetails(**wishes)


def test_who_wished_nothing_has_no_such_group() -> None:
    assert "DG13" not in groups_of(wishes=Wishes())


def test_the_access_number_is_kept_as_it_is_printed(made: Prepared) -> None:
    assert made.prints[ACCESS_NUMBER] == b"417093"


def test_the_face_on_the_chip_is_the_released_one_within_its_limit(made: Prepared) -> None:
    face = parse_dg2(made.chip["DG2"])
    assert (face.width, face.height) == (413, 531)
    assert face.image == chip_portrait(FACE)


def test_the_small_code_tells_age_and_status_and_nothing_else(made: Prepared) -> None:
    small = open_card_qr(made.prints[SMALL_CODE].decode(), TRUST, now=AT)
    expires_at = datetime(2036, 11, 23, tzinfo=UTC)
    assert small == SmallCard(REF.bytes, True, AT, expires_at, ABOUT.status)


@pytest.mark.parametrize(("born", "over_18"), [(22, False), (21, True)])
def test_the_small_code_says_over_18_from_the_day_after_the_birthday(
    born: int, over_18: bool
) -> None:
    person = PERSON.model_copy(update={"birth_date": date(2008, 11, born)})
    about = replace(ABOUT, identity=person)
    small = open_card_qr(
        prepare(about, SIGNER, dpi=300, specimen=True).prints[SMALL_CODE].decode(), TRUST, now=AT
    )
    assert isinstance(small, SmallCard)
    assert small.over_18 is over_18


def test_the_identity_code_tells_who_the_holder_is(made: Prepared) -> None:
    card = open_card_qr(made.prints[IDENTITY_CODE].decode(), TRUST, now=AT)
    assert isinstance(card, IdentityCard)
    assert card.identity == stated.Identity(
        full_name="Подъёмная-Щукина Юлия Эдуардовна",
        birth_date=PERSON.birth_date,
        sex=stated.Sex.FEMALE,
        document_number="900000123",
        nationality="RUS",
    )
    assert Image.open(io.BytesIO(card.portrait)).format == "WEBP"
    assert (card.document_ref, card.status) == (REF.bytes, ABOUT.status)


def test_the_printed_codes_are_the_signed_ones(made: Prepared) -> None:
    for side, code in ((FRONT, SMALL_CODE), (BACK, IDENTITY_CODE)):
        assert codes_in(made.prints[side]) == [made.prints[code].decode()]


def test_the_last_day_of_a_document_counts_whole() -> None:
    assert ABOUT.expires_at - timedelta(seconds=1) < datetime(2036, 11, 23, tzinfo=UTC)
    assert ABOUT.expires_at == datetime(2036, 11, 23, tzinfo=UTC)


def test_a_large_portrait_is_made_to_fit_and_a_small_one_is_left_alone() -> None:
    noise = Image.effect_noise((900, 1150), 90).convert("RGB")
    out = io.BytesIO()
    noise.save(out, "JPEG", quality=95)
    fitted = chip_portrait(out.getvalue())
    assert len(out.getvalue()) > MAX_IMAGE_BYTES >= len(fitted)
    assert chip_portrait(fitted) == fitted


def test_a_portrait_that_is_no_picture_is_refused() -> None:
    with pytest.raises(FaceNotPrintable):
        chip_portrait(b"\xff\xd8\xff no picture")


@pytest.mark.parametrize("name", ["李", "Müller", "Ґалаган", "Иванов2"])
@pytest.mark.parametrize("part", ["surname", "given_name", "patronymic"])
def test_a_name_without_an_image_in_the_zone_is_refused(part: str, name: str) -> None:
    """The same names that enrollment refuses at the counter."""
    about = replace(ABOUT, identity=PERSON.model_copy(update={part: name}))
    with pytest.raises(InvalidCredential):
        prepare(about, SIGNER, dpi=300, specimen=True)


def test_no_personal_data_is_shown_when_particulars_are_logged() -> None:
    for value in ("Подъёмная", "900000123", "1990"):
        assert value not in repr(ABOUT)
