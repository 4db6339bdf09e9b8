"""What routes and tasks of enrollment work with: keyed digests, claims, states, tickets.

States are read from the event store, not from read tables: a route that looks up who owns a
number must not be told what was true a moment ago. What a route reads here is looked at again
by the decider, or, where it is a claim, by the group.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from enrollment import admission, application, handover, holder
from enrollment.application_commands import Predecessor
from enrollment.application_events import Application, Status
from enrollment.holder_events import Holder
from epassport import loading, store
from epassport.clock import Clock
from epassport.database import Database
from epassport.decider import Aggregate, StreamId, key_of
from epassport.digests import SearchKey
from epassport.events import EventCodec
from epassport.service import Essentials
from epassport.signing import Signer, SigningPurpose
from epassport_contracts.fields import Identity

DRAWS = 5


class NoFreeNumber(Exception):
    """Five numbers drawn and all taken: the number space is nearly used up."""


@dataclass(frozen=True)
class App:
    database: Database
    clock: Clock
    search: SearchKey
    ticket_signer: Signer
    codec: EventCodec

    def person_digest(self, identity: Identity) -> bytes:
        """Of the paper that the identity rests on: names have twins, papers do not.

        Somebody who comes again with another paper is found by biometrics.
        """
        paper = identity.paper_passport or identity.birth_certificate
        parts = (paper.series, paper.number) if paper else ()
        return self.search.digest(
            "person", type(paper).__name__, *parts, identity.birth_date.isoformat()
        )

    def number_digest(self, number: str) -> bytes:
        return self.search.digest("document-number", number)

    async def application(self, application_id: UUID) -> Application | None:
        state: Application | None = await self._state(
            application.aggregate, application.stream(application_id)
        )
        return state

    async def holder(self, holder_id: UUID) -> Holder | None:
        state: Holder | None = await self._state(holder.aggregate, holder.stream(holder_id))
        return state

    async def predecessor(self, document_number: str) -> Predecessor | None:
        """The document that bears this number, found by the claim on it."""
        async with self.database.connection() as connection:
            owner = await store.claim_owner(
                connection, handover.DOCUMENT_NUMBER, self.number_digest(document_number)
            )
        before = None if owner is None else await self.application(UUID(key_of(owner)))
        if before is None or before.document is None:
            return None
        person = await self.holder(before.holder_id)
        return Predecessor(
            holder_id=before.holder_id,
            document_ref=before.document.ref,
            handed_over=before.status is Status.HANDED_OVER,
            superseded=person is not None and person.is_superseded(before.document.ref),
        )

    async def claimed_digest(self, application_id: UUID, holder_id: UUID) -> bytes | None:
        """The person digest that a live application claimed; digests stand nowhere else."""
        async with self.database.connection() as connection:
            digest: bytes | None = await connection.fetchval(
                "SELECT digest FROM claims WHERE subject = $1 AND stream_id = $2 AND kind = $3",
                holder_id,
                application.stream(application_id),
                admission.LIVE_APPLICATION,
            )
        return digest

    async def free_document_number(self) -> str:
        """Nine characters (TD1): a 9 and eight random digits; a taken one is drawn again.

        Two who draw the same free number at the same moment meet at the claim: one is
        refused, and may ask again. Raises NoFreeNumber.
        """
        for _ in range(DRAWS):
            number = f"9{secrets.randbelow(10**8):08d}"
            async with self.database.connection() as connection:
                owner = await store.claim_owner(
                    connection, handover.DOCUMENT_NUMBER, self.number_digest(number)
                )
            if owner is None:
                return number
        raise NoFreeNumber

    async def _state(self, aggregate: Aggregate, stream: StreamId) -> Any:
        async with self.database.connection() as connection:
            events = await loading.load(connection, self.codec, [stream])
        return aggregate.state_after(events[stream])


@asynccontextmanager
async def open_app(essentials: Essentials) -> AsyncIterator[App]:
    yield App(
        essentials.database,
        essentials.clock,
        essentials.search,
        essentials.keystore.signer(SigningPurpose.DESK_TICKET),
        EventCodec([application.aggregate, holder.aggregate]),
    )
