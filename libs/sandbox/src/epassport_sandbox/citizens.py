"""Synthetic citizens: invented persons whose papers obey the rules real papers obey.

Everything about a person follows from (seed, index, today), so that a run can be repeated;
numbers that must be unique (passport, SNILS, INN, licence, finger) are counted, not drawn.
No number is taken from a real person, yet some may exist: nothing here may leave a sandbox.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from epassport_credentials import paper_passport
from epassport_credentials.check_digits import inn_check, snils_check
from epassport_credentials.identity import Sex
from epassport_credentials.mrz import yymmdd
from epassport_credentials.transliteration import to_icao
from epassport_sandbox import names, places
from epassport_sandbox.places import PILOT_REGIONS, REGIONS, Region

AGE_OF_FIRST_PASSPORT = 14
FULL_AGE = 18
_RENEWED_AT = (45, 20, AGE_OF_FIRST_PASSPORT)
_FIRST_RUSSIAN_PASSPORTS = date(1997, 10, 1)
_LAST_SOVIET_EXCHANGED = date(2003, 12, 31)
_SNILS_WITHOUT_CHECK = 1_001_998  # numbers up to here have no check digits
_NEXT_NUMBER = 7_919  # coprime to the span: visits every number once
_SPAN = 899_999
_CAST_FIRST_INDEX = 900_000  # numbers above the span belong to the special cast
_PARENT_SHIFT = 450_000  # a representative's numbers stand half a span away


@dataclass(frozen=True)
class PaperPassport:
    series: str  # 4 digits
    number: str  # 6 digits
    division_code: str  # NNN-NNN
    issue_date: date
    authority: str


@dataclass(frozen=True)
class BirthCertificate:
    series: str  # Roman numeral, two Cyrillic letters
    number: str  # 6 digits
    issue_date: date
    authority: str


@dataclass(frozen=True)
class Citizen:
    """A person with the papers he or she can show at the desk.

    finger_seed names a person's fingers: two citizens with the same one are the same person.
    portrait_seed does the same for the face; `portraits.draw_portrait` takes it.
    """

    surname: str
    given_name: str
    patronymic: str
    sex: Sex
    birth_date: date
    birth_place: str
    region: str
    paper_passport: PaperPassport | None
    birth_certificate: BirthCertificate | None
    snils: str | None
    inn: str | None
    driving_licence: str | None
    finger_seed: int
    portrait_seed: int
    fingers_usable: bool = True
    has_phone: bool = True
    representative: "Citizen | None" = None

    @property
    def surname_latin(self) -> str:
        return _latin(self.surname)

    @property
    def given_name_latin(self) -> str:
        return _latin(self.given_name)

    @property
    def patronymic_latin(self) -> str:
        return _latin(self.patronymic)

    @property
    def paper_passport_lines(self) -> tuple[str, str]:
        """The machine-readable lines of the paper passport. ValueError if there is none."""
        if self.paper_passport is None:
            raise ValueError("this person has no passport yet")
        return paper_passport.build_paper_passport(
            paper_passport.PaperPassport(
                surname=self.surname,
                given_name=self.given_name,
                patronymic=self.patronymic,
                series=self.paper_passport.series,
                number=self.paper_passport.number,
                birth_date=yymmdd(self.birth_date),
                sex=self.sex,
                issued_on=yymmdd(self.paper_passport.issue_date),
                division_code=self.paper_passport.division_code.replace("-", ""),
            )
        )

    def age(self, today: date) -> int:
        """Whole years; who was born on 29 February has a birthday on 1 March in other years."""
        return _whole_years(self.birth_date, today)


@dataclass(frozen=True)
class SpecialCast:
    """The persons whom the demo expects to be treated differently."""

    outside_pilot: Citizen
    under_fourteen: Citizen
    elder_without_phone: Citizen
    unusable_fingers: Citizen
    applies_first: Citizen
    applies_again: Citizen  # the same person as `applies_first` under another name


def citizens(
    seed: int, count: int, today: date, *, regions: Sequence[str] = PILOT_REGIONS
) -> Iterator[Citizen]:
    """`count` persons of 14 and older who live in `regions`; about one in 25 is under 18.

    Who is under 18 comes with a representative. At most 449,999 in one run stay unique.
    """
    for index in range(count):
        chance = random.Random(f"citizen {seed} {index}")
        region = REGIONS[chance.choice(regions)]
        low, high, mode = (14, 18, 16) if chance.random() < 0.04 else (18, 82, 34)
        birth_date = _birthday(chance, today, int(chance.triangular(low, high, mode)))
        yield _person(chance, _Numbers.of(seed, index), region, birth_date, today)


def special_cast(today: date, *, troupe: int = 0) -> SpecialCast:
    """The same six persons in every run of a day. troupe: up to 99, each of other persons."""

    def cast(role: int, age: int, region: str) -> Citizen:
        number = 10 * troupe + role
        chance = random.Random(f"special cast {number}")
        birth_date = _birthday(chance, today, age)
        return _person(
            chance, _Numbers(_CAST_FIRST_INDEX + number), REGIONS[region], birth_date, today
        )

    applies_first = cast(4, 38, "RU-MOW")
    other_papers = cast(5, 36, "RU-MOS")
    return SpecialCast(
        outside_pilot=cast(0, 41, "RU-SVE"),
        under_fourteen=cast(1, 11, "RU-MOW"),
        elder_without_phone=replace(cast(2, 67, "RU-TA"), has_phone=False, driving_licence=None),
        unusable_fingers=replace(cast(3, 52, "RU-MOS"), fingers_usable=False),
        applies_first=applies_first,
        applies_again=_renamed(other_papers, applies_first),
    )


@dataclass(frozen=True)
class _Numbers:
    """Numbers that no other person of the same run has."""

    index: int

    @classmethod
    def of(cls, seed: int, index: int) -> "_Numbers":
        start = random.Random(f"numbers {seed}").randrange(_SPAN)
        return cls((start + index * _NEXT_NUMBER) % _SPAN)

    @property
    def six_digits(self) -> str:
        return f"{self.index + 101:06}"  # no form is numbered below 000101

    def of_parent(self) -> "_Numbers":
        if self.index >= _CAST_FIRST_INDEX:
            return _Numbers(self.index + 1_000)
        return _Numbers((self.index + _PARENT_SHIFT * _NEXT_NUMBER) % _SPAN)


def _person(
    chance: random.Random,
    numbers: _Numbers,
    region: Region,
    birth_date: date,
    today: date,
    *,
    parent_of: str | None = None,
) -> Citizen:
    """parent_of: the masculine surname a representative shares with the child."""
    sex: Sex = chance.choice((Sex.MALE, Sex.FEMALE))
    masculine, given_name, patronymic = _name(chance, sex, region)
    masculine = parent_of or masculine
    age = _whole_years(birth_date, today)
    return Citizen(
        surname=names.surname_of(masculine, sex),
        given_name=given_name,
        patronymic=patronymic,
        sex=sex,
        birth_date=birth_date,
        birth_place=_birth_place(chance, region),
        region=region.code,
        paper_passport=_paper_passport(chance, numbers, region, birth_date, today),
        birth_certificate=_birth_certificate(chance, numbers, region, birth_date)
        if age <= AGE_OF_FIRST_PASSPORT
        else None,
        snils=_snils(numbers) if chance.random() < 0.95 else None,
        inn=_inn(numbers, region) if age >= FULL_AGE and chance.random() < 0.9 else None,
        driving_licence=_driving_licence(chance, numbers, region)
        if age >= FULL_AGE and chance.random() < 0.6
        else None,
        finger_seed=numbers.index,
        portrait_seed=chance.getrandbits(32),
        representative=_parent(chance, numbers, region, birth_date, today, masculine)
        if age < FULL_AGE
        else None,
    )


def _parent(
    chance: random.Random,
    numbers: _Numbers,
    region: Region,
    child_born: date,
    today: date,
    surname: str,
) -> Citizen:
    born = _years_after(child_born, -chance.randrange(20, 38)) - timedelta(chance.randrange(365))
    return _person(chance, numbers.of_parent(), region, born, today, parent_of=surname)


def _name(chance: random.Random, sex: Sex, region: Region) -> tuple[str, str, str]:
    """Masculine surname, given name, patronymic: Tatar for every second person of Tatarstan."""
    tatar = chance.random() < (0.5 if region.code == "RU-TA" else 0.04)
    men = names.TATAR_MEN if tatar else names.RUSSIAN_MEN
    women = names.TATAR_WOMEN if tatar else names.RUSSIAN_WOMEN
    surname = chance.choice(names.TATAR_SURNAMES if tatar else names.RUSSIAN_SURNAMES)
    given_name = chance.choice(men)[0] if sex is Sex.MALE else chance.choice(women)
    _, son, daughter = chance.choice(men)
    return surname, given_name, son if sex is Sex.MALE else daughter


def _birth_place(chance: random.Random, region: Region) -> str:
    origin = region if chance.random() < 0.6 else chance.choice(list(REGIONS.values()))
    town = chance.choice(origin.towns)
    return town if town == origin.name else f"{town}, {origin.name}"


def _paper_passport(
    chance: random.Random, numbers: _Numbers, region: Region, birth_date: date, today: date
) -> PaperPassport | None:
    """The passport held today: renewed at 20 and 45, each time some weeks after the birthday."""
    waited = timedelta(days=chance.randrange(1, 60))
    exchanged = _FIRST_RUSSIAN_PASSPORTS + timedelta(
        days=chance.randrange((_LAST_SOVIET_EXCHANGED - _FIRST_RUSSIAN_PASSPORTS).days)
    )
    division = f"{region.tax}{chance.randrange(3)}-{chance.randrange(1, 120):03}"
    issued = [_years_after(birth_date, age) + waited for age in _RENEWED_AT]
    held = next((day for day in issued if day <= today), None)
    if held is None:
        return None
    issue_date = max(held, exchanged) if held < _FIRST_RUSSIAN_PASSPORTS else held
    return PaperPassport(
        series=f"{region.okato}{issue_date.year % 100:02}",
        number=numbers.six_digits,
        division_code=division,
        issue_date=issue_date,
        authority=places.passport_authority(region, issue_date),
    )


def _birth_certificate(
    chance: random.Random, numbers: _Numbers, region: Region, birth_date: date
) -> BirthCertificate:
    letters = "".join(chance.choice("АБВГДЕЖИКЛМНРСТЮЯ") for _ in range(2))
    return BirthCertificate(
        series=f"{chance.choice(('I', 'II', 'III', 'IV', 'V', 'VI'))}-{letters}",
        number=numbers.six_digits,
        issue_date=birth_date + timedelta(days=chance.randrange(3, 40)),
        authority=f"ОРГАН ЗАГС ПО {region.by_authority}",
    )


def _snils(numbers: _Numbers) -> str:
    account = f"{_SNILS_WITHOUT_CHECK + 1 + numbers.index * 1_009:09}"
    return account + snils_check(account)


def _inn(numbers: _Numbers, region: Region) -> str:
    account = f"{region.tax}{numbers.index % 60 + 1:02}{numbers.six_digits}"  # office, number
    return account + inn_check(account)


def _driving_licence(chance: random.Random, numbers: _Numbers, region: Region) -> str:
    return f"{region.tax}{chance.randrange(10, 40)}{numbers.six_digits}"


def _renamed(papers: Citizen, person: Citizen) -> Citizen:
    """`person` who shows somebody else's papers: other name and numbers, same body."""
    given_name = "Виктор" if person.sex is Sex.MALE else "Виктория"
    patronymic = "Олегович" if person.sex is Sex.MALE else "Олеговна"
    return replace(
        papers,
        surname=names.surname_of("Северов", person.sex),
        given_name=given_name,
        patronymic=patronymic,
        sex=person.sex,
        finger_seed=person.finger_seed,
        portrait_seed=person.portrait_seed,
    )


def _birthday(chance: random.Random, today: date, age: int) -> date:
    """A day on which somebody was born who is `age` whole years old today."""
    return _years_after(today, -age) - timedelta(days=chance.randrange(1, 364))


def _whole_years(born: date, today: date) -> int:
    return today.year - born.year - (_years_after(born, today.year - born.year) > today)


def _latin(name: str) -> str:
    return to_icao(name).replace("<", " ")


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return date(day.year + years, 3, 1)
