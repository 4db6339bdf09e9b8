"""Facts of biometrics: one person is one person; the holder stood at the counter."""

from enum import StrEnum
from uuid import UUID

from epassport_contracts.model import ContractEvent
from epassport_contracts.sealed import DataPurpose, Sealed


class ComparisonMethod(StrEnum):
    """How the person at the counter was recognised."""

    FINGERS = "fingers"
    FACES_BY_TWO_OFFICERS = "faces-by-two-officers"


class CheckPurpose(StrEnum):
    HAND_OVER = "hand-over"
    RESTORE = "restore"


class BiometricsAccepted(ContractEvent):
    application_id: UUID
    holder_id: UUID
    by_exception: bool  # unusable fingers: a supervisor's recorded exception stood for 1:N


class DuplicateConfirmed(ContractEvent):
    application_id: UUID
    holder_id: UUID


class _HolderChecked(ContractEvent):
    check_id: UUID
    holder_id: UUID
    application_id: UUID | None
    document_ref: UUID | None
    purpose: CheckPurpose
    method: ComparisonMethod
    officer: str  # subject of the officer who held the ticket
    station: str
    office: str


class HolderVerified(_HolderChecked):
    """1:1 against the enrolled biometrics succeeded; `check_id` may be used once."""


class HolderMismatch(_HolderChecked):
    """1:1 failed; no score leaves biometrics."""


class ReleasedImage(StrEnum):
    FACE = "face"
    RIGHT_INDEX = "right-index"


class ImageReleased(ContractEvent):
    """One image for one purpose, at most 512 kB, its own record; kept 30 days.

    A face is a JPEG, a finger WSQ at 500 pixels an inch: as a chip holds them.
    `digest` is the SHA-256 of the ciphertext in `image`, hex: the image's name elsewhere.
    """

    holder_id: UUID
    application_id: UUID
    document_ref: UUID
    image_kind: ReleasedImage
    purpose: DataPurpose
    media_type: str
    digest: str
    image: Sealed[bytes]
