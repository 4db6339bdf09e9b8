"""Keys of phones as verification knows them: whose they are, until when, and after an unbinding."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from epassport_contracts import ServiceName
from epassport_contracts.events.cloud_profile import DeviceUnbound

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC)


async def test_an_unbound_phone_is_refused_and_an_unheard_one_is_unknown(
    town: Any, phone: Any, thumbprint_of: Callable[[Any], str]
) -> None:
    paper, device = await town.issue(), uuid4()
    await town.activate(paper)
    unheard = await town.check(town.issuers.phone_code(phone, cti=uuid4().bytes))
    assert (unheard["outcome"], unheard["reason"]) == ("unknown", "presentation-key-unknown")
    assert unheard["since"] == unheard["checked_at"]
    await town.attest(paper, device, thumbprint_of(phone))
    gone = DeviceUnbound(at=now(), holder_id=paper.holder, device_id=device)
    await town.hear(gone, ServiceName.CLOUD_PROFILE, f"profile/{paper.holder}")
    refused = await town.check(town.issuers.phone_code(phone, cti=uuid4().bytes))
    assert refused["reason"] == "presentation-device-unbound"
    asked = await town.asked(refused["presentation_id"])
    assert asked is not None
    assert asked.relying_party == "shop"


async def test_a_key_stays_with_its_first_holder(
    town: Any, phone: Any, thumbprint_of: Callable[[Any], str]
) -> None:
    paper, thief = await town.issue(), await town.issue()
    await town.attest(paper, uuid4(), thumbprint_of(phone), thumbprint_of(phone))
    await town.attest(thief, uuid4(), "another")
    await town.attest(thief, uuid4(), thumbprint_of(phone))
    rows = await town.rows(
        "SELECT document_ref FROM device_key_v1 WHERE thumbprint = $1", thumbprint_of(phone)
    )
    assert [row["document_ref"] for row in rows] == [paper.ref]


async def test_a_key_attested_again_after_its_phone_was_unbound_is_good_again(
    town: Any, phone: Any, thumbprint_of: Callable[[Any], str]
) -> None:
    paper, device = await town.issue(), uuid4()
    await town.activate(paper)
    await town.attest(paper, device, thumbprint_of(phone))
    gone = DeviceUnbound(at=now(), holder_id=paper.holder, device_id=device)
    await town.hear(gone, ServiceName.CLOUD_PROFILE, f"profile/{paper.holder}")
    await town.attest(paper, uuid4(), thumbprint_of(phone))
    again = await town.check(town.issuers.phone_code(phone, cti=uuid4().bytes))
    assert again["outcome"] == "good"


async def test_keys_that_ended_long_ago_are_forgotten_as_the_holder_gets_new_ones(
    town: Any,
) -> None:
    paper, other = await town.issue(), await town.issue()
    await town.attest(other, uuid4(), "others", at=NOW - 20 * DAY)
    await town.attest(paper, uuid4(), "ended", at=NOW - 9 * DAY)
    await town.attest(paper, uuid4(), "lately", at=NOW - 7 * DAY)
    await town.attest(paper, uuid4(), "new", at=NOW)
    rows = await town.rows("SELECT thumbprint FROM device_key_v1 ORDER BY thumbprint")
    assert [row["thumbprint"] for row in rows] == ["lately", "new", "others"]
