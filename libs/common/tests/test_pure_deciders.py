"""What decides and what it decides on do no I/O, and take time and random values from commands.

Read are the aggregates, their commands and events, and every module of a service that those
import. What they may import is listed here; a new word is put into the list by whoever has seen
that it is pure.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
SOURCES = sorted((REPOSITORY / "services").glob("*/src"))
MODULES = {
    ".".join(path.relative_to(source).with_suffix("").parts): path
    for source in SOURCES
    for path in source.rglob("*.py")
}

PURE_MODULES = {
    "collections.abc",
    "dataclasses",
    "datetime",
    "enum",
    "epassport_contracts",
    "epassport_contracts.desk",
    "epassport_contracts.fields",
    "epassport_contracts.sealed",
    "epassport_credentials.check_digits",
    "epassport_credentials.errors",
    "epassport_credentials.identity",
    "epassport_credentials.mrz",
    "epassport_credentials.paper_passport",
    "epassport_credentials.transliteration",
    "hashlib",
    "hmac",
    "re",
    "typing",
}
PURE_NAMES = {
    *(f"epassport.{word}" for word in (
        "Actor", "Aggregate", "Claim", "DeadlinePassed", "EndWait", "Give", "Personal", "Refused",
        "Release", "Secret", "StartWait", "Take", "sealed",
    )),
    "epassport.digests.SearchKey",
    "epassport.signing.is_signed_by",
    "epassport.signing.public_key_of",
    "uuid.UUID",
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today", "time_ns"}
BUILTINS = {"open", "input", "print", "eval", "exec", "compile", "__import__", "breakpoint"}


def test_what_decides_imports_only_what_is_pure() -> None:
    assert [
        f"{module}: {name}"
        for module in DECIDING
        for name in _imported(ast.parse(MODULES[module].read_text()))
        if _module_of(name) is None and not _is_pure(name)
    ] == []


def test_what_decides_reads_no_clock_and_calls_no_builtin_with_an_effect() -> None:
    assert [
        f"{module}:{line}: {name}"
        for module in DECIDING
        for line, name in _effects(ast.parse(MODULES[module].read_text()))
    ] == []


def test_every_service_has_deciders_and_what_they_hand_on_to_is_read_too() -> None:
    assert {module.split(".")[0] for module in DECIDING} == {
        path.name for source in SOURCES for path in source.iterdir() if path.is_dir()
    }
    assert {"enrollment.admission", "biometrics.engine.positions"} <= set(DECIDING)


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "from uuid import uuid4",
        "import uuid",
        "from epassport.clock import Clock",
        "from epassport import Database",
        "import time",
        "from secrets import token_bytes",
    ],
)
def test_an_import_that_is_not_pure_is_seen(text: str) -> None:
    assert not all(_is_pure(name) for name in _imported(ast.parse(text)))


@pytest.mark.parametrize(
    "text", ["datetime.now(UTC)", "date.today()", "clock = datetime.now", "open('file')"]
)
def test_a_clock_or_an_effect_is_seen(text: str) -> None:
    assert list(_effects(ast.parse(text)))


def _deciding() -> list[str]:
    reached: set[str] = set()
    open_modules = {
        module
        for module, path in MODULES.items()
        if module.endswith(("_commands", "_events")) or " = Aggregate(" in path.read_text()
    }
    while open_modules:
        module = open_modules.pop()
        reached.add(module)
        imported = _imported(ast.parse(MODULES[module].read_text()))
        open_modules |= {found for name in imported if (found := _module_of(name))} - reached
    return sorted(reached)


def _imported(tree: ast.Module) -> Iterator[str]:
    """Full names: `import a.b` is a.b, `from a import b` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names)


def _module_of(name: str) -> str | None:
    """The module of a service that is imported by this name."""
    return next((found for found in (name, name.rpartition(".")[0]) if found in MODULES), None)


def _is_pure(name: str) -> bool:
    module = name.rpartition(".")[0]
    return (
        name in PURE_NAMES
        or name in PURE_MODULES
        or module in PURE_MODULES
        or module.startswith("epassport_contracts.events.")
    )


def _effects(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and node.id in BUILTINS:
            yield node.lineno, node.id


DECIDING = _deciding()
