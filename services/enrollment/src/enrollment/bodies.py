"""What the desks send: shapes alone; the rules are the deciders'.

No free text about a person enters here but in fields that are sealed: what is asked of an
applicant, and why a step is paused, are codes.
"""

from datetime import date
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from enrollment.application_commands import Consent, RejectionReason
from epassport_contracts.desk import TicketPurpose
from epassport_contracts.events.enrollment import ApplicationKind, PausedStep
from epassport_contracts.fields import Identity, Line, Representative, Wishes
from epassport_contracts.sealed import Base64Bytes

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,40}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,60}$")]
Region = Annotated[str, StringConstraints(pattern=r"^RU-[A-Z]{2,3}$")]
PassportLine = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9<]{44}$")]
DocumentNumber = Annotated[str, StringConstraints(pattern=r"^9[0-9]{8}$")]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Weekday = Annotated[int, Field(ge=0, le=6)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OfficeBody(_Body):
    """opens, closes: in the office's own time, "24:00" is the end of the day; Monday is 0."""

    office_id: Name
    region: Region
    name: Line
    opens: TimeOfDay
    closes: TimeOfDay
    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)]
    from_day: date
    utc_offset_minutes: Annotated[int, Field(ge=-720, le=840)] = 180


class StationBody(_Body):
    station_id: Name
    from_day: date


class OfficerBody(_Body):
    """public_key: base64 SubjectPublicKeyInfo in DER, P-256."""

    issuer: Line
    subject: Line
    public_key: Annotated[Base64Bytes, Field(max_length=200)]
    from_day: date


class OpenRolloutBody(_Body):
    opens_on: date
    quota: Annotated[int, Field(ge=1, le=1_000_000_000)]


class PauseBody(_Body):
    step: PausedStep
    reason: Code


class ResumeBody(_Body):
    step: PausedStep


class PresenceBody(_Body):
    """signature: base64 of r || s, ES256 over `desk.presence_record` by the officer's key."""

    challenge: Annotated[str, StringConstraints(max_length=200)]
    at: AwareDatetime
    signature: Annotated[Base64Bytes, Field(max_length=64)]


class SubmitBody(_Body):
    """region: where the applicant lives. replaces_document_number: for every kind but first.
    paper_passport_lines: as read by the machine, of every passport issued since July 2011."""

    kind: ApplicationKind
    office: Name
    station: Name
    region: Region
    identity: Identity
    wishes: Wishes | None = None
    representative: Representative | None = None
    paper_passport_lines: tuple[PassportLine, PassportLine] | None = None
    consents: Annotated[frozenset[Consent], Field(max_length=len(Consent))]
    warning_read: bool
    replaces_document_number: DocumentNumber | None = None
    presence: PresenceBody

    @model_validator(mode="after")
    def _first_replaces_nothing(self) -> Self:
        if self.kind is ApplicationKind.FIRST and self.replaces_document_number is not None:
            raise ValueError("a first document replaces none")
        return self


class TicketBody(_Body):
    purpose: Literal[TicketPurpose.ENROL, TicketPurpose.HAND_OVER]
    station: Name


class HolderTicketBody(_Body):
    purpose: Literal[TicketPurpose.RESTORE]
    document_ref: UUID
    office: Name
    station: Name


class InformationBody(_Body):
    """what: a code, as `birth-certificate`."""

    what: Code


class RejectBody(_Body):
    reason: RejectionReason


class HandOverBody(_Body):
    station: Name


class ErasureBody(_Body):
    """by_order: code of the order that goes before live applications and documents in force."""

    by_order: Code | None = None


def minute_of_day(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)
