"""A code at the counter: what it states, whether it was shown before, what is known of it.

The decision itself is `presentation`'s; here is what it needs to be told.
"""

import asyncio
import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from uuid import UUID

import structlog

from epassport.database import Connection, Database
from epassport.faults import is_transient
from epassport_contracts.events.enrollment import PausedStep
from epassport_credentials.base45 import decode_base45
from epassport_credentials.card_qr import (
    MAX_IDENTITY_CHARACTERS,
    IdentityCard,
    SmallCard,
    open_compressed_card,
)
from epassport_credentials.errors import InvalidCredential
from epassport_credentials.identity import AgeOver18, Identity, is_over_18
from epassport_credentials.mobile_qr import MobilePresentation, open_mobile_message
from epassport_credentials.trust import TrustList
from verification import readmodel
from verification.presentation import Form, Shown
from verification.relying_party import ClaimName

LOOK_SECONDS = 1.0
REPLAY_KEPT = timedelta(seconds=90)
"""After a code's end: 30 s of allowed clock difference of phones, and a minute of replicas'."""

_ZLIB_FIRST_BYTE = b"\x78"  # a card's code is compressed, a phone's is CBOR

log = structlog.get_logger(__name__)

Stated = Mapping[ClaimName, str | bool]


@dataclass(frozen=True)
class Opened:
    """A code as far as it could be opened. phone: of a mobile code whose signatures hold."""

    shown: Shown
    stated: Stated = field(default_factory=dict, repr=False)
    phone: MobilePresentation | None = None


@dataclass(frozen=True)
class Findings:
    """What the decision needs beside the code."""

    shown: Shown
    held_since: datetime | None
    paused: Mapping[str, datetime]


def open_code(text: str, trust: TrustList, *, now: datetime) -> Opened:
    """Any of our codes; what is wrong with it stands in `shown.fault`."""
    form = Form.UNREADABLE
    try:
        data = decode_base45(text, at_most=MAX_IDENTITY_CHARACTERS)
        if data.startswith(_ZLIB_FIRST_BYTE):
            form = Form.CARD
            return _card(open_compressed_card(data, trust, now=now), now.date())
        form = Form.MOBILE
        phone = open_mobile_message(data, trust, now=now)
        return Opened(Shown(form), _stated(phone.attestation.claims, now.date()), phone)
    except InvalidCredential as refusal:
        return Opened(Shown(form, fault=refusal.reason))


def answered(stated: Stated, asked: Collection[str]) -> dict[str, str | bool]:
    """Only what was asked for and is stated."""
    return {name.value: value for name, value in stated.items() if name in asked}


async def look_up(
    database: Database, opened: Opened, *, presentation_id: UUID, now: datetime
) -> Findings | None:
    """Everything that is known about the code; None where it cannot be known now.

    A code of a phone is written down before anything is said about it, so that the same code
    at two replicas is good at one of them only.
    """
    try:
        async with asyncio.timeout(LOOK_SECONDS), database.connection() as connection:
            shown = opened.shown
            if opened.phone is not None:
                is_first = await _note_shown(connection, opened.phone, presentation_id, now)
                shown = replace(
                    await _resolve(connection, shown, opened.phone), is_replayed=not is_first
                )
            held = None
            if shown.document_ref is not None:
                held = await readmodel.held_since(connection, shown.document_ref)
            paused = await readmodel.paused_regions(connection, PausedStep.CHECK)
            return Findings(shown, held, paused)
    except Exception as fault:
        if not is_transient(fault):
            raise
        log.warning("check-undecided", fault=type(fault).__name__)
        return None


async def _note_shown(
    connection: Connection, phone: MobilePresentation, presentation_id: UUID, now: datetime
) -> bool:
    """Whether this presentation is the first, or the same command sent again.

    A row that another replica wrote meanwhile is not seen by this statement's snapshot; then
    nothing comes back, and the other one was first.
    """
    owner = await connection.fetchval(
        """
        WITH ended AS (
            DELETE FROM replays WHERE (thumbprint, cti) IN (
                SELECT thumbprint, cti FROM replays WHERE expires_at < $5
                 ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED)
        ), noted AS (
            INSERT INTO replays (thumbprint, cti, presentation_id, expires_at)
            VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING presentation_id)
        SELECT presentation_id FROM noted
         UNION ALL
        SELECT presentation_id FROM replays WHERE thumbprint = $1 AND cti = $2
         LIMIT 1
        """,
        phone.key_thumbprint,
        phone.cti,
        presentation_id,
        phone.expires_at + REPLAY_KEPT,
        now,
    )
    return bool(owner == presentation_id)


async def _resolve(connection: Connection, shown: Shown, phone: MobilePresentation) -> Shown:
    """Which document the phone's key stands for, if any."""
    tables = readmodel.device_keys.on(connection)
    row = await readmodel.device_key_of(tables, phone.key_thumbprint)
    if row is None:
        return shown
    return replace(
        shown, document_ref=row["document_ref"], is_unbound=row["unbound_at"] is not None
    )


def _card(card: SmallCard | IdentityCard, on: date) -> Opened:
    """A small card tells the age of the day it was made: that somebody was 18 stays true, that
    somebody was not is no answer today, so nothing is stated."""
    document_ref = UUID(bytes=card.document_ref)
    match card:
        case SmallCard():
            over_18 = {ClaimName.OVER_18: True} if card.over_18 else {}
            stated: Stated = {**over_18, ClaimName.DOCUMENT_VALID: True}
            return Opened(Shown(Form.CARD, document_ref), stated)
        case IdentityCard():
            portrait = base64.b64encode(card.portrait).decode("ascii")
            stated = {**_stated(card.identity, on), ClaimName.PORTRAIT: portrait}
            return Opened(Shown(Form.IDENTITY, document_ref), stated)


def _stated(claims: AgeOver18 | Identity, on: date) -> Stated:
    """`document-valid` is true of every good verdict; over 18 one is on the day of the check."""
    match claims:
        case AgeOver18():
            return {ClaimName.OVER_18: True, ClaimName.DOCUMENT_VALID: True}
        case Identity():
            return {
                **_names(claims.full_name),
                ClaimName.OVER_18: is_over_18(claims.birth_date, on),
                ClaimName.BIRTH_DATE: claims.birth_date.isoformat(),
                ClaimName.SEX: claims.sex.value,
                ClaimName.DOCUMENT_NUMBER: claims.document_number,
                ClaimName.NATIONALITY: claims.nationality,
                ClaimName.DOCUMENT_VALID: True,
            }


def _names(full_name: str) -> Stated:
    """Codes hold the name as printed, in one line: surname, given name, all the rest."""
    parts = full_name.split(" ", 2)
    names = (ClaimName.SURNAME, ClaimName.GIVEN_NAME, ClaimName.PATRONYMIC)
    return dict(zip(names, parts, strict=False))
