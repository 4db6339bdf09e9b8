"""Who asked about a holder is told to the holder alone; the verdict waits for no key."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from epassport.sealing import ERASED
from epassport_contracts.fields import Asked

AGE_ASKED = Asked(relying_party="shop", name="Wine shop", purpose="alcohol", claims=("over-18",))


async def test_asking_too_much_is_refused_and_the_holder_can_see_who_asked(town: Any) -> None:
    paper = await town.issue()
    await town.activate(paper)
    greedy = await town.check(town.issuers.identity_card(paper.ref), ("over-18", "surname"))
    assert (greedy["outcome"], greedy["reason"]) == ("refused", "presentation-over-asking")
    assert greedy["claims"] == {}
    told = await town.rows(
        "SELECT payload FROM outbox WHERE type = 'PresentationRefused'"
        " AND aggregateid = 'presentation/' || $1",
        greedy["presentation_id"],
    )
    assert str(paper.holder) in told[0]["payload"].decode()
    asked = AGE_ASKED.model_copy(update={"claims": ("over-18", "surname")})
    assert await town.asked(greedy["presentation_id"]) == asked
    stored = await town.rows("SELECT data::text AS data FROM events")
    assert not any("Подъёмная" in row["data"] for row in stored)


async def test_no_row_that_names_a_holder_document_or_check_names_who_asked(town: Any) -> None:
    """But the kept answer of the command, which names the stream to who asked, for its days."""
    paper = await town.issue()
    await town.activate(paper)
    code = town.issuers.small_card(paper.ref)
    checks = [(await town.check(code)), (await town.check(code, ("surname",)))]
    names = [paper.holder, paper.ref, *(check["presentation_id"] for check in checks)]
    found = await _rows_naming(town, names)
    assert {table for table, _ in found} >= {"events", "outbox"}
    telling = ("shop", "verifier", "alcohol", "over-18", '"surname"')
    assert [(t, r) for t, r in found if any(word in r.lower() for word in telling)] == []


async def test_a_verdict_does_not_wait_for_the_key_of_its_holder(town: Any) -> None:
    paper = await town.issue()
    await town.activate(paper)
    await town.rows("DELETE FROM received_keys WHERE subject = $1", paper.holder)
    good = await town.check(town.issuers.small_card(paper.ref))
    assert good["outcome"] == "good"
    assert await town.asked(good["presentation_id"]) is None
    found = await _rows_naming(town, [good["presentation_id"]])
    assert not any("alcohol" in row for _, row in found)


async def test_a_check_after_an_erasure_gets_its_verdict_and_nobody_can_read_who_asked(
    town: Any,
) -> None:
    paper = await town.issue()
    await town.activate(paper)
    code = town.issuers.small_card(paper.ref)
    before = await town.check(code)
    essentials = town.replicas[0].essentials
    async with essentials.database.transaction() as connection:
        await essentials.keyring.destroy(connection, paper.holder, datetime.now(UTC))
    after = await town.check(code)
    assert after["outcome"] == "good"  # its standing is enrollment's to end before it erases
    assert await town.asked(after["presentation_id"]) is None
    assert await town.asked(before["presentation_id"]) is ERASED


async def test_a_code_that_names_no_document_is_told_to_nobody(town: Any) -> None:
    forged = await town.check("FORGED")
    assert forged["outcome"] == "refused"
    stranger = await town.check(town.issuers.small_card(uuid4()))
    assert (stranger["outcome"], stranger["reason"]) == ("unknown", "presentation-document-unknown")
    for check in (forged, stranger):
        (row,) = await town.rows(
            "SELECT data->'asked'->>'relying_party' AS party FROM events"
            " WHERE stream_id = 'presentation/' || $1",
            check["presentation_id"],
        )
        assert row["party"] == "shop"
        assert not await town.rows(
            "SELECT FROM outbox WHERE aggregateid = 'presentation/' || $1",
            check["presentation_id"],
        )


async def _rows_naming(town: Any, names: list[UUID | str]) -> list[tuple[str, str]]:
    """Every row, of every table but kept answers, in which one of the names occurs."""
    tables = await town.rows(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'idempotency'"
    )
    found = []
    for (table,) in tables:
        rows = await town.rows(f"SELECT to_jsonb(t)::text AS row FROM {table} AS t")
        for row in rows:
            text = _with_octets_read(row["row"])
            if any(str(name) in text for name in names):
                found.append((table, text))
    return found


def _with_octets_read(text: str) -> str:
    """bytea stands in JSON as \\x and hex digits; payloads of records are such."""
    parts = text.split('"\\\\x')
    read = [bytes.fromhex(part[: part.index('"')]).decode(errors="replace") for part in parts[1:]]
    return " ".join([text, *read])
