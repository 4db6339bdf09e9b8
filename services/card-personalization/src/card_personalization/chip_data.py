"""Everything about one document that is made before a blank is touched: files, codes, faces.

Pure but for the signature of the codes. DG15 and EF.SOD are not here: the chip makes its
own key, so they belong to the bench.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from uuid import UUID

from PIL import Image

from card_personalization.faces import CardFace, render_back, render_front
from card_personalization.marks import read_portrait
from epassport_contracts.fields import Identity, Wishes
from epassport_credentials import identity as stated
from epassport_credentials.card_qr import (
    IdentityCard,
    SmallCard,
    issue_identity_card_qr,
    issue_small_card_qr,
    with_portrait,
)
from epassport_credentials.cwt import StatusReference
from epassport_credentials.details import (
    DocumentDetails,
    PersonalDetails,
    build_dg11,
    build_dg12,
)
from epassport_credentials.face import MAX_IMAGE_BYTES, build_dg2
from epassport_credentials.finger import Compression, Finger, FingerImage, build_dg3, wsq_size
from epassport_credentials.identity import is_over_18
from epassport_credentials.lds import (
    EF_CARD_ACCESS,
    EF_COM,
    build_dg1,
    build_ef_com,
    data_group_name,
)
from epassport_credentials.mrz import Mrz, build_td1, yymmdd
from epassport_credentials.optional_details import OptionalDetails, build_dg13
from epassport_credentials.security_infos import build_card_access, build_dg14
from epassport_credentials.signer import Signer
from epassport_credentials.transliteration import to_icao

ISSUING_STATE = "RUS"
DOCUMENT_CODE = "I"  # Doc 9303-5 §4.2.2: the first character of an identity card
AUTHORITY = "МВД РОССИИ"

FRONT, BACK = "front", "back"
SMALL_CODE, IDENTITY_CODE = "small-code", "identity-code"
ACCESS_NUMBER = "access-number"
PNG, TEXT = "image/png", "text/plain"

_REGIONS = {
    "RU-MOW": "г. Москва",
    "RU-MOS": "Московская область",
    "RU-TA": "Республика Татарстан",
}
_JPEG_START = b"\xff\xd8\xff"
AUTHENTICATION_KEY = 15  # DG15, which the bench adds
# 35 x 45 mm at 300 dpi, and less where even the lowest quality leaves it too large.
_CHIP_PORTRAITS = ((413, 531), (310, 398), (206, 265))
_CHIP_QUALITIES = (85, 75, 65, 55, 45, 35, 25)


@dataclass(frozen=True)
class Particulars:
    """One document. face, finger (the right index, where there is one): as biometrics released
    them; made_at: when the data is made; access_number: six random digits, printed, that open
    the chip; wishes: what the holder wants on the chip beyond identity."""

    document_ref: UUID
    document_number: str = field(repr=False)
    access_number: str = field(repr=False)
    identity: Identity = field(repr=False)
    face: bytes = field(repr=False)
    region: str
    made_at: datetime
    valid_until: date
    status: StatusReference
    finger: bytes | None = field(default=None, repr=False)
    wishes: Wishes | None = field(default=None, repr=False)

    @property
    def expires_at(self) -> datetime:
        """The last day counts whole."""
        return datetime.combine(self.valid_until + timedelta(days=1), time(), UTC)


@dataclass(frozen=True)
class Prepared:
    """chip: data groups by the names of `lds`; prints: faces and codes by the names above."""

    chip: Mapping[str, bytes]
    prints: Mapping[str, bytes]


def prepare(about: Particulars, signer: Signer, *, dpi: int, specimen: bool) -> Prepared:
    """signer: of purpose card-qr. About 80 ms of computing.

    Raises FaceNotPrintable; InvalidCredential and ValueError where a name has letters or a
    length that no zone or code can hold.
    """
    zone = build_td1(_zone(about))
    portrait = chip_portrait(about.face)
    small, identity = _codes(about, portrait, signer)
    face = _card_face(about, zone, small, identity, specimen=specimen)
    groups = {
        1: build_dg1(zone),
        2: build_dg2(portrait),
        **_optional_groups(about),
        11: build_dg11(_personal_details(about)),
        12: build_dg12(_document_details(about)),
        14: build_dg14(),
    }
    chip = {
        EF_CARD_ACCESS: build_card_access(),
        EF_COM: build_ef_com(sorted({*groups, AUTHENTICATION_KEY})),
        **{data_group_name(number): groups[number] for number in sorted(groups)},
    }
    prints = {
        FRONT: render_front(face, dpi=dpi),
        BACK: render_back(face, dpi=dpi),
        SMALL_CODE: small.encode("ascii"),
        IDENTITY_CODE: identity.encode("ascii"),
        ACCESS_NUMBER: about.access_number.encode("ascii"),
    }
    return Prepared(chip, prints)


def chip_portrait(face: bytes) -> bytes:
    """A JPEG that DG2 has room for: the picture itself, or the best smaller one.

    Raises FaceNotPrintable: PORTRAIT_UNREADABLE.
    """
    picture = read_portrait(face)
    if face.startswith(_JPEG_START) and len(face) <= MAX_IMAGE_BYTES:
        return face
    encoded = b""
    for size, quality in product(_CHIP_PORTRAITS, _CHIP_QUALITIES):
        encoded = _jpeg(picture, size, quality)
        if len(encoded) <= MAX_IMAGE_BYTES:
            break
    return encoded


def _jpeg(picture: Image.Image, size: tuple[int, int], quality: int) -> bytes:
    small = picture.convert("RGB")
    small.thumbnail(size)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=quality, dpi=(300, 300))
    return out.getvalue()


def _optional_groups(about: Particulars) -> dict[int, bytes]:
    """DG3 of who has a right index finger, DG13 of who wished something on the chip.

    There is no DG7: no signature is captured on the road (docs/credentials.md).
    """
    groups = {}
    if about.finger is not None:
        groups[3] = build_dg3([finger_image(about.finger)])
    wished = about.wishes.model_dump(exclude_none=True) if about.wishes else {}
    if wished:
        groups[13] = build_dg13(OptionalDetails(**wished))
    return groups


def finger_image(released: bytes) -> FingerImage:
    """released: WSQ, which inspection systems read. Raises InvalidCredential: MALFORMED."""
    return FingerImage(Finger.RIGHT_INDEX, *wsq_size(released), Compression.WSQ, released)


def _latin(name: str | None) -> str:
    """A to Z and single spaces."""
    return " ".join(to_icao(name or "").replace("<", " ").split())


def _zone(about: Particulars) -> Mrz:
    person = about.identity
    return Mrz(
        document_code=DOCUMENT_CODE,
        issuing_state=ISSUING_STATE,
        primary=_latin(person.surname),
        secondary=f"{_latin(person.given_name)} {_latin(person.patronymic)}".strip(),
        number=about.document_number,
        nationality=ISSUING_STATE,
        birth_date=yymmdd(person.birth_date),
        sex=person.sex.value,
        expiry_date=yymmdd(about.valid_until),
    )


def _personal_details(about: Particulars) -> PersonalDetails:
    """What the zone has no room or no letters for."""
    person = about.identity
    given = "<".join(name for name in (person.given_name, person.patronymic) if name)
    return PersonalDetails(
        full_name=f"{person.surname}<<{given}".upper().replace(" ", "<"),
        birth_date=f"{person.birth_date:%Y%m%d}",
        birth_place=(person.birth_place.replace("<", " "),),
    )


def _document_details(about: Particulars) -> DocumentDetails:
    return DocumentDetails(
        authority=AUTHORITY,
        issue_date=f"{about.made_at:%Y%m%d}",
        personalised_at=f"{about.made_at:%Y%m%d%H%M%S}",
    )


def _codes(about: Particulars, portrait: bytes, signer: Signer) -> tuple[str, str]:
    """The small code, and the identity code with the best portrait it has room for."""
    person = about.identity
    common = (about.made_at, about.expires_at, about.status)
    over_18 = is_over_18(person.birth_date, about.made_at.date())
    small = SmallCard(about.document_ref.bytes, over_18, *common)
    names = (person.surname, person.given_name, person.patronymic)
    holder = stated.Identity(
        full_name=" ".join(name for name in names if name),
        birth_date=person.birth_date,
        sex=stated.Sex(person.sex.value),
        document_number=about.document_number,
        nationality=ISSUING_STATE,
    )
    identity = IdentityCard(about.document_ref.bytes, holder, *common)
    return (
        issue_small_card_qr(small, signer),
        issue_identity_card_qr(with_portrait(identity, portrait), signer),
    )


def _card_face(
    about: Particulars, zone: tuple[str, str, str], small: str, identity: str, *, specimen: bool
) -> CardFace:
    person = about.identity
    return CardFace(
        surname=person.surname,
        given_name=person.given_name,
        patronymic=person.patronymic or "",
        surname_latin=_latin(person.surname),
        given_name_latin=_latin(person.given_name),
        patronymic_latin=_latin(person.patronymic),
        sex=stated.Sex(person.sex.value),
        birth_date=person.birth_date,
        birth_place=person.birth_place,
        document_number=about.document_number,
        access_number=about.access_number,
        issue_date=about.made_at.date(),
        expiry_date=about.valid_until,
        authority=AUTHORITY,
        region=_REGIONS.get(about.region, about.region),
        mrz=zone,
        portrait=about.face,
        small_code=small,
        identity_code=identity,
        specimen=specimen,
    )
