"""ICAO specimens, both Russian letter tables and the invented internal passport."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from epassport_credentials.lds import parse_ef_com
from epassport_credentials.leniency import Lapse, Lenient
from epassport_credentials.mrz import build_td1, build_td3, parse_td1, parse_td3
from epassport_credentials.paper_passport import (
    PaperPassport,
    build_paper_passport,
    parse_paper_passport,
)
from epassport_credentials.transliteration import ICAO_RUSSIAN, PN, from_pn, to_icao, to_pn

Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def facts(vectors: Path) -> dict[str, Any]:
    return dict(json.loads((vectors / "icao9303.json").read_text()))


@pytest.mark.parametrize(
    ("name", "parse", "build"), [("td1", parse_td1, build_td1), ("td3", parse_td3, build_td3)]
)
def test_a_specimen_is_read_field_by_field_and_built_again(
    name: str, parse: Any, build: Any, facts: dict[str, Any], record_property: Note
) -> None:
    record_property(
        "conformance", (f"MRZ {name.upper()}", "ICAO specimens", "both", "read and built")
    )
    specimen = facts["mrz"][name]
    mrz, fields = parse(specimen["lines"]), specimen["fields"]
    assert mrz.document_code == fields["document_code"]
    assert mrz.issuing_state == fields["issuer"]
    assert (mrz.primary, mrz.secondary) == (fields["primary"], fields["secondary"])
    assert (mrz.number, mrz.nationality) == (fields["number"], fields["nationality"])
    assert (mrz.birth_date, mrz.sex, mrz.expiry_date) == (
        fields["birth"],
        fields["sex"],
        fields["expiry"],
    )
    assert list(build(mrz)) == specimen["lines"]


def test_both_tables_are_the_published_ones(facts: dict[str, Any], record_property: Note) -> None:
    record_property("conformance", ("ICAO table, Russian", "Doc 9303-3", "both", "same images"))
    record_property("conformance", ("PN table", "order 773 of 2020", "both", "same images"))
    assert facts["transliteration_russian_icao"]["table"] == ICAO_RUSSIAN
    assert facts["internal_passport_pn"]["table"] == PN


def test_the_example_names_are_written_as_published(facts: dict[str, Any]) -> None:
    for example in facts["transliteration_russian_icao"]["examples"]:
        assert to_icao(example["name"]) == example["mrz"]
    for example in facts["internal_passport_pn"]["examples"]:
        assert to_pn(example["name"]) == example["mrz"]
        assert from_pn(example["mrz"]) == example["name"]


def test_the_invented_internal_passport_is_read_and_built(
    facts: dict[str, Any], record_property: Note
) -> None:
    record_property("conformance", ("PN lines", "invented specimen", "both", "read and built"))
    specimen = facts["internal_passport_pn"]["invented_specimen"]
    passport = PaperPassport(
        surname=specimen["surname"].replace("-", " "),
        given_name=specimen["given_name"],
        patronymic=specimen["patronymic"],
        series=specimen["series"],
        number=specimen["number"],
        birth_date=specimen["birth"][2:].replace("-", ""),
        sex=specimen["sex"],
        issued_on=specimen["issued"][2:].replace("-", ""),
        division_code=specimen["division"].replace("-", ""),
    )
    assert parse_paper_passport(specimen["lines"]) == passport
    assert list(build_paper_passport(passport)) == specimen["lines"]


def test_the_example_ef_com_is_read(facts: dict[str, Any]) -> None:
    lenient = Lenient()  # its LDS version is 1.6
    assert parse_ef_com(bytes.fromhex(facts["bac"]["ef_com"]), lenient).data_groups == (1, 2)
    assert [forgiven.lapse for forgiven in lenient.forgiven] == [Lapse.OTHER_LDS_VERSION]
