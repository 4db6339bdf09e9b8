"""The AsyncAPI document is valid, and says of every event what the registry says."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from epassport_contracts import ServiceName
from epassport_contracts.asyncapi import document
from epassport_contracts.catalog_page import page
from epassport_contracts.registry import TOPICS, Classification, consumed_by

SPECIFICATION = json.loads((Path(__file__).parent / "asyncapi_3_1_0" / "schema.json").read_text())
DOCUMENT = json.loads(json.dumps(document()))


def faults(tree: Any) -> list[str]:
    found = jsonschema.Draft7Validator(SPECIFICATION).iter_errors(tree)
    return [error.message[:200] for error in found]


def test_the_document_is_asyncapi_3_1() -> None:
    assert DOCUMENT["asyncapi"] == "3.1.0"
    assert faults(DOCUMENT) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tree: tree.pop("info"),
        lambda tree: tree["servers"]["kafka"].pop("protocol"),
        lambda tree: next(iter(tree["channels"].values())).update(adress="typo"),
        lambda tree: next(iter(tree["operations"].values())).update(action="shout"),
        lambda tree: tree["channels"][TOPICS[0].name]["bindings"]["kafka"].update(partitions=0),
        lambda tree: next(iter(tree["components"]["schemas"].values())).update(type="date"),
    ],
)
def test_the_validation_sees_what_is_wrong(spoil: Callable[[Any], object]) -> None:
    spoiled = copy.deepcopy(DOCUMENT)
    spoil(spoiled)
    assert faults(spoiled) != []


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        node = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if not isinstance(node, dict):
        return []
    here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return here + [found for item in node.values() for found in references(item)]


def test_an_example_of_every_internal_message_fits_its_headers_and_its_payload() -> None:
    seen = 0
    for channel in DOCUMENT["channels"].values():
        for message in channel["messages"].values():
            for example in message.get("examples", []):
                payload = DOCUMENT["components"]["schemas"][message["name"]]
                jsonschema.validate(example["headers"], message["headers"])
                jsonschema.validate(example["payload"], payload)
                seen += 1
    assert seen == sum(
        len(topic.events) for topic in TOPICS if topic.classification is Classification.INTERNAL
    )


@pytest.mark.parametrize("service", ServiceName)
def test_a_service_receives_exactly_the_events_it_consumes(service: ServiceName) -> None:
    received = {
        tuple(message["$ref"].removeprefix("#/channels/").split("/messages/"))
        for name, operation in DOCUMENT["operations"].items()
        if name.startswith(f"{service}.receive.")
        for message in operation["messages"]
    }
    assert received == {(topic.name, model.type_name()) for topic, model in consumed_by(service)}


def test_the_catalog_page_shows_every_event_under_its_topic() -> None:
    sections = page().split("\n## ")[1:]
    shown = {
        section.splitlines()[0]: [
            line.removeprefix("### ").removesuffix(" v1")
            for line in section.splitlines()
            if line.startswith("### ")
        ]
        for section in sections
    }
    assert shown == {
        topic.name: [spec.model.type_name() for spec in topic.events] for topic in TOPICS
    }
