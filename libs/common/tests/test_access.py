"""The access table: deny by default, and no rule without a route nor a route without a rule."""

from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict
from shelf_service import routes

from epassport import Outcome, StreamId, operations_http
from epassport.access import ANYONE, AccessTable, check_complete
from epassport.actor import Actor, Role
from epassport.errors import Unsafe
from epassport.http import Call, Routes, View
from epassport.testing import rights_of

OLGA = Actor("https://issuer.test", "olga", frozenset({Role.OPERATOR}))


class Loose(BaseModel):
    label: str


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    parts: list[Loose] = []


def test_what_stands_in_no_row_is_denied() -> None:
    table = AccessTable({"read-box": {Role.OPERATOR}})
    assert table.allows("read-box", OLGA)
    assert not table.allows("burn-box", OLGA)
    assert not table.allows("read-box", Actor("https://issuer.test", "olga"))


def test_a_row_for_nobody_is_refused() -> None:
    with pytest.raises(Unsafe, match="nobody may read-box"):
        AccessTable({"read-box": set()})


def test_a_route_without_a_row_is_refused() -> None:
    with pytest.raises(Unsafe, match="no row for burn-box"):
        Routes(AccessTable({})).command("burn-box", "/v1/boxes/{box_id}/burn")


def test_a_row_without_a_route_is_refused() -> None:
    with pytest.raises(Unsafe, match="no route for burn-box"):
        check_complete([AccessTable({"burn-box": {Role.OPERATOR}})], ["read-box"])


def test_two_routes_of_one_operation_are_refused() -> None:
    table = Routes(AccessTable({"read-box": {Role.OPERATOR}}))

    @table.query("read-box", "/v1/boxes")
    async def read(view: View[None]) -> None: ...

    with pytest.raises(Unsafe, match="two routes"):
        table.query("read-box", "/v1/more-boxes")


def test_a_command_is_open_to_no_one_unnamed() -> None:
    with pytest.raises(Unsafe, match="names its actor"):
        Routes(AccessTable({"put-box": ANYONE})).command("put-box", "/v1/boxes")


def test_a_body_that_takes_unknown_fields_anywhere_is_refused() -> None:
    table = Routes(AccessTable({"put-box": {Role.OPERATOR}}))
    with pytest.raises(Unsafe, match="Loose must forbid unknown fields"):

        @table.command("put-box", "/v1/boxes")
        async def put(body: Strict, call: Call[None]) -> Outcome:
            return await call.send(StreamId("box/1"), body)


def test_a_command_takes_no_query_parameters() -> None:
    table = Routes(AccessTable({"put-box": {Role.OPERATOR}}))
    with pytest.raises(Unsafe, match="come in its body"):

        @table.command("put-box", "/v1/boxes")
        async def put(box_id: UUID, call: Call[None]) -> Outcome:
            return await call.send(StreamId(f"box/{box_id}"), None)


def test_a_function_that_forgets_a_path_parameter_is_refused() -> None:
    table = Routes(AccessTable({"read-box": {Role.OPERATOR}}))
    with pytest.raises(Unsafe, match="same parameters"):

        @table.query("read-box", "/v1/boxes/{box_id}")
        async def read(view: View[None]) -> None: ...


def test_every_route_can_be_listed_with_who_may_use_it() -> None:
    listed = {(row.operation, row.method, row.path): row.allowed for row in routes.rows()}
    assert listed["touch-box", "POST", "/v1/boxes/{box_id}/touch"] == frozenset({Role.OPERATOR})
    assert listed["read-heaviest", "GET", "/v1/heaviest"] is ANYONE
    assert len(listed) == 6


def test_who_runs_the_services_may_do_what_operators_do_and_nobody_else_may() -> None:
    rights = rights_of([operations_http.routes])
    assert set(rights) == {Role.PLATFORM_OPERATOR}
    assert rights[Role.PLATFORM_OPERATOR] == {
        "list-parked-streams",
        "list-parked-records",
        "list-stuck-tasks",
        "list-refusals",
        "list-overdue-deadlines",
        "list-overdue-waits",
        "list-circuits",
        "list-operator-actions",
        "replay-parked-stream",
        "discard-parked-record",
        "retry-task",
        "abandon-task",
        "close-refusal",
        "retry-deadline",
        "retry-wait",
        "override-wait",
        "reject-wait",
        "allow-bad-records",
        "begin-topic-again",
        "republish-stream",
    }
