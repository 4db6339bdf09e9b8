"""Our symbols as zxing-cpp sees them: clean, printed, photographed."""

from collections.abc import Callable
from importlib.metadata import version

import base45
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.base45 import decode_base45, encode_base45
from tests.conformance.qr.read_back import times_read
from tests.conformance.qr.symbols import CONDITIONS, Condition, Symbol, our_symbols, picture_of

Note = Callable[[str, object], None]

READER = f"zxing-cpp {version('zxing-cpp')}"
SHOTS = 4
SYMBOLS = our_symbols()
HARD = {"poor photograph"}  # the one condition that loses some


@given(st.binary(max_size=800))
def test_base45_agrees_with_the_published_package(data: bytes) -> None:
    text = base45.b45encode(data).decode()
    assert encode_base45(data) == text
    assert decode_base45(text, at_most=2000) == data


def test_the_published_base45_package_reads_ours(record_property: Note) -> None:
    record_property("conformance", ("Base45", f"base45 {version('base45')}", "both", "read"))
    assert base45.b45decode(encode_base45(b"epassport")) == b"epassport"
    assert decode_base45(base45.b45encode(b"epassport").decode(), at_most=20) == b"epassport"


@pytest.mark.parametrize("symbol", SYMBOLS, ids=lambda symbol: symbol.name)
def test_a_symbol_is_read_back_within_its_version_at_error_correction_m(
    symbol: Symbol, record_property: Note
) -> None:
    record_property("conformance", (symbol.name, READER, "ours to theirs", "read"))
    seen = zxingcpp.read_barcode(picture_of(symbol.text, 4))
    assert seen is not None
    assert seen.text == symbol.text
    assert seen.extra["ECLevel"] == "M"
    assert int(seen.extra["Version"]) <= symbol.highest_version


@pytest.mark.parametrize("symbol", SYMBOLS, ids=lambda symbol: symbol.name)
@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_a_printed_or_photographed_symbol_is_read_back(
    symbol: Symbol, condition: Condition, record_property: Note
) -> None:
    record_property("conformance", (symbol.name, READER, "ours to theirs", condition.name))
    read = times_read(symbol, condition, SHOTS)
    assert read >= (SHOTS / 2 if condition.name in HARD else SHOTS)
