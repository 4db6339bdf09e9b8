"""A stream's records sent again: for whoever has lost one, or got one that nobody can read.

What is published is a pure function of the event, and what it seals was sealed when the event was
stored. So an event makes the same record each time, with the same id and number, and who has it
passes it over. Of a topic that does not count only the latest record of each key goes again: an
older one would come back as if it were new. What its topic would have forgotten by now stays
forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from epassport import store
from epassport.catalog import Catalog, Publication
from epassport.database import Connection
from epassport.decider import StreamId
from epassport.errors import RuntimeFault
from epassport.events import Recorded
from epassport.outbox import as_written
from epassport.wire import Record, record_of
from epassport_contracts.registry import BY_NAME, KEPT_FOR, Cleanup


class NumbersUnknown(RuntimeFault):
    """A stream has used other numbers than its events would get today: records of it were lost
    with a database, or this build tells more or less of an old event."""


@dataclass(frozen=True)
class SentAgain:
    """records: how many wait to be sent. unknown: streams whose numbers are not known."""

    records: int
    unknown: Sequence[StreamId]


class Republisher:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def send(
        self, connection: Connection, streams: Sequence[StreamId], now: datetime
    ) -> SentAgain:
        """In the caller's transaction, behind everything of these streams that was sent before."""
        heads = await store.lock_known(connection, streams)
        events = await store.read_streams(connection, self._catalog.codec, list(heads))
        rows = store.Write()
        unknown: list[StreamId] = []
        for stream, head in heads.items():
            sequence, records = self._records(events[stream], now)
            if sequence != head.sequence:
                unknown.append(stream)
            elif records:
                transaction_id = str(head.transaction_id)
                rows.heads.append((stream, head.version, head.sequence, transaction_id))
                rows.outbox += [as_written(transaction_id, *one) for one in records]
        if rows.outbox:
            await store.write(connection, rows)
        return SentAgain(len(rows.outbox), unknown)

    def _records(
        self, events: Sequence[Recorded[Any]], now: datetime
    ) -> tuple[int, Sequence[tuple[Publication, Record]]]:
        """With the last number used."""
        sequence = 0
        counted: list[tuple[Publication, Record]] = []
        latest: dict[tuple[str, str], tuple[Publication, Record]] = {}
        for event in events:
            for publication in self._catalog.publications(event):
                record = record_of(self._catalog.service, publication, event, sequence + 1)
                if record.sequenced:
                    sequence += 1
                    counted.append((publication, record))
                elif not _is_forgotten(publication, event, now):
                    latest[publication.topic, publication.key] = publication, record
        return sequence, [*counted, *latest.values()]


def _is_forgotten(publication: Publication, event: Recorded[Any], now: datetime) -> bool:
    cleanup = BY_NAME[publication.topic].cleanup
    return cleanup is Cleanup.THIRTY_DAYS and event.recorded_at < now - KEPT_FOR
