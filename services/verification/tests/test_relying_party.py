"""Who may ask, and for what: one purpose has one set of claims and one legal basis."""

from datetime import UTC, datetime

from epassport.testing import Specification
from verification.relying_party import (
    ClaimName,
    Event,
    PurposeRegistered,
    Reason,
    RegisterPurpose,
    RegisterRelyingParty,
    RelyingPartyRegistered,
    aggregate,
)

AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
AGE = frozenset({ClaimName.OVER_18, ClaimName.DOCUMENT_VALID})
BASIS = "171-FZ, article 16"
SHOP: list[Event] = [RelyingPartyRegistered(AT, "Wine shop")]
SELLING = [
    *SHOP,
    PurposeRegistered(AT, "alcohol", (ClaimName.DOCUMENT_VALID, ClaimName.OVER_18), BASIS),
]

given = Specification(aggregate).given


def test_a_relying_party_is_registered_once() -> None:
    given().when(RegisterRelyingParty(AT, "Wine shop")).then(*SHOP)
    given(*SHOP).when(RegisterRelyingParty(AT, "Wine shop")).then_nothing()


def test_an_id_does_not_pass_to_another_organisation() -> None:
    given(*SHOP).when(RegisterRelyingParty(AT, "Bank")).then_refused(Reason.REGISTERED_OTHERWISE)


def test_a_purpose_is_registered_once() -> None:
    given(*SHOP).when(RegisterPurpose(AT, "alcohol", AGE, BASIS)).then(SELLING[1])
    given(*SELLING).when(RegisterPurpose(AT, "alcohol", AGE, BASIS)).then_nothing()


def test_only_a_registered_party_has_purposes() -> None:
    given().when(RegisterPurpose(AT, "alcohol", AGE, BASIS)).then_refused(Reason.NOT_REGISTERED)


def test_a_purpose_never_grows() -> None:
    more = RegisterPurpose(AT, "alcohol", AGE | {ClaimName.SURNAME}, BASIS)
    given(*SELLING).when(more).then_refused(Reason.PURPOSE_REGISTERED_OTHERWISE)
    other_basis = RegisterPurpose(AT, "alcohol", AGE, "wish")
    given(*SELLING).when(other_basis).then_refused(Reason.PURPOSE_REGISTERED_OTHERWISE)


def test_a_party_may_ask_what_its_purpose_names_and_no_more() -> None:
    shop = given(*SELLING).state
    assert shop.refusal("alcohol", ["over-18"]) is None
    assert shop.refusal("alcohol", ["over-18", "document-valid"]) is None
    assert shop.refusal("alcohol", ["over-18", "surname"]) is Reason.OVER_ASKING
    assert shop.refusal("alcohol", ["shoe-size"]) is Reason.OVER_ASKING
    assert shop.refusal("tobacco", ["over-18"]) is Reason.PURPOSE_NOT_REGISTERED
    assert given().state.refusal("alcohol", ["over-18"]) is Reason.NOT_REGISTERED
