"""The registry is complete, and every event has a valid example."""

import json

import jsonschema
import pytest

from epassport_contracts import OWNER, RECIPIENTS, DataPurpose
from epassport_contracts.examples import example_of
from epassport_contracts.registry import TOPICS, Classification, EventSpec, Topic, model_of
from epassport_contracts.shapes import inlined, shape_of

PAIRS = [(topic, spec) for topic in TOPICS for spec in topic.events]


def example(spec: EventSpec) -> str:
    """JSON of an event that the documents show."""
    return json.dumps(example_of(shape_of(spec.model)))


@pytest.mark.parametrize(("topic", "spec"), PAIRS, ids=lambda p: getattr(p, "name", ""))
def test_an_example_of_every_event_is_valid_and_comes_back_whole(
    topic: Topic, spec: EventSpec
) -> None:
    text = example(spec)
    jsonschema.validate(json.loads(text), shape_of(spec.model))
    known = model_of(topic.name, spec.model.type_name())
    assert known is spec.model
    assert json.loads(known.model_validate_json(text).model_dump_json()) == json.loads(text)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_public_topic_holds_nothing_sealed_and_nothing_that_names_a_person(topic: Topic) -> None:
    if topic.classification is not Classification.PUBLIC:
        return
    for spec in topic.events:
        assert set(spec.model.model_fields) == {
            "at", "document_ref", "status", "reason_class", "effective_at", "recorded_at",
            "superseded_by",
        }  # fmt: skip


def test_every_purpose_has_one_owner_who_is_not_among_its_recipients() -> None:
    assert set(OWNER) == set(DataPurpose) == set(RECIPIENTS)
    assert all(OWNER[purpose] not in RECIPIENTS[purpose] for purpose in DataPurpose)


def test_an_optional_member_of_a_newer_producer_is_ignored() -> None:
    for _, spec in PAIRS:
        newer = json.dumps(json.loads(example(spec)) | {"added_later": 1})
        assert spec.model.model_validate_json(newer) == spec.model.model_validate_json(
            example(spec)
        )


@pytest.mark.parametrize(("topic", "spec"), PAIRS, ids=lambda p: getattr(p, "name", ""))
def test_what_is_written_and_what_is_read_have_one_shape(topic: Topic, spec: EventSpec) -> None:
    """Compatibility is judged by the shape as written; a reader that differs would escape it."""
    read = spec.model.model_json_schema(mode="validation")
    assert inlined(read, words=False) == shape_of(spec.model)
