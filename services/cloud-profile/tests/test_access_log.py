"""The holder, and nobody else, reads who asked; after an erasure nobody does."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from cloud_service import Cloud, Holder

from epassport_contracts import ServiceName
from epassport_contracts.events.verification import PresentationRefused, PresentationVerified
from epassport_contracts.fields import Asked

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ASKED = Asked(relying_party="shop", name="Wine shop", purpose="alcohol", claims=("over-18",))
TOLD = {**ASKED.model_dump(), "claims": ["over-18"]}
NOBODY = dict.fromkeys(TOLD)


async def hears(cloud: Cloud, holder: Holder, *, asked: Asked | None = ASKED) -> UUID:
    """Verification tells of one good check, of the holder's card."""
    presentation_id = uuid4()
    about: dict[str, Any] = {
        "at": AT,
        "presentation_id": presentation_id,
        "document_ref": holder.document_ref,
        "holder_id": holder.holder_id,
        "form": "card-qr",
        "asked": holder.sealed("asked", asked) if asked else None,
    }
    stream = f"presentation/{presentation_id}"
    await cloud.hear(PresentationVerified(**about), ServiceName.VERIFICATION, stream)
    return presentation_id


async def log_of(cloud: Cloud, holder: Holder) -> dict[str, Any]:
    answer = await cloud.get(f"/profiles/{holder.holder_id}/access-log", holder.citizen)
    assert answer.status_code == 200, answer.text
    log: dict[str, Any] = answer.json()
    return log


async def test_the_holder_reads_who_asked_and_that_this_was_looked_at(cloud: Cloud) -> None:
    holder = Holder()
    await cloud.send_keys(holder)
    presentation_id = await hears(cloud, holder)
    (row,) = (await log_of(cloud, holder))["asked"]
    assert row == {
        "presentation_id": str(presentation_id),
        "document_ref": str(holder.document_ref),
        "form": "card-qr",
        "refused_because": None,
        "at": "2026-11-22T12:00:00+00:00",
        **TOLD,
    }
    (look,) = (await log_of(cloud, holder))["looked"]
    assert (look["reason"], look["fields"]) == ("own-access-log", ["asked"])


async def test_the_table_of_who_asked_names_nobody_in_the_clear(cloud: Cloud) -> None:
    holder = Holder()
    await hears(cloud, holder)
    (row,) = await cloud.rows("SELECT to_jsonb(a)::text AS row FROM asked_v1 AS a")
    assert not any(word in row["row"] for word in ("shop", "alcohol", "over-18"))


async def test_another_holder_reads_nothing_of_it(cloud: Cloud) -> None:
    holder = Holder()
    await hears(cloud, holder)
    answer = await cloud.get(f"/profiles/{holder.holder_id}/access-log", Holder().citizen)
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown-id")


async def test_a_check_whose_question_was_not_sealed_is_seen_without_it(cloud: Cloud) -> None:
    holder = Holder()
    await cloud.send_keys(holder)
    await hears(cloud, holder, asked=None)
    await hears(cloud, holder)
    asked = (await log_of(cloud, holder))["asked"]
    told = [{name: row[name] for name in TOLD} for row in asked]
    assert sorted(told, key=str) == sorted([NOBODY, TOLD], key=str)


async def test_a_refused_check_says_why(cloud: Cloud) -> None:
    holder, presentation_id = Holder(), uuid4()
    await cloud.send_keys(holder)
    refused = PresentationRefused(
        at=AT, presentation_id=presentation_id, document_ref=holder.document_ref,
        holder_id=holder.holder_id, form="mobile-qr", asked=holder.sealed("asked", ASKED),
        reason="presentation-over-asking",
    )  # fmt: skip
    await cloud.hear(refused, ServiceName.VERIFICATION, f"presentation/{presentation_id}")
    (row,) = (await log_of(cloud, holder))["asked"]
    assert (row["refused_because"], row["name"]) == ("presentation-over-asking", "Wine shop")


async def test_after_an_erasure_nobody_can_read_who_asked(cloud: Cloud) -> None:
    holder = Holder()
    await cloud.send_keys(holder)
    await hears(cloud, holder)
    essentials = cloud.opened.essentials
    async with essentials.database.transaction() as connection:
        await essentials.keyring.destroy(connection, holder.holder_id, AT)
    (row,) = (await log_of(cloud, holder))["asked"]
    assert {name: row[name] for name in TOLD} == NOBODY
