"""An outage of Kafka is two lines of the log, by clients that really cannot reach it."""

import asyncio
import logging

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from log_lines import logged

from epassport import outage_log


async def test_an_outage_is_told_when_it_begins_and_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outage_log, "QUIET_SECONDS", 0.5)
    with logged() as lines:
        for _ in range(2):
            for _ in range(5):
                producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1")
                with pytest.raises(KafkaConnectionError):
                    await producer.start()
                await producer.stop()
            told = [line["event"] for line in lines.read_all()]
            assert told.count("kafka-client-troubled") == told.count("kafka-client-calm") + 1
            async with asyncio.timeout(30):
                while lines.read_all()[-1]["event"] != "kafka-client-calm":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        told = lines.read_all()
    assert [line["event"] for line in told] == ["kafka-client-troubled", "kafka-client-calm"] * 2
    began, over = told[:2]
    assert began["template"].startswith("Unable connect to")
    assert over["count"] == 5
    assert over["errors"] == [f"5 x {began['template']}"]
    assert "127.0.0.1" not in lines.text()


async def test_what_comes_with_an_exception_shows_its_frames_once() -> None:
    with logged() as lines:
        for _ in range(3):
            try:
                raise ZeroDivisionError
            except ZeroDivisionError:
                logging.getLogger("aiokafka.consumer").exception("Unexpected error in %s", "x")
    told = lines.read_all()
    assert [line["event"] for line in told] == ["kafka-client-troubled", "library-message"]
    assert told[1]["error"] == "builtins.ZeroDivisionError"


async def test_messages_of_other_libraries_are_lines_of_their_own() -> None:
    with logged() as lines:
        for _ in range(3):
            logging.getLogger("uvicorn.error").warning("port %s is odd", 7)
    assert [line["event"] for line in lines.read_all()] == ["library-message"] * 3


def test_outside_an_event_loop_nothing_is_held_back() -> None:
    with logged() as lines:
        for _ in range(3):
            logging.getLogger("aiokafka.conn").warning("closing %s", "node")
    assert [line["template"] for line in lines.read_all()] == ["closing %s"] * 3
