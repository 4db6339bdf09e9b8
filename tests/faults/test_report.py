"""The table hides nothing: a broken invariant and a bug that was not found stand in it."""

from pathlib import Path

from tests.faults.checker import Invariant
from tests.faults.report import Caught, Round, bugs, note, noted, table, with_rows_of

FAULT = "kill -9 of a relay"


def test_a_row_counts_rounds_seeds_and_operations_and_says_the_worst_lag() -> None:
    played = [Round(FAULT, 1, 100, 2.5, []), Round(FAULT, 2, 50, 7.25, [])]
    holds = " | ".join(["holds"] * len(Invariant))
    assert table(played)[2] == f"| {FAULT} | 2 | 1-2 | 150 | {holds} | 7.2 s |"


def test_a_broken_invariant_stands_in_its_column_with_its_count() -> None:
    played = [Round(FAULT, 1, 100, None, [Invariant.LAG]), Round(FAULT, 2, 50, 1.0, [])]
    assert table(played)[2].endswith("| holds | **broken in 1** | 1.0 s |")


def test_a_bug_that_was_not_found_is_told() -> None:
    assert "NOT FOUND" in bugs([Caught("no-fence", FAULT, None)])[2]


def test_rounds_are_noted_and_read_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "rounds.jsonl"
    played = [Round(FAULT, 1, 100, 2.5, []), Round(FAULT, 2, 50, None, ["x"])]
    for one in played:
        note(file, one)
    assert [Round(**row) for row in noted(file)] == played


def test_what_was_not_played_anew_stays_on_the_page_as_it_was() -> None:
    other = "kill -9 of a worker"
    before = "\n".join(table([Round(FAULT, 1, 100, 2.5, []), Round(other, 1, 7, 1.0, [])]))
    anew = table([Round(FAULT, 2, 50, 7.25, [Invariant.LAG])])
    heads, rule, first, second = with_rows_of(before, anew, [FAULT, other, "never played"])
    assert [heads, rule, first] == anew
    assert second == before.splitlines()[-1]
