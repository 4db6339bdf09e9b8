"""Machine-readable lines, field by field: TD1, TD3 and the internal passport's."""

from dataclasses import fields

from epassport_credentials.described.outline import Outline
from epassport_credentials.mrz import TD1_LENGTH, TD3_LENGTH, Mrz, parse_td1, parse_td3
from epassport_credentials.paper_passport import PaperPassport, parse_paper_passport

_SHAPES = {(3, TD1_LENGTH): "TD1", (2, TD3_LENGTH): "TD3"}


def is_travel_lines(text: str) -> bool:
    return _shape(text) in _SHAPES


def describe_lines(text: str) -> Outline:
    """Raises InvalidCredential: MALFORMED, WRONG_CHECK_DIGIT."""
    lines = text.split()
    if lines[0].startswith("PNRUS"):
        return [("lines", "internal passport"), *_fields(parse_paper_passport(lines))]
    kind = _SHAPES[len(lines), len(lines[0])]
    return [("lines", kind), *_fields((parse_td1 if kind == "TD1" else parse_td3)(lines))]


def _fields(parsed: Mrz | PaperPassport) -> Outline:
    return [(field.name, str(getattr(parsed, field.name))) for field in fields(parsed)]


def _shape(text: str) -> tuple[int, int]:
    lines = text.split()
    lengths = {len(line) for line in lines}
    return len(lines), lengths.pop() if len(lengths) == 1 else 0
