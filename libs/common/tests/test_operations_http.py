"""The operators' routes and command line: who may, what is answered, what is refused."""

import argparse
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from kafka_notes import notes
from shelf_operations import TOPIC, Desk, held, place, refused, stuck_task
from shelf_service import Issuer, Shelf, backing, bearer, routes
from shelf_store import opened, rows

from epassport import operations_http
from epassport.actor import Role
from epassport.database import Database
from epassport.errors import EndsProcess
from epassport.operate import operate, parse_operation
from epassport.shell import build_app

pytestmark = pytest.mark.stack

ISSUER = Issuer()


def operator() -> str:
    """Made when it is used: it is good for a minute."""
    return ISSUER.token(sub="oleg", roles=["platform-operator"])


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as database_:
        yield database_


@pytest_asyncio.fixture(loop_scope="session")
async def client(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    app = build_app(
        "shelf",
        [routes],
        backing(Shelf(), ISSUER, db),
        checks={},
        operations=Desk(db).operations,
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shelf") as client:
        yield client


async def order(client: httpx.AsyncClient, path: str, key: str, **body: Any) -> httpx.Response:
    headers = {**bearer(operator()), "Idempotency-Key": key, "Content-Type": "application/json"}
    content = json.dumps({"reason": "the build is mended", **body})
    return await client.post(f"/v1/operations/{path}", content=content, headers=headers)


async def test_every_other_role_is_refused_every_operation(client: httpx.AsyncClient) -> None:
    others = sorted(set(Role) - {Role.PLATFORM_OPERATOR})
    token = ISSUER.token(roles=[str(role) for role in others])
    for row in operations_http.routes.rows():
        path = row.path.replace("{task_id}", str(uuid4())).replace("{refusal_id}", "1")
        answer = await client.request(row.method, path, headers=bearer(token))
        assert (answer.status_code, answer.json()["reason"]) == (403, "role-not-allowed"), row


async def test_an_operator_sees_what_is_held_and_replays_it_once(
    client: httpx.AsyncClient, db: Database
) -> None:
    desk = Desk(db)
    await desk.receive(*held("shelf/a", behind=1))
    listed = await client.get("/v1/operations/parked", headers=bearer(operator()))
    (stream,) = listed.json()
    named = {name: stream[name] for name in ("consumer", "topic", "partition", "offset")}
    assert (named["offset"], stream["cause"], stream["records"]) == (0, "malformed-event", 2)
    inside = await client.get(
        "/v1/operations/parked/records", params=named, headers=bearer(operator())
    )
    assert [record["offset"] for record in inside.json()] == [0, 1]
    discarded = await order(client, "parked/discard", "k1", **named)
    again = await order(client, "parked/discard", "k1", **named)
    assert discarded.status_code == 200
    assert discarded.json()["found"] == {"cause": "malformed-event"}
    assert again.json() == discarded.json()
    replayed = await order(client, "parked/replay", "k2", **{**named, "offset": 1})
    assert replayed.json()["found"] == {"parked": 1, "applied": 1, "left": 0}
    assert await notes(db) == ["shelf/a2"]
    by = "SELECT action, actor->>'subject' FROM operator_actions ORDER BY done_at"
    assert await rows(db, by) == [("discard", "oleg"), ("replay", "oleg")]


async def test_orders_that_cannot_be_carried_out_say_why(
    client: httpx.AsyncClient, db: Database
) -> None:
    await Desk(db).receive(*held("shelf/a", behind=1))
    behind = place(1).as_target()
    nowhere = place(9).as_target()

    async def told(path: str, key: str, **body: Any) -> tuple[int, str]:
        answer = await order(client, path, key, **body)
        return answer.status_code, answer.json()["reason"]

    assert await told("parked/discard", "a", **behind) == (
        409, "parked-record-waits-behind-another",
    )  # fmt: skip
    assert await told("parked/replay", "b", **nowhere) == (404, "unknown-id")
    assert await told("parked/replay", "c", **{**behind, "reason": " "}) == (422, "invalid-body")
    assert await told("parked/replay", "d", **{**behind, "reason": "x\0y"}) == (
        422, "invalid-body",
    )  # fmt: skip
    assert await told(f"tasks/{uuid4()}/retry", "e") == (404, "unknown-id")
    assert await told("refusals/7/close", "f") == (404, "unknown-id")
    assert await told("deadlines/retry", "g", stream="shelf/a", kind="none") == (404, "unknown-id")
    wait = "deadline/shelf/a/none"
    for what in ("retry", "override"):
        assert await told(f"waits/{what}", what, wait=wait) == (404, "unknown-id")
    assert await told("waits/reject", "i", wait=wait) == (409, "wait-takes-no-such-order")
    assert await told("circuits/allow", "h", consumer="n", topic="t", records=1) == (
        404, "unknown-id",
    )  # fmt: skip
    assert await told("streams/republish", "k", stream="shelf/none") == (404, "unknown-id")
    assert await told("circuits/begin-again", "j", consumer="notes", topic=TOPIC.name) == (
        404, "unknown-id",
    )  # fmt: skip


async def test_a_key_used_for_another_order_is_refused(
    client: httpx.AsyncClient, db: Database
) -> None:
    await Desk(db).receive(*held("shelf/a", behind=0), *held("shelf/b", behind=0))
    first = await order(client, "parked/discard", "k", **place(0).as_target())
    other = await order(client, "parked/discard", "k", **place(1).as_target())
    assert first.status_code == 200
    assert (other.status_code, other.json()["reason"]) == (422, "idempotency-key-reused")


async def test_lists_answer_an_operator_and_are_bounded(
    client: httpx.AsyncClient, db: Database
) -> None:
    for _ in range(3):
        await stuck_task(db)
    for name in ("parked", "tasks", "refusals", "deadlines", "waits", "circuits", "actions"):
        answer = await client.get(f"/v1/operations/{name}", headers=bearer(operator()))
        assert answer.status_code == 200, name
    two = await client.get("/v1/operations/tasks", params={"limit": 2}, headers=bearer(operator()))
    assert len(two.json()) == 2
    none = await client.get("/v1/operations/tasks", params={"limit": 0}, headers=bearer(operator()))
    assert none.status_code == 422


async def test_what_is_overdue_is_rejected_over_http_as_it_was_listed(
    client: httpx.AsyncClient, db: Database
) -> None:
    await stuck_task(db)
    listed = await client.get("/v1/operations/waits", headers=bearer(operator()))
    (wait,) = listed.json()
    assert (wait["kind"], wait["orders"]) == ("count-box", ["retry", "reject"])
    answers = [await order(client, "waits/reject", "k", wait=wait["wait"]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert await rows(db, "SELECT * FROM tasks") == []
    assert await rows(db, "SELECT action FROM operator_actions") == [("abandon-task",)]


def asked(*words: str) -> argparse.Namespace:
    return parse_operation("enrollment", words)


ORDER = ("--operator", "oleg", "--reason", "the build is mended")


async def test_the_command_line_does_the_same_and_names_who_and_why(
    db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(db)
    await desk.receive(*held("shelf/a", behind=1))
    task_id = await stuck_task(db)
    at = ("notes", TOPIC.name, "0")
    capsys.readouterr()

    async def run(*words: str) -> list[dict[str, Any]]:
        await operate(desk.operations, db, asked(*words))
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    (stream,) = await run("parked")
    assert (stream["stream"], stream["offset"]) == ("shelf/a", 0)
    assert len(await run("parked-records", *at, "0")) == 2
    (discarded,) = await run("discard", *at, "0", *ORDER)
    assert discarded["found"] == {"cause": "malformed-event"}
    (replayed,) = await run("replay", *at, "1", *ORDER)
    assert replayed["found"] == {"parked": 1, "applied": 1, "left": 0}
    (retried,) = await run("retry-task", str(task_id), *ORDER)
    assert retried["found"]["kind"] == "count-box"
    assert [one["action"] for one in await run("actions")] == ["retry-task", "replay", "discard"]
    assert {one["subject"] for one in await run("actions")} == {"oleg"}
    for words in (
        ("abandon-task", str(task_id)),
        ("close-refusal", "1"),
        ("retry-deadline", "shelf/a", "forgotten"),
        ("allow", "notes", "another.topic", "1"),
        ("begin-again", "notes", TOPIC.name),
        ("republish", "shelf/none"),
        ("replay", *at, "0"),
    ):
        with pytest.raises(EndsProcess):
            await run(*words, *ORDER)
    assert await run("allow", *at[:2], "1", *ORDER)
    for what in ("tasks", "refusals", "deadlines"):
        assert await run(what) == []
    assert len(await run("circuits")) == 1
    case = await refused(db, "TakeBoxes", declared=False)
    (wait,) = await run("waits")
    assert (wait["wait"], wait["orders"]) == (f"reaction/{case}", ["reject"])
    with pytest.raises(EndsProcess):
        await run("override", wait["wait"], *ORDER)
    assert await run("reject", wait["wait"], *ORDER)
    (sent,) = await run("republish-all", *ORDER)
    assert sent["found"]["unknown"] == 0
    assert await run("waits") == []


@pytest.mark.parametrize(
    "words",
    [
        ("discard", "notes", "t", "0", "1"),
        ("discard", "notes", "t", "0", "1", "--operator", "oleg"),
        ("discard", "notes", "t", "0", "1", "--operator", "oleg", "--reason", "  "),
        ("discard", "notes", "t", "zero", "1", *ORDER),
        ("retry-task", "no-uuid", *ORDER),
        ("allow", "notes", "t", "99999999", *ORDER),
        ("parked", "--limit", "0"),
        ("dance",),
    ],
)
def test_what_is_no_order_prints_the_usage(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        asked(*words)
    assert ended.value.code == 2
    assert "usage: python -m enrollment operate" in capsys.readouterr().err
