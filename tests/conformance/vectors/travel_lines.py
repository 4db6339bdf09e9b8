"""Vectors of machine-readable lines: TD1, TD3, the internal passport."""

from epassport_credentials.mrz import Mrz, build_td1, build_td3
from epassport_credentials.paper_passport import PaperPassport, build_paper_passport
from tests.conformance.vectors.case import Case, Stages, passed

HOLDER = Mrz("I", "RUS", "PODIEMNAIA", "IULIIA", "700123456", "RUS", "900517", "F", "361120")
PAPER = PaperPassport(
    "ПОДЪЁМНАЯ", "ЮЛИЯ", "ЭДУАРДОВНА", "4510", "123456", "900517", "F", "100617", "770001"
)
GOOD = passed("lines")


def cases() -> list[Case]:
    td1, td3, pn = build_td1(HOLDER), build_td3(HOLDER), build_paper_passport(PAPER)
    return [
        _case("TD1", "TD1", td1, GOOD),
        _case("TD3", "TD3", td3, GOOD),
        _case("PN", "PN", pn, GOOD),
        *(_digit("TD1", td1, line, place) for line, place in ((0, 14), (1, 6), (1, 14), (1, 29))),
        *(_digit("TD3", td3, 1, place) for place in (9, 19, 27, 43)),
        *(_digit("PN", pn, 1, place) for place in (9, 19, 42, 43)),
        _case("TD3 as TD1", "TD1", td3, [["lines", "malformed"]]),
        _case("lower case", "TD1", [line.lower() for line in td1], [["lines", "malformed"]]),
        _case("a line missing", "TD1", td1[:2], [["lines", "malformed"]]),
        _case("TD3 as PN", "PN", td3, [["lines", "malformed"]]),
    ]


def _case(name: str, kind: str, lines: "tuple[str, ...] | list[str]", stages: Stages) -> Case:
    return Case(name, {"kind": kind, "lines": list(lines)}, stages)


def _digit(kind: str, lines: tuple[str, ...], line: int, place: int) -> Case:
    wrong = list(lines)
    digit = str((int(wrong[line][place]) + 1) % 10)
    wrong[line] = wrong[line][:place] + digit + wrong[line][place + 1 :]
    name = f"{kind}, digit at {line + 1}:{place + 1}"
    return _case(name, kind, wrong, [["lines", "wrong-check-digit"]])
