"""TD1 and TD3 in both directions with the package mrz 0.6.2, and the Cyrillic table beside its."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from epassport_credentials.errors import InvalidCredential, Reason
from epassport_credentials.mrz import Mrz, build_td1, build_td3, parse_td1, parse_td3
from epassport_credentials.transliteration import ICAO_RUSSIAN, to_icao
from tests.conformance.conversation import Conversation, Refused

Note = Callable[[str, object], None]
Codec = tuple[Callable[[Mrz], tuple[str, ...]], Callable[[Any], Mrz]]

READER = "mrz 0.6.2"
CODECS: dict[str, Codec] = {"TD1": (build_td1, parse_td1), "TD3": (build_td3, parse_td3)}
DOCUMENT_CODE = {"TD1": "I", "TD3": "P"}
PEOPLE = [
    Mrz("P", "RUS", "PODIEMNAIA", "IULIIA EDUARDOVNA", "700123456", "RUS", "900517", "F", "361120"),
    Mrz("P", "RUS", "O", "A", "1", "RUS", "010203", "M", "311231"),
    Mrz("P", "RUS", "RIMSKII KORSAKOV", "NIKOLAI", "944997622", "RUS", "440318", "M", "360921"),
]


@pytest.fixture(scope="module")
def reader(python_of_readers: Path) -> Iterator[Conversation]:
    script = Path(__file__).with_name("mrz_reader.py")
    with Conversation(str(python_of_readers), str(script)) as conversation:
        yield conversation


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.primary)
@pytest.mark.parametrize("kind", CODECS)
def test_a_reader_reads_our_lines_and_no_altered_ones(
    kind: str, person: Mrz, reader: Conversation, record_property: Note
) -> None:
    record_property("conformance", (f"MRZ {kind}", READER, "ours to theirs", "read"))
    build, _ = CODECS[kind]
    lines = list(build(replace(person, document_code=DOCUMENT_CODE[kind])))
    read = reader.ask("read", kind=kind, lines=lines)
    assert (read["surname"], read["name"]) == (person.primary, person.secondary)
    assert (read["document_number"], read["nationality"]) == (person.number, "RUS")
    dates = (person.birth_date, person.sex, person.expiry_date)
    assert (read["birth_date"], read["sex"], read["expiry_date"]) == dates
    record_property("conformance", (f"MRZ {kind}", READER, "ours to theirs", "altered refused"))
    second = lines[1]
    lines[1] = second[:-1] + str((int(second[-1]) + 1) % 10)
    with pytest.raises(Refused):
        reader.ask("read", kind=kind, lines=lines)


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.primary)
@pytest.mark.parametrize("kind", CODECS)
def test_lines_of_a_foreign_writer_are_read_here_and_are_the_ones_we_write(
    kind: str, person: Mrz, reader: Conversation, record_property: Note
) -> None:
    record_property("conformance", (f"MRZ {kind}", READER, "theirs to ours", "read"))
    fields = {
        "document_type": DOCUMENT_CODE[kind],
        "country_code": "RUS",
        "document_number": person.number,
        "birth_date": person.birth_date,
        "sex": person.sex,
        "expiry_date": person.expiry_date,
        "nationality": "RUS",
        "surname": person.primary,
        "given_names": person.secondary,
    }
    lines = reader.ask("write", kind=kind, fields=fields)
    build, parse = CODECS[kind]
    holder = replace(person, document_code=DOCUMENT_CODE[kind])
    assert parse(lines) == holder
    if kind == "TD1":  # in TD3 it writes a filler for the digit of the empty field, we write 0
        assert tuple(lines) == build(holder)
    record_property("conformance", (f"MRZ {kind}", READER, "theirs to ours", "altered refused"))
    altered = [lines[0], lines[1][:-1] + str((int(lines[1][-1]) + 1) % 10), *lines[2:]]
    with pytest.raises(InvalidCredential) as refusal:
        parse(altered)
    assert refusal.value.reason is Reason.WRONG_CHECK_DIGIT


def test_the_cyrillic_table_is_theirs_but_for_the_hard_and_the_soft_sign(
    reader: Conversation, record_property: Note
) -> None:
    row = ("ICAO table, Russian", READER, "both", "same images")
    record_property("conformance", row)
    theirs = {letter: reader.ask("transliterate", name=letter) for letter in ICAO_RUSSIAN}
    different = {letter for letter, image in theirs.items() if image != to_icao(letter)}
    assert different <= set("ЪЬ")
