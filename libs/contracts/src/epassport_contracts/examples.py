"""An example of a shape: the same every time, valid, and of nobody.

Values go by the name of the member where it says something, else by its type.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from epassport_contracts.fields import FIELDS
from epassport_contracts.sealed import DataPurpose
from epassport_contracts.shapes import Shape

AT = "2026-11-22T12:00:00Z"
_NAMESPACE = UUID("5e1f4b52-6f0e-4b6b-8f4c-0d6f7b1c2a90")

_TEXTS: Mapping[str, str] = {
    "region": "RU-MOW",
    "office": "RU-MOW-0117",
    "station": "desk-3",
    "officer": "officer-204",
    "relying_party": "museum-of-history",
    "purpose": "age-check",
    "form": "card-qr",
    "claims": "over_18",
    "media_type": "image/jp2",
    "status_list_uri": "https://status.example/lists/1",
}
_BY_FORMAT: Mapping[str, str] = {
    "date": "2026-11-22",
    "date-time": AT,
    "time": "12:00:00",
    "duration": "P1D",
    "uri": "https://example.org/",
}
_DIGESTS = frozenset({"digest", "head", "thumbprints", "thumbprint"})
_OCTETS: Mapping[str, int] = {"nonce": 12, "ct": 40, "message": 64, "signature": 64, "signer": 8}
_ENVELOPE = frozenset({"subject", "purpose", "generation", "field", "nonce", "ct"})


def example_of(shape: Shape, name: str = "") -> Any:
    """A tree of JSON that the shape allows, every optional member present."""
    if "const" in shape:
        return shape["const"]
    if "enum" in shape:
        return shape["enum"][0]
    if "anyOf" in shape:
        return example_of(_first_that_says_something(shape["anyOf"]), name)
    match shape.get("type"):
        case "object":
            return _object(shape, name)
        case "array":
            items = shape.get("prefixItems") or [shape.get("items", {})]
            return [example_of(item, name) for item in items]
        case "string":
            return _text(shape, name)
        case "integer":
            return max(1, shape.get("minimum", 1))
        case "number":
            return 0.5
        case "boolean":
            return True
        case _:
            return None


def example_id(name: str) -> str:
    return str(uuid5(_NAMESPACE, name))


def _first_that_says_something(choices: list[Shape]) -> Shape:
    return next((choice for choice in choices if choice.get("type") != "null"), choices[0])


def _object(shape: Shape, name: str) -> dict[str, Any]:
    members = shape.get("properties", {})
    if not members:
        inside = shape.get("additionalProperties")
        return {"name": example_of(inside, name)} if isinstance(inside, dict) else {}
    tree = {member: example_of(inner, member) for member, inner in members.items()}
    return {**tree, **_about_its_field(name)} if members.keys() >= _ENVELOPE else tree


def _about_its_field(name: str) -> dict[str, str]:
    """An envelope under the field that its member is named after, where there is one."""
    field = name.replace("_", "-")
    known = FIELDS.get(field)
    purpose = known.purpose if known else DataPurpose.IDENTITY
    return {
        "subject": example_id("holder_id"),
        "purpose": purpose,
        "field": field if known else "identity",
    }


def _text(shape: Shape, name: str) -> str:
    if shape.get("contentEncoding") == "base64" or shape.get("format") in ("binary", "base64"):
        octets = hashlib.sha256(name.encode()).digest() * 2
        return base64.b64encode(octets[: _OCTETS.get(name, 32)]).decode()
    if shape.get("format") == "uuid":
        return example_id(name)
    if (example := _BY_FORMAT.get(shape.get("format", ""))) is not None:
        return example
    if name in _DIGESTS:
        return hashlib.sha256(name.encode()).hexdigest()
    return _TEXTS.get(name, name.replace("_", "-") or "text")
