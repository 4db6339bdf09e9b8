"""Keys of persons: how data keys travel, and that they were destroyed."""

from uuid import UUID

from epassport_contracts.access import ServiceName
from epassport_contracts.model import ContractEvent
from epassport_contracts.sealed import Base64Bytes, DataPurpose


class SubjectKey(ContractEvent):
    """Data keys of one person for one service: one HPKE message (RFC 9180, base mode).

    The plaintext is the concatenation of the 32-octet keys in the order of `purposes`.
    `signature` is raw r||s of ES256 by the owner's subject-key key over `signed_octets`.
    """

    subject: UUID
    owner: ServiceName
    recipient: ServiceName
    generation: int
    purposes: tuple[DataPurpose, ...]
    message: Base64Bytes
    signer: Base64Bytes
    signature: Base64Bytes

    def record_key(self) -> str:
        return f"{self.subject}/{self.recipient}/{self.owner}/{self.generation}"

    def signed_octets(self) -> bytes:
        purposes = ",".join(self.purposes)
        head = f"{self.subject}\n{purposes}\n{self.generation}\n{self.owner}\n{self.recipient}\n"
        return head.encode() + self.message


class KeysDestroyed(ContractEvent):
    service: ServiceName
    holder_id: UUID
