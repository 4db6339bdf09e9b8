"""Every object fits the strict schemas of the oldest and the newest Kubernetes we write for.

The schemas come with `kubernetes-validate`. Strict: a member that the schema does not know is a
fault, as the API server would drop it without a word.
"""

import copy
import json
import re
from functools import cache
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.deployment.rendered import Object, of_kind

VERSIONS = ("1.31", "1.37")


@cache
def validator(kind: str, api_version: str, kubernetes: str) -> Draft202012Validator:
    """A kind without a schema is an error."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema"
    folder = folder / f"v{kubernetes}.0-local-strict"
    group = re.sub(r"^([^./]*)[^/]*/", r"\1-", api_version)
    schema = json.loads((folder / f"{kind.lower()}-{group}.json").read_text())
    return Draft202012Validator(schema, registry=_definitions(kubernetes))


@cache
def _definitions(kubernetes: str) -> Registry:
    folder = files("kubernetes_validate") / "kubernetes-json-schema"
    text = (folder / f"v{kubernetes}.0-local-strict" / "_definitions.json").read_text()
    return Resource.from_contents(json.loads(text)) @ Registry()


def faults(item: Object, kubernetes: str) -> list[str]:
    checking = validator(item["kind"], item["apiVersion"], kubernetes)
    name = f"{item['kind']}/{item['metadata']['name']}"
    return [f"{name}: {error.json_path}: {error.message}" for error in checking.iter_errors(item)]


@pytest.mark.parametrize("kubernetes", VERSIONS)
def test_every_object_fits_the_strict_schema(objects: list[Object], kubernetes: str) -> None:
    assert [fault for item in objects for fault in faults(item, kubernetes)] == []


def test_a_misspelt_member_is_a_fault(objects: list[Object]) -> None:
    item = copy.deepcopy(of_kind(objects, "Deployment")[0])
    item["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    assert len(faults(item, VERSIONS[-1])) == 1


def test_nothing_is_there_twice(objects: list[Object]) -> None:
    named = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(set(named)) == len(named)
