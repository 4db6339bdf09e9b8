"""Data keys of persons in one service: made, wrapped, received, used, destroyed.

- A service makes all keys of the purposes it owns for a person at once, at first use, in
  the transaction that appends what they seal; its messages to others join that append.
- First key wins. Received messages are stored as they came: a consuming transaction opens
  nothing; tasks and queries do.
- A generation that others got and a restored store has lost is a row without octets: it opens
  nothing, and the person's next keys are of the next generation.
- Destruction and creation of one person's keys exclude each other (advisory lock per
  person), and an erased person is remembered: no key is made or received again.
- The database is asked every time, so a key destroyed by another replica opens nothing here.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from epassport.database import Connection
from epassport.errors import Erased, GroupConflict, KeyPending, Poison
from epassport.key_messages import (
    KeySet,
    check_message,
    make_messages,
    owned_purposes,
    record_keys,
)
from epassport.key_wrapping import KeyWrapping
from epassport.keystore import KeyStore
from epassport.records import Incoming
from epassport.sealing import ERASED, Opened, check_place, new_data_key, open_sealed, seal
from epassport.signing import SigningPurpose
from epassport.trustfile import TrustFile
from epassport_contracts import OWNER, RECIPIENTS, DataPurpose, Sealed, ServiceName
from epassport_contracts.events.keys import SubjectKey
from epassport_contracts.fields import FIELDS

T = TypeVar("T")

FIRST_GENERATION = 1
_LOCK_SPACE = 7_303_016

KeyName = tuple[UUID, DataPurpose, int]


class DataKey(NamedTuple):
    generation: int
    octets: bytes


@dataclass
class SealingKeys:
    """Keys for one append. messages: to be published with it, once; keys were made for them."""

    keys: dict[tuple[UUID, DataPurpose], DataKey]
    messages: list[SubjectKey] = field(default_factory=list)

    def can_seal(self, subject: UUID, field: str) -> bool:
        return (subject, FIELDS[field].purpose) in self.keys

    def seal(self, subject: UUID, field: str, value: Any) -> Sealed[Any]:
        key = self.keys[subject, FIELDS[field].purpose]
        return seal(key.octets, key.generation, subject, field, value)


@dataclass(frozen=True)
class OpeningKeys:
    """What the database knew of these persons' keys when it was asked. keys: None is a lost one."""

    service: ServiceName
    keys: dict[KeyName, bytes | None]
    erased: frozenset[UUID]

    def open(self, envelope: Sealed[T], *, subject: UUID, field: str) -> Opened[T]:
        """The value, or ERASED once the person's keys are destroyed.

        subject, field: whose record the envelope stands in, and as what.
        Raises KeyPending where the key has not arrived yet; Poison as `open_sealed`, and
        lost-key where this service's own key is missing.
        """
        check_place(envelope, subject=subject, field=field)
        if subject in self.erased:
            return ERASED
        key = self.keys.get((subject, envelope.purpose, envelope.generation))
        if key is not None:
            return open_sealed(key, envelope, subject=subject, field=field)
        if OWNER[envelope.purpose] is self.service:
            raise Poison("lost-key", f"{subject} {envelope.purpose}")
        raise KeyPending(subject, envelope.purpose)

    def last_generations(self) -> dict[tuple[UUID, DataPurpose], int]:
        return {
            (subject, purpose): generation for subject, purpose, generation in sorted(self.keys)
        }


class SubjectKeyring:
    """Everything one service does with data keys."""

    def __init__(
        self,
        service: ServiceName,
        keystore: KeyStore,
        trust: TrustFile,
        now: Callable[[], datetime],
    ) -> None:
        self._service = service
        self._keystore = keystore
        self._trust = trust
        self._now = now
        self._owned = owned_purposes(service)
        self._wrapping = KeyWrapping(keystore)

    async def sealing_keys(
        self,
        connection: Connection,
        wanted: Collection[tuple[UUID, DataPurpose]],
        optional: Collection[tuple[UUID, DataPurpose]] = (),
    ) -> SealingKeys:
        """Keys for every (person, purpose), made where this service owns the purpose.

        optional: taken where they are there; neither made nor waited for.
        Runs in the transaction that appends what is sealed; where it raises, nothing was made.
        Raises Erased, KeyPending, and GroupConflict where another group makes or destroys
        keys of the same person: roll back and run again.
        """
        asked = {*wanted, *optional}
        self._check_allowed(purpose for _, purpose in asked)
        loaded = await self._load(connection, asked)
        if erased := loaded.erased & {subject for subject, _ in wanted}:
            raise Erased(min(erased))
        last = loaded.last_generations()
        found = {
            (subject, purpose): DataKey(generation, octets)
            for (subject, purpose), generation in last.items()
            if (octets := loaded.keys[subject, purpose, generation]) is not None
        }
        missing = sorted(set(wanted) - found.keys())
        for subject, purpose in missing:
            if purpose not in self._owned:
                raise KeyPending(subject, purpose)
        keys = SealingKeys(found)
        lost = {subject: last.get((subject, purpose), 0) for subject, purpose in missing}
        await self._make_keys(connection, lost, keys)
        return keys

    async def opening_keys(
        self, connection: Connection, wanted: Collection[tuple[UUID, DataPurpose]]
    ) -> OpeningKeys:
        """What opens data of these persons; a missing key shows when an envelope is opened."""
        self._check_allowed(purpose for _, purpose in wanted)
        return await self._load(connection, wanted)

    def is_for_another(self, record_key: bytes) -> bool:
        """By the key of the message's record alone (`record_keys`)."""
        return record_key.split(b"/")[1:2] != [self._service.encode()]

    async def receive(self, connection: Connection, records: Sequence[Incoming]) -> None:
        """Store what other services sent to this one; first key wins, erased persons get none.

        Raises Poison: as `check_message`, and wrong-record-key. Raises GroupConflict while
        keys of one of the persons are being destroyed.
        """
        events = [self._checked(record) for record in records if self._is_for_us(record)]
        if not events:
            return
        await _keep_from_erasure(connection, sorted({event.subject for event in events}))
        await connection.executemany(
            """
            INSERT INTO received_keys (subject, owner, generation, purposes, message)
            SELECT $1, $2, $3, $4, $5
             WHERE NOT EXISTS (SELECT FROM erased_subjects WHERE subject = $1)
                ON CONFLICT DO NOTHING
            """,
            [
                (event.subject, event.owner, event.generation, list(event.purposes), event.message)
                for event in events
            ],
        )

    async def note_lost(self, connection: Connection, records: Iterable[Incoming]) -> int:
        """Of messages that this service has sent: remember keys that its restored store has lost.

        Returns how many. Recipients keep the key that came first, so another one of the same
        generation would open nothing there; what they would not take counts for nothing here.
        """
        sent: set[tuple[UUID, int]] = set()
        for record in records:
            with suppress(Poison):
                event = self._checked(record)
                if event.owner is self._service:
                    sent.add((event.subject, event.generation))
        lost = await connection.fetch(
            """
            INSERT INTO subject_keys (subject, purpose, generation, owner)
            SELECT n.subject, purpose, n.generation, $4
              FROM unnest($1::uuid[], $2::int[]) AS n (subject, generation),
                   unnest($3::text[]) AS purpose
             WHERE NOT EXISTS (SELECT FROM erased_subjects AS e WHERE e.subject = n.subject)
                ON CONFLICT DO NOTHING RETURNING subject, generation
            """,
            [subject for subject, _ in sent],
            [generation for _, generation in sent],
            self._owned,
            self._service,
        )
        return len({(row["subject"], row["generation"]) for row in lost})

    async def destroy(self, connection: Connection, subject: UUID, at: datetime) -> list[str]:
        """Destroy all that opens or searches this person's data here, and remember it.

        Returns the record keys of the messages that this service has sent about the person:
        tombstones on the key topic let the broker drop them.
        """
        await connection.execute(
            "SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOCK_SPACE, str(subject)
        )
        await connection.execute(
            "INSERT INTO erased_subjects (subject, erased_at) VALUES ($1, $2)"
            " ON CONFLICT DO NOTHING",
            subject,
            at,
        )
        own = await connection.fetch(
            "DELETE FROM subject_keys WHERE subject = $1 RETURNING generation", subject
        )
        received = await connection.fetch(
            "DELETE FROM received_keys WHERE subject = $1 RETURNING message", subject
        )
        await connection.execute("DELETE FROM blobs WHERE subject = $1", subject)
        await connection.execute("DELETE FROM claims WHERE subject = $1", subject)
        for row in received:
            self._wrapping.forget(row["message"])
        generations = sorted({row["generation"] for row in own})
        return [
            record_key
            for generation in generations
            for record_key in record_keys(subject, self._service, generation)
        ]

    def _check_allowed(self, purposes: Iterable[DataPurpose]) -> None:
        """Asking for a purpose that the access matrix denies this service is a bug."""
        for purpose in purposes:
            if purpose not in self._owned and self._service not in RECIPIENTS[purpose]:
                raise LookupError(f"{self._service} has no access to {purpose}")

    def _is_for_us(self, record: Incoming) -> bool:
        event = record.event
        return isinstance(event, SubjectKey) and event.recipient is self._service

    def _checked(self, record: Incoming) -> SubjectKey:
        event = record.event
        if not isinstance(event, SubjectKey):
            raise Poison("wrong-type", record.type)
        if record.key != event.record_key():
            raise Poison("wrong-record-key")
        check_message(event, self._trust)
        return event

    async def _load(
        self, connection: Connection, wanted: Collection[tuple[UUID, DataPurpose]]
    ) -> OpeningKeys:
        rows = await connection.fetch(
            """
            SELECT subject, 'erased' AS owner, 0 AS generation, '{}' AS purposes, NULL AS octets
              FROM erased_subjects WHERE subject = ANY($1::uuid[])
             UNION ALL
            SELECT subject, owner, generation, ARRAY[purpose], wrapped
              FROM subject_keys WHERE subject = ANY($1::uuid[])
             UNION ALL
            SELECT subject, owner, generation, purposes, message
              FROM received_keys WHERE subject = ANY($1::uuid[])
            """,
            sorted({subject for subject, _ in wanted}),
        )
        erased = frozenset(row["subject"] for row in rows if row["owner"] == "erased")
        keys: dict[KeyName, bytes | None] = {}
        for row in rows:
            subject, generation = row["subject"], row["generation"]
            purposes = tuple(DataPurpose(purpose) for purpose in row["purposes"])
            if subject in erased or not any((subject, purpose) in wanted for purpose in purposes):
                continue
            about = KeySet(subject, ServiceName(row["owner"]), self._service, generation, purposes)
            for purpose, key in self._opened(about, row["octets"]).items():
                keys[subject, purpose, generation] = key
        return OpeningKeys(self._service, keys, erased)

    def _opened(self, about: KeySet, octets: bytes | None) -> Mapping[DataPurpose, bytes | None]:
        """Of an own key the row is one purpose; of a received message all that came together."""
        if octets is None:
            return dict.fromkeys(about.purposes)
        if about.owner is not self._service:
            return self._wrapping.open_received(about, octets)
        (purpose,) = about.purposes
        key = self._wrapping.unwrap(about.subject, purpose, about.generation, octets)
        return {purpose: key}

    async def _make_keys(
        self, connection: Connection, lost: Mapping[UUID, int], into: SealingKeys
    ) -> None:
        """All purposes this service owns, together, so that one message per recipient says all.

        lost: the persons, with the last generation that this service does not have any more, or 0.

        A purpose missing beside others that exist cannot come from here: the insert comes
        back short and the caller's attempts end.
        """
        if not lost:
            return
        await _keep_from_erasure(connection, sorted(lost))
        made = {
            (subject, purpose): DataKey(generation + 1, new_data_key())
            for subject, generation in lost.items()
            for purpose in self._owned
        }
        inserted = await connection.fetch(
            """
            INSERT INTO subject_keys (subject, purpose, generation, owner, wrapped)
            SELECT n.subject, purpose, generation, $5, wrapped
              FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bytea[])
                   AS n (subject, purpose, generation, wrapped)
             WHERE NOT EXISTS (SELECT FROM erased_subjects AS e WHERE e.subject = n.subject)
                ON CONFLICT DO NOTHING RETURNING 1
            """,
            [subject for subject, _ in made],
            [purpose for _, purpose in made],
            [key.generation for key in made.values()],
            [
                self._wrapping.wrap(subject, purpose, key.generation, key.octets)
                for (subject, purpose), key in made.items()
            ],
            self._service,
        )
        if len(inserted) < len(made):
            raise GroupConflict("keys of a person were made or destroyed by a group in flight")
        into.keys.update(made)
        signer = self._keystore.signer(SigningPurpose.SUBJECT_KEY)
        at = self._now()
        for subject, generation in lost.items():
            keys = {purpose: made[subject, purpose].octets for purpose in self._owned}
            into.messages += make_messages(
                *(subject, self._service, generation + 1, keys),
                trust=self._trust,
                signer=signer,
                at=at,
            )


async def _keep_from_erasure(connection: Connection, subjects: Sequence[UUID]) -> None:
    """Hold off the destruction of these persons' keys until the transaction ends.

    Never waits, as several are taken one after the other; those who destroy wait instead.
    """
    refused: bool = await connection.fetchval(
        """
        SELECT count(*) FILTER (WHERE NOT pg_try_advisory_xact_lock_shared($1, hashtext(s))) > 0
          FROM unnest($2::text[]) AS s
        """,
        _LOCK_SPACE,
        [str(subject) for subject in subjects],
    )
    if refused:
        raise GroupConflict("keys of a person are being destroyed")
