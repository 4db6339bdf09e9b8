"""Sealed personal data: the only form in which it leaves the memory of a process.

An envelope is made once, as its domain event is appended, and copied unchanged by
publications, outbox, Kafka and read tables. AES-256-GCM (NIST SP 800-38D); the
associated data is every member but `nonce` and `ct`, so that an envelope cannot be
moved to another person, purpose or field unnoticed.
"""

import binascii
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

T_co = TypeVar("T_co", covariant=True)


class DataPurpose(StrEnum):
    """What a data key opens; one owner service each (see `access.py`)."""

    IDENTITY = "identity"
    PORTRAIT = "portrait"
    BIOMETRICS = "biometrics"
    CHIP = "chip"
    DOCUMENTS = "documents"
    ACCESS = "access"


def _decode(value: object) -> object:
    if isinstance(value, str):
        return binascii.a2b_base64(value, strict_mode=True)
    return value


def _encode(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode("ascii")


Base64Bytes = Annotated[
    bytes,
    BeforeValidator(_decode),
    PlainSerializer(_encode, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]


if TYPE_CHECKING:

    class _About(BaseModel, Generic[T_co]):
        pass

else:

    class _About(BaseModel):
        """At run time every `Sealed[T]` is one model: T is known only behind the seal."""

        def __class_getitem__(cls, _item: Any) -> type:
            return cls


class Sealed(_About[T_co]):
    """One value that only a holder of the data key can read.

    subject: the holder the key belongs to
    field: a name of the contract dictionary (`fields.py`), which states T and the purpose
    nonce: 12 random octets; ct: ciphertext followed by the 16-octet tag
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1] = 1
    subject: UUID
    purpose: DataPurpose
    generation: int
    field: str
    nonce: Base64Bytes
    ct: Base64Bytes

    def associated_data(self) -> bytes:
        """What the tag covers beside the ciphertext: every member but nonce and ct."""
        return associated_data(self.v, self.subject, self.purpose, self.generation, self.field)


def associated_data(
    v: int, subject: UUID, purpose: DataPurpose, generation: int, field: str
) -> bytes:
    """Members joined by newlines; none of them can contain one."""
    return f"{v}\n{subject}\n{purpose}\n{generation}\n{field}".encode()
