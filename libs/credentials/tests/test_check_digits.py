import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.check_digits import (
    inn_check,
    is_driving_licence,
    is_inn,
    is_snils,
    snils_check,
)


def test_the_published_example_of_snils_holds() -> None:
    assert is_snils("11223344595")
    assert not is_snils("11223344596")


@pytest.mark.parametrize("account", ["087654302", "087654303"])
def test_snils_remainders_of_100_and_101_count_as_00(account: str) -> None:
    assert snils_check(account) == "00"
    assert is_snils(account + "00")


def test_the_oldest_snils_have_no_check() -> None:
    assert is_snils("00100199899")
    assert not is_snils("00100199999")


@pytest.mark.parametrize(
    "number", ["", "1122334459", "112233445950", "112-233-445 95", "1122334459x", "١١٢٢٣٣٤٤٥٩٥"]
)
def test_what_is_not_eleven_digits_is_no_snils(number: str) -> None:
    assert not is_snils(number)


def test_the_published_example_of_inn_holds() -> None:
    assert is_inn("500100732259")
    assert not is_inn("500100732258")
    assert not is_inn("500100732249")
    assert not is_inn("7707083893")  # ten digits belong to an organisation


@given(st.integers(0, 10**10 - 1), st.integers(0, 11), st.integers(1, 9))
def test_an_inn_with_a_check_is_right_and_with_a_wrong_check_is_not(
    account: int, place: int, step: int
) -> None:
    right = f"{account:010d}" + inn_check(f"{account:010d}")
    assert is_inn(right)
    if place >= 10:
        wrong = right[:place] + str((int(right[place]) + step) % 10) + right[place + 1 :]
        assert not is_inn(wrong)


@pytest.mark.parametrize("number", ["9921123456", "77АВ123456"])
def test_a_driving_licence_has_four_of_series_and_six_digits(number: str) -> None:
    assert is_driving_licence(number)


@pytest.mark.parametrize("number", ["", "77AB123456", "77ЯЖ123456", "992112345", "99211234567"])
def test_other_numbers_are_no_driving_licence(number: str) -> None:
    assert not is_driving_licence(number)
