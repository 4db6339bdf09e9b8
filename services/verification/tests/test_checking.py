"""What each code states, what is told of it, and which fault a bad one has."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport_credentials.errors import Reason as Fault
from epassport_credentials.identity import Identity, Sex
from epassport_credentials.trust import TrustList
from verification.checking import Opened, answered, open_code
from verification.presentation import Form, Shown

REF = UUID(int=1)


def opened(issuers: Any, code: str, *, later: timedelta = timedelta()) -> Opened:
    return open_code(code, issuers.trust, now=issuers.now + later)


def test_the_small_card_states_age_and_validity_only(issuers: Any) -> None:
    code = opened(issuers, issuers.small_card(REF))
    assert code.shown == Shown(Form.CARD, REF)
    assert code.stated == {"over-18": True, "document-valid": True}


def test_the_identity_card_states_who_the_holder_is(issuers: Any) -> None:
    code = opened(issuers, issuers.identity_card(REF))
    assert code.shown == Shown(Form.IDENTITY, REF)
    assert code.stated == {
        "surname": "Подъёмная",
        "given-name": "Юлия",
        "patronymic": "Эдуардовна",
        "over-18": True,
        "birth-date": "1990-05-17",
        "sex": "F",
        "document-number": "700123456",
        "nationality": "RUS",
        "portrait": base64.b64encode(b"portrait").decode(),
        "document-valid": True,
    }


def test_a_small_card_made_for_a_minor_says_neither_yes_nor_no_about_age(issuers: Any) -> None:
    """It was no on the day it was made; the card lives past the birthday."""
    code = opened(issuers, issuers.small_card(REF, over_18=False))
    assert code.stated == {"document-valid": True}
    assert answered(code.stated, ["over-18"]) == {}


@pytest.mark.parametrize(("hours", "over_18"), [(11, False), (12, True)])
def test_an_identity_card_tells_the_age_of_the_day_it_is_checked(
    issuers: Any, hours: int, over_18: bool
) -> None:
    """Made at noon of the eighteenth birthday; the day ends while it is valid."""
    birthday = issuers.now.date().replace(year=issuers.now.year - 18)
    person = Identity("Ким Анна", birthday, Sex.FEMALE, "700123456", "RUS")
    code = opened(issuers, issuers.identity_card(REF, person), later=timedelta(hours=hours))
    assert code.stated["over-18"] is over_18


@pytest.mark.parametrize(
    ("full_name", "names"),
    [
        ("Алиев Гейдар Мамед оглы", ("Алиев", "Гейдар", "Мамед оглы")),
        ("Ким Анна", ("Ким", "Анна", None)),
    ],
)
def test_a_name_without_or_with_a_long_patronymic_is_told_in_parts(
    issuers: Any, full_name: str, names: tuple[str | None, ...]
) -> None:
    person = Identity(full_name, issuers.now.date(), Sex.MALE, "700123456", "RUS")
    stated = opened(issuers, issuers.identity_card(REF, person)).stated
    assert tuple(stated.get(n) for n in ("surname", "given-name", "patronymic")) == names


def test_a_phone_states_what_its_attestation_is_for(issuers: Any, phone: Any) -> None:
    code = opened(issuers, issuers.phone_code(phone))
    assert code.shown == Shown(Form.MOBILE)
    assert code.stated == {"over-18": True, "document-valid": True}
    assert code.phone is not None
    assert code.phone.cti == bytes(16)


def test_only_what_was_asked_and_is_stated_is_told(issuers: Any) -> None:
    stated = opened(issuers, issuers.small_card(REF)).stated
    assert answered(stated, ["over-18", "surname"]) == {"over-18": True}
    assert answered(stated, []) == {}


def test_a_forged_card_has_its_fault_and_no_reference(issuers: Any) -> None:
    forger = replace(issuers, card=issuers.mobile)
    code = opened(issuers, forger.small_card(REF))
    assert code == Opened(Shown(Form.CARD, fault=Fault.WRONG_PURPOSE))


def test_a_phone_code_ends_after_its_minute(issuers: Any, phone: Any) -> None:
    text = issuers.phone_code(phone)
    assert opened(issuers, text, later=timedelta(seconds=89)).shown.fault is None
    assert opened(issuers, text, later=timedelta(seconds=90)).shown.fault is Fault.EXPIRED


def test_what_is_no_code_at_all_is_unreadable(issuers: Any) -> None:
    assert opened(issuers, "привет").shown == Shown(Form.UNREADABLE, fault=Fault.MALFORMED)
    assert opened(issuers, "0" * 1135).shown == Shown(Form.UNREADABLE, fault=Fault.TOO_LONG)


@given(text=st.text(max_size=60) | st.text("0123456789ABCDEF $%*+-./:", max_size=200))
def test_any_text_is_a_code_with_a_fault(text: str) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert open_code(text, TrustList("test", now, now, ()), now=now).shown.fault is not None
