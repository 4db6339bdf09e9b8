"""Facts of cloud-profile: what the holder's phone may prove, and what was lost."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime

from epassport_contracts.model import ContractEvent


class LossChannel(StrEnum):
    PHONE = "phone"
    DESK = "desk"
    HOTLINE = "hotline"


class LossReported(ContractEvent):
    """Suspends at once; a deadline or confirmation revokes."""

    holder_id: UUID
    document_ref: UUID
    channel: LossChannel


class LossConfirmed(ContractEvent):
    holder_id: UUID
    document_ref: UUID


class AttestationsIssued(ContractEvent):
    """Thumbprints (SHA-256 of the COSE_Key, RFC 9679, hex) of the keys attested in one batch."""

    holder_id: UUID
    document_ref: UUID
    device_id: UUID
    thumbprints: tuple[str, ...]
    expires_at: AwareDatetime


class DeviceUnbound(ContractEvent):
    holder_id: UUID
    device_id: UUID
