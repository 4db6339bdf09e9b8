"""Old and new versions of a contract read each other; what breaks is named with its direction."""

from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model

from epassport_contracts import Sealed
from epassport_contracts.compatibility import UnknownKeyword, changes_between, within
from epassport_contracts.shapes import Shape, shape_of, subjects


class Box(BaseModel):
    model_config = ConfigDict(extra="ignore")

    label: Annotated[str, StringConstraints(max_length=10, pattern="^[a-z]+$")]
    weight: int
    colour: Literal["red", "blue"]
    made_for: UUID
    kind: Literal["box"] = "box"
    tags: tuple[str, ...]
    note: str | None
    lid: "Lid"
    owner: Sealed[str]


class Lid(BaseModel):
    model_config = ConfigDict(extra="ignore")

    width: int


BEFORE = shape_of(Box)
NOW, THEN = "(written now, read by v1.0)", "(written by v1.0, read now)"


def changed(**members: Any) -> Shape:
    """The box with other members; None removes one."""
    kept = {name: (field.annotation, field) for name, field in Box.model_fields.items()}
    for name, member in members.items():
        kept.pop(name, None)
        if member is not None:
            kept[name] = member if isinstance(member, tuple) else (member, ...)
    return shape_of(create_model("Box", __config__=ConfigDict(extra="ignore"), **kept))  # type: ignore[call-overload]


def breaks(after: Shape) -> list[str]:
    return list(changes_between(after, BEFORE, "v1.0"))


def lid(**members: Any) -> type[BaseModel]:
    return create_model("Lid", __config__=ConfigDict(extra="ignore"), **members)


def sealed_with(**changes: Any) -> Shape:
    """A box whose seal has other members."""
    after = changed()
    owner = after["properties"]["owner"]
    owner["properties"] = owner["properties"] | changes
    return after


LABEL = StringConstraints
BREAKS: dict[str, tuple[Shape, list[str]]] = {
    "a required member is removed": (
        changed(weight=None),
        [f"weight: is never written, and is required where it is read {NOW}"],
    ),
    "a required member is added": (
        changed(depth=int),
        [f"depth: is never written, and is required where it is read {THEN}"],
    ),
    "a required member becomes optional": (
        changed(weight=(int, 7)),
        [f"weight: may be missing, and is required where it is read {NOW}"],
    ),
    "an optional member becomes required": (
        changed(kind=Literal["box"]),
        [f"kind: may be missing, and is required where it is read {THEN}"],
    ),
    "another type": (
        changed(weight=str),
        [
            f"weight: string is written, integer is read {NOW}",
            f"weight: integer is written, string is read {THEN}",
        ],
    ),
    "a wider type": (
        changed(weight=float),
        [f"weight: number is written, integer is read {NOW}"],
    ),
    "a narrower type": (
        changed(note=str),
        [f"note: null is written, string is read {THEN}"],
    ),
    "null is allowed": (
        changed(weight=int | None),
        [f"weight: null is written, integer is read {NOW}"],
    ),
    "a value of an enumeration is added": (
        changed(colour=Literal["red", "blue", "green"]),
        [f'colour: value "green" is written and not read {NOW}'],
    ),
    "a value of an enumeration is removed": (
        changed(colour=Literal["red", "mauve"]),
        [
            f'colour: value "mauve" is written and not read {NOW}',
            f'colour: value "blue" is written and not read {THEN}',
        ],
    ),
    "an enumeration is opened": (
        changed(colour=str),
        [f'colour: any string is written, "blue", "red" is read {NOW}'],
    ),
    "another constant": (
        changed(kind=(Literal["crate"], "crate")),
        [
            f'kind: value "crate" is written and not read {NOW}',
            f"kind: default 'crate' became 'box' {NOW}",
            f'kind: value "box" is written and not read {THEN}',
            f"kind: default 'box' became 'crate' {THEN}",
        ],
    ),
    "a format is dropped": (
        changed(made_for=str),
        [f"made_for: format none is written, uuid is read {NOW}"],
    ),
    "a pattern is dropped": (
        changed(label=Annotated[str, LABEL(max_length=10)]),
        [f"label: pattern none is written, ^[a-z]+$ is read {NOW}"],
    ),
    "a limit is raised": (
        changed(label=Annotated[str, LABEL(max_length=11, pattern="^[a-z]+$")]),
        [f"label: maxLength 11 is written, 10 is read {NOW}"],
    ),
    "a limit is set": (
        changed(weight=Annotated[int, Field(ge=1)]),
        [f"weight: minimum none is written, 1 is read {THEN}"],
    ),
    "another type inside a list": (
        changed(tags=tuple[int, ...]),
        [
            f"tags[]: integer is written, string is read {NOW}",
            f"tags[]: string is written, integer is read {THEN}",
        ],
    ),
    "a member of a member is removed": (
        changed(lid=lid()),
        [f"lid.width: is never written, and is required where it is read {NOW}"],
    ),
    "a member of a member changes": (
        changed(lid=lid(width=(bool, ...))),
        [
            f"lid.width: boolean is written, integer is read {NOW}",
            f"lid.width: integer is written, boolean is read {THEN}",
        ],
    ),
    "the envelope of sealed data gains a member": (
        sealed_with(alg={"type": "string"}),
        [f"owner.alg: is written where no further member is read {NOW}"],
    ),
    "the envelope of sealed data has another version": (
        sealed_with(v={"type": "integer", "const": 2}),
        [
            f"owner.v: value 2 is written and not read {NOW}",
            f"owner.v: value 1 is written and not read {THEN}",
        ],
    ),
    "a member is sealed no more": (
        changed(owner=str),
        [
            f"owner: string is written, object is read {NOW}",
            f"owner: object is written, string is read {THEN}",
        ],
    ),
}


@pytest.mark.parametrize(("after", "named"), BREAKS.values(), ids=BREAKS.keys())
def test_a_change_that_breaks_is_named_with_field_and_direction(
    after: Shape, named: list[str]
) -> None:
    assert breaks(after) == named


@pytest.mark.parametrize(
    "after",
    [
        changed(),
        changed(depth=(int | None, None)),
        changed(depth=(lid(width=(int, 3)), lid(width=(int, 3))())),
        changed(lid=lid(width=(int, ...), height=(int, 0))),
    ],
    ids=["nothing", "a new optional member", "a new optional object", "the same inside a member"],
)
def test_a_new_optional_member_breaks_nothing(after: Shape) -> None:
    assert breaks(after) == []


def test_an_optional_member_that_comes_back_as_something_else_meets_its_first_form() -> None:
    """Why every version is compared, not the last alone: removed and added, each step is fine."""
    first, gone, second = changed(depth=(int, 0)), changed(), changed(depth=(str, ""))
    assert list(changes_between(gone, first, "v1.1")) == []
    assert list(changes_between(second, gone, "v1.2")) == []
    assert f"depth: string is written, integer is read {NOW.replace('0', '1')}" in list(
        changes_between(second, first, "v1.1")
    )


@pytest.mark.parametrize(
    "member",
    [
        dict[str, int],
        dict[str, Any],
        tuple[int, str],
        Annotated[int, Field(gt=1)],
        Annotated[int, Field(multiple_of=2)],
        set[int],
        Annotated[int | str, Field(max_length=2)],
    ],
    ids=str,
)
def test_what_the_checker_does_not_understand_is_never_compatible(member: Any) -> None:
    after = changed(weight=member)
    with pytest.raises(UnknownKeyword, match="weight"):
        within(after, after)


def test_several_types_in_one_are_not_understood() -> None:
    with pytest.raises(UnknownKeyword, match="several types"):
        within({"type": ["string", "null"]}, {})


def test_a_definition_that_contains_itself_is_no_contract() -> None:
    class Node(BaseModel):
        below: "list[Node]"

    with pytest.raises(ValueError, match="Node contains itself"):
        shape_of(Node)


def test_every_contract_gets_on_with_itself() -> None:
    """So every keyword in use is understood."""
    assert [found for one in subjects() for found in within(one.shape, one.shape)] == []


VALUES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "maxLength": 2},
        {"type": "string", "enum": ["a", "b"]},
        {"type": "string", "const": "a"},
        {"type": "integer"},
        {"type": "integer", "minimum": 3},
        {"type": "number"},
        {"type": "null"},
        {"type": "array", "items": {"type": "integer"}},
        {"type": "array", "items": {"type": "number"}, "maxItems": 1},
        {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        {"anyOf": [{"type": "string", "const": "b"}, {"type": "number"}]},
    ]
)
SAMPLES: list[Any] = [None, "", "a", "b", "abc", 2, 3, 2.5, [], [1], [1, 2], [1.5]]


@st.composite
def objects(draw: st.DrawFn) -> Shape:
    members = draw(st.dictionaries(st.sampled_from("xy"), VALUES))
    required = draw(st.lists(st.sampled_from(sorted(members)), unique=True)) if members else []
    forbids = draw(st.booleans())
    shape: Shape = {"type": "object", "properties": members, "required": required}
    return shape | ({"additionalProperties": False} if forbids else {})


@given(objects(), objects(), st.dictionaries(st.sampled_from("xy"), st.sampled_from(SAMPLES)))
def test_what_one_may_write_the_other_reads_where_no_break_is_found(
    written: Shape, read: Shape, tree: dict[str, Any]
) -> None:
    """Judged by another's validator: an instance of the closed writer is one of the reader."""
    closed = written | {"additionalProperties": False}
    if jsonschema.Draft202012Validator(closed).is_valid(tree) and not within(written, read):
        assert jsonschema.Draft202012Validator(read).is_valid(tree)
