"""Verification as relying parties, agencies and holders meet it: over HTTP, on two replicas."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from asyncpg import Connection, Record
from seen_again import let_through, own_events

from epassport import Token
from epassport.actor import Role, service_actor
from epassport.applying import Applier
from epassport.breaker import CircuitOpen
from epassport.commands import Envelope, Rejected
from epassport.events import Origin
from epassport.operations import Order
from epassport.progress import Progress
from epassport.projector import wait_for
from epassport.rebuild import Source, rebuild
from epassport.records import RawRecord
from epassport_contracts import ServiceName
from epassport_contracts.events.biometrics import CheckPurpose, ComparisonMethod, HolderVerified
from epassport_contracts.events.cloud_profile import AttestationsIssued, DeviceUnbound
from epassport_contracts.registry import home_topic
from epassport_credentials.cwt import StatusReference
from epassport_credentials.offline_pack import open_offline_pack
from epassport_credentials.status_history import read_aggregation
from epassport_credentials.status_list import ENTRIES_PER_LIST, Status, open_status_list
from epassport_credentials.status_list_cwt import open_status_list_cwt
from epassport_credentials.trust import TrustList, open_trust_list
from epassport_credentials.verifier import Outcome, verify_offline
from verification import document_status, readmodel
from verification.document_status_commands import ExpectDocument, RegisterDocument

LAST_DAY = date(2099, 12, 31)


def now() -> datetime:
    return datetime.now(UTC)


async def test_a_card_is_good_only_while_its_document_is_in_force(town: Any) -> None:
    paper = await town.issue()
    code = town.issuers.small_card(paper.ref)
    assert (await town.check(code))["reason"] == "not-in-force"
    await town.activate(paper)
    good = await town.check(code, ("over-18", "document-valid"))
    assert (good["outcome"], good["form"]) == ("good", "card-qr")
    assert good["claims"] == {"over-18": True, "document-valid": True}
    assert good["fresh_as_of"] == good["checked_at"]
    await town.lose(paper)
    lost = await town.check(code, replica=1)
    assert (lost["outcome"], lost["reason"], lost["claims"]) == ("refused", "suspended", {})


async def test_the_card_of_who_was_a_minor_is_good_and_its_age_is_not_stated(town: Any) -> None:
    paper = await town.issue()
    await town.activate(paper)
    told = await town.check(town.issuers.small_card(paper.ref, over_18=False))
    assert (told["outcome"], told["claims"], told["not_stated"]) == ("good", {}, ["over-18"])


async def test_the_holder_in_person_takes_a_loss_back(town: Any) -> None:
    paper = await town.issue()
    await town.activate(paper)
    await town.lose(paper)
    checked = HolderVerified(
        at=now(), check_id=uuid4(), holder_id=paper.holder, application_id=None,
        document_ref=paper.ref, purpose=CheckPurpose.RESTORE, method=ComparisonMethod.FINGERS,
        officer="irina", station="s-1", office="mfc-1",
    )  # fmt: skip
    await town.hear(checked, ServiceName.BIOMETRICS, f"biometric-record/{paper.holder}")
    assert (await town.check(town.issuers.small_card(paper.ref)))["outcome"] == "good"


async def test_the_predecessor_ends_as_the_new_document_begins(town: Any) -> None:
    old = await town.issue()
    await town.activate(old)
    new = await town.issue(predecessor=old.ref, holder=old.holder)
    await town.activate(new, predecessor=old.ref)
    assert (await town.check(town.issuers.small_card(new.ref)))["outcome"] == "good"
    assert (await town.check(town.issuers.small_card(old.ref)))["reason"] == "revoked"


async def test_a_phone_code_is_good_once_on_both_replicas_together(
    town: Any, phone: Any, thumbprint_of: Callable[[Any], str]
) -> None:
    paper = await town.issue()
    await town.activate(paper)
    await town.attest(paper, uuid4(), thumbprint_of(phone))
    code = town.issuers.phone_code(phone, cti=uuid4().bytes)
    both = await asyncio.gather(town.check(code, replica=0), town.check(code, replica=1))
    assert sorted(told["outcome"] for told in both) == ["good", "refused"]
    refused = next(told for told in both if told["outcome"] == "refused")
    assert refused["reason"] == "presentation-replayed"
    assert (await town.check(town.issuers.phone_code(phone, cti=uuid4().bytes)))[
        "outcome"
    ] == "good"


async def test_the_same_command_again_gets_the_same_verdict_with_its_claims(
    town: Any, phone: Any, thumbprint_of: Callable[[Any], str]
) -> None:
    paper = await town.issue()
    await town.activate(paper)
    await town.attest(paper, uuid4(), thumbprint_of(phone))
    code = town.issuers.phone_code(phone, cti=uuid4().bytes)
    first = await town.check(code, key="same")
    again = await town.check(code, key="same", replica=1)
    assert first["outcome"] == "good"
    assert again == first
    kept = await town.rows("SELECT answer::text AS answer FROM idempotency WHERE key = 'same'")
    assert [row["answer"] for row in kept] == ["{}"]


@pytest.mark.parametrize(
    ("consumer", "stream"),
    [
        ("reactions", "application/{0.application}"),
        ("reactions", "card/{0.ref}"),
        ("reactions", "profile/{0.holder}"),
        ("device_keys_v1", "profile/{0.holder}"),
    ],
)
async def test_a_document_whose_stream_is_parked_is_unknown(
    town: Any, consumer: str, stream: str
) -> None:
    paper = await town.issue()
    await town.activate(paper)
    await town.rows(
        "INSERT INTO parked (consumer, topic, partition, record_offset, key, headers, cause)"
        " VALUES ($1, 'any', 0, 1, $2, '{}', 'gap')",
        consumer,
        stream.format(paper),
    )
    told = await town.check(town.issuers.small_card(paper.ref))
    assert (told["outcome"], told["reason"]) == ("unknown", "presentation-status-held")
    assert told["fresh_as_of"] == told["since"] < told["checked_at"]


@pytest.mark.parametrize("consumer", ["reactions", "device_keys_v1"])
async def test_while_a_consumer_stands_still_no_document_is_good(town: Any, consumer: str) -> None:
    """Most of what comes is bad: what waits behind it may be the loss of any document."""
    paper = await town.issue()
    await town.activate(paper)
    code = town.issuers.small_card(paper.ref)
    service = town.replicas[0]
    (handler,) = (one for one in service.handlers() if one.name == consumer)
    topic = home_topic(AttestationsIssued, ServiceName.CLOUD_PROFILE)
    applier = Applier(service.essentials.database, service.service.name, handler, topic)
    bad = [RawRecord(topic.name, 0, n, b"profile/%d" % n, (), b"{") for n in range(60)]
    with pytest.raises(CircuitOpen):
        await applier.apply(0, await applier.next_offset(0), bad)
    told = await town.check(code)
    assert (told["outcome"], told["reason"]) == ("unknown", "presentation-status-held")
    assert told["fresh_as_of"] == told["since"] < told["checked_at"]
    order = Order(uuid4(), service_actor("on-call"), "to be discarded")
    await service.operations().allow(order, consumer, topic.name, 60)
    assert await applier.apply(0, await applier.next_offset(0), bad) == 60
    assert (await town.check(code))["outcome"] == "good"


async def test_a_process_whose_consumer_has_not_joined_is_not_ready(town: Any) -> None:
    """Its Kafka does not answer. Also where the same process answers requests."""
    service = town.replicas[1]
    async with together(service.consume(), service.health("consume")):
        for url in (health_url(service), town.urls[1]):
            await until_ready_says(url, 503, ["consumer"])


async def test_a_process_whose_timer_comes_to_no_end_is_not_ready(
    town: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epassport.service.STEPPED_WITHIN_SECONDS", 3.0)
    service = town.replicas[1]
    held_up = await asyncpg.connect(town.dsn)
    try:
        async with together(service.timers(), service.health("timers")):
            async with held_up.transaction():
                await held_up.execute("LOCK TABLE deadlines")
                await until_ready_says(health_url(service), 503, ["timers"])
            await until_ready_says(health_url(service), 200, [])
    finally:
        await held_up.close()


def health_url(service: Any) -> str:
    return f"http://127.0.0.1:{service.essentials.settings.health_port}"


@asynccontextmanager
async def together(*parts: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until_ready_says(url: str, code: int, failing: list[str]) -> None:
    said: object = None
    async with httpx.AsyncClient(timeout=10) as client, asyncio.timeout(20):
        while said != (code, failing):
            try:
                answer = await client.get(f"{url}/readyz")
            except httpx.ConnectError:  # not yet
                await asyncio.sleep(0.05)
                continue
            said = (answer.status_code, answer.json()["failing"])


async def test_a_held_successor_makes_its_predecessor_unknown(town: Any) -> None:
    old = await town.issue()
    await town.activate(old)
    new = await town.issue(predecessor=old.ref, holder=old.holder)
    await town.rows(
        "INSERT INTO parked (consumer, topic, partition, record_offset, key, headers, cause)"
        " VALUES ('reactions', 'any', 0, 1, $1, '{}', 'gap')",
        f"card/{new.ref}",
    )
    assert (await town.check(town.issuers.small_card(old.ref)))["outcome"] == "unknown"


async def test_a_pause_of_checking_makes_the_region_unknown(town: Any) -> None:
    paper = await town.issue()
    await town.activate(paper)
    await town.rows(
        "INSERT INTO pauses (region, step, reason, since) VALUES ('RU-TA', 'check', 'x', $1)", now()
    )
    told = await town.check(town.issuers.small_card(paper.ref))
    assert (told["outcome"], told["reason"]) == ("unknown", "checking-paused")


async def test_where_replay_cannot_be_looked_up_nothing_is_good(
    town: Any, phone: Any, thumbprint_of: Callable[[Any], str]
) -> None:
    paper = await town.issue()
    await town.activate(paper)
    await town.attest(paper, uuid4(), thumbprint_of(phone))
    code = town.issuers.phone_code(phone, cti=uuid4().bytes)
    blocker: Connection[Record] = await asyncpg.connect(town.dsn)
    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE replays")
            told = await town.check(code, key="blocked")
        assert (told["outcome"], told["reason"]) == ("unknown", "presentation-replay-unknown")
    finally:
        await blocker.close()
    assert (await town.check(code, key="blocked"))["outcome"] == "good"


async def test_a_verifier_of_no_organisation_may_not_ask(town: Any) -> None:
    body = {"purpose": "alcohol", "claims": ["over-18"], "code": "X"}
    answer = await town.post("/presentations", body, Role.VERIFIER, office=None)
    assert (answer.status_code, answer.json()["reason"]) == (403, "role-not-allowed")


async def test_two_documents_that_draw_the_same_index_meet_at_the_claim(town: Any) -> None:
    town.worker.cancel()  # or it would draw for them first
    group = town.replicas[0].group
    origin = Origin(service_actor("verification"), uuid4())
    refs = uuid4(), uuid4()
    for ref in refs:
        expect = ExpectDocument(now(), uuid4(), uuid4(), "RU-TA", LAST_DAY, None)
        await group.execute([Envelope(document_status.stream(ref), expect, origin)])
    same = RegisterDocument(now(), "https://another.example/list", 5)
    outcomes = await group.execute(
        [Envelope(document_status.stream(ref), same, origin) for ref in refs]
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    assert refused == [Rejected("document-status-index-taken")]


async def test_verifiers_without_network_learn_the_same(town: Any) -> None:
    paper, other = await town.issue(), await town.issue()
    await town.activate(paper)
    trust = open_trust_list(
        (await town.get("/trust-list")).text, [town.trust_root], now=now(), accept_sandbox=True
    )
    known = await town.document("valid", paper.ref)
    assert await _entry(town, trust, known) is Status.VALID
    waiting = await town.document("registered", other.ref)
    assert await _entry(town, trust, waiting) is Status.NOT_IN_FORCE
    town.issuers.status = StatusReference(known["status_list_uri"], known["status_index"])
    code = town.issuers.small_card(paper.ref)
    assert await _offline(town, trust, code) is Outcome.GOOD
    revoked = await town.post(
        f"/documents/{paper.ref}/revoke", {"reason": "ordered"}, Role.SUPERVISOR
    )
    after = revoked.json()["token"]
    assert await _entry(town, trust, known, after=after) is Status.INVALID
    assert await _offline(town, trust, code) is Outcome.REFUSED


async def test_an_agency_reads_public_changes_in_order_behind_its_cursor(town: Any) -> None:
    paper = await town.issue()
    await town.activate(paper)
    for step, reason in (("suspend", "ordered"), ("restore", "ordered"), ("revoke", "ordered")):
        answer = await town.post(
            f"/documents/{paper.ref}/{step}", {"reason": reason}, Role.SUPERVISOR
        )
        assert answer.status_code == 200, answer.text
    await town.document("revoked", paper.ref)
    seen: list[str] = []
    cursor = answer.json()["token"]
    await town.get(f"/events?after={cursor}", Role.AGENCY)
    path = "/events?limit=1"
    while True:
        page = (await town.get(path, Role.AGENCY)).json()
        if not page["events"]:
            break
        assert page["events"][0]["type"] == "PassportStatusChanged"
        assert set(page["events"][0]["data"]) == {
            "at", "document_ref", "status", "reason_class", "effective_at", "recorded_at",
            "superseded_by",
        }  # fmt: skip
        seen.append(page["events"][0]["data"]["status"])
        path = f"/events?limit=1&after={page['next']}"
    assert seen == ["valid", "suspended", "valid", "revoked"]
    sent = await town.rows(
        "SELECT id, payload FROM outbox WHERE aggregatetype = 'public.passport-status.v1'"
    )
    everything = (await town.get("/events", Role.AGENCY)).json()["events"]
    on_topic = {str(row["id"]): json.loads(row["payload"]) for row in sent}
    assert {event["id"]: event["data"] for event in everything} == on_topic


async def test_a_relying_party_sees_what_it_may_ask(town: Any) -> None:
    party = {"relying_party_id": "shop", "name": "Wine shop"}
    purpose = {"purpose": "door", "claims": ["over-18"], "basis": "house rules"}
    await town.post("/relying-parties", party, Role.REGISTRAR)
    added = await town.post("/relying-parties/shop/purposes", purpose, Role.REGISTRAR)
    told = (
        await town.get(f"/relying-parties/shop?after={added.json()['token']}", Role.REGISTRAR)
    ).json()
    assert told["name"] == "Wine shop"
    assert told["purposes"] == [
        {
            "purpose": "alcohol",
            "claims": ["document-valid", "over-18"],
            "basis": "171-FZ, article 16",
        },
        purpose,
    ]


async def test_an_event_that_a_read_model_has_seen_changes_nothing_when_it_comes_again(
    town: Any,
) -> None:
    paper = await town.issue()
    await town.activate(paper)
    device = uuid4()
    await town.attest(paper, device, "first")
    gone = DeviceUnbound(at=now(), holder_id=paper.holder, device_id=device)
    await town.hear(gone, ServiceName.CLOUD_PROFILE, f"profile/{paper.holder}")
    await town.attest(paper, uuid4(), "second")
    await town.lose(paper)
    await town.document("suspended", paper.ref)
    opened = town.replicas[0]
    database, codec = opened.essentials.database, opened.catalog.codec
    events = [
        *await own_events(database, codec),
        *(record.as_recorded() for record in town.heard),
    ]
    own = [model for model in opened.service.read_models if model is not readmodel.device_keys]
    for model in own:
        await wait_for(database, model.reader, await _head(town), within=10)
    for model in opened.service.read_models:
        assert await let_through(database, model, events) == []


async def test_rebuilt_read_models_equal_the_live_ones(town: Any) -> None:
    paper = await town.issue()
    await town.activate(paper)
    await town.lose(paper)
    await town.document("suspended", paper.ref)
    opened = town.replicas[0]
    tables = {
        readmodel.documents: "SELECT * FROM document_v1 ORDER BY document_ref",
        readmodel.status_lists: "SELECT * FROM status_list_v1 ORDER BY uri",
        readmodel.public_events: "SELECT * FROM public_event_v1 ORDER BY position",
        readmodel.relying_parties: "SELECT * FROM purpose_v1 ORDER BY purpose",
    }
    for model in tables:
        await wait_for(opened.essentials.database, model.reader, await _head(town), within=10)
    before = {model: await town.rows(sql) for model, sql in tables.items()}
    source = Source(
        opened.essentials.settings.postgres_dsn(), opened.catalog.codec, opened.service.name
    )
    for model, sql in tables.items():
        await rebuild(model, source, Progress())
        assert await town.rows(sql) == before[model]


async def _head(town: Any) -> Token:
    (row,) = await town.rows(
        "SELECT transaction_id::text, position FROM events"
        " ORDER BY transaction_id DESC, position DESC LIMIT 1"
    )
    return Token(int(row["transaction_id"]), row["position"])


async def _entry(
    town: Any, trust: TrustList, known: dict[str, Any], after: str | None = None
) -> Status:
    path = "/status-lists/1" if after is None else f"/status-lists/1?after={after}"
    answer = await town.get(path)
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    uri = known["status_list_uri"]
    opened = open_status_list(answer.text, trust.keys, uri=uri, now=now())
    return opened.statuses.status_at(known["status_index"])


async def test_a_list_is_given_as_jwt_or_as_cwt_and_both_say_the_same(town: Any) -> None:
    paper = await town.issue()
    await town.activate(paper)
    known = await town.document("valid", paper.ref)
    trust = open_trust_list(
        (await town.get("/trust-list")).text, [town.trust_root], now=now(), accept_sandbox=True
    )
    uri, index = known["status_list_uri"], known["status_index"]
    after = await _head(town)
    for accept, form in [
        ("*/*", "jwt"),
        ("application/statuslist+cwt", "cwt"),
        ("application/statuslist+jwt;q=0.5, application/statuslist+cwt", "cwt"),
        ("application/statuslist+cwt;q=0.5, application/*", "jwt"),
    ]:
        headers = {"Accept": accept}
        url = f"{town.urls[1]}/v1/status-lists/1?after={after}"
        answer = await town.http.get(url, headers=headers)
        assert answer.headers["content-type"] == f"application/statuslist+{form}"
        assert answer.headers["vary"] == "Accept"
        opened = (
            open_status_list(answer.text, trust.keys, uri=uri, now=now())
            if form == "jwt"
            else open_status_list_cwt(answer.content, trust.keys, uri=uri, now=now())
        )
        assert opened.statuses.status_at(index) is Status.VALID
        assert opened.aggregation_uri == "https://status.example/v1/status-lists"
    refused = await town.http.get(url, headers={"Accept": "text/html"})
    assert (refused.status_code, refused.json()["reason"]) == (406, "not-acceptable")


async def test_when_a_list_is_full_the_next_is_begun_and_every_verifier_finds_it(
    town: Any,
) -> None:
    first = await town.issue()
    known = await town.document("registered", first.ref)
    assert known["status_list_uri"] == "https://status.example/s/1"
    assert (await town.get("/status-lists/2")).status_code == 404
    await _fill(town, "https://status.example/s/1")
    papers = [await town.issue(), await town.issue()]
    for paper in papers:
        known = await town.document("registered", paper.ref)
        assert known["status_list_uri"] == "https://status.example/s/2"
    paper = papers[0]
    await town.activate(paper)
    known = await town.document("valid", paper.ref)
    after = await _head(town)
    addresses = read_aggregation((await town.get(f"/status-lists?after={after}")).content)
    assert addresses == ("https://status.example/s/1", "https://status.example/s/2")
    trust = open_trust_list(
        (await town.get("/trust-list")).text, [town.trust_root], now=now(), accept_sandbox=True
    )
    answer = await town.get(f"/status-lists/2?after={after}")
    opened = open_status_list(answer.text, trust.keys, uri=addresses[1], now=now())
    assert opened.statuses.status_at(known["status_index"]) is Status.VALID
    town.issuers.status = StatusReference(known["status_list_uri"], known["status_index"])
    assert await _offline(town, trust, town.issuers.small_card(paper.ref)) is Outcome.GOOD


async def _fill(town: Any, uri: str) -> None:
    """Claims as a million documents would have left them: by a connection of our own, as the
    service's end what lasts longer than a second."""
    connection = await asyncpg.connect(town.dsn)
    try:
        await connection.execute(
            "INSERT INTO claims (kind, digest, stream_id)"
            " SELECT 'status-index', convert_to($1::text || '#' || n, 'UTF8'), 'other'"
            " FROM generate_series(0, $2::int - 1) AS n ON CONFLICT DO NOTHING",
            uri,
            ENTRIES_PER_LIST,
            timeout=300,
        )
    finally:
        await connection.close()


async def _offline(town: Any, trust: TrustList, code: str) -> Outcome:
    answer = await town.get("/offline-pack")
    pack = open_offline_pack(answer.text, trust.keys, now=now(), accept_sandbox=True)
    return verify_offline(code, pack, now=now()).outcome
