"""What the documents name exists: tests, modules and their members, topics, linked files."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from epassport_contracts.registry import TOPICS

REPOSITORY = Path(__file__).parents[3]
DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
SOURCES = [*REPOSITORY.glob("libs/*/src"), *REPOSITORY.glob("services/*/src")]
TESTS = [*REPOSITORY.glob("libs/*/tests"), *REPOSITORY.glob("services/*/tests"),
         REPOSITORY / "tests"]  # fmt: skip
PACKAGES = {path.name: path for source in SOURCES for path in source.iterdir() if path.is_dir()}

MEMBER = re.compile(r"`([a-z_]+)\.([A-Za-z_.]+)`")
TEST = re.compile(r"`(test_[a-z0-9_]+)`")
RULE = re.compile(r"\| [^|]+ \| `[a-z_]+\.[a-z_]+` \| `test_[a-z0-9_]+` \|")
LINK = re.compile(r"\]\(([^)#:]+)\)")
DECISION = re.compile(r"docs/decisions/(\d{4}-[a-z0-9-]+\.md)")

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_there_are_documents() -> None:
    assert {page.name for page in PAGES} >= {"architecture.md", "configuration.md"}


@by_name
def test_a_test_that_a_document_names_exists(page: Path) -> None:
    written = set(re.findall(r"def (test_[a-z0-9_]+)\(", "".join(_texts(TESTS, "test_*.py"))))
    assert set(TEST.findall(page.read_text())) <= written


@by_name
def test_a_module_or_member_that_a_document_names_exists(page: Path) -> None:
    named = [(package, path) for package, path in MEMBER.findall(page.read_text())]
    wrong = [f"{package}.{path}" for package, path in named if not _exists(package, path)]
    assert wrong == []


@by_name
def test_a_link_leads_to_a_file(page: Path) -> None:
    links = LINK.findall(page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_a_decision_that_the_code_cites_is_written_down() -> None:
    cited = {name for text in _texts([*SOURCES, REPOSITORY / "tools"], "*.py")
             for name in DECISION.findall(text)}  # fmt: skip
    assert cited
    assert cited <= {page.name for page in (DOCS / "decisions").iterdir()}


def test_every_rule_names_where_it_is_kept_and_a_test() -> None:
    text = (DOCS / "architecture.md").read_text()
    table = text.partition("| rule | module | test |\n| --- | --- | --- |\n")[2].partition("\n\n")[
        0
    ]
    rows = table.splitlines()
    assert len(rows) > 100
    assert [row for row in rows if not RULE.fullmatch(row)] == []
    assert len({row.split(" | ")[0] for row in rows}) == len(rows)


def test_the_architecture_names_every_topic() -> None:
    text = (DOCS / "architecture.md").read_text()
    assert [topic.name for topic in TOPICS if topic.name not in text] == []


def _texts(folders: list[Path], pattern: str) -> Iterator[str]:
    for folder in folders:
        for path in sorted(folder.rglob(pattern)):
            yield path.read_text()


def _exists(package: str, path: str) -> bool:
    """`epassport.group.Group.run`: the module's file, and each member's name in it."""
    if package not in PACKAGES:
        return True  # somebody else's, or no Python name at all
    place, parts = PACKAGES[package], path.split(".")
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if not parts:
        return True
    module = place / f"{parts[0]}.py"
    text = module.read_text() if module.exists() else (place / "__init__.py").read_text()
    members = parts[1:] if module.exists() else parts
    return all(re.search(rf"\b{member}\b", text) for member in members)
