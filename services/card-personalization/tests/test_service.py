"""The service alone on real PostgreSQL: three foreign events in, a genuine card out.

Other services are played by their key stores: they seal, and send their keys.
"""

import random
from datetime import timedelta
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

import pytest
from bureau_service import (
    BOTH,
    CARDS,
    INSPECTOR,
    LOT,
    NUMBER,
    OFFICE,
    OPERATOR,
    REGION,
    SURNAME,
    Bureau,
    Holder,
    chip_files,
    finger,
    issued,
    made_card,
    parts,
)
from seen_again import let_through, own_events

from card_personalization import archive, batch
from card_personalization.batch import MAX_CARDS, NoteCard
from card_personalization.card_commands import BlockCause
from epassport.actor import service_actor
from epassport.commands import Envelope
from epassport.events import Origin
from epassport.progress import Progress
from epassport.rebuild import Source, rebuild
from epassport_contracts.events.enrollment import (
    HandoverCompleted,
    PausedStep,
)
from epassport_contracts.fields import Wishes
from epassport_credentials.lds import parse_ef_com
from epassport_credentials.optional_details import OptionalDetails, parse_dg13
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.trust_anchors import TrustAnchors

NOBODY = str(UUID(int=404))


async def test_three_parts_in_any_order_and_late_keys_become_a_genuine_chip(
    bureau: Bureau,
) -> None:
    holder = Holder()
    await bureau.post(OPERATOR, "/v1/blank-lots", lot_id=LOT, count=3)
    order, index, image = parts(holder, bureau.clock.now())
    await bureau.hear(image, index, order, image)
    await bureau.wait_for("SELECT 1 FROM tasks WHERE last_error = 'KeyPending'")
    await bureau.send_keys(holder)
    found = await bureau.reach(holder, "written")
    assert [entry["event"] for entry in found["history"]] == [
        "ImageStored",
        "IndexAssigned",
        "CardOrdered",
        "ChipDataPrepared",
        "BlankAllocated",
        "ChipWritten",
        "ChipReadBack",
    ]
    files = await chip_files(bureau, holder)
    assert set(files) == {"EF.CardAccess", "EF.COM", "EF.SOD"} | {
        f"DG{number}" for number in (1, 2, 11, 12, 14, 15)
    }
    now = bureau.clock.now()
    verified = passive_authentication(files, TrustAnchors([bureau.csca]), now, accept_sandbox=True)
    assert (verified.mrz.number, verified.mrz.primary) == (NUMBER, "KANAREIKINA")


async def test_finger_and_wishes_are_on_the_chip_and_the_finger_is_shown_to_nobody(
    bureau: Bureau,
) -> None:
    holder = Holder()
    wishes = Wishes(snils="11223344595", inn="500100732259")
    await bureau.post(OPERATOR, "/v1/blank-lots", lot_id=LOT, count=3)
    await bureau.send_keys(holder)
    order, index, face = parts(holder, bureau.clock.now(), wishes)
    await bureau.hear(order, index, finger(holder, bureau.clock.now()), face)
    await bureau.reach(holder, "written")
    files = await chip_files(bureau, holder)
    assert parse_ef_com(files["EF.COM"]).data_groups == (1, 2, 3, 11, 12, 13, 14, 15)
    assert parse_dg13(files["DG13"]) == OptionalDetails(inn="500100732259", snils="11223344595")
    assert "DG3" not in files
    now = bureau.clock.now()
    verified = passive_authentication(files, TrustAnchors([bureau.csca]), now, accept_sandbox=True)
    assert verified.unread == {3}


async def test_nothing_personal_is_readable_in_the_database_and_the_inspector_leaves_a_trace(
    bureau: Bureau,
) -> None:
    holder = await made_card(bureau)
    await chip_files(bureau, holder)
    front = await bureau.get(INSPECTOR, f"/v1/cards/{holder.document_ref}/faces/front")
    assert front.headers["content-type"] == "image/png"
    assert front.content.startswith(b"\x89PNG")
    codes = (await bureau.get(INSPECTOR, f"/v1/cards/{holder.document_ref}/codes")).json()
    assert set(codes) == {"small", "identity"}
    tables = await bureau.rows("SELECT relname FROM pg_stat_user_tables")
    for table in tables:
        for row in await bureau.rows(f"SELECT t::text AS text FROM {table['relname']} AS t"):
            for canary in (NUMBER, SURNAME, "KANAREIKINA", codes["identity"][:40]):
                assert canary not in row["text"], table["relname"]
                assert canary.encode().hex() not in row["text"], table["relname"]
    looks = await bureau.rows(
        "SELECT DISTINCT reason, actor->>'subject' AS who FROM openings WHERE subject = $1",
        holder.holder_id,
    )
    assert {(look["reason"], look["who"]) for look in looks} == {
        ("prepare-card", CARDS),
        ("write-chip", CARDS),
        ("card-inspection", INSPECTOR),
    }


async def test_a_rejected_card_is_remade_on_another_blank_and_the_lot_balances(
    bureau: Bureau,
) -> None:
    holder = await made_card(bureau)
    first = await chip_files(bureau, holder)
    path = f"/v1/cards/{holder.document_ref}"
    rejected = await bureau.post(INSPECTOR, f"{path}/reject-quality", reason="scratched")
    assert rejected.status_code == 200
    await bureau.reach(holder, "written", events=12)
    second = await chip_files(bureau, holder)
    assert (first["DG1"], first["DG2"]) == (second["DG1"], second["DG2"])
    assert first["DG15"] != second["DG15"]
    passive_authentication(
        second, TrustAnchors([bureau.csca]), bureau.clock.now(), accept_sandbox=True
    )
    await bureau.wait_for("SELECT 1 FROM blank_lot_v1 WHERE used = 1 AND spoiled = 1")
    balance = (await bureau.get(OPERATOR, f"/v1/blank-lots/{LOT}")).json()
    assert balance == {"lot_id": LOT, "received": 3, "used": 1, "spoiled": 1, "in_stock": 1}
    (left,) = await bureau.rows("SELECT remaining FROM capacities")
    assert left["remaining"] == balance["in_stock"]


async def test_an_accepted_card_travels_to_its_office_and_comes_into_force(
    bureau: Bureau,
) -> None:
    holder = await made_card(bureau)
    path = f"/v1/cards/{holder.document_ref}"
    opened = await bureau.post(OPERATOR, "/v1/batches", office=OFFICE)
    batch_id = opened.json()["batch_id"]
    early = await bureau.post(OPERATOR, f"{path}/pack", batch_id=batch_id)
    assert (early.status_code, early.json()["reason"]) == (409, "card-not-accepted")
    assert (await bureau.post(BOTH.subject, f"{path}/accept-quality")).status_code == 200
    alone = await bureau.post(BOTH.subject, f"{path}/pack", batch_id=batch_id)
    assert alone.json()["reason"] == "card-inspector-may-not-pack"
    assert (await bureau.post(OPERATOR, f"{path}/pack", batch_id=batch_id)).status_code == 200
    await bureau.post(OPERATOR, f"/v1/batches/{batch_id}/close")
    left = await bureau.post("courier-1", f"/v1/batches/{batch_id}/dispatch", courier="courier-1")
    assert left.status_code == 200
    await bureau.reach(holder, "dispatched")
    elsewhere = await bureau.post("hand-over-officer-1", f"{path}/receive")
    assert elsewhere.json()["reason"] == "card-of-other-office"
    assert (await bureau.post("hand-over-officer-3", f"{path}/receive")).status_code == 200
    await bureau.hear(HandoverCompleted(**issued(holder, bureau.clock.now())))
    await bureau.reach(holder, "active")
    sent = await bureau.rows(
        "SELECT type FROM outbox WHERE type <> 'HistoryLinked' ORDER BY position"
    )
    assert [row["type"] for row in sent] == ["CardReceived", "CardActivated"]
    travelled = (await bureau.get("courier-1", f"/v1/batches/{batch_id}")).json()
    assert travelled["cards"] == [str(holder.document_ref)]
    assert (travelled["status"], travelled["courier"]) == ("dispatched", "courier-1")


async def test_a_full_batch_leaves_with_every_card(bureau: Bureau) -> None:
    """Of cards that nobody made, so that each answers its order with a refusal that is kept."""
    opened = await bureau.post(OPERATOR, "/v1/batches", office=OFFICE)
    batch_id = opened.json()["batch_id"]
    origin = Origin(service_actor(CARDS.value), uuid4())
    for n in range(MAX_CARDS):
        command = NoteCard(bureau.clock.now(), UUID(int=n))
        await bureau.opened.group.execute([Envelope(batch.stream(batch_id), command, origin)])
    await bureau.post(OPERATOR, f"/v1/batches/{batch_id}/close")
    await bureau.post("courier-1", f"/v1/batches/{batch_id}/dispatch", courier="courier-1")
    await bureau.wait_for(
        f"SELECT FROM reaction_refusals HAVING count(DISTINCT stream_id) = {MAX_CARDS}"
    )
    travelled = (await bureau.get("courier-1", f"/v1/batches/{batch_id}")).json()
    assert (travelled["status"], len(travelled["cards"])) == ("dispatched", MAX_CARDS)


async def test_a_card_without_a_blank_waits_and_is_made_when_blanks_have_come(
    bureau: Bureau,
) -> None:
    holder = Holder()
    await bureau.send_keys(holder)
    await bureau.hear(*parts(holder, bureau.clock.now()))
    found = await bureau.reach(holder, "prepared", events=5)
    assert found["history"][-1]["event"] == "BlanksMissing"
    await bureau.post(OPERATOR, "/v1/blank-lots", lot_id=LOT, count=1)
    bureau.clock.move(timedelta(minutes=2))
    await bureau.reach(holder, "written")
    waiting = (await bureau.get(INSPECTOR, "/v1/queue", state="written")).json()
    assert [entry["document_ref"] for entry in waiting["cards"]] == [str(holder.document_ref)]


@pytest.mark.parametrize(
    ("step", "task", "stays"),
    [
        (PausedStep.PREPARE, "prepare-chip-data", "preparing"),
        (PausedStep.MAKE, "allocate-blank", "prepared"),
    ],
)
async def test_a_paused_step_makes_nothing_and_goes_on_where_it_stopped(
    bureau: Bureau, step: PausedStep, task: str, stays: str
) -> None:
    holder = Holder()
    await bureau.post(OPERATOR, "/v1/blank-lots", lot_id=LOT, count=1)
    await bureau.send_keys(holder)
    await pause(bureau, step)
    await bureau.hear(*parts(holder, bureau.clock.now()))
    await bureau.reach(holder, stays)
    await bureau.wait_for(f"SELECT 1 FROM tasks WHERE kind = '{task}'")
    (waiting,) = await bureau.rows("SELECT kind, step, region, attempts FROM tasks")
    assert dict(waiting) == {"kind": task, "step": step, "region": REGION, "attempts": 0}
    await bureau.rows("DELETE FROM pauses")
    await bureau.reach(holder, "written")


async def pause(bureau: Bureau, step: PausedStep) -> None:
    await bureau.rows(
        "INSERT INTO pauses (region, step, reason, since) VALUES ($1, $2, 'test', now())",
        REGION,
        step,
    )


async def test_no_card_is_made_of_an_erased_holder(bureau: Bureau) -> None:
    holder = Holder()
    await bureau.send_keys(holder)
    await pause(bureau, PausedStep.PREPARE)
    await bureau.hear(*parts(holder, bureau.clock.now()))
    async with bureau.opened.essentials.database.transaction() as connection:
        keyring = bureau.opened.essentials.keyring
        await keyring.destroy(connection, holder.holder_id, bureau.clock.now())
    await bureau.rows("DELETE FROM pauses")
    found = await bureau.reach(holder, "blocked")
    assert found["history"][-1]["detail"] == BlockCause.HOLDER_ERASED


async def test_after_erasure_the_inspector_sees_nothing_and_is_told_so(bureau: Bureau) -> None:
    holder = await made_card(bureau)
    async with bureau.opened.essentials.database.transaction() as connection:
        keyring = bureau.opened.essentials.keyring
        await keyring.destroy(connection, holder.holder_id, bureau.clock.now())
    for what in ("files", "faces/back", "codes"):
        answer = await bureau.get(INSPECTOR, f"/v1/cards/{holder.document_ref}/{what}")
        assert (answer.status_code, answer.json()["reason"]) == (410, "erased")


async def test_a_face_larger_than_a_blob_comes_back_whole(bureau: Bureau) -> None:
    """A face at 600 dpi has about a megabyte."""
    holder, large = Holder(), random.Random(7).randbytes(2 * archive.PART_BYTES + 1)
    await bureau.send_keys(holder)
    essentials = bureau.opened.essentials
    async with essentials.database.transaction() as connection:
        made = {"front": (large, "image/png"), "small-code": (b"HC1", "text/plain")}
        stored = await archive.store(
            connection, essentials.keyring, holder.holder_id, archive.PRINT, made
        )
    assert {name: len(parts) for name, parts in stored.items()} == {"front": 3, "small-code": 1}
    found = await archive.fetch(
        essentials.database,
        essentials.keyring,
        holder.holder_id,
        archive.PRINT,
        stored,
        actor=service_actor(CARDS),
        reason="test",
        correlation_id=uuid4(),
    )
    assert found == {"front": large, "small-code": b"HC1"}


async def a_life(bureau: Bureau) -> None:
    """A card made, spoiled and made again; a batch that travels with another card."""
    holder = await made_card(bureau)
    path = f"/v1/cards/{holder.document_ref}"
    await bureau.post(INSPECTOR, f"{path}/reject-quality", reason="scratched")
    await bureau.reach(holder, "written", events=12)
    await bureau.post(INSPECTOR, f"{path}/accept-quality")
    batch_id = (await bureau.post(OPERATOR, "/v1/batches", office=OFFICE)).json()["batch_id"]
    await bureau.post(OPERATOR, f"{path}/pack", batch_id=batch_id)
    await bureau.wait_for("SELECT FROM batch_card_v1")
    await bureau.post(OPERATOR, f"/v1/batches/{batch_id}/close")
    await bureau.post("courier-1", f"/v1/batches/{batch_id}/dispatch", courier="courier-1")
    await bureau.reach(holder, "dispatched")
    await bureau.wait_for("SELECT FROM batch_v1 WHERE status = 'dispatched'")
    await bureau.wait_for("SELECT FROM blank_lot_v1 WHERE (used, spoiled) = (1, 1)")


async def test_an_event_that_a_read_model_has_seen_changes_nothing_when_it_comes_again(
    bureau: Bureau,
) -> None:
    await a_life(bureau)
    database, codec = bureau.opened.essentials.database, bureau.opened.catalog.codec
    for model in bureau.opened.service.read_models:
        assert await let_through(database, model, await own_events(database, codec)) == []


async def test_rebuilt_read_models_equal_the_live_ones(bureau: Bureau) -> None:
    await a_life(bureau)
    opened = bureau.opened
    source = Source(
        opened.essentials.settings.postgres_dsn(), opened.catalog.codec, opened.service.name
    )
    for model in opened.service.read_models:
        names = [f"{table}_v{model.version}" for table in model.tables]
        dump = [f"SELECT t::text AS text FROM {name} AS t ORDER BY 1" for name in names]
        live = [await bureau.rows(sql) for sql in dump]
        assert all(live), model.reader
        await rebuild(model, source, Progress())
        assert [await bureau.rows(sql) for sql in dump] == live


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        (OPERATOR, "POST", "/v1/cards/{ref}/accept-quality", 403),
        (INSPECTOR, "POST", "/v1/cards/{ref}/pack", 403),
        (OPERATOR, "GET", "/v1/cards/{ref}/files", 403),
        (INSPECTOR, "GET", "/v1/cards/{ref}/files", 404),
        (INSPECTOR, "GET", "/v1/cards/{ref}/faces/edge", 422),
        (OPERATOR, "GET", "/v1/cards/{ref}", 404),
        (OPERATOR, "GET", "/v1/blank-lots/none", 404),
        (OPERATOR, "GET", "/v1/batches/{ref}", 404),
        (OPERATOR, "GET", "/v1/queue?state=burnt", 422),
        *(
            (BOTH.subject, "POST", f"/v1/{path}", 404)
            for path in (
                "cards/{ref}/accept-quality",
                "cards/{ref}/reject-quality?reason=x",
                "cards/{ref}/pack?batch_id={ref}",
                "cards/{ref}/lost-in-transit",
                "batches/{ref}/close",
                "batches/{ref}/dispatch?courier=x",
            )
        ),
    ],
)
async def test_who_may_not_or_asks_for_nothing_known_is_told_so(
    bureau: Bureau, who: str, method: str, path: str, status: int
) -> None:
    where, _, body = path.format(ref=NOBODY).partition("?")
    if method == "GET":
        answer = await bureau.get(who, where if not body else f"{where}?{body}")
    else:
        answer = await bureau.post(who, where, **dict(parse_qsl(body)))
    assert answer.status_code == status
    assert await bureau.rows("SELECT FROM streams WHERE stream_id LIKE '%/' || $1", NOBODY) == []
    assert answer.headers["content-type"] == "application/problem+json"
