import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.mrz import (
    Mrz,
    build_td1,
    build_td3,
    check_digit,
    name_field,
    parse_td1,
    parse_td3,
    yymmdd,
)
from epassport_credentials.paper_passport import (
    PaperPassport,
    build_paper_passport,
    parse_paper_passport,
)
from epassport_credentials.transliteration import ICAO_RUSSIAN, PN, from_pn, to_icao, to_pn

TD3 = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
)
TD1 = (
    "I<UTOD231458907<<<<<<<<<<<<<<<",
    "7408122F1204159UTO<<<<<<<<<<<6",
    "ERIKSSON<<ANNA<MARIA<<<<<<<<<<",
)
ANNA = Mrz(
    "P", "UTO", "ERIKSSON", "ANNA MARIA", "L898902C3", "UTO", "740812", "F", "120415", "ZE184226B"
)

WORD = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=12)
NAME = st.lists(WORD, min_size=1, max_size=3).map(" ".join)
CYRILLIC = st.text("".join(PN), min_size=1, max_size=12)
DIGITS = st.text("0123456789")


def reason_of(call: Callable[..., object], *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidCredential) as refusal:
        call(*args, **kwargs)
    return refusal.value.reason


def test_the_icao_specimen_of_td3_is_read_and_built() -> None:
    assert parse_td3(TD3) == ANNA
    assert build_td3(ANNA) == TD3


def test_the_icao_specimen_of_td1_is_read_and_built() -> None:
    anna = replace(ANNA, document_code="I", number="D23145890", optional="")
    assert parse_td1(TD1) == anna
    assert build_td1(anna) == TD1


def test_a_long_number_goes_on_in_the_optional_field_of_td1() -> None:
    """The example of Doc 9303-5 §4.2.2, note j: D23145890734, check digit 9."""
    anna = replace(ANNA, document_code="I", number="D23145890734", optional="")
    lines = build_td1(anna)
    assert lines[0] == "I<UTOD23145890<7349<<<<<<<<<<<"
    assert parse_td1(lines) == anna
    wrong = lines[0].replace("<7349", "<7348")
    assert reason_of(parse_td1, (wrong, *lines[1:])) is Reason.WRONG_CHECK_DIGIT


@given(st.text("ABCXYZ0123456789", min_size=1, max_size=23), WORD)
def test_a_number_and_the_optional_field_of_td1_stay_apart(number: str, optional: str) -> None:
    mrz = replace(ANNA, document_code="I", number=number, optional=optional)
    taken = len(number) - 9 + 2 if len(number) > 9 else 0  # its rest, its digit, a filler
    if taken + len(optional) <= 15:
        assert parse_td1(build_td1(mrz)) == mrz
    else:
        with pytest.raises(ValueError, match="A-Z"):
            build_td1(mrz)


@given(st.lists(st.text("ABZ019<", min_size=30, max_size=30), min_size=3, max_size=3))
def test_any_lines_end_in_fields_or_our_own_error(lines: list[str]) -> None:
    with contextlib.suppress(InvalidCredential):
        parse_td1(lines)


@pytest.mark.parametrize("place", [9, 19, 27, 42, 43])
def test_each_check_digit_of_td3_is_checked(place: int) -> None:
    wrong = str((int(TD3[1][place]) + 1) % 10)
    lines = (TD3[0], TD3[1][:place] + wrong + TD3[1][place + 1 :])
    assert reason_of(parse_td3, lines) is Reason.WRONG_CHECK_DIGIT


@pytest.mark.parametrize(("line", "place"), [(0, 14), (1, 6), (1, 14), (1, 29)])
def test_each_check_digit_of_td1_is_checked(line: int, place: int) -> None:
    lines = list(TD1)
    wrong = str((int(lines[line][place]) + 1) % 10)
    lines[line] = lines[line][:place] + wrong + lines[line][place + 1 :]
    assert reason_of(parse_td1, lines) is Reason.WRONG_CHECK_DIGIT


@pytest.mark.parametrize(
    "lines",
    [
        (),
        TD3[:1],
        (TD3[0][:-1], TD3[1]),
        (TD3[0].lower(), TD3[1]),
        ("P<UTO" + "<" * 39, TD3[1]),
        ("P<UTOA<<B<<C" + "<" * 32, TD3[1]),
        (TD3[0], "L898902C36UTO74O8122F1204159ZE184226B<<<<<10"),
    ],
)
def test_lines_of_another_form_are_refused(lines: tuple[str, ...]) -> None:
    assert reason_of(parse_td3, lines) in {Reason.MALFORMED, Reason.WRONG_CHECK_DIGIT}


def test_an_empty_optional_field_may_have_a_filler_for_its_digit() -> None:
    built = build_td3(replace(ANNA, optional=""))
    assert built[1][42] == "0"
    filler = built[1][:42] + "<" + built[1][43]
    assert parse_td3((built[0], filler)) == replace(ANNA, optional="")


@pytest.mark.parametrize(
    "changes",
    [
        {"number": "TOOLONG" * 4},
        {"number": "ÉLONG123456"},
        {"number": "é"},
        {"birth_date": "1990-05"},
        {"primary": ""},
        {"primary": "O'NEIL"},
        {"issuing_state": "UTOPIA"},
    ],
)
def test_what_cannot_stand_in_a_zone_is_an_error(changes: dict[str, Any]) -> None:
    for build in (build_td1, build_td3):
        with pytest.raises(ValueError, match=r"A-Z|A to Z|YYMMDD"):
            build(replace(ANNA, **changes))


@given(NAME, NAME)
def test_names_are_read_back_whole_or_marked_as_cut(primary: str, secondary: str) -> None:
    mrz = replace(ANNA, primary=primary, secondary=secondary)
    for build, parse in ((build_td3, parse_td3), (build_td1, parse_td1)):
        read = parse(build(mrz))
        if len(primary) + 2 + len(secondary) < (39 if build is build_td3 else 30):
            assert (read.primary, read.secondary) == (primary, secondary)
            assert not read.name_truncated
        else:
            assert read.name_truncated


@pytest.mark.parametrize(
    ("primary", "secondary", "field"),
    [
        ("ABCDEFGHIJ", "K", "ABCDEFG<<K"),
        ("ABCDEFG", "KL MN", "ABCDEFG<<K"),
        ("ABC", "DEF GH", "ABC<<DEF<G"),
        ("ABC", "DEFG HI", "ABC<<DEF<H"),
        ("ABC", "D E FGH", "ABC<<D<E<F"),
        ("ABCDEFGHIJKL", "", "ABCDEFGHIJ"),
        ("ABC", "", "ABC<<<<<<<"),
        ("ABC DE", "FGH", "ABC<DE<<FG"),
    ],
)
def test_a_cut_name_ends_in_a_letter(primary: str, secondary: str, field: str) -> None:
    assert name_field(primary, secondary, 10) == field


@pytest.mark.parametrize(
    ("name", "icao", "pn"),
    [
        ("ПОДЪЁМНЫЙ", "PODIEEMNYI", "PODX2MNYQ"),
        ("Щука", "SHCHUKA", "WUKA"),
        ("Юлия", "IULIIA", "7LI8"),
        ("Римская-Корсакова", "RIMSKAIA<KORSAKOVA", "RIMSKA8<KORSAKOVA"),
        ("Эль", "EL", "6L9"),
        ("Й", "I", "Q"),
    ],
)
def test_names_are_written_in_both_alphabets(name: str, icao: str, pn: str) -> None:
    assert (to_icao(name), to_pn(name)) == (icao, pn)


def test_both_tables_cover_the_alphabet_and_pn_is_one_to_one() -> None:
    assert len(ICAO_RUSSIAN) == len(PN) == len(set(PN.values())) == 33


def test_latin_letters_stay_in_the_icao_alphabet_only() -> None:
    assert to_icao("Anna-Мария") == "ANNA<MARIIA"
    assert reason_of(to_pn, "Anna") is Reason.MALFORMED
    assert reason_of(to_icao, "Анна5") is Reason.MALFORMED
    assert reason_of(from_pn, "A5") is Reason.MALFORMED


@given(CYRILLIC)
def test_the_pn_alphabet_can_be_turned_back(name: str) -> None:
    assert from_pn(to_pn(name)) == name


JULIA = PaperPassport(
    surname="ПОДЪЁМНЫЙ ЩУКА",
    given_name="ЮЛИЯ",
    patronymic="ЭДУАРДОВНА",
    series="0000",
    number="000000",
    birth_date="900517",
    sex="F",
    issued_on="200117",
    division_code="000000",
)
PN_LINES = (
    "PNRUSPODX2MNYQ<WUKA<<7LI8<6DUARDOVNA<<<<<<<<",
    "0000000000RUS9005178F<<<<<<<0200117000000<94",
)


def test_the_lines_of_an_internal_passport_are_read_and_built() -> None:
    assert parse_paper_passport(PN_LINES) == JULIA
    assert build_paper_passport(JULIA) == PN_LINES


@given(CYRILLIC, CYRILLIC, st.just("") | CYRILLIC, st.integers(0, 9999), st.integers(0, 999999))
def test_any_paper_passport_is_read_back_unless_its_line_is_full(
    surname: str, given_name: str, patronymic: str, series: int, number: int
) -> None:
    passport = replace(
        JULIA,
        surname=surname,
        given_name=given_name,
        patronymic=patronymic,
        series=f"{series:04d}",
        number=f"{number:06d}",
    )
    read = parse_paper_passport(build_paper_passport(passport))
    if read.name_truncated:
        assert passport.patronymic.startswith(read.patronymic)
    else:
        assert read == passport


@pytest.mark.parametrize("place", [9, 19, 42, 43])
def test_each_check_digit_of_an_internal_passport_is_checked(place: int) -> None:
    wrong = str((int(PN_LINES[1][place]) + 1) % 10)
    lines = (PN_LINES[0], PN_LINES[1][:place] + wrong + PN_LINES[1][place + 1 :])
    assert reason_of(parse_paper_passport, lines) is Reason.WRONG_CHECK_DIGIT


@pytest.mark.parametrize(
    "lines",
    [TD3, PN_LINES[:1], ("PNRUS" + "<" * 39, PN_LINES[1]), ("PNRUSA" + "<" * 38, PN_LINES[1])],
)
def test_other_lines_are_no_internal_passport(lines: tuple[str, ...]) -> None:
    assert reason_of(parse_paper_passport, lines) is Reason.MALFORMED


def test_a_series_of_three_digits_is_an_error() -> None:
    with pytest.raises(ValueError, match="second line"):
        build_paper_passport(replace(JULIA, series="123"))


@given(st.lists(st.text("ABCPNRUS0123456789<", min_size=44, max_size=44), min_size=2, max_size=2))
def test_any_lines_end_in_a_value_or_our_own_error(lines: list[str]) -> None:
    for parse in (parse_td3, parse_paper_passport):
        with contextlib.suppress(InvalidCredential):
            parse(lines)


def test_check_digits_and_dates_are_those_of_icao() -> None:
    assert check_digit("520727") == "3"
    assert check_digit("AB2134<<<") == "5"
    assert yymmdd(date(2009, 3, 1)) == "090301"
