"""The tables of a profile on real PostgreSQL, filled from one life of it."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from seen_again import let_through

from cloud_profile.profile_events import (
    DeviceBound,
    DeviceUnbound,
    DocumentAdded,
    PortraitNoted,
    ProfileClosed,
    ProfileOpened,
    Standing,
    StandingNoted,
)
from cloud_profile.service import build
from epassport import Personal, StreamId
from epassport.actor import service_actor
from epassport.database import Database, migrate
from epassport.events import Origin, Recorded
from epassport.readmodel import ReadModel, fill
from epassport.settings import Settings
from epassport.testing import test_seal
from epassport_contracts.events.verification import PresentationRefused, PresentationVerified
from epassport_contracts.fields import Asked, Identity, Sex

HOLDER, REF, DEVICE = (UUID(int=n) for n in (1, 2, 3))
PERSON = Identity(
    surname="Орлова",
    given_name="Вера",
    sex=Sex.FEMALE,
    birth_date=date(1990, 5, 6),
    birth_place="Казань",
)


def day(n: int) -> datetime:
    return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=n)


def life() -> list[Recorded[Any]]:
    """Whatever a table holds is changed by a later event once."""
    number = test_seal(Personal(HOLDER, "document-number", "900000001"))
    identity = test_seal(Personal(HOLDER, "identity", PERSON))
    facts = [
        ProfileOpened(day(1), HOLDER),
        DocumentAdded(day(2), REF, number, identity, date(2036, 11, 1)),
        StandingNoted(day(3), REF, Standing.VALID),
        PortraitNoted(day(4), REF, "a" * 64),
        DeviceBound(day(5), DEVICE, "ab"),
        DeviceUnbound(day(6), DEVICE),
        PortraitNoted(day(7), REF, "b" * 64),
        StandingNoted(day(8), REF, Standing.REVOKED),
        ProfileClosed(day(9)),
        ProfileOpened(day(10), HOLDER),
    ]
    return [
        Recorded(
            fact, StreamId(f"profile/{HOLDER}"), version, version, 1, uuid4(),
            Origin(service_actor("test"), UUID(int=9)), fact.at,
        )
        for version, fact in enumerate(facts, start=1)
    ]  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def db(database: str) -> AsyncIterator[Database]:
    await migrate(database, "cloud_profile")
    opened = await Database.connect(database)
    yield opened
    await opened.close()


def checks() -> list[Recorded[Any]]:
    """What verification tells of two checks."""
    asked = test_seal(
        Personal(
            HOLDER,
            "asked",
            Asked(relying_party="shop", name="Shop", purpose="alcohol", claims=("over-18",)),
        )
    )
    about: dict[str, Any] = {"at": day(5), "document_ref": REF, "holder_id": HOLDER,
                             "form": "card-qr", "asked": asked}  # fmt: skip
    facts = [
        PresentationVerified(**about, presentation_id=UUID(int=4)),
        PresentationRefused(**about, presentation_id=UUID(int=5), reason="document-revoked"),
    ]
    return [
        Recorded(
            fact, StreamId(f"presentation/{fact.presentation_id}"), 1, n, 1, uuid4(),
            Origin(service_actor("verification"), UUID(int=9)), fact.at,
        )
        for n, fact in enumerate(facts)
    ]  # fmt: skip


MODELS = build(Settings.model_construct()).read_models


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
async def test_an_event_that_a_read_model_has_seen_changes_nothing_when_it_comes_again(
    db: Database, model: ReadModel
) -> None:
    events = [event for event in (*life(), *checks()) if type(event.fact) in model.projections]
    async with db.transaction() as connection:
        await fill(model, connection, events)
    assert await let_through(db, model, events) == []
