"""Shapes: what a contract allows on the wire, as JSON Schema without references.

A shape stands alone, so that a file of it can be read, kept and compared by itself. Words
(titles, descriptions) are left out of published shapes: to say something better is no change.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from epassport_contracts.fields import FIELDS
from epassport_contracts.registry import TOPICS

Shape = dict[str, Any]

WORDS = frozenset({"title", "description"})
_NAMED = "#/$defs/"
RAW_OCTETS: Shape = {"type": "string", "format": "binary"}


@dataclass(frozen=True)
class Subject:
    """Something that is published: an event on a topic, or the content of a sealed field.

    folder: where its versions are kept; major: the number that stands on the wire
    """

    folder: str
    major: int
    shape: Shape


def subjects() -> Iterator[Subject]:
    """Everything that this build writes across a border."""
    for topic in TOPICS:
        for spec in topic.events:
            folder = f"{topic.name}/{spec.model.type_name()}"
            yield Subject(folder, spec.model.version, shape_of(spec.model))
    for name, field in FIELDS.items():
        shape = RAW_OCTETS if field.model is bytes else shape_of(field.model)
        yield Subject(f"fields/{name}", 1, shape)


def shape_of(model: Any, *, words: bool = False) -> Shape:
    """Of a model or any type pydantic knows, as it is written."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        schema = model.model_json_schema(mode="serialization")
    else:
        schema = TypeAdapter(model).json_schema(mode="serialization")
    return inlined(schema, words=words)


def inlined(schema: Mapping[str, Any], *, words: bool) -> Shape:
    """The schema with every reference replaced by what it names.

    Raises ValueError where a definition contains itself: no contract is endless.
    """
    definitions = schema.get("$defs", {})

    def walk(node: Any, inside: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [walk(item, inside) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            name = node["$ref"].removeprefix(_NAMED)
            if name in inside:
                raise ValueError(f"{name} contains itself")
            beside = {key: item for key, item in node.items() if key != "$ref"}
            return walk({**definitions[name], **beside}, (*inside, name))
        found: Shape = {}
        for key, item in node.items():
            if key == "properties":  # its keys are names of members, not keywords
                found[key] = {name: walk(member, inside) for name, member in item.items()}
            elif key != "$defs" and (words or key not in WORDS):
                found[key] = walk(item, inside)
        return found

    shape: Shape = walk(dict(schema), ())
    return shape
