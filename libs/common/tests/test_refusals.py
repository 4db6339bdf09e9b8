"""Every reason for which a decider refuses stands in a test of its service."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[3] / "services"
DECIDING = [
    ".".join(path.relative_to(source).with_suffix("").parts)
    for source in sorted(SERVICES.glob("*/src"))
    for path in sorted(source.rglob("*.py"))
    if "\nclass Reason(StrEnum):" in path.read_text()
]


def test_every_service_refuses() -> None:
    named = {module.partition(".")[0] for module in DECIDING}
    assert named == {path.name.replace("-", "_") for path in SERVICES.iterdir() if path.is_dir()}


@pytest.mark.parametrize("module", DECIDING)
def test_every_reason_for_a_refusal_stands_in_a_test(module: str) -> None:
    folder = SERVICES / module.partition(".")[0].replace("_", "-") / "tests"
    tests = [ast.parse(path.read_text()) for path in folder.glob("test_*.py")]
    named = {name for tree in tests for name in _members_named(tree, module)}
    shown = {node.value for tree in tests for node in ast.walk(tree)
             if isinstance(node, ast.Constant)}  # fmt: skip
    reasons = import_module(module).Reason
    assert [r.name for r in reasons if r.name not in named and r.value not in shown] == []


def _members_named(tree: ast.Module, module: str) -> Iterator[str]:
    """Members of this module's Reason, by whatever name a test imports it."""
    package, _, last = module.rpartition(".")
    names = {
        alias.asname or alias.name if node.module == module else f"{alias.asname or last}.Reason"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (node.module, alias.name) in {(module, "Reason"), (package, last)}
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in names:
            yield node.attr
