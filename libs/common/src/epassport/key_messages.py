"""Data keys on their way between services: one HPKE message per service and person.

The message holds just the keys that the access matrix gives to the recipient, of those its
owner created together; the owner signs it with its `subject-key` key. `info` binds the
ciphertext to person, owner, recipient, generation and purposes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from epassport import hpke
from epassport.errors import Poison
from epassport.sealing import DATA_KEY_BYTES
from epassport.signing import Signer, SigningPurpose
from epassport.trustfile import TrustFile
from epassport_contracts import OWNER, RECIPIENTS, DataPurpose, ServiceName
from epassport_contracts.events.keys import SubjectKey


@dataclass(frozen=True)
class KeySet:
    """What a message is about."""

    subject: UUID
    owner: ServiceName
    recipient: ServiceName
    generation: int
    purposes: tuple[DataPurpose, ...]

    def info(self) -> bytes:
        purposes = ",".join(self.purposes)
        about = f"{self.subject}\n{self.owner}\n{self.recipient}\n{self.generation}\n{purposes}"
        return f"1\nsubject-key\n{about}".encode()


def owned_purposes(service: ServiceName) -> tuple[DataPurpose, ...]:
    """In the order in which they stand in the access matrix."""
    return tuple(purpose for purpose, owner in OWNER.items() if owner is service)


def recipients_of(owner: ServiceName) -> dict[ServiceName, tuple[DataPurpose, ...]]:
    """Who gets which of the owner's purposes."""
    owned = owned_purposes(owner)
    services = sorted({service for purpose in owned for service in RECIPIENTS[purpose]})
    return {
        service: tuple(purpose for purpose in owned if service in RECIPIENTS[purpose])
        for service in services
    }


def record_keys(subject: UUID, owner: ServiceName, generation: int) -> list[str]:
    """Keys on the topic of all messages that the owner sends about a person."""
    return [f"{subject}/{recipient}/{owner}/{generation}" for recipient in recipients_of(owner)]


def make_messages(
    subject: UUID,
    owner: ServiceName,
    generation: int,
    keys: Mapping[DataPurpose, bytes],
    *,
    trust: TrustFile,
    signer: Signer,
    at: datetime,
) -> list[SubjectKey]:
    """One per recipient, of all keys the owner has made for this person."""
    messages = []
    for recipient, purposes in recipients_of(owner).items():
        about = KeySet(subject, owner, recipient, generation, purposes)
        plaintext = b"".join(keys[purpose] for purpose in purposes)
        unsigned = SubjectKey(
            at=at,
            subject=subject,
            owner=owner,
            recipient=recipient,
            generation=generation,
            purposes=purposes,
            message=hpke.encrypt(trust.hpke_key(recipient), plaintext, info=about.info()),
            signer=signer.key_id,
            signature=b"",
        )
        signature = signer.sign(unsigned.signed_octets())
        messages.append(unsigned.model_copy(update={"signature": signature}))
    return messages


def check_message(event: SubjectKey, trust: TrustFile) -> None:
    """Raises Poison: wrong-producer, malformed-key-message, bad-signature.

    A service may only send keys of purposes that it owns, to those the access matrix names.
    """
    if any(
        OWNER[purpose] is not event.owner or event.recipient not in RECIPIENTS[purpose]
        for purpose in event.purposes
    ):
        raise Poison("wrong-producer", f"{event.owner} to {event.recipient}")
    count = len(event.purposes)
    wanted_bytes = hpke.OVERHEAD_BYTES + DATA_KEY_BYTES * count
    distinct = len(set(event.purposes)) == count > 0
    if not distinct or event.generation < 1 or len(event.message) != wanted_bytes:
        raise Poison("malformed-key-message")
    if not trust.is_signed(
        event.owner,
        SigningPurpose.SUBJECT_KEY,
        event.signer,
        event.signature,
        event.signed_octets(),
        at=event.at,
    ):
        raise Poison("bad-signature", str(event.owner))


def open_message(
    private_key: hpke.PrivateKey, about: KeySet, message: bytes
) -> dict[DataPurpose, bytes]:
    """The keys. Raises Poison: unreadable-key-message."""
    try:
        plaintext = hpke.decrypt(private_key, message, info=about.info())
    except hpke.UnreadableMessage as error:
        raise Poison("unreadable-key-message", str(about.owner)) from error
    parts = range(0, len(plaintext), DATA_KEY_BYTES)
    keys = [plaintext[start : start + DATA_KEY_BYTES] for start in parts]
    return dict(zip(about.purposes, keys, strict=True))
