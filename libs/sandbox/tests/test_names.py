import re

import pytest

from epassport_credentials.identity import Sex
from epassport_sandbox import names

CYRILLIC = re.compile(r"[А-ЯЁ][а-яё]+")
MEN = (*names.RUSSIAN_MEN, *names.TATAR_MEN)
WOMEN = (*names.RUSSIAN_WOMEN, *names.TATAR_WOMEN)
SURNAMES = (*names.RUSSIAN_SURNAMES, *names.TATAR_SURNAMES)


@pytest.mark.parametrize(
    ("masculine", "feminine"),
    [
        ("Соловьёв", "Соловьёва"),
        ("Ильин", "Ильина"),
        ("Чайковский", "Чайковская"),
        ("Толстой", "Толстая"),
        ("Шевченко", "Шевченко"),
        ("Савчук", "Савчук"),
        ("Седых", "Седых"),
        ("Хабибуллин", "Хабибуллина"),
    ],
)
def test_a_surname_takes_the_form_of_its_bearer(masculine: str, feminine: str) -> None:
    assert names.surname_of(masculine, Sex.MALE) == masculine
    assert names.surname_of(masculine, Sex.FEMALE) == feminine


def test_there_are_enough_different_names() -> None:
    assert len(set(SURNAMES)) == len(SURNAMES) >= 150
    assert len({name for name, _, _ in MEN}) == len(MEN) >= 60
    assert len(set(WOMEN)) == len(WOMEN) >= 60


def test_every_name_is_written_in_cyrillic() -> None:
    written = [*SURNAMES, *WOMEN, *(form for man in MEN for form in man)]
    assert [name for name in written if not CYRILLIC.fullmatch(name)] == []


def test_a_patronymic_ends_as_the_childs_sex_asks() -> None:
    assert all(son.endswith("ич") for _, son, _ in MEN)
    assert all(daughter.endswith("на") for _, _, daughter in MEN)
