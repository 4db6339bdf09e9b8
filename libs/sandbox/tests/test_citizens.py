import re
from dataclasses import fields, replace
from datetime import date

import pytest

from epassport_credentials.check_digits import is_driving_licence, is_inn, is_snils
from epassport_credentials.identity import Sex
from epassport_credentials.paper_passport import parse_paper_passport
from epassport_sandbox import names
from epassport_sandbox.citizens import Citizen, citizens, special_cast
from epassport_sandbox.places import PILOT_REGIONS, REGIONS

TODAY = date(2026, 3, 2)
TOWN = list(citizens(7, 600, TODAY))
CAST = special_cast(TODAY)
EVERYBODY = [
    *TOWN,
    *(person.representative for person in TOWN if person.representative),
    *(getattr(CAST, role.name) for role in fields(CAST)),
]


def test_the_same_seed_gives_the_same_persons() -> None:
    assert list(citizens(7, 600, TODAY)) == TOWN
    assert special_cast(TODAY) == CAST


def test_a_longer_run_begins_with_the_persons_of_a_shorter_one() -> None:
    assert list(citizens(7, 5, TODAY)) == TOWN[:5]


def test_another_seed_gives_other_persons() -> None:
    assert set(citizens(8, 50, TODAY)).isdisjoint(TOWN)


def test_name_and_patronymic_agree_with_the_sex() -> None:
    men = {name for name, _, _ in (*names.RUSSIAN_MEN, *names.TATAR_MEN)}
    women = {*names.RUSSIAN_WOMEN, *names.TATAR_WOMEN}
    for person in EVERYBODY:
        assert person.given_name in (men if person.sex is Sex.MALE else women)
        assert person.patronymic.endswith("ич" if person.sex is Sex.MALE else "на")


def test_check_digits_are_right() -> None:
    assert all(is_snils(person.snils) for person in EVERYBODY if person.snils)
    assert all(is_inn(person.inn) for person in EVERYBODY if person.inn)
    assert all(is_driving_licence(p.driving_licence) for p in EVERYBODY if p.driving_licence)


def test_some_have_no_snils_inn_or_licence() -> None:
    for number in ("snils", "inn", "driving_licence"):
        assert {getattr(person, number) is None for person in TOWN} == {True, False}


def test_no_two_persons_share_a_number_or_a_finger() -> None:
    crowd = [p for p in EVERYBODY if p is not CAST.applies_again]
    for number in ("snils", "inn", "driving_licence", "finger_seed"):
        given = [value for p in crowd if (value := getattr(p, number)) is not None]
        assert len(set(given)) == len(given)
    passports = [
        (p.paper_passport.series, p.paper_passport.number) for p in crowd if p.paper_passport
    ]
    assert len(set(passports)) == len(passports)


def test_the_paper_passport_is_the_one_held_at_this_age() -> None:
    for person in EVERYBODY:
        passport, age = person.paper_passport, person.age(TODAY)
        if passport is None:
            assert age <= 14
            continue
        assert re.fullmatch(r"[0-9]{4}", passport.series)
        assert passport.series[:2] == REGIONS[person.region].okato
        assert re.fullmatch(r"[0-9]{6}", passport.number)
        assert re.fullmatch(r"[0-9]{3}-[0-9]{3}", passport.division_code)
        assert date(1997, 10, 1) <= passport.issue_date <= TODAY
        assert person.age(passport.issue_date) >= 14
        assert not (age >= 46 and person.age(passport.issue_date) < 45)
        assert not (21 <= age < 45 and person.age(passport.issue_date) < 20)


def test_the_paper_passports_lines_are_read_back() -> None:
    person, passport = next((p, p.paper_passport) for p in TOWN if p.paper_passport)
    read = parse_paper_passport(person.paper_passport_lines)
    assert (read.surname, read.given_name) == (person.surname.upper(), person.given_name.upper())
    assert (read.series, read.number) == (passport.series, passport.number)


def test_a_child_has_no_passport_lines() -> None:
    with pytest.raises(ValueError, match="no passport"):
        _ = CAST.under_fourteen.paper_passport_lines


def test_latin_names_have_letters_only() -> None:
    for person in EVERYBODY:
        for name in (person.surname_latin, person.given_name_latin, person.patronymic_latin):
            assert re.fullmatch(r"[A-Z ]+", name)


def test_only_the_young_bring_a_birth_certificate_and_a_representative() -> None:
    for person in EVERYBODY:
        age = person.age(TODAY)
        assert (person.birth_certificate is not None) == (age <= 14)
        assert (person.representative is not None) == (age < 18)
        if person.representative:
            assert person.representative.age(TODAY) >= age + 18
            assert person.representative.paper_passport is not None


def test_citizens_are_of_age_to_apply_and_live_in_the_pilot_regions() -> None:
    assert {person.region for person in TOWN} == set(PILOT_REGIONS)
    assert min(person.age(TODAY) for person in TOWN) >= 14
    assert max(person.age(TODAY) for person in TOWN) > 70


def test_authorities_are_named_as_on_the_day_of_issue() -> None:
    bodies = {p.paper_passport.authority.split(" ПО ")[0] for p in TOWN if p.paper_passport}
    assert bodies == {"ГУ МВД РОССИИ", "МВД", "УФМС РОССИИ", "УВД"}


def test_the_cast_is_what_the_demo_expects() -> None:
    assert CAST.outside_pilot.region not in PILOT_REGIONS
    assert CAST.under_fourteen.age(TODAY) < 14
    assert CAST.under_fourteen.paper_passport is None
    assert (CAST.elder_without_phone.age(TODAY), CAST.elder_without_phone.has_phone) == (67, False)
    assert not CAST.unusable_fingers.fingers_usable
    assert all(person.fingers_usable and person.has_phone for person in TOWN)


def test_the_duplicate_has_the_same_body_and_nothing_else() -> None:
    first, again = CAST.applies_first, CAST.applies_again
    assert (first.finger_seed, first.portrait_seed, first.sex) == (
        again.finger_seed,
        again.portrait_seed,
        again.sex,
    )
    assert first.surname != again.surname
    assert first.paper_passport != again.paper_passport
    assert first.snils is None or first.snils != again.snils


@pytest.mark.parametrize(
    ("today", "age"), [(date(2026, 2, 28), 21), (date(2026, 3, 1), 22), (date(2028, 2, 29), 24)]
)
def test_who_was_born_on_a_leap_day_ages_on_the_first_of_march(today: date, age: int) -> None:
    leap: Citizen = replace(TOWN[0], birth_date=date(2004, 2, 29))
    assert leap.age(today) == age
