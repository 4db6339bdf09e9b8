"""Machine-readable zones: TD3 and TD1 (ICAO Doc 9303 parts 4 and 5).

Fields stand as in the zone, without fillers at their end: dates are YYMMDD (a century
cannot be told from them), `primary` and `secondary` are the identifiers with spaces.
Parsing is strict: length, character set and every check digit. The internal passport's
lines are in `paper_passport`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import cycle
from operator import mul
from string import ascii_uppercase, digits

from epassport_credentials.errors import InvalidCredential, Reason

_ZONE = re.compile(r"[A-Z0-9<]*")
_DATE = re.compile(r"[0-9<]{6}")
_WEIGHTS = (7, 3, 1)
_VALUES = {sign: value for value, sign in enumerate(digits + ascii_uppercase)} | {"<": 0}

TD3_LENGTH, TD1_LENGTH = 44, 30
_NUMBER, _TD1_OPTIONAL = 9, 15


@dataclass(frozen=True)
class Mrz:
    """sex: M, F or < (unspecified); optional, optional_2: the issuer's own, may be empty."""

    document_code: str
    issuing_state: str
    primary: str = field(repr=False)
    secondary: str = field(repr=False)
    number: str = field(repr=False)
    nationality: str
    birth_date: str = field(repr=False)
    sex: str = field(repr=False)
    expiry_date: str
    optional: str = field(default="", repr=False)
    optional_2: str = field(default="", repr=False)
    name_truncated: bool = False


def check_digit(text: str) -> str:
    """Doc 9303-3 §4.9: weights 7, 3, 1 modulo 10; A is 10, Z is 35, < is 0."""
    total = sum(map(mul, map(_VALUES.__getitem__, text), cycle(_WEIGHTS)))
    return str(total % 10)


def yymmdd(day: date) -> str:
    return day.strftime("%y%m%d")


def build_td3(mrz: Mrz) -> tuple[str, str]:
    """Two lines of 44. Raises ValueError if a field does not fit; names are truncated."""
    first = _field(mrz.document_code, 2) + _field(mrz.issuing_state, 3)
    first += name_field(mrz.primary, mrz.secondary, TD3_LENGTH - 5)
    number = _checked(_field(mrz.number, _NUMBER))
    birth, expiry = _checked(_date(mrz.birth_date)), _checked(_date(mrz.expiry_date))
    # Position 43 may be a filler when the optional field is empty; the digit is 0 then too.
    optional = _checked(_field(mrz.optional, 14))
    second = number + _field(mrz.nationality, 3) + birth + _field(mrz.sex, 1) + expiry + optional
    return first, second + check_digit(number + birth + expiry + optional)


def build_td1(mrz: Mrz) -> tuple[str, str, str]:
    """Three lines of 30. Raises ValueError if a field does not fit; names are truncated."""
    first = _field(mrz.document_code, 2) + _field(mrz.issuing_state, 3)
    first += _number_and_optional(mrz.number, mrz.optional)
    birth, expiry = _checked(_date(mrz.birth_date)), _checked(_date(mrz.expiry_date))
    tail = _field(mrz.optional_2, 11)
    second = birth + _field(mrz.sex, 1) + expiry + _field(mrz.nationality, 3) + tail
    composite = check_digit(first[5:] + birth + expiry + tail)
    return first, second + composite, name_field(mrz.primary, mrz.secondary, TD1_LENGTH)


def parse_td3(lines: Sequence[str]) -> Mrz:
    """Raises InvalidCredential: MALFORMED, WRONG_CHECK_DIGIT."""
    first, second = zone_lines(lines, count=2, length=TD3_LENGTH)
    expect_digit(second[:9], second[9], "number")
    expect_digit(second[13:19], second[19], "birth date")
    expect_digit(second[21:27], second[27], "expiry date")
    if second[42] != "<" or second[28:42].strip("<"):  # a filler only when the field is empty
        expect_digit(second[28:42], second[42], "optional data")
    expect_digit(second[:10] + second[13:20] + second[21:43], second[43], "composite")
    primary, secondary = split_names(first[5:])
    return Mrz(
        document_code=first[:2].rstrip("<"),
        issuing_state=first[2:5].rstrip("<"),
        primary=primary,
        secondary=secondary,
        number=second[:9].rstrip("<"),
        nationality=second[10:13].rstrip("<"),
        birth_date=_read_date(second[13:19]),
        sex=_read_sex(second[20]),
        expiry_date=_read_date(second[21:27]),
        optional=second[28:42].rstrip("<"),
        name_truncated=first[-1] != "<",
    )


def parse_td1(lines: Sequence[str]) -> Mrz:
    """Raises InvalidCredential: MALFORMED, WRONG_CHECK_DIGIT."""
    first, second, names = zone_lines(lines, count=3, length=TD1_LENGTH)
    number, optional = _read_number_and_optional(first[5:])
    expect_digit(second[:6], second[6], "birth date")
    expect_digit(second[8:14], second[14], "expiry date")
    expect_digit(first[5:] + second[:7] + second[8:15] + second[18:29], second[29], "composite")
    primary, secondary = split_names(names)
    return Mrz(
        document_code=first[:2].rstrip("<"),
        issuing_state=first[2:5].rstrip("<"),
        primary=primary,
        secondary=secondary,
        number=number,
        nationality=second[15:18].rstrip("<"),
        birth_date=_read_date(second[:6]),
        sex=_read_sex(second[7]),
        expiry_date=_read_date(second[8:14]),
        optional=optional,
        optional_2=second[18:29].rstrip("<"),
        name_truncated=names[-1] != "<",
    )


def _number_and_optional(number: str, optional: str) -> str:
    """25 characters. A number of more than nine goes on in the optional field, with its check
    digit behind it and a filler in the digit's place (Doc 9303-5 §4.2.2, note j)."""
    if len(number) <= _NUMBER:
        return _checked(_field(number, _NUMBER)) + _field(optional, _TD1_OPTIONAL)
    head = _field(number[:_NUMBER], _NUMBER) + "<"
    rest = _field(number[_NUMBER:], len(number) - _NUMBER) + check_digit(number)
    return head + _field(f"{rest}<{optional}".rstrip("<"), _TD1_OPTIONAL)


def _read_number_and_optional(zone: str) -> tuple[str, str]:
    number, digit, optional = zone[:_NUMBER], zone[_NUMBER], zone[_NUMBER + 1 :]
    if digit != "<" or optional.startswith("<"):
        expect_digit(number, digit, "number")
        return number.rstrip("<"), optional.rstrip("<")
    rest, _, optional = optional.partition("<")
    expect_digit(number + rest[:-1], rest[-1], "number")
    return number + rest[:-1], optional.rstrip("<")


def name_field(primary: str, secondary: str, length: int) -> str:
    """Both identifiers, cut so that a cut field ends in a letter (Doc 9303-4 §4.2.3).

    The primary identifier stays whole while at least one letter of the secondary fits.
    """
    first, second = (part.replace(" ", "<") for part in (primary, secondary))
    if not first or not _ZONE.fullmatch(first + second):
        raise ValueError("a name is A to Z and spaces, and has a primary identifier")
    whole = f"{first}<<{second}" if second else first
    if len(whole) <= length:
        return whole.ljust(length, "<")
    if second and len(first) > length - 3:
        whole = f"{first[: length - 3].rstrip('<')}<<{second}"
    return _end_in_letter(whole, length).ljust(length, "<")


def split_names(zone: str) -> tuple[str, str]:
    """Primary and secondary identifier, with spaces. Raises InvalidCredential: MALFORMED."""
    primary, _, secondary = zone.rstrip("<").partition("<<")
    if not primary or primary.startswith("<") or "<<" in secondary:
        raise InvalidCredential(Reason.MALFORMED, "names")
    return primary.replace("<", " "), secondary.replace("<", " ")


def _end_in_letter(whole: str, length: int) -> str:
    """A field that ended in a filler would read as whole: the next name's letter goes there."""
    cut = whole[:length]
    if cut[-1] != "<":
        return cut
    following = whole[length]
    one_letter = cut[-3] == "<"
    return cut[:-1] + following if one_letter else f"{cut[:-2]}<{following}"


def zone_lines(lines: Sequence[str], *, count: int, length: int) -> Sequence[str]:
    """The lines, if they have that shape. Raises InvalidCredential: MALFORMED."""
    if len(lines) != count or any(len(line) != length for line in lines):
        raise InvalidCredential(Reason.MALFORMED, f"not {count} lines of {length}")
    if not all(_ZONE.fullmatch(line) for line in lines):
        raise InvalidCredential(Reason.MALFORMED, "a character outside A-Z, 0-9, <")
    return lines


def expect_digit(text: str, digit: str, name: str) -> None:
    """name: of the field. Raises InvalidCredential: WRONG_CHECK_DIGIT."""
    if check_digit(text) != digit:
        raise InvalidCredential(Reason.WRONG_CHECK_DIGIT, name)


def _checked(text: str) -> str:
    return text + check_digit(text)


def _field(text: str, length: int) -> str:
    if len(text) > length or not _ZONE.fullmatch(text):
        raise ValueError(f"not at most {length} characters of A-Z, 0-9, <")
    return text.ljust(length, "<")


def _date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise ValueError("a date is YYMMDD")
    return text


def _read_date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise InvalidCredential(Reason.MALFORMED, "a date is YYMMDD")
    return text


def _read_sex(sign: str) -> str:
    if sign not in "MF<":
        raise InvalidCredential(Reason.MALFORMED, "sex is M, F or <")
    return sign
