"""The registry is complete, its generated files are current, every event has a valid example."""

import json
import types
import typing
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from uuid import UUID

import jsonschema
import pytest
from pydantic import AwareDatetime

from epassport_contracts import OWNER, RECIPIENTS, ContractEvent, DataPurpose, Sealed
from epassport_contracts.generate import drift
from epassport_contracts.registry import TOPICS, Classification, EventSpec, Topic, model_of

SCHEMAS = Path(__file__).parent.parent / "schemas"
PAIRS = [(topic, spec) for topic in TOPICS for spec in topic.events]
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REF = UUID("8f14e45f-ceea-467f-9575-1c1c2d3e4f50")
SEALED = Sealed[str](
    subject=REF,
    purpose=DataPurpose.IDENTITY,
    generation=1,
    field="document-number",
    nonce=bytes(12),
    ct=bytes(24),
)


def example_of(model: type[ContractEvent]) -> ContractEvent:
    hints = typing.get_type_hints(model)
    return model(**{name: _value(hints[name]) for name in model.model_fields})


def _value(hint: object) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union) or origin is typing.Annotated:
        return _value(arguments[0])
    if origin is tuple:
        return (_value(arguments[0]),)
    if isinstance(hint, type) and issubclass(hint, Sealed):
        return SEALED
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if hint is AwareDatetime:
        return AT
    plain = {str: "RU-MOW", int: 7, bool: True, bytes: b"octets", UUID: REF, date: AT.date(),
             datetime: AT}  # fmt: skip
    return plain[hint]  # type: ignore[index]


@pytest.mark.parametrize(("topic", "spec"), PAIRS, ids=lambda p: getattr(p, "name", ""))
def test_an_example_of_every_event_is_valid_and_comes_back_whole(
    topic: Topic, spec: EventSpec
) -> None:
    example = example_of(spec.model)
    tree = json.loads(example.model_dump_json())
    schema = json.loads(
        (SCHEMAS / f"{spec.model.type_name()}.v{spec.model.version}.json").read_text()
    )
    jsonschema.validate(tree, schema)
    known = model_of(topic.name, spec.model.type_name())
    assert known is spec.model
    assert known.model_validate_json(example.model_dump_json()) == example


def test_generated_files_say_what_the_registry_says() -> None:
    assert drift() == []


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
        tree = json.loads(example_of(spec.model).model_dump_json()) | {"added_later": 1}
        assert spec.model.model_validate(tree) == example_of(spec.model)
