"""Enrollment as its officers meet it: over HTTP and real PostgreSQL."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from counter import ADULT
from seen_again import let_through, own_events
from service_desk import (
    ADMINISTRATOR,
    COUNTER,
    OFFICE,
    OPERATOR,
    REGION,
    REGISTRAR,
    STATION,
    SUPERVISOR,
    citizen,
    now,
)

from enrollment import http, registrations
from epassport.access import ANYONE
from epassport.actor import Role
from epassport.progress import Progress
from epassport.rebuild import Source, rebuild
from epassport.tickets import open_ticket
from epassport_contracts import ServiceName
from epassport_contracts.desk import TicketPurpose
from epassport_contracts.events.card_personalization import CardLostInTransit
from epassport_contracts.events.keys import KeysDestroyed
from epassport_contracts.events.verification import DocumentActivated
from epassport_sandbox.people import DemoPerson

YELENA, IVAN = citizen(ADULT, 100001), citizen(ADULT, 100002)
ORDERS: dict[str, Any] = {
    "tickets": {"purpose": "enrol", "station": STATION},
    "request-information": {"what": "inn"},
    "supply-information": {"what": "inn"},
    "approve": {},
    "reject": {"reason": "papers-not-valid"},
    "withdraw": {},
    "hand-over": {"station": STATION},
}


async def test_an_application_ends_in_its_holders_hand(desk: Any) -> None:
    submitted = await desk.submit(YELENA)
    ref = await desk.approve(submitted)
    await desk.hand_over(submitted, ref)
    path = f"/applications/{submitted['application_id']}"
    await desk.sees(f"{path}/progress", SUPERVISOR, state="handed-over")
    shown = (await desk.get(path, OPERATOR)).json()  # once, as every look is written down
    assert [entry["event"] for entry in shown["timeline"]] == [
        "ApplicationSubmitted",
        "BiometricsNoted",
        "ApplicationApproved",
        "CardAtOffice",
        "HolderCheckNoted",
        "HandoverCompleted",
    ]
    assert shown["identity"]["surname"] == YELENA.surname
    (looked,) = await desk.rows("SELECT fields, reason FROM openings")
    assert (looked["fields"], looked["reason"]) == (["identity"], "read-application")
    held = await desk.held(submitted["holder_id"], documents=1)
    assert [(d["document_ref"], d["standing"]) for d in held["documents"]] == [
        (str(ref), "handed-over")
    ]


async def test_progress_is_shown_without_opening_anything(desk: Any) -> None:
    submitted = await desk.submit(YELENA)
    path = f"/applications/{submitted['application_id']}/progress"
    shown = await desk.sees(path, SUPERVISOR, state="waiting-for-biometrics")
    assert "identity" not in shown
    assert await desk.rows("SELECT 1 FROM openings") == []


async def test_the_same_request_again_has_the_same_answer_and_one_effect(desk: Any) -> None:
    body = await desk.application(YELENA)
    first = await desk.post("/applications", body, OPERATOR, key="k-1")
    again = await desk.post("/applications", body, OPERATOR, key="k-1")
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(await desk.rows("SELECT 1 FROM events WHERE type = 'ApplicationSubmitted'")) == 1


async def test_a_challenge_is_used_once(desk: Any) -> None:
    body = await desk.application(YELENA)
    await desk.done("/applications", body, OPERATOR)
    assert await desk.refused("/applications", body, OPERATOR) == "application-challenge-used"


async def test_a_challenge_that_nobody_drew_is_refused(desk: Any) -> None:
    body = await desk.application(YELENA)
    body["presence"]["challenge"] = "v1.1.00.00"
    assert await desk.refused("/applications", body, OPERATOR) == "application-challenge-unknown"


async def test_of_two_applications_of_one_person_at_once_one_is_taken(desk: Any) -> None:
    bodies = [await desk.application(YELENA) for _ in range(4)]
    answers = await asyncio.gather(*(desk.post("/applications", b, OPERATOR) for b in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    reasons = {answer.json()["reason"] for answer in answers if answer.is_error}
    assert reasons == {"application-person-has-live-application"}


async def test_who_has_a_passport_does_not_get_a_first_one_again(desk: Any) -> None:
    submitted = await desk.submit(YELENA)
    await desk.hand_over(submitted, await desk.approve(submitted))
    body = await desk.application(YELENA)
    reason = await desk.refused("/applications", body, OPERATOR)
    assert reason == "application-person-already-has-passport"


async def test_who_was_rejected_may_apply_again(desk: Any) -> None:
    submitted = await desk.submit(YELENA)
    path = f"/applications/{submitted['application_id']}"
    await desk.done(f"{path}/reject", {"reason": "papers-not-valid"}, SUPERVISOR)
    again = await desk.submit(YELENA)
    assert again["holder_id"] != submitted["holder_id"]


async def test_the_quota_is_used_up_and_given_back(desk: Any) -> None:
    first, *_ = [await desk.submit(citizen(ADULT, n)) for n in range(3)]
    body = await desk.application(citizen(ADULT, 3))
    assert await desk.refused("/applications", body, OPERATOR) == "application-quota-used-up"
    await desk.done(f"/applications/{first['application_id']}/withdraw", {}, OPERATOR)
    await desk.submit(citizen(ADULT, 3))


async def test_a_lost_passport_is_replaced_for_the_same_holder_once_at_a_time(desk: Any) -> None:
    submitted = await desk.submit(YELENA)
    ref = await desk.approve(submitted)
    number = await number_of(desk, submitted["application_id"])
    body = await desk.application(YELENA, kind="replace", replaces_document_number=number)
    reason = await desk.refused("/applications", body, OPERATOR)
    assert reason == "application-predecessor-not-handed-over"
    await desk.hand_over(submitted, ref)
    newer = citizen(ADULT, 100009)  # a new paper passport, and so another digest
    replacing = await desk.submit(newer, kind="replace", replaces_document_number=number)
    assert replacing["holder_id"] == submitted["holder_id"]
    body = await desk.application(YELENA, kind="replace", replaces_document_number=number)
    reason = await desk.refused("/applications", body, OPERATOR)
    assert reason == "application-person-has-live-application"
    unknown = await desk.application(YELENA, kind="replace", replaces_document_number="900000000")
    reason = await desk.refused("/applications", unknown, OPERATOR)
    assert reason == "application-predecessor-unknown"


async def test_a_superseded_document_is_not_replaced_again(desk: Any) -> None:
    submitted = await desk.submit(YELENA)
    await desk.hand_over(submitted, await desk.approve(submitted))
    number = await number_of(desk, submitted["application_id"])
    newer = await desk.submit(YELENA, kind="replace", replaces_document_number=number)
    ref = await desk.approve(newer)
    await desk.hand_over(newer, ref)
    await desk.held(submitted["holder_id"], documents=2)
    body = await desk.application(YELENA, kind="replace", replaces_document_number=number)
    reason = await desk.refused("/applications", body, OPERATOR)
    assert reason == "application-predecessor-superseded"


async def number_of(desk: Any, application_id: str) -> str:
    """As printed: opened from the state, as only this service can."""
    found = await desk.opened.app.application(UUID(application_id))
    envelope = found.document.number
    async with desk.opened.essentials.database.connection() as connection:
        keys = await desk.opened.essentials.keyring.opening_keys(
            connection, {(found.holder_id, envelope.purpose)}
        )
    number: str = keys.open(envelope, subject=found.holder_id, field="document-number")
    assert len(number) == 9
    return number


async def test_a_card_lost_on_its_way_goes_on_under_another_reference(desk: Any) -> None:
    submitted = await desk.submit(YELENA)
    ref = await desk.approve(submitted)
    before = await number_of(desk, submitted["application_id"])
    lost = CardLostInTransit(
        at=now(), document_ref=ref, office=OFFICE,
        application_id=UUID(submitted["application_id"]), holder_id=UUID(submitted["holder_id"]),
    )  # fmt: skip
    await desk.hear(lost, ServiceName.CARD_PERSONALIZATION, f"card/{ref}")
    path = f"/applications/{submitted['application_id']}/progress"
    shown = await desk.sees(
        path, SUPERVISOR, lambda seen: seen["timeline"][-1]["event"] == "DocumentReassigned"
    )
    assert shown["state"] == "card-under-way"
    assert shown["document_ref"] != str(ref)
    assert await number_of(desk, submitted["application_id"]) != before
    assert len(await desk.rows("SELECT 1 FROM claims WHERE kind = 'document-number'")) == 2


async def test_a_ticket_opens_with_the_trust_file_and_does_not_live_longer_when_asked_again(
    desk: Any,
) -> None:
    submitted = await desk.submit(YELENA)
    path = f"/applications/{submitted['application_id']}/tickets"
    body = {"purpose": "enrol", "station": STATION}
    first = (await desk.post(path, body, OPERATOR, key="t-1")).json()
    again = (await desk.post(path, body, OPERATOR, key="t-1")).json()
    trust = desk.opened.essentials.trust
    ticket = open_ticket(first["ticket"], trust, now())
    assert open_ticket(again["ticket"], trust, now()) == ticket
    assert (ticket.purpose, ticket.officer) == (TicketPurpose.ENROL, OPERATOR.subject)
    assert str(ticket.application_id) == submitted["application_id"]
    kept = await desk.rows("SELECT answer FROM idempotency WHERE key = 't-1'")
    assert first["ticket"] not in str(kept)


async def test_a_holder_with_a_document_in_force_gets_a_ticket_to_restore_it(desk: Any) -> None:
    submitted = await desk.submit(YELENA)
    ref = await desk.approve(submitted)
    await desk.hand_over(submitted, ref)
    holder_id = submitted["holder_id"]
    active = DocumentActivated(at=now(), document_ref=ref, holder_id=UUID(holder_id))
    await desk.hear(active, ServiceName.VERIFICATION, f"document-status/{ref}")
    body = {
        "purpose": "restore", "document_ref": str(ref), "office": OFFICE, "station": STATION,
    }  # fmt: skip
    answer = await desk.done(f"/holders/{holder_id}/tickets", body, COUNTER)
    ticket = open_ticket(answer["ticket"], desk.opened.essentials.trust, now())
    assert (ticket.purpose, ticket.document_ref) == (TicketPurpose.RESTORE, ref)


@pytest.mark.parametrize("named", ["office-2", None], ids=["another", "none"])
async def test_an_officer_of_another_office_or_of_none_finds_nothing(
    desk: Any, named: str | None
) -> None:
    submitted = await desk.submit(YELENA)
    path = f"/applications/{submitted['application_id']}"
    await desk.sees(path, OPERATOR, state="waiting-for-biometrics")
    roles = (Role.OPERATOR, Role.SUPERVISOR, Role.HAND_OVER_OFFICER)
    elsewhere = DemoPerson("far", "far", roles, office=named)
    assert (await desk.get(path, elsewhere)).status_code == 404
    assert (await desk.get(f"{path}/progress", elsewhere)).status_code == 404
    for order, body in ORDERS.items():
        assert await desk.refused(f"{path}/{order}", body, elsewhere) == "unknown-id", order
    assert (await desk.get("/work-queue", elsewhere, office=OFFICE)).status_code == 404
    nobody = f"/applications/{uuid4()}"
    assert (await desk.get(nobody, OPERATOR)).status_code == 404
    assert await desk.refused(f"{nobody}/withdraw", {}, OPERATOR) == "unknown-id"
    assert await desk.rows("SELECT 1 FROM streams WHERE version = 0") == []


async def test_a_citizen_sees_the_own_application_alone(desk: Any) -> None:
    submitted = await desk.submit(YELENA)
    path = f"/applications/{submitted['application_id']}"
    await desk.sees(path, OPERATOR, state="waiting-for-biometrics")
    own = DemoPerson("own", "own", (Role.CITIZEN,), holder_id=UUID(submitted["holder_id"]))
    other = DemoPerson("other", "other", (Role.CITIZEN,), holder_id=uuid4())
    assert (await desk.get(path, own)).status_code == 200
    assert (await desk.get(path, other)).status_code == 404
    assert (await desk.get(f"/holders/{submitted['holder_id']}", other)).status_code == 404


async def test_the_queue_says_what_waits_for_whom(desk: Any) -> None:
    waiting, ready = await desk.submit(YELENA), await desk.submit(IVAN)
    await desk.approve(ready)
    path = f"/applications/{waiting['application_id']}"
    await desk.done(f"{path}/request-information", {"what": "inn"}, SUPERVISOR)
    answer = await desk.get("/work-queue", SUPERVISOR, office=OFFICE, after=desk.token)
    assert {(row["application_id"], row["state"]) for row in answer.json()} == {
        (waiting["application_id"], "waiting-for-information"),
        (ready["application_id"], "card-under-way"),
    }
    await desk.done(f"{path}/supply-information", {"what": "inn"}, OPERATOR)
    answer = await desk.get(
        "/work-queue", OPERATOR, office=OFFICE, state="waiting-for-biometrics", after=desk.token
    )
    assert [row["application_id"] for row in answer.json()] == [waiting["application_id"]]


async def test_the_rollout_is_shown_as_of_a_day(desk: Any) -> None:
    path = f"/rollouts/{REGION}"
    await desk.done(f"{path}/pause", {"step": "apply", "reason": "drill"}, REGISTRAR)
    body = await desk.application(YELENA)
    assert await desk.refused("/applications", body, OPERATOR) == "application-applying-paused"
    shown = await desk.sees(path, None, open=True)
    assert [pause["step"] for pause in shown["pauses"]] == ["apply"]
    before = (await desk.get(path, None, on="2020-01-01")).json()
    assert (before["open"], before["pauses"]) == (False, [])
    await desk.done(f"{path}/resume", {"step": "apply"}, REGISTRAR)
    assert (await desk.get("/rollouts/RU-SPE", None)).status_code == 404


async def test_a_person_is_forgotten_when_all_five_have_destroyed_their_keys(desk: Any) -> None:
    submitted = await desk.submit(YELENA)
    path = f"/applications/{submitted['application_id']}"
    person = f"/holders/{submitted['holder_id']}"
    await desk.sees(person, ADMINISTRATOR, erasure="none")
    reason = await desk.refused(f"{person}/erasure", {}, ADMINISTRATOR)
    assert reason == "holder-has-live-application"
    await desk.done(f"{path}/withdraw", {}, OPERATOR)
    ended = "SELECT 1 FROM events WHERE type = 'ApplicationEndNoted'"
    await desk.until(ended)
    await desk.done(f"{person}/erasure", {}, ADMINISTRATOR)
    for service in ServiceName:
        report = KeysDestroyed(at=now(), service=service, holder_id=UUID(submitted["holder_id"]))
        await desk.hear(report, service, f"keyring/{submitted['holder_id']}")
    shown = await desk.sees(person, ADMINISTRATOR, erasure="keys-destroyed")
    assert sorted(shown["keys_destroyed"]) == sorted(ServiceName)


async def a_road(desk: Any) -> None:
    """One passport handed over, one application rejected, a step paused and resumed."""
    submitted = await desk.submit(YELENA)
    await desk.hand_over(submitted, await desk.approve(submitted))
    rejected = await desk.submit(IVAN)
    path = f"/applications/{rejected['application_id']}"
    await desk.done(f"{path}/reject", {"reason": "papers-not-valid"}, SUPERVISOR)
    await desk.done(f"/rollouts/{REGION}/pause", {"step": "make", "reason": "drill"}, REGISTRAR)
    await desk.sees(f"{path}/progress", SUPERVISOR, state="rejected")
    await desk.done(f"/rollouts/{REGION}/resume", {"step": "make"}, REGISTRAR)
    await desk.held(submitted["holder_id"], documents=1)


async def test_an_event_that_a_read_model_has_seen_changes_nothing_when_it_comes_again(
    desk: Any,
) -> None:
    await a_road(desk)
    database, codec = desk.opened.essentials.database, desk.opened.catalog.codec
    for model in desk.opened.service.read_models:
        assert await let_through(database, model, await own_events(database, codec)) == []


async def test_a_rebuild_gives_the_same_tables(desk: Any) -> None:
    await a_road(desk)
    opened = desk.opened
    source = Source(
        opened.essentials.settings.postgres_dsn(), opened.catalog.codec, opened.service.name
    )
    for model in opened.service.read_models:
        before = await contents(desk, model)
        await rebuild(model, source, Progress())
        assert await contents(desk, model) == before


async def contents(desk: Any, model: Any) -> dict[str, list[str]]:
    found = {}
    for table in model.tables:
        name = f"{table}_v{model.version}"
        rows = await desk.rows(f"SELECT t::text AS row FROM {name} AS t ORDER BY 1")
        assert rows, name
        found[name] = [row["row"] for row in rows]
    return found


async def test_nothing_personal_stands_in_the_clear(desk: Any) -> None:
    canary = YELENA.model_copy(update={"surname": "Канарейкина"})
    submitted = await desk.submit(canary)
    await desk.approve(submitted)
    number = await number_of(desk, submitted["application_id"])
    path = f"/applications/{submitted['application_id']}"
    await desk.sees(path, OPERATOR, state="card-under-way")
    tables = await desk.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    )
    for table in tables:
        for row in await desk.rows(f"SELECT t::text AS row FROM {table['table_name']} AS t"):
            text = row["row"]
            assert "Канарейкина" not in text, table
            assert "Канарейкина".encode().hex() not in text, table
            assert number not in text, table


BAD_BODIES: list[tuple[str, Any]] = [
    ("/applications", {}),
    ("/applications", {"kind": "first", "stray": 1}),
    ("/offices", {"office_id": "../x", "region": "RU-MOW"}),
    (f"/rollouts/{REGION}/open", {"opens_on": "2026-13-01", "quota": 1}),
    (f"/rollouts/{REGION}/open", {"opens_on": "2026-12-01", "quota": 0}),
]


async def test_a_bad_body_is_refused_before_any_rule(desk: Any) -> None:
    who = DemoPerson("both", "both", (Role.OPERATOR, Role.REGISTRAR))
    for path, body in BAD_BODIES:
        assert await desk.refused(path, body, who) == "invalid-body", (path, body)


async def test_a_first_application_that_replaces_something_is_no_body(desk: Any) -> None:
    body = await desk.application(YELENA, replaces_document_number="912345678")
    assert await desk.refused("/applications", body, OPERATOR) == "invalid-body"


def denied() -> Iterator[tuple[str, str, Role]]:
    for row in (*http.routes.rows(), *registrations.routes.rows()):
        if row.allowed is not ANYONE:
            for role in sorted(set(Role) - row.allowed - {Role.SERVICE}):
                yield row.method, row.path, role


async def test_every_operation_is_denied_to_every_other_role(desk: Any) -> None:
    for method, path, role in denied():
        concrete = path.replace("{region}", REGION).replace("{office_id}", OFFICE)
        for name in ("{application_id}", "{holder_id}"):
            concrete = concrete.replace(name, str(UUID(int=1)))
        token = desk.oidc.issue(DemoPerson(role, role, (role,)))
        headers = {"Authorization": f"Bearer {token}"}
        answer = await desk.http.request(method, f"{desk.url}{concrete}", headers=headers)
        assert answer.json()["reason"] == "role-not-allowed", (path, role)
