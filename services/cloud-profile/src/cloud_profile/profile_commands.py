"""What a Profile may be asked, and why it refuses."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from cloud_profile.profile_events import Standing
from epassport_contracts import Sealed
from epassport_contracts.events.cloud_profile import LossChannel
from epassport_contracts.fields import Identity


class Reason(StrEnum):
    NOT_OPEN = "profile-not-open"
    CLOSED = "profile-closed"
    UNKNOWN_DOCUMENT = "profile-unknown-document"
    DOCUMENT_NOT_IN_FORCE = "profile-document-not-in-force"
    LOSS_REPORTED = "profile-loss-reported"
    NO_LOSS_REPORTED = "profile-no-loss-reported"
    UNKNOWN_DEVICE = "profile-unknown-device"
    DEVICE_UNBOUND = "profile-device-unbound"
    PHONE_KEY_NOT_P256 = "phone-key-not-p256"  # said where keys are read
    DEVICE_PROOF_WRONG = "profile-device-proof-wrong"
    HOLDER_DOES_NOT_QUALIFY = "profile-holder-does-not-qualify"
    TOO_MANY_DEVICES = "profile-too-many-devices"


@dataclass(frozen=True)
class AddDocument:
    """From HandoverCompleted; opens the profile when it is the holder's first."""

    at: datetime
    holder_id: UUID
    application_id: UUID
    document_ref: UUID
    document_number: Sealed[str]
    identity: Sealed[Identity]
    valid_until: date


@dataclass(frozen=True)
class NotePortrait:
    at: datetime
    document_ref: UUID
    digest: str


@dataclass(frozen=True)
class NoteStanding:
    at: datetime
    document_ref: UUID
    standing: Standing


@dataclass(frozen=True)
class BindDevice:
    """proof_holds: the phone signed with the key it presents (checked where keys are)."""

    at: datetime
    device_id: UUID
    key_thumbprint: str
    proof_holds: bool


@dataclass(frozen=True)
class UnbindDevice:
    at: datetime
    device_id: UUID


@dataclass(frozen=True)
class IssueAttestations:
    """thumbprints: of the keys the phone made for this batch, hex.

    holder_qualifies: what the purpose states is true of the holder (18 on this day); found
    out where identity may be opened, so that no birth date is needed here.
    """

    at: datetime
    device_id: UUID
    purpose: str
    thumbprints: tuple[str, ...]
    expires_at: datetime
    holder_qualifies: bool


@dataclass(frozen=True)
class ReportLoss:
    at: datetime
    document_ref: UUID
    channel: LossChannel


@dataclass(frozen=True)
class ConfirmLoss:
    at: datetime
    document_ref: UUID


@dataclass(frozen=True)
class CloseProfile:
    at: datetime


Command = (
    AddDocument
    | NotePortrait
    | NoteStanding
    | BindDevice
    | UnbindDevice
    | IssueAttestations
    | ReportLoss
    | ConfirmLoss
    | CloseProfile
)
