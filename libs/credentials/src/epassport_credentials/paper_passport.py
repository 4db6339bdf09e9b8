"""The two lines of the Russian internal passport, document type PN.

Shaped as TD3, with names in the reversible alphabet of `transliteration.PN`, without
expiry. The series is split: three digits in the number field, the fourth before the date
of issue (order 773 of the interior ministry, 2020, annex 24). Hyphens and spaces both
become fillers, so the parts of a double given name cannot be told from a patronymic: the
first part is read as the given name.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.mrz import TD3_LENGTH, check_digit, expect_digit, zone_lines
from epassport_credentials.transliteration import from_pn, to_pn

_HEAD = "PNRUS"
_NO_EXPIRY = "<" * 7
_SECOND = re.compile(r"[0-9]{10}RUS[0-9]{7}[MF]<{7}[0-9]{13}<[0-9]{2}")


@dataclass(frozen=True)
class PaperPassport:
    """Names in Cyrillic capitals, parts separated by spaces; dates YYMMDD.

    series: 4 digits; number: 6; division_code: 6
    patronymic: empty if there is none
    name_truncated: the line was full, so the last name may have been cut
    """

    surname: str = field(repr=False)
    given_name: str = field(repr=False)
    patronymic: str = field(repr=False)
    series: str = field(repr=False)
    number: str = field(repr=False)
    birth_date: str = field(repr=False)
    sex: str = field(repr=False)
    issued_on: str = field(repr=False)
    division_code: str = field(repr=False)
    name_truncated: bool = False


def build_paper_passport(passport: PaperPassport) -> tuple[str, str]:
    """Raises InvalidCredential: MALFORMED (a letter without an image); ValueError."""
    surname, given_name, patronymic = (
        to_pn(name) for name in (passport.surname, passport.given_name, passport.patronymic)
    )
    names = f"{surname}<<{given_name}" + (f"<{patronymic}" if patronymic else "")
    first = (_HEAD + names)[:TD3_LENGTH].ljust(TD3_LENGTH, "<")
    number = passport.series[:3] + passport.number
    number += check_digit(number)
    birth = passport.birth_date + check_digit(passport.birth_date)
    issue = passport.series[3:] + passport.issued_on + passport.division_code + "<"
    issue += check_digit(issue)
    composite = check_digit(number + birth + _NO_EXPIRY + issue)
    second = f"{number}RUS{birth}{passport.sex}{_NO_EXPIRY}{issue}{composite}"
    if not _SECOND.fullmatch(second):
        raise ValueError("a field of the second line has another form")
    return first, second


def parse_paper_passport(lines: Sequence[str]) -> PaperPassport:
    """Raises InvalidCredential: MALFORMED, WRONG_CHECK_DIGIT."""
    first, second = zone_lines(lines, count=2, length=TD3_LENGTH)
    if not first.startswith(_HEAD) or not _SECOND.fullmatch(second):
        raise InvalidCredential(Reason.MALFORMED, "not the lines of an internal passport")
    expect_digit(second[:9], second[9], "number")
    expect_digit(second[13:19], second[19], "birth date")
    expect_digit(second[28:42], second[42], "issue")
    expect_digit(second[:10] + second[13:20] + second[21:43], second[43], "composite")
    surname, given_name, patronymic = _read_names(first[len(_HEAD) :])
    return PaperPassport(
        surname=surname,
        given_name=given_name,
        patronymic=patronymic,
        series=second[:3] + second[28],
        number=second[3:9],
        birth_date=second[13:19],
        sex=second[20],
        issued_on=second[29:35],
        division_code=second[35:41],
        name_truncated=first[-1] != "<",
    )


def _read_names(zone: str) -> tuple[str, str, str]:
    surname, separator, rest = zone.rstrip("<").partition("<<")
    if not surname or not separator or "<<" in rest:
        raise InvalidCredential(Reason.MALFORMED, "names")
    given_name, _, patronymic = rest.partition("<")
    return from_pn(surname), from_pn(given_name), from_pn(patronymic)
