"""Sealing and opening one value: AES-256-GCM under a person's data key (NIST SP 800-38D).

The associated data is every member of the envelope but nonce and ct, so an envelope moved
to another person, purpose or field does not open; and whoever opens says whose it must be
and which field, so that a genuine envelope in the wrong place does not open either.
"""

import os
from enum import Enum
from typing import Any, Final, TypeAlias, TypeVar, cast
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from epassport.errors import Poison
from epassport_contracts.fields import FIELDS, decode_field, encode_field
from epassport_contracts.sealed import Sealed, associated_data

T = TypeVar("T")

DATA_KEY_BYTES = 32
NONCE_BYTES = 12  # random: a data key seals far fewer than 2^32 values


class ErasedValue(Enum):
    """What stands where a person's data was, once the keys are destroyed."""

    ERASED = "erased"


ERASED: Final = ErasedValue.ERASED
Opened: TypeAlias = T | ErasedValue


def new_data_key() -> bytes:
    return os.urandom(DATA_KEY_BYTES)


def seal(key: bytes, generation: int, subject: UUID, field: str, value: object) -> Sealed[Any]:
    """Raises ValidationError or TypeError where the value is not what the field holds."""
    purpose = FIELDS[field].purpose
    nonce = os.urandom(NONCE_BYTES)
    about = associated_data(1, subject, purpose, generation, field)
    ct = AESGCM(key).encrypt(nonce, encode_field(field, value), about)
    return Sealed(
        v=1,
        subject=subject,
        purpose=purpose,
        generation=generation,
        field=field,
        nonce=nonce,
        ct=ct,
    )


def check_place(envelope: Sealed[Any], *, subject: UUID, field: str) -> None:
    """Raises Poison: wrong-subject, wrong-field, wrong-purpose."""
    if envelope.subject != subject:
        raise Poison("wrong-subject")
    if envelope.field != field:
        raise Poison("wrong-field")
    if field not in FIELDS or envelope.purpose is not FIELDS[field].purpose:
        raise Poison("wrong-purpose")


def open_sealed(key: bytes, envelope: Sealed[T], *, subject: UUID, field: str) -> T:
    """The value. Raises Poison: as `check_place`, and broken-seal, unreadable-value."""
    check_place(envelope, subject=subject, field=field)
    try:
        octets = AESGCM(key).decrypt(envelope.nonce, envelope.ct, envelope.associated_data())
    except (InvalidTag, ValueError) as error:
        raise Poison("broken-seal") from error
    try:
        return cast(T, decode_field(field, octets))
    except ValueError:
        # Without the cause: pydantic's message would carry the value itself.
        raise Poison("unreadable-value") from None
