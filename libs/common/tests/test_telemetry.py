"""Log lines: what may stand in them, and that nothing else does."""

import asyncio
import logging
from collections.abc import Iterator
from enum import StrEnum
from uuid import UUID, uuid4

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from log_lines import Lines, logged
from pydantic import BaseModel

from epassport import Personal
from epassport.telemetry import correlated, correlation_id

SUBJECT = uuid4()
SURNAME = "Dostoyevskaya"


class Person(BaseModel):
    surname: str


class Colour(StrEnum):
    RED = "red"


@pytest.fixture
def lines() -> Iterator[Lines]:
    with logged() as written:
        yield written


def test_a_line_is_one_json_object_with_its_process(lines: Lines) -> None:
    structlog.get_logger().info("relay-started", shard=3, reason=Colour.RED, subject=SUBJECT)
    (line,) = lines.read_all()
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "event": "relay-started",
        "level": "info",
        "service": "enrollment",
        "process": "serve",
        "shard": 3,
        "reason": "red",
        "subject": str(SUBJECT),
    }


def test_lines_below_the_level_are_not_written(lines: Lines) -> None:
    structlog.get_logger().debug("details")
    assert lines.read_all() == []


def test_a_field_that_is_not_listed_is_dropped_and_named(lines: Lines) -> None:
    structlog.get_logger().info("applied", surname=SURNAME)
    assert lines.read_all()[0]["dropped"] == ["surname"]
    assert SURNAME not in lines.text()


@pytest.mark.parametrize(
    "value",
    [
        Person(surname=SURNAME),
        {"surname": SURNAME},
        SURNAME.encode(),
        Personal(SUBJECT, "document-number", SURNAME),
        [Person(surname=SURNAME)],
        ValueError(SURNAME),
    ],
    ids=["model", "mapping", "bytes", "personal", "nested", "exception"],
)
def test_an_object_is_withheld_whatever_it_holds(lines: Lines, value: object) -> None:
    structlog.get_logger().info("applied", reason=value)
    assert SURNAME not in lines.text()
    assert "withheld:" in lines.text()


def test_an_exception_is_told_by_class_frames_and_causes_without_its_text(lines: Lines) -> None:
    try:
        try:
            raise LookupError(SURNAME)
        except LookupError as cause:
            raise ValueError(f"no {SURNAME}") from cause
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines.read_all()
    assert (line["error"], line["errors"]) == ("builtins.ValueError", ["builtins.LookupError"])
    assert line["frames"][0].endswith("without_its_text")
    assert SURNAME not in lines.text()


def test_members_of_an_exception_group_are_named(lines: Lines) -> None:
    group = ExceptionGroup(SURNAME, [OSError(2, SURNAME), KeyError(SURNAME)])
    structlog.get_logger().error("failed", exc_info=group)
    assert set(lines.read_all()[0]["errors"]) == {"builtins.FileNotFoundError", "builtins.KeyError"}
    assert SURNAME not in lines.text()


def test_a_librarys_message_is_its_template_without_arguments(lines: Lines) -> None:
    logging.getLogger("aiokafka.producer").warning("no such person: %s", SURNAME)
    assert lines.read_all()[0]["template"] == "no such person: %s"
    assert SURNAME not in lines.text()


def test_a_message_that_a_library_formatted_itself_is_withheld(lines: Lines) -> None:
    logging.getLogger("asyncio").error(f"task failed: {SURNAME}")
    assert lines.read_all()[0]["template"] == "withheld"


def test_a_line_inside_a_correlation_carries_its_id(lines: Lines) -> None:
    identifier = uuid4()
    with correlated(identifier):
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")
    inside, outside = lines.read_all()
    assert UUID(inside["correlation_id"]) == identifier
    assert "correlation_id" not in outside


async def test_two_tasks_do_not_share_a_correlation() -> None:
    async def told(identifier: UUID) -> UUID | None:
        with correlated(identifier):
            await asyncio.sleep(0)
            return correlation_id()

    first, second = uuid4(), uuid4()
    assert list(await asyncio.gather(told(first), told(second))) == [first, second]


@given(st.one_of(st.text(st.characters()), st.integers(), st.floats(), st.binary()))
def test_no_value_breaks_the_log(value: object) -> None:
    with logged() as written:
        structlog.get_logger().info("odd", reason=value)
    assert len(written.read_all()) == 1
