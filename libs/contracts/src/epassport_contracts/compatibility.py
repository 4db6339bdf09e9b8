"""Whether two versions of a contract can meet: one's writer, the other's reader.

    close(written) within read

Closed means that an object holds no members but those it names, which is how a producer
writes; readers are open and ignore what they do not know, unless they forbid it. A change is
allowed when this holds both ways between the new shape and every shape ever published: old
consumers read new records, and new consumers read old ones, which topics keep for ever.

The JSON Schema understood here is what pydantic makes of our models. Any other keyword is an
error: what is not understood must not count as compatible. Where in doubt the answer is a break.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from epassport_contracts.shapes import WORDS, Shape

_SAME = ("format", "pattern", "contentEncoding")
_LOWER = ("minLength", "minItems", "minimum")
_UPPER = ("maxLength", "maxItems", "maximum")
KEYWORDS = frozenset(
    {
        *{"type", "anyOf", "enum", "const", "default"},
        *{"properties", "required", "additionalProperties", "items"},
        *_SAME,
        *_LOWER,
        *_UPPER,
        *WORDS,
    }
)


class UnknownKeyword(Exception):
    """A schema says something that this checker does not understand."""


@dataclass(frozen=True)
class Break:
    """field: path of the member, as `identity.ct` or `claims[]`; empty for the whole."""

    field: str
    why: str

    def __str__(self) -> str:
        return f"{self.field}: {self.why}" if self.field else self.why


def within(written: Shape, read: Shape, field: str = "") -> list[Break]:
    """Why something written by `written` may not be readable by `read`; empty when all is.

    Raises UnknownKeyword.
    """
    _understood(written, field)
    _understood(read, field)
    if "anyOf" in written:
        return [found for one in written["anyOf"] for found in within(one, read, field)]
    if "anyOf" in read:
        return _within_one_of(written, read["anyOf"], field)
    if not _type_fits(written.get("type"), read.get("type")):
        return [Break(field, f"{_kind(written)} is written, {_kind(read)} is read")]
    return [
        *_values(written, read, field),
        *_limits(written, read, field),
        *_members(written, read, field),
        *_items(written, read, field),
    ]


def changes_between(now: Shape, published: Shape, name: str) -> Iterator[str]:
    """Each break with its direction; `name` is the published version's. Raises UnknownKeyword."""
    for found in within(now, published):
        yield f"{found} (written now, read by {name})"
    for found in within(published, now):
        yield f"{found} (written by {name}, read now)"


def _understood(shape: Shape, field: str) -> None:
    where = field or "the event"
    if unknown := shape.keys() - KEYWORDS:
        raise UnknownKeyword(f"{where}: {', '.join(sorted(unknown))}")
    if "anyOf" in shape and (beside := shape.keys() - {"anyOf", "default", *WORDS}):
        raise UnknownKeyword(f"{where}: anyOf beside {', '.join(sorted(beside))}")
    if shape.get("additionalProperties", False) is not False:
        raise UnknownKeyword(f"{where}: members without names")
    if shape.get("type") == "object" and "properties" not in shape:
        raise UnknownKeyword(f"{where}: an object without named members")
    if not isinstance(shape.get("type", ""), str):
        raise UnknownKeyword(f"{where}: several types in one")


def _within_one_of(written: Shape, choices: list[Shape], field: str) -> list[Break]:
    tried = [(choice, within(written, choice, field)) for choice in choices]
    if any(not found for _, found in tried):
        return []
    alike = [found for choice, found in tried if choice.get("type") == written.get("type")]
    if len(alike) == 1:
        return alike[0]
    known = ", ".join(_kind(choice) for choice in choices)
    return [Break(field, f"{_kind(written)} is written, one of {known} is read")]


def _type_fits(written: str | None, read: str | None) -> bool:
    return read is None or written == read or (written, read) == ("integer", "number")


def _kind(shape: Shape) -> str:
    return " ".join(
        str(part) for part in (shape.get("format"), shape.get("type", "anything")) if part
    )


def _allowed(shape: Shape) -> set[str] | None:
    """Allowed values as JSON, so that 1 and true differ; None where none are listed."""
    listed = [shape["const"]] if "const" in shape else shape.get("enum")
    return None if listed is None else {json.dumps(value) for value in listed}


def _values(written: Shape, read: Shape, field: str) -> Iterator[Break]:
    may, known = _allowed(written), _allowed(read)
    if known is not None:
        if may is None:
            yield Break(field, f"any {_kind(written)} is written, {_sorted(known)} is read")
        elif more := may - known:
            yield Break(field, f"value {_sorted(more)} is written and not read")
    for keyword in _SAME:
        if keyword in read and written.get(keyword) != read[keyword]:
            is_written = written.get(keyword, "none")
            yield Break(field, f"{keyword} {is_written} is written, {read[keyword]} is read")
    if "default" in written and "default" in read and written["default"] != read["default"]:
        yield Break(field, f"default {written['default']!r} became {read['default']!r}")


def _sorted(values: set[str]) -> str:
    return ", ".join(sorted(values))


def _limits(written: Shape, read: Shape, field: str) -> Iterator[Break]:
    for keyword in _LOWER:
        if keyword in read and written.get(keyword, float("-inf")) < read[keyword]:
            yield _limit(keyword, written, read, field)
    for keyword in _UPPER:
        if keyword in read and written.get(keyword, float("inf")) > read[keyword]:
            yield _limit(keyword, written, read, field)


def _limit(keyword: str, written: Shape, read: Shape, field: str) -> Break:
    is_written = written.get(keyword, "none")
    return Break(field, f"{keyword} {is_written} is written, {read[keyword]} is read")


def _members(written: Shape, read: Shape, field: str) -> Iterator[Break]:
    may: Mapping[str, Any] = written.get("properties", {})
    known: Mapping[str, Any] = read.get("properties", {})
    always = set(written.get("required", ()))
    for name in sorted(set(read.get("required", ())) - always):
        what = "may be missing" if name in may else "is never written"
        yield Break(_path(field, name), f"{what}, and is required where it is read")
    for name, member in may.items():
        if name in known:
            yield from within(member, known[name], _path(field, name))
        elif "additionalProperties" in read:
            yield Break(_path(field, name), "is written where no further member is read")


def _items(written: Shape, read: Shape, field: str) -> Iterator[Break]:
    if "items" in read:
        yield from within(written.get("items", {}), read["items"], f"{field}[]")


def _path(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
