"""What an adjudicator sees of a case: pictures side by side, and nothing that names anybody.

People decide on what the engine saw: fingers are shown as the pixels that were measured.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from biometrics import readmodel
from biometrics.context import App
from biometrics.engine.minutiae import Minutiae, minutiae_of
from biometrics.engine.port import TemplateRefused
from biometrics.engine.positions import FingerPosition
from biometrics.engine.quality import only_pixels
from biometrics.record_commands import Reason
from epassport import Actor, Role
from epassport.blobs import load
from epassport.http import View
from epassport.opening import InRecord, open_for
from epassport.problems import NotFound, Problem

_OTHERS = {"open": Reason.CASE_NOT_ESCALATED, "escalated": Reason.CASE_ESCALATED}


@dataclass(frozen=True)
class FingerPicture:
    """minutiae: None where the engine does not say where it saw them."""

    png: bytes = field(repr=False)
    minutiae: Minutiae | None = field(repr=False)


@dataclass(frozen=True)
class Side:
    """One enrolment of a case; without pictures once erased."""

    face: bytes | None = field(repr=False)
    fingers: dict[FingerPosition, FingerPicture]


@dataclass(frozen=True)
class CaseView:
    case_id: UUID
    state: str
    appealed: bool
    overdue: bool
    requested_at: datetime
    applicant: Side
    others: tuple[Side, ...]


async def open_case(view: View[App], case_id: UUID) -> CaseView:
    """Opened for this person, each holder's audited. Raises Problem: closed, unknown, answered by
    the reader, of samples that the reader took, appealed through the reader, or not for the
    reader's role to answer."""
    async with view.database.connection() as connection:
        tables = readmodel.records.on(connection)
        case = await readmodel.case_of(tables, case_id)
        if case is None:
            raise NotFound
        if case["state"] == "closed":
            raise Problem(Reason.CASE_CLOSED)
        if view.actor.name in case["answered_by"]:
            raise Problem(Reason.ALREADY_ANSWERED)
        if view.actor.name in (case["officer"], case["appealed_by"]):
            raise Problem(Reason.FOUR_EYES)
        if case["state"] not in states_of(view.actor):
            raise Problem(_OTHERS[case["state"]])
        rows = await readmodel.pictures_in(tables, case)
    applicant, *others = [await _side(view, row) for row in rows]
    return CaseView(
        case_id,
        case["state"],
        case["appealed_by"] is not None,
        case["overdue"],
        case["requested_at"],
        applicant,
        tuple(others),
    )


def states_of(actor: Actor) -> list[str]:
    """Of the cases that this person may answer."""
    states = ["open"] if Role.ADJUDICATOR in actor.roles else []
    return states + (["escalated"] if Role.SUPERVISOR in actor.roles else [])


async def _side(view: View[App], row: Record) -> Side:
    face, *rest = await _opened(view, row)
    count = len(row["positions"])
    fingers = {
        FingerPosition(at): FingerPicture(
            await asyncio.to_thread(only_pixels, png), _minutiae(template)
        )
        for at, png, template in zip(row["positions"], rest[:count], rest[count:], strict=True)
        if png is not None
    }
    return Side(face, fingers)


async def _opened(view: View[App], row: Record) -> list[bytes | None]:
    """Face, fingers, templates; None for what was erased."""
    named = [("sample", digest or "") for digest in (row["face"], *row["fingers"])]
    named += [("template", digest) for digest in row["templates"]]
    async with view.database.connection() as connection:
        blobs = [(kind, await load(connection, digest)) for kind, digest in named]
    there = [
        InRecord(row["holder_id"], kind, blob.envelope) for kind, blob in blobs if blob is not None
    ]
    opened: Sequence[object] = await open_for(
        view.database,
        view.keyring,
        there,
        actor=view.actor,
        reason="adjudication",
        correlation_id=view.correlation_id,
    )
    values = iter(opened)
    found = [None if blob is None else next(values) for _, blob in blobs]
    return [value if isinstance(value, bytes) else None for value in found]


def _minutiae(template: bytes | None) -> Minutiae | None:
    if template is None:
        return None
    try:
        return minutiae_of(template)
    except TemplateRefused:
        return None
