"""The status lists that verification signs, each as JWT and as CWT.

A list is issued anew when a document has changed, at most every two seconds, and at the
latest after half of its life; `after` names a change that must be in it. Both forms come from
one reading, so that they never differ.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from asyncpg import Record

from epassport import Token
from epassport.database import Connection, Database
from epassport.projector import START, checkpoint
from epassport_credentials.signer import Signer
from epassport_credentials.status_history import write_aggregation
from epassport_credentials.status_list import (
    ENTRIES_PER_LIST,
    Status,
    issue_status_list,
    pack_statuses,
)
from epassport_credentials.status_list_cwt import issue_status_list_cwt
from verification import readmodel
from verification.document_status_events import Standing
from verification.settings import FIRST_STATUS_LIST, VerificationSettings

LIST_LIFE = timedelta(seconds=60)
LIST_REUSE = timedelta(seconds=30)
LIST_REST = timedelta(seconds=2)
ENTRIES_READ_AT_ONCE = 2**16

_ENTRY: Mapping[str, Status] = {
    Standing.REGISTERED: Status.NOT_IN_FORCE,
    Standing.VALID: Status.VALID,
    Standing.SUSPENDED: Status.SUSPENDED,
    Standing.REVOKED: Status.INVALID,
    Standing.EXPIRED: Status.INVALID,
}


class NoSuchList(Exception):
    """No document has an entry there."""


@dataclass(frozen=True)
class IssuedList:
    """seen: how far the read model was that it was made from."""

    jwt: str
    cwt: bytes
    at: datetime
    seen: Token

    def is_fresh(self, now: datetime, seen: Token, after: Token) -> bool:
        age = now - self.at
        is_current = self.seen == seen or (age < LIST_REST and not _is_later(after, self.seen))
        return is_current and timedelta() <= age < LIST_REUSE


class StatusLists:
    def __init__(self, settings: VerificationSettings, signer: Signer) -> None:
        self._settings = settings
        self._signer = signer
        self._issuing = asyncio.Lock()
        self._issued: dict[int, IssuedList] = {}

    async def ids(self, database: Database) -> list[int]:
        """Those with an entry; the first one is there from the beginning."""
        async with database.connection() as connection:
            tables = readmodel.status_lists.on(connection)
            known = await readmodel.status_list_uris(tables)
        return used_lists(self._settings, known)

    async def aggregation(self, database: Database) -> str:
        """The addresses of all lists (§9.2 of the draft), as cards and phones name them."""
        ids = await self.ids(database)
        return write_aggregation([self._settings.status_list_uri(number) for number in ids])

    async def issued(
        self, database: Database, list_id: int, now: datetime, after: Token = START
    ) -> IssuedList:
        """Raises NoSuchList."""
        async with self._issuing:
            async with database.connection() as connection:
                seen = await checkpoint(connection, readmodel.documents.reader)
                kept = self._issued.get(list_id)
                if kept is not None and kept.is_fresh(now, seen, after):
                    return kept
                uri = self._settings.status_list_uri(list_id)
                rows = await _rows_of(connection, uri)
            if not rows and list_id != FIRST_STATUS_LIST:
                raise NoSuchList
            # Packing and compressing a million entries takes tens of milliseconds.
            made = await asyncio.to_thread(self._issue, uri, rows, now, seen)
            self._issued[list_id] = made
            return made

    async def all_issued(
        self, database: Database, now: datetime, after: Token = START
    ) -> dict[str, str]:
        """Every list as JWT, by its address."""
        return {
            self._settings.status_list_uri(number): (
                await self.issued(database, number, now, after)
            ).jwt
            for number in await self.ids(database)
        }

    def _issue(self, uri: str, rows: Sequence[Record], now: datetime, seen: Token) -> IssuedList:
        """Entries that no document has are not in force either."""
        entries = bytearray([Status.NOT_IN_FORCE]) * ENTRIES_PER_LIST
        for row in rows:
            entries[row["status_index"]] = _ENTRY[row["status"]]
        statuses, expires_at = pack_statuses(bytes(entries)), now + LIST_LIFE
        aggregation_uri = self._settings.aggregation_uri()
        jwt = issue_status_list(
            statuses,
            self._signer,
            uri=uri,
            issued_at=now,
            expires_at=expires_at,
            aggregation_uri=aggregation_uri,
        )
        cwt = issue_status_list_cwt(
            statuses,
            self._signer,
            uri=uri,
            issued_at=now,
            expires_at=expires_at,
            aggregation_uri=aggregation_uri,
        )
        return IssuedList(jwt, cwt, now, seen)


async def _rows_of(connection: Connection, uri: str) -> list[Record]:
    """In parts, each as it is by then: what changed meanwhile is only newer than `seen`."""
    tables = readmodel.documents.on(connection)
    rows: list[Record] = []
    for start in range(0, ENTRIES_PER_LIST, ENTRIES_READ_AT_ONCE):
        part = range(start, start + ENTRIES_READ_AT_ONCE)
        rows += await readmodel.entries_of(tables, uri, part)
    return rows


def used_lists(settings: VerificationSettings, known: Sequence[str]) -> list[int]:
    """The numbers of the known addresses, and the first in any case."""
    numbers = settings.numbers_of_lists()
    return sorted({FIRST_STATUS_LIST} | {numbers[uri] for uri in known if uri in numbers})


def _is_later(one: Token, other: Token) -> bool:
    return (one.transaction_id, one.position) > (other.transaction_id, other.position)
