"""Desk tickets: what enrollment signs, biometrics opens; everything else has its reason."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epassport.jws import sign_compact
from epassport.signing import (
    LocalSigner,
    Signer,
    SigningPurpose,
    new_private_key,
    public_key_octets,
)
from epassport.tickets import TYPE, TicketReason, TicketRefused, open_ticket, sign_ticket
from epassport.trustfile import SigningEntry, TrustContent, TrustFile
from epassport_contracts import ServiceName
from epassport_contracts.desk import Ticket, TicketPurpose
from epassport_contracts.events.enrollment import ApplicationKind

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OURS, STRANGER, OTHER_PURPOSE = (LocalSigner(new_private_key()) for _ in range(3))
TICKET = Ticket(
    ticket_id=UUID(int=1),
    purpose=TicketPurpose.ENROL,
    holder_id=UUID(int=2),
    application_id=UUID(int=3),
    document_ref=None,
    kind=ApplicationKind.FIRST,
    officer="operator-1",
    office="office-mow-1",
    station="station-1",
    expires_at=NOW + timedelta(minutes=10),
)


def entry(signer: Signer, purpose: SigningPurpose) -> SigningEntry:
    return SigningEntry(
        service=ServiceName.ENROLLMENT,
        purpose=purpose,
        key=public_key_octets(signer.public_key),
        valid_from=NOW - timedelta(days=1),
        valid_until=NOW + timedelta(days=1),
    )


TRUST = TrustFile(
    TrustContent(
        issuer="sandbox",
        sandbox=True,
        issued_at=NOW,
        signing_keys=(
            entry(OURS, SigningPurpose.DESK_TICKET),
            entry(OTHER_PURPOSE, SigningPurpose.SUBJECT_KEY),
        ),
        hpke_keys=(),
    )
)


def refusal_of(text: str, now: datetime = NOW) -> TicketReason:
    with pytest.raises(TicketRefused) as refused:
        open_ticket(text, TRUST, now)
    return refused.value.reason


def test_a_signed_ticket_opens_to_itself() -> None:
    assert open_ticket(sign_ticket(OURS, TICKET), TRUST, NOW) == TICKET


def test_a_ticket_ends_at_its_time() -> None:
    text = sign_ticket(OURS, TICKET)
    assert open_ticket(text, TRUST, TICKET.expires_at - timedelta(seconds=1)) == TICKET
    assert refusal_of(text, TICKET.expires_at) is TicketReason.EXPIRED


@pytest.mark.parametrize("signer", [STRANGER, OTHER_PURPOSE])
def test_a_key_that_is_not_for_tickets_signs_none(signer: Signer) -> None:
    assert refusal_of(sign_ticket(signer, TICKET)) is TicketReason.UNKNOWN_SIGNER


def test_a_key_outside_its_time_signs_none() -> None:
    later = NOW + timedelta(days=2)
    assert refusal_of(sign_ticket(OURS, TICKET), later) is TicketReason.UNKNOWN_SIGNER


def test_a_changed_ticket_is_not_signed() -> None:
    header, _, signature = sign_ticket(OURS, TICKET).split(".")
    other = TICKET.model_copy(update={"station": "station-2"})
    payload = sign_ticket(OURS, other).split(".")[1]
    assert refusal_of(f"{header}.{payload}.{signature}") is TicketReason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        ({"typ": "epassport-trust"}, TICKET.model_dump_json().encode()),
        ({"typ": TYPE, "crit": ["b64"]}, TICKET.model_dump_json().encode()),
        ({"typ": TYPE}, b'{"v":2}'),
    ],
)
def test_a_signed_text_that_is_no_ticket_is_malformed(
    header: dict[str, object], payload: bytes
) -> None:
    assert refusal_of(sign_compact(header, payload, OURS)) is TicketReason.MALFORMED


def test_a_ticket_too_long_is_malformed() -> None:
    assert refusal_of("a" * 5000) is TicketReason.MALFORMED


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    assert refusal_of(text) is TicketReason.MALFORMED
