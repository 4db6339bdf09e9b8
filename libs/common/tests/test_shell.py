"""The shell from outside: every reason at least once, and nothing of the caller's in an answer."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from log_lines import logged
from shelf_service import (
    DAMAGED,
    GONE,
    LOCKED,
    Issuer,
    PutBox,
    Shelf,
    application,
    backing,
    bearer,
    routes,
    unreachable_database,
)

from epassport import Actor, Role, StreamId
from epassport.access import AccessTable
from epassport.clock import Clock
from epassport.commands import Idempotency
from epassport.errors import Unsafe
from epassport.http import Call, Routes
from epassport.problems import Reason
from epassport.requests import MAX_BODY_BYTES, preferred
from epassport.shell import build_app, build_health_app, serve

CANARY = "Dostoyevskaya-7312"
ISSUER = Issuer()
OLGA = ISSUER.token()
ANNA = ISSUER.token(sub="anna", roles=["citizen"])
COURIER = ISSUER.token(sub="ivan", roles=["courier"])


class Stand:
    """The small service and a client in front of it."""

    def __init__(self, shelf: Shelf, client: httpx.AsyncClient) -> None:
        self.shelf = shelf
        self.client = client

    async def put(self, body: object, *, token: str = OLGA, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **bearer(token, **headers)}
        return await self.client.post("/v1/boxes", content=content, headers=sent)

    async def get(self, path: str, *, token: str = OLGA, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=bearer(token, **headers))


@pytest_asyncio.fixture(loop_scope="session")
async def stand() -> AsyncIterator[Stand]:
    shelf = Shelf()
    async with unreachable_database() as database:
        transport = httpx.ASGITransport(application(shelf, ISSUER, database))
        async with httpx.AsyncClient(transport=transport, base_url="http://shelf") as client:
            yield Stand(shelf, client)


def told(response: httpx.Response) -> tuple[int, str]:
    """Status and reason of a problem, whose form is checked on the way."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert UUID(problem["correlation_id"]) == UUID(response.headers["x-correlation-id"])
    return response.status_code, problem["reason"]


def fields_of(response: httpx.Response) -> list[tuple[str, str]]:
    return [(item["path"], item["code"]) for item in response.json()["fields"]]


async def test_an_accepted_command_is_answered_with_version_token_and_ids(stand: Stand) -> None:
    response = await stand.put({"label": "books"})
    assert response.status_code == 200
    (stream,) = stand.shelf.boxes
    box_id = stream.removeprefix("box/")
    assert response.json() == {"box_id": box_id, "version": 1, "token": "7-1"}
    assert response.headers["etag"] == '"1"'


async def test_a_command_names_actor_channel_scope_and_chain(stand: Stand) -> None:
    chain = uuid4()
    await stand.put({"label": "books"}, X_Channel="hotline", X_Correlation_Id=str(chain))
    (envelope,) = stand.shelf.envelopes
    assert envelope.origin.actor.name == "https://issuer.test#olga"
    assert envelope.origin.actor.channel == "hotline"
    assert envelope.origin.correlation_id == chain
    assert envelope.idempotency is not None
    assert envelope.idempotency.scope == "https://issuer.test|olga|put-box"


async def test_the_same_command_again_gets_the_same_answer_and_ids(stand: Stand) -> None:
    first = await stand.put(b'{"label": "books", "weight_grams": 5}')
    again = await stand.put(b'{"weight_grams":5,"label":"books"}')  # the same JSON
    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(stand.shelf.boxes) == 1


async def test_the_same_key_of_two_persons_names_two_commands(stand: Stand) -> None:
    first = await stand.put({"label": "books"})
    other = await stand.put({"label": "books"}, token=ANNA)
    assert first.json()["box_id"] != other.json()["box_id"]


async def test_a_key_used_again_with_another_body_is_refused(stand: Stand) -> None:
    await stand.put({"label": "books"})
    assert told(await stand.put({"label": "shoes"})) == (422, Reason.IDEMPOTENCY_KEY_REUSED)


async def test_a_key_used_again_on_another_path_is_refused(stand: Stand) -> None:
    for box, expected in ((uuid4(), 200), (uuid4(), 422)):
        response = await stand.client.post(f"/v1/boxes/{box}/touch", headers=bearer(OLGA))
        assert response.status_code == expected


async def test_a_refusal_of_the_decider_is_a_409_with_its_reason(stand: Stand) -> None:
    assert told(await stand.put({"label": "too-heavy"})) == (409, "shelf-full")


@pytest.mark.parametrize("tag", ["4", '"4"'])
async def test_a_stale_version_is_refused_and_the_true_one_told(stand: Stand, tag: str) -> None:
    response = await stand.put({"label": "books"}, If_Match=tag)
    assert told(response) == (412, Reason.VERSION_CONFLICT)
    assert response.headers["etag"] == '"0"'
    assert (await stand.put({"label": "books"}, If_Match='"0"')).status_code == 200


async def test_a_second_command_in_one_request_is_a_fault_of_ours() -> None:
    """It would get the first one's kept answer."""
    call = Call(
        Actor("https://issuer.test", "olga"),
        Clock().now(),
        uuid4(),
        Idempotency("scope", "k-1", bytes(32)),
        None,
        None,
        Shelf().execute,
        bytes(32),
    )
    await call.send(StreamId("box/1"), PutBox(label="books"))
    with pytest.raises(RuntimeError, match="one command"):
        await call.send(StreamId("box/2"), PutBox(label="shoes"))


async def test_a_record_too_large_is_refused(stand: Stand) -> None:
    assert told(await stand.put({"label": "endless"})) == (413, Reason.RECORD_TOO_LARGE)


async def test_without_a_token_nothing_is_read(stand: Stand) -> None:
    response = await stand.client.post("/v1/boxes", content=b"{")
    assert told(response) == (401, Reason.TOKEN_MISSING)
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("nonsense", Reason.TOKEN_MALFORMED),
        (ISSUER.token(exp=time.time() - 60), Reason.TOKEN_EXPIRED),
        (ISSUER.token(nbf=time.time() + 3600), Reason.TOKEN_NOT_YET_VALID),
        (ISSUER.token(aud="other"), Reason.TOKEN_WRONG_AUDIENCE),
        (ISSUER.token(iss="https://other.test"), Reason.TOKEN_WRONG_ISSUER),
        (Issuer().token(), Reason.TOKEN_UNKNOWN_KEY),
        (ISSUER.token(key=Issuer().key), Reason.TOKEN_BAD_SIGNATURE),
    ],
)
async def test_a_bad_token_is_refused_with_its_reason(
    stand: Stand, token: str, reason: Reason
) -> None:
    response = await stand.put({"label": "books"}, token=token)
    assert told(response) == (401, reason)
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert stand.shelf.boxes == {}


@pytest.mark.parametrize("row", routes.rows(), ids=lambda row: row.operation)
async def test_a_role_that_no_row_names_is_refused_everywhere(stand: Stand, row: Any) -> None:
    path = row.path.replace("{box_id}", str(uuid4()))
    response = await stand.client.request(row.method, path, headers=bearer(COURIER))
    if isinstance(row.allowed, frozenset):
        assert told(response) == (403, Reason.ROLE_NOT_ALLOWED)
    else:
        assert response.status_code == 200


async def test_what_is_open_to_anyone_needs_no_token_and_may_be_kept(stand: Stand) -> None:
    response = await stand.client.get("/v1/heaviest")
    assert (response.status_code, response.text) == (200, "0")
    assert response.headers["cache-control"] == "max-age=60"


async def test_a_citizen_acts_by_phone_and_cannot_claim_a_desk(stand: Stand) -> None:
    box = (await stand.put({"label": "books"}, token=ANNA)).json()["box_id"]
    path = f"/v1/boxes/{box}"
    assert (await stand.get(path, token=ANNA)).json()["channel"] == "phone"
    assert (await stand.get(path)).json()["channel"] == "desk"
    claimed = await stand.get(path, token=ANNA, X_Channel="desk")
    assert told(claimed) == (403, Reason.CHANNEL_NOT_ALLOWED)


@pytest.mark.parametrize("channel", ["service", "pigeon"])
async def test_a_channel_that_callers_do_not_have_is_refused(stand: Stand, channel: str) -> None:
    response = await stand.put({"label": "books"}, X_Channel=channel)
    assert told(response) == (400, Reason.INVALID_HEADER)


@pytest.mark.parametrize("tag", ['W/"1"', "*", "-1", "one", "1" * 10])
async def test_an_if_match_that_is_no_version_is_refused(stand: Stand, tag: str) -> None:
    assert told(await stand.put({"label": "books"}, If_Match=tag)) == (400, Reason.INVALID_HEADER)


async def test_a_command_without_a_key_is_refused(stand: Stand) -> None:
    headers = {"Authorization": f"Bearer {OLGA}"}
    response = await stand.client.post("/v1/boxes", json={"label": "books"}, headers=headers)
    assert told(response) == (400, Reason.IDEMPOTENCY_KEY_MISSING)


@pytest.mark.parametrize(("key", "status"), [("k" * 200, 200), ("k" * 201, 400), ("a b", 400)])
async def test_a_key_has_1_to_200_visible_characters(stand: Stand, key: str, status: int) -> None:
    response = await stand.put({"label": "books"}, Idempotency_Key=key)
    assert response.status_code == status
    if status == 400:
        assert told(response) == (400, Reason.IDEMPOTENCY_KEY_MALFORMED)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"label": NaN}', b'{"label": "\xff"}', b'{"label": "\\ud800"}']
)
async def test_a_body_that_is_not_json_is_refused(stand: Stand, body: bytes) -> None:
    assert told(await stand.put(body)) == (400, Reason.MALFORMED_JSON)


async def test_nesting_without_end_is_malformed(stand: Stand) -> None:
    assert told(await stand.put(b"[" * 100_000)) == (400, Reason.MALFORMED_JSON)


async def test_a_body_of_another_media_type_is_refused(stand: Stand) -> None:
    response = await stand.put({"label": "books"}, Content_Type="text/plain")
    assert told(response) == (415, Reason.MEDIA_TYPE_NOT_JSON)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, [("label", "missing")]),
        ({"label": 7}, [("label", "string_type")]),
        ({"label": "books", "weight_grams": "7"}, [("weight_grams", "int_type")]),
        ({"label": "books", CANARY: 7}, [("*", "extra_forbidden")]),
        (
            {"label": "books", "owners": [{"surname": "A"}, {"surname": CANARY * 9}]},
            [("owners/1/surname", "string_too_long")],
        ),
        ([], [("", "model_type")]),
    ],
)
async def test_a_body_that_does_not_fit_is_told_by_path_and_code(
    stand: Stand, body: object, fields: list[tuple[str, str]]
) -> None:
    response = await stand.put(body)
    assert told(response) == (422, Reason.INVALID_BODY)
    assert fields_of(response) == fields
    assert CANARY not in response.text


async def test_a_nul_character_is_refused_and_its_name_is_not(stand: Stand) -> None:
    assert told(await stand.put({"label": "a\x00"})) == (422, Reason.INVALID_BODY)
    assert (await stand.put({"label": "a\\u0000"})).status_code == 200


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 65_536


async def test_a_body_that_declares_over_2_mb_is_not_even_read(stand: Stand) -> None:
    async def never_read() -> AsyncIterator[bytes]:
        raise AssertionError("was read")
        yield b""

    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(MAX_BODY_BYTES + 1),
        **bearer(OLGA),
    }
    response = await stand.client.post("/v1/boxes", content=never_read(), headers=headers)
    assert told(response) == (413, Reason.BODY_TOO_LARGE)


async def test_a_body_over_2_mb_is_refused_without_a_declared_length(stand: Stand) -> None:
    headers = {"Content-Type": "application/json", **bearer(OLGA)}
    for count, expected in ((32, (400, Reason.MALFORMED_JSON)), (33, (413, Reason.BODY_TOO_LARGE))):
        response = await stand.client.post("/v1/boxes", content=chunks(count), headers=headers)
        assert told(response) == expected


async def test_a_body_that_does_not_come_is_not_waited_for(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    monkeypatch.setattr("epassport.requests.MAX_BODY_SECONDS", 0.05)
    headers = {"Content-Type": "application/json", **bearer(OLGA)}
    response = await stand.client.post("/v1/boxes", content=stuck(), headers=headers)
    assert told(response) == (408, Reason.BODY_TOO_SLOW)


async def test_a_query_sees_what_its_token_names(stand: Stand) -> None:
    put = (await stand.put({"label": "books"})).json()
    response = await stand.get(f"/v1/boxes/{put['box_id']}?after={put['token']}&shout=true")
    assert response.json() == {"label": "BOOKS", "seen_by": "olga", "channel": "desk"}


async def test_what_is_not_visible_in_time_is_asked_for_again(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epassport.http.VISIBLE_WITHIN_SECONDS", 0.05)
    async with asyncio.timeout(30):
        response = await stand.get(f"/v1/boxes/{uuid4()}?after=9-1")
    assert told(response) == (503, Reason.NOT_VISIBLE_YET)
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize("after", ["", "7", "7-", "-1-1", "1-1-1", "１-1", "9" * 20 + "-1"])
async def test_a_token_that_was_never_given_is_refused(stand: Stand, after: str) -> None:
    response = await stand.get(f"/v1/boxes/{uuid4()}?after={after}")
    assert told(response) == (422, Reason.INVALID_PARAMETER)


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/boxes/{CANARY}",
        f"/v1/boxes/{uuid4()}?shout={CANARY}",
        f"/v1/boxes/{uuid4()}?{CANARY}=1",
        f"/v1/boxes/{uuid4()}?shout=1&shout=0",
        f"/v1/boxes/{uuid4()}?box_id={uuid4()}",
        "/v1/heaviest?label=%00",
        "/v1/wait?after=1-1",
    ],
)
async def test_a_parameter_that_does_not_fit_is_refused(stand: Stand, path: str) -> None:
    response = await stand.get(path)
    assert told(response) == (422, Reason.INVALID_PARAMETER)
    assert CANARY not in response.text


async def test_an_unknown_route_and_a_wrong_method_are_problems_too(stand: Stand) -> None:
    assert told(await stand.get(f"/v1/{CANARY}")) == (404, Reason.UNKNOWN_ROUTE)
    wrong = await stand.get("/v1/boxes")
    assert told(wrong) == (405, Reason.METHOD_NOT_ALLOWED)
    assert wrong.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (uuid4(), (404, Reason.UNKNOWN_ID)),
        (GONE, (410, Reason.ERASED)),
        (LOCKED, (503, Reason.KEY_PENDING)),
        (DAMAGED, (500, Reason.INTERNAL_ERROR)),
    ],
)
async def test_what_a_query_raises_becomes_its_problem(
    stand: Stand, box: UUID, expected: tuple[int, str]
) -> None:
    response = await stand.get(f"/v1/boxes/{box}")
    assert told(response) == expected
    assert "olga" not in response.text
    assert "Traceback" not in response.text


async def test_a_database_that_is_down_is_unavailable(stand: Stand) -> None:
    response = await stand.get("/v1/database")
    assert told(response) == (503, Reason.UNAVAILABLE)
    assert response.headers["retry-after"] == "1"


async def test_a_bus_that_stops_answers_unavailable(stand: Stand) -> None:
    stand.shelf.bus_stopped = True
    assert told(await stand.put({"label": "books"})) == (503, Reason.UNAVAILABLE)


async def test_a_correlation_id_that_is_none_is_replaced(stand: Stand) -> None:
    response = await stand.get("/v1/heaviest", X_Correlation_Id=CANARY)
    assert UUID(response.headers["x-correlation-id"])


async def test_every_answer_carries_the_security_headers(stand: Stand) -> None:
    for response in (await stand.get("/v1/heaviest"), await stand.get("/nowhere")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert response.headers["cache-control"] == "no-store"


async def test_nothing_of_a_request_reaches_the_log(stand: Stand) -> None:
    with logged() as written:
        await stand.put({"label": CANARY, "owners": [{"surname": CANARY}]})
        await stand.put({"label": CANARY, CANARY: CANARY}, If_Match=CANARY)
        await stand.get(f"/v1/{CANARY}?name={CANARY}", X_Correlation_Id=CANARY)
        await stand.get(f"/v1/boxes/{DAMAGED}?shout={CANARY}")
        await stand.get(f"/v1/boxes/{DAMAGED}")
        await stand.get("/v1/database", token=CANARY)
    lines = written.text()
    assert lines.count('"event":"request"') == 6
    assert "internal-error" in lines
    assert CANARY not in lines
    assert "olga" not in lines


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["label", "weight_grams", "owners"]) | st.text(), JSON))
async def test_no_body_breaks_the_shell_or_comes_back(body: dict[str, object]) -> None:
    """The canary is put beside and into whatever hypothesis thinks of."""
    marked = json.loads(json.dumps({**body, CANARY: [CANARY]}).replace('""', f'"{CANARY}"'))
    async with unreachable_database() as database:
        transport = httpx.ASGITransport(application(Shelf(), ISSUER, database))
        async with httpx.AsyncClient(transport=transport, base_url="http://shelf") as client:
            response = await Stand(Shelf(), client).put(marked)
    assert told(response)[0] in (400, 422)
    assert CANARY not in response.text


async def test_the_openapi_document_names_operations_roles_and_problems(stand: Stand) -> None:
    document = (await stand.client.get("/openapi.json")).json()
    put = document["paths"]["/v1/boxes"]["post"]
    assert (put["operationId"], put["x-roles"]) == ("put-box", ["citizen", "operator"])
    assert set(put["responses"]) == {"200", "default"}
    assert "application/problem+json" in put["responses"]["default"]["content"]
    assert {p["name"] for p in put["parameters"]} >= {"idempotency-key", "if-match", "x-channel"}
    assert put["security"]
    read = document["paths"]["/v1/boxes/{box_id}"]["get"]
    assert {p["name"] for p in read["parameters"]} >= {"box_id", "shout", "after"}
    assert "security" not in document["paths"]["/v1/heaviest"]["get"]
    assert {"Problem", "PutBox", "Owner", "BoxAnswer"} <= set(document["components"]["schemas"])


async def test_there_is_no_page_with_somebody_elses_scripts(stand: Stand) -> None:
    for path in ("/docs", "/redoc"):
        assert (await stand.client.get(path)).status_code == 404


async def test_health_is_told_without_a_token(stand: Stand) -> None:
    assert (await stand.client.get("/livez")).status_code == 200
    ready = await stand.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "failing": []})


async def test_metrics_are_shown_while_the_database_is_away(stand: Stand) -> None:
    response = await stand.client.get("/metrics")
    assert response.status_code == 200
    assert "epassport_relay_sent" in response.text


async def test_a_process_is_not_ready_while_a_check_fails_or_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails() -> None:
        raise ConnectionRefusedError(CANARY)

    async def hangs() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("epassport.health.CHECK_WITHIN_SECONDS", 0.05)
    async with unreachable_database() as database:
        app = build_health_app(database, checks={"kafka": fails, "database": hangs})
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://relay") as client:
            response = await client.get("/readyz")
            assert response.status_code == 503
            assert response.json()["failing"] == ["database", "kafka"]
            assert CANARY not in response.text
            assert told(await client.get("/elsewhere")) == (404, Reason.UNKNOWN_ROUTE)


async def test_an_application_whose_table_and_routes_differ_does_not_start() -> None:
    table = AccessTable({"read-box": {Role.OPERATOR}})
    async with unreachable_database() as database:
        stands_on = backing(Shelf(), ISSUER, database)
        with pytest.raises(Unsafe, match="no route for read-box"):
            build_app("shelf", [Routes(table)], stands_on, checks={})
        with pytest.raises(Unsafe, match="share an operation"):
            build_app("shelf", [routes, routes], stands_on, checks={})


async def test_a_request_in_flight_is_answered_while_the_server_stops(
    unused_tcp_port: int,
) -> None:
    shelf = Shelf()
    base = f"http://127.0.0.1:{unused_tcp_port}"
    async with unreachable_database() as database, httpx.AsyncClient(base_url=base) as client:
        app = application(shelf, ISSUER, database)
        serving = asyncio.create_task(serve(app, "127.0.0.1", unused_tcp_port))
        await asyncio.sleep(0)  # the socket is bound in the task's first step
        waiting = asyncio.create_task(client.get("/v1/wait", headers=bearer(OLGA)))
        await shelf.entered.wait()
        serving.cancel()
        # Later than the server's own pauses of 0.1 s: it must wait for the request, not for them.
        asyncio.get_running_loop().call_later(0.5, shelf.leave.set)
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        assert not serving.done()
        assert (await waiting).json() == {"left": True}
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(httpx.ConnectError):
            await client.get("/livez")


async def test_a_taken_port_is_told_at_once(unused_tcp_port: int) -> None:
    holder = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", unused_tcp_port)
    async with holder, unreachable_database() as database:
        with pytest.raises(Unsafe, match=r"in use$"):
            await serve(application(Shelf(), ISSUER, database), "127.0.0.1", unused_tcp_port)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", "a/jwt"),
        ("a/cwt", "a/cwt"),
        ("a/jwt;q=0.2, a/cwt;q=0.9", "a/cwt"),
        ("A/CWT ; q=1.000, a/*;q=0.5", "a/cwt"),
        ("a/cwt;q=0, */*", "a/jwt"),
        ("a/jwt;q=0", None),
        ("text/html", None),
        ("", None),
        ("a/jwt;q=1e9, a/cwt;q=0.1", "a/cwt"),
        ("x/y," * 300 + "a/jwt", None),
    ],
)
def test_the_form_that_the_caller_weighs_most_is_chosen(accept: str, chosen: str | None) -> None:
    assert preferred(accept, ["a/jwt", "a/cwt"]) == chosen
