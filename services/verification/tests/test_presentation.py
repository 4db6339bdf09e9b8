"""Three outcomes: good, refused with its reason, undecided since a moment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from epassport import Personal
from epassport.testing import Specification
from epassport_contracts.fields import Asked
from epassport_credentials.errors import Reason as Fault
from verification.document_status_events import Document, DocumentExpected, Standing
from verification.presentation import (
    CheckPresentation,
    CodeRefused,
    CodeUndecided,
    Form,
    PresentationRefused,
    PresentationUndecided,
    PresentationVerified,
    Reason,
    Shown,
    aggregate,
)
from verification.relying_party import ClaimName, Purpose, RelyingParty
from verification.relying_party import Reason as PartyReason

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=7)
REF, HOLDER, DOCUMENT_APPLICATION = UUID(int=1), UUID(int=2), UUID(int=3)
SHOP = RelyingParty(
    "Wine shop",
    {
        "alcohol": Purpose(
            frozenset({ClaimName.OVER_18, ClaimName.DOCUMENT_VALID}), "171-FZ, article 16"
        )
    },
)
VALID = Document(Standing.VALID, EARLIER, HOLDER)
CARD = Shown(Form.CARD, REF)
PHONE = Shown(Form.MOBILE, REF)

check = CheckPresentation(NOW, "shop", "alcohol", ("over-18",), CARD)
given = Specification(aggregate).given


def question(command: CheckPresentation, name: str | None = "Wine shop") -> Asked:
    return Asked(
        relying_party=command.relying_party,
        name=name,
        purpose=command.purpose,
        claims=command.claims,
    )


def told(command: CheckPresentation, name: str | None = "Wine shop") -> Personal[Asked]:
    return Personal(HOLDER, "asked", question(command, name), required=False)


verified = PresentationVerified(NOW, Form.CARD, REF, HOLDER, told(check))


def refused(command: CheckPresentation, reason: str) -> PresentationRefused:
    return PresentationRefused(NOW, command.shown.form, REF, HOLDER, told(command), reason)


def undecided(command: CheckPresentation, reason: str, since: datetime) -> PresentationUndecided:
    return PresentationUndecided(NOW, command.shown.form, REF, HOLDER, told(command), reason, since)


def test_a_valid_document_is_verified_once() -> None:
    given().reading(SHOP, VALID).when(check).then(verified)
    given(verified).reading(SHOP, VALID).when(check).then_nothing()


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (Standing.EXPECTED, Fault.NOT_IN_FORCE),
        (Standing.REGISTERED, Fault.NOT_IN_FORCE),
        (Standing.SUSPENDED, Fault.SUSPENDED),
        (Standing.REVOKED, Fault.REVOKED),
        (Standing.EXPIRED, Fault.EXPIRED),
    ],
)
def test_a_document_that_is_not_in_force_is_refused(standing: Standing, reason: Fault) -> None:
    document = replace(VALID, standing=standing)
    given().reading(SHOP, document).when(check).then(refused(check, reason))


def test_a_document_nobody_heard_of_is_undecided() -> None:
    answer = CodeUndecided(NOW, Form.CARD, question(check), Reason.DOCUMENT_UNKNOWN, NOW)
    given().reading(SHOP, Document()).when(check).then(answer)


@pytest.mark.parametrize("standing", [Standing.REGISTERED, Standing.VALID, Standing.SUSPENDED])
def test_a_held_stream_makes_the_document_undecided(standing: Standing) -> None:
    held, document = replace(check, held_since=EARLIER), replace(VALID, standing=standing)
    answer = undecided(held, Reason.STATUS_HELD, EARLIER)
    given().reading(SHOP, document).when(held).then(answer)


def test_a_revoked_document_stays_refused_while_its_stream_is_held() -> None:
    held, document = replace(check, held_since=EARLIER), replace(VALID, standing=Standing.REVOKED)
    given().reading(SHOP, document).when(held).then(refused(held, Fault.REVOKED))


def test_a_paused_region_makes_its_documents_undecided() -> None:
    approval = DocumentExpected(EARLIER, DOCUMENT_APPLICATION, HOLDER, "RU-TA", NOW.date(), None)
    document = replace(VALID, approval=approval)
    paused = replace(check, paused={"RU-TA": EARLIER})
    answer = undecided(paused, Reason.CHECKING_PAUSED, EARLIER)
    given().reading(SHOP, document).when(paused).then(answer)
    elsewhere = replace(check, paused={"RU-MOW": EARLIER})
    given().reading(SHOP, document).when(elsewhere).then(verified)


def test_asking_too_much_is_refused_and_recorded() -> None:
    greedy = replace(check, claims=("over-18", "surname"))
    answer = refused(greedy, PartyReason.OVER_ASKING)
    given().reading(SHOP, VALID).when(greedy).then(answer)


def test_an_unregistered_purpose_or_party_is_refused_and_recorded() -> None:
    other = replace(check, purpose="tobacco")
    answer = refused(other, PartyReason.PURPOSE_NOT_REGISTERED)
    given().reading(SHOP, VALID).when(other).then(answer)
    nameless, reason = told(check, None), PartyReason.NOT_REGISTERED
    stranger = PresentationRefused(NOW, Form.CARD, REF, HOLDER, nameless, reason)
    given().reading(RelyingParty(), VALID).when(check).then(stranger)


def test_a_code_that_does_not_hold_is_refused_with_its_fault() -> None:
    forged = replace(check, shown=Shown(Form.CARD, fault=Fault.WRONG_SIGNATURE))
    answer = CodeRefused(NOW, Form.CARD, question(forged), Fault.WRONG_SIGNATURE)
    given().reading(SHOP).when(forged).then(answer)


def test_a_code_shown_before_is_refused_though_the_document_is_valid() -> None:
    again = replace(check, shown=replace(PHONE, is_replayed=True))
    given().reading(SHOP, VALID).when(again).then(refused(again, Reason.REPLAYED))


def test_an_unbound_phone_is_refused() -> None:
    unbound = replace(check, shown=replace(PHONE, is_unbound=True))
    given().reading(SHOP, VALID).when(unbound).then(refused(unbound, Reason.DEVICE_UNBOUND))


def test_a_phone_key_nobody_attested_to_us_is_undecided() -> None:
    unheard = replace(check, shown=Shown(Form.MOBILE))
    answer = CodeUndecided(NOW, Form.MOBILE, question(unheard), Reason.KEY_UNKNOWN, NOW)
    given().reading(SHOP).when(unheard).then(answer)


def test_asking_too_much_is_told_before_anything_about_the_document() -> None:
    greedy = replace(check, claims=("surname",), shown=replace(PHONE, is_replayed=True))
    document = replace(VALID, standing=Standing.REVOKED)
    answer = refused(greedy, PartyReason.OVER_ASKING)
    given().reading(SHOP, document).when(greedy).then(answer)
