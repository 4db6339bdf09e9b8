"""What happened to a Profile, and its state: facts as stored, personal data sealed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from epassport import Secret
from epassport_contracts import Sealed
from epassport_contracts.events.cloud_profile import LossChannel
from epassport_contracts.fields import Identity


class Standing(StrEnum):
    """What verification said last about a document."""

    ISSUED = "issued"
    VALID = "valid"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"


FINAL = frozenset({Standing.REVOKED, Standing.EXPIRED})


@dataclass(frozen=True)
class ProfileOpened:
    at: datetime
    holder_id: UUID


@dataclass(frozen=True)
class DocumentAdded:
    at: datetime
    document_ref: UUID
    document_number: Secret[str]
    identity: Secret[Identity]
    valid_until: date


@dataclass(frozen=True)
class PortraitNoted:
    at: datetime
    document_ref: UUID
    digest: str


@dataclass(frozen=True)
class StandingNoted:
    at: datetime
    document_ref: UUID
    standing: Standing


@dataclass(frozen=True)
class DeviceBound:
    at: datetime
    device_id: UUID
    key_thumbprint: str


@dataclass(frozen=True)
class DeviceUnbound:
    at: datetime
    device_id: UUID


@dataclass(frozen=True)
class AttestationsIssued:
    at: datetime
    device_id: UUID
    document_ref: UUID
    purpose: str
    thumbprints: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True)
class LossReported:
    at: datetime
    document_ref: UUID
    channel: LossChannel


@dataclass(frozen=True)
class LossConfirmed:
    at: datetime
    document_ref: UUID


@dataclass(frozen=True)
class ProfileClosed:
    at: datetime


Event = (
    ProfileOpened
    | DocumentAdded
    | PortraitNoted
    | StandingNoted
    | DeviceBound
    | DeviceUnbound
    | AttestationsIssued
    | LossReported
    | LossConfirmed
    | ProfileClosed
)


@dataclass(frozen=True)
class Document:
    document_ref: UUID
    document_number: Sealed[str]
    identity: Sealed[Identity]
    standing: Standing = Standing.ISSUED
    loss_reported: bool = False
    loss_confirmed: bool = False


@dataclass(frozen=True)
class Profile:
    """documents in the order they were added; the last one is the holder's current one.

    standings and portraits may be heard of before the document itself is added here.
    """

    is_open: bool = False
    is_closed: bool = False
    documents: Mapping[UUID, Document] = field(default_factory=dict)
    early_standings: Mapping[UUID, Standing] = field(default_factory=dict)
    portraits: Mapping[UUID, str] = field(default_factory=dict)
    devices: Mapping[UUID, bool] = field(default_factory=dict)  # bound now?

    @property
    def current(self) -> Document | None:
        return next(reversed(list(self.documents.values())), None)
