"""What a code may state about a person, and its encoding as claim 169.

Claim 169 is MOSIP's registered map of identity attributes (version 1.2.0). Attributes
75 to 99 are free for closed ecosystems: 77 says "18 or older" here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from epassport_credentials.claims import Claims, integer_of, text_of
from epassport_credentials.errors import InvalidCredential, Reason

ID, LANGUAGE, FULL_NAME, BIRTH_DATE, GENDER, NATIONALITY = 1, 3, 4, 8, 9, 13
PHOTO, PHOTO_FORMAT = 16, 17
OVER_18 = 77

PHOTO_FORMAT_WEBP = 4

_LANGUAGE_OF_NAMES = "rus"  # ISO 639-3


class Sex(StrEnum):
    MALE = "M"
    FEMALE = "F"


_GENDER_CODE = {Sex.MALE: 1, Sex.FEMALE: 2}
_SEX = {code: sex for sex, code in _GENDER_CODE.items()}


@dataclass(frozen=True)
class Identity:
    """The attributes of an identity check; full_name as printed, in Cyrillic."""

    full_name: str = field(repr=False)
    birth_date: date = field(repr=False)
    sex: Sex = field(repr=False)
    document_number: str = field(repr=False)
    nationality: str = field(repr=False)


@dataclass(frozen=True)
class AgeOver18:
    """The holder is 18 or older; nothing else."""


def has_reached(age: int, birth_date: date, on: date) -> bool:
    """Whether somebody is `age` years old: from the day after the birthday.

    A term begins on the day after the event that starts it (Russian civil code, article 191);
    docs/decisions/0011-eighteen-the-day-after-the-birthday.md.
    """
    try:
        birthday = birth_date.replace(year=birth_date.year + age)
    except ValueError:  # born on 29 February
        birthday = birth_date.replace(year=birth_date.year + age, month=3, day=1)
    return on > birthday


def is_over_18(birth_date: date, on: date) -> bool:
    """What attribute 77, a phone's age attestation and a shop's question mean."""
    return has_reached(18, birth_date, on)


def identity_attributes(identity: Identity) -> dict[int, object]:
    """By the labels of claim 169; the birth date as YYYYMMDD."""
    return {
        ID: identity.document_number,
        LANGUAGE: _LANGUAGE_OF_NAMES,
        FULL_NAME: identity.full_name,
        BIRTH_DATE: identity.birth_date.strftime("%Y%m%d"),
        GENDER: _GENDER_CODE[identity.sex],
        NATIONALITY: identity.nationality,
    }


def read_identity(attributes: Claims) -> Identity:
    """Raises InvalidCredential: MALFORMED."""
    birth_date = text_of(attributes, BIRTH_DATE)
    gender = integer_of(attributes, GENDER)
    if gender not in _SEX:
        raise InvalidCredential(Reason.MALFORMED, "attribute 9 is neither 1 nor 2")
    return Identity(
        full_name=text_of(attributes, FULL_NAME),
        birth_date=_read_date(birth_date),
        sex=_SEX[gender],
        document_number=text_of(attributes, ID),
        nationality=text_of(attributes, NATIONALITY),
    )


def shown_identity(identity: Identity) -> Mapping[str, str | bool]:
    """What a verifier's page shows, by name."""
    return {
        "full_name": identity.full_name,
        "birth_date": identity.birth_date.isoformat(),
        "sex": identity.sex.value,
        "document_number": identity.document_number,
        "nationality": identity.nationality,
    }


def _read_date(text: str) -> date:
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        raise InvalidCredential(Reason.MALFORMED, "a date is YYYYMMDD")
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError as error:
        raise InvalidCredential(Reason.MALFORMED, "no such day") from error
