"""Three outcomes: good, refused with its reason, undecided since a moment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from epassport.testing import Specification
from epassport_credentials.errors import Reason as Fault
from verification.document_events import DocumentExpected
from verification.document_status import Document, Standing
from verification.presentation import (
    CheckPresentation,
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
verified = PresentationVerified(NOW, "shop", "alcohol", ("over-18",), Form.CARD, REF, HOLDER)

given = Specification(aggregate).given


def refused(command: CheckPresentation, reason: str, document: Document) -> PresentationRefused:
    return PresentationRefused(
        command.at,
        command.relying_party,
        command.purpose,
        command.claims,
        command.shown.form,
        command.shown.document_ref,
        document.holder_id,
        reason,
    )


def undecided(
    command: CheckPresentation, reason: str, document: Document, since: datetime
) -> PresentationUndecided:
    of = refused(command, reason, document)
    return PresentationUndecided(
        of.at, of.relying_party, of.purpose, of.claims, of.form, of.document_ref, of.holder_id,
        reason, since,
    )  # fmt: skip


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
    given().reading(SHOP, document).when(check).then(refused(check, reason, document))


def test_a_document_nobody_heard_of_is_undecided() -> None:
    answer = undecided(check, Reason.DOCUMENT_UNKNOWN, Document(), NOW)
    given().reading(SHOP, Document()).when(check).then(answer)


@pytest.mark.parametrize("standing", [Standing.REGISTERED, Standing.VALID, Standing.SUSPENDED])
def test_a_held_stream_makes_the_document_undecided(standing: Standing) -> None:
    held, document = replace(check, held_since=EARLIER), replace(VALID, standing=standing)
    answer = undecided(held, Reason.STATUS_HELD, document, EARLIER)
    given().reading(SHOP, document).when(held).then(answer)


def test_a_revoked_document_stays_refused_while_its_stream_is_held() -> None:
    held, document = replace(check, held_since=EARLIER), replace(VALID, standing=Standing.REVOKED)
    given().reading(SHOP, document).when(held).then(refused(held, Fault.REVOKED, document))


def test_a_paused_region_makes_its_documents_undecided() -> None:
    approval = DocumentExpected(EARLIER, DOCUMENT_APPLICATION, HOLDER, "RU-TA", NOW.date(), None)
    document = replace(VALID, approval=approval)
    paused = replace(check, paused={"RU-TA": EARLIER})
    answer = undecided(paused, Reason.CHECKING_PAUSED, document, EARLIER)
    given().reading(SHOP, document).when(paused).then(answer)
    elsewhere = replace(check, paused={"RU-MOW": EARLIER})
    given().reading(SHOP, document).when(elsewhere).then(verified)


def test_asking_too_much_is_refused_and_recorded() -> None:
    greedy = replace(check, claims=("over-18", "surname"))
    answer = refused(greedy, PartyReason.OVER_ASKING, VALID)
    given().reading(SHOP, VALID).when(greedy).then(answer)


def test_an_unregistered_purpose_or_party_is_refused_and_recorded() -> None:
    other = replace(check, purpose="tobacco")
    answer = refused(other, PartyReason.PURPOSE_NOT_REGISTERED, VALID)
    given().reading(SHOP, VALID).when(other).then(answer)
    stranger = refused(check, PartyReason.NOT_REGISTERED, VALID)
    given().reading(RelyingParty(), VALID).when(check).then(stranger)


def test_a_code_that_does_not_hold_is_refused_with_its_fault() -> None:
    forged = replace(check, shown=Shown(Form.CARD, fault=Fault.WRONG_SIGNATURE))
    answer = refused(forged, Fault.WRONG_SIGNATURE, Document())
    given().reading(SHOP).when(forged).then(answer)


def test_a_code_shown_before_is_refused_though_the_document_is_valid() -> None:
    again = replace(check, shown=replace(PHONE, is_replayed=True))
    given().reading(SHOP, VALID).when(again).then(refused(again, Reason.REPLAYED, VALID))


def test_an_unbound_phone_is_refused() -> None:
    unbound = replace(check, shown=replace(PHONE, is_unbound=True))
    given().reading(SHOP, VALID).when(unbound).then(refused(unbound, Reason.DEVICE_UNBOUND, VALID))


def test_a_phone_key_nobody_attested_to_us_is_undecided() -> None:
    unheard = replace(check, shown=Shown(Form.MOBILE))
    answer = undecided(unheard, Reason.KEY_UNKNOWN, Document(), NOW)
    given().reading(SHOP).when(unheard).then(answer)


def test_asking_too_much_is_told_before_anything_about_the_document() -> None:
    greedy = replace(check, claims=("surname",), shown=replace(PHONE, is_replayed=True))
    document = replace(VALID, standing=Standing.REVOKED)
    answer = refused(greedy, PartyReason.OVER_ASKING, document)
    given().reading(SHOP, document).when(greedy).then(answer)
