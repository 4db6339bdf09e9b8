"""Whether the stored events are those that were linked, and where they are not.

Every link is computed anew from the events and compared with what the database says and with
the heads on the history topic. Each link is judged by itself, so that a second change is found
behind a first. What this cannot see: events that were changed before they were linked, and a
chain that was rewritten together with its topic.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from asyncpg import Record

from epassport.commands import Token
from epassport.database import Connection
from epassport.history import (
    EVENT_AS_TEXT,
    MARK_BYTES,
    Link,
    digest_of,
    head_after,
    origin_of,
    read_links,
)
from epassport_contracts import ServiceName
from epassport_contracts.events.history import HistoryLinked

LINKS_AT_ONCE = 8
MORE_THAN_LINKED = 1000


class Change(StrEnum):
    ALTERED = "altered"
    REMOVED = "removed"
    ADDED = "added"
    LINK_ALTERED = "link-altered"  # the events agree with its marks, its head with nothing
    LINK_MISSING = "link-missing"
    NOT_PUBLISHED = "not-published"  # later links are on the topic, this one is not
    PUBLISHED_OTHERWISE = "published-otherwise"


@dataclass(frozen=True)
class Finding:
    """position: the event's; stream and version where the event is there to be asked."""

    change: Change
    link: int
    position: int | None = None
    stream: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        event = "" if self.position is None else f", event at position {self.position}"
        stream = "" if self.stream is None else f" ({self.stream} version {self.version})"
        return f"link {self.link}{event}{stream}: {self.change}"


@dataclass
class Audit:
    """links, events: how many were compared. unlinked: events that wait for a link.
    published: the last link whose head is on the topic."""

    links: int = 0
    events: int = 0
    unlinked: int = 0
    published: int = 0
    findings: list[Finding] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """For people: every finding, then what was looked at."""
        yield from map(str, self.findings)
        yield (
            f"{self.events} events in {self.links} links compared, {len(self.findings)} findings;"
            f" published up to link {self.published}; {self.unlinked} events wait for a link"
        )


async def audit(
    connection: Connection, service: ServiceName, published: Sequence[HistoryLinked]
) -> Audit:
    """published: every record of the history topic, as it stands there."""
    heads = _by_link(published)
    result = Audit(published=max(heads, default=0))
    before, head = Token(0, 0), origin_of(service)
    while links := await read_links(connection, after=result.links, at_most=LINKS_AT_ONCE):
        for link in links:
            while result.links + 1 < link.number:
                result.links += 1
                result.findings.append(Finding(Change.LINK_MISSING, result.links))
            events = await _events_between(connection, before, link)
            result.findings += [
                *_compare(link, events, head, result.events),
                *_compare_heads(link, heads, result.published),
            ]
            result.links, result.events = link.number, link.events
            before, head = link.last, link.head
    for number in range(result.links + 1, result.published + 1):
        result.findings.append(Finding(Change.LINK_MISSING, number))
    result.unlinked = await _count_after(connection, before)
    return result


def _by_link(published: Iterable[HistoryLinked]) -> Mapping[int, set[tuple[int, int, int, str]]]:
    """A record may be there twice, as it was sent twice; two that differ are both kept."""
    heads: dict[int, set[tuple[int, int, int, str]]] = defaultdict(set)
    for fact in published:
        heads[fact.link].add((fact.events, fact.transaction_id, fact.position, fact.head))
    return heads


def _compare_heads(
    link: Link, heads: Mapping[int, set[tuple[int, int, int, str]]], last: int
) -> Iterator[Finding]:
    stored = (link.events, link.last.transaction_id, link.last.position, link.head.hex())
    if link.number in heads and heads[link.number] != {stored}:
        yield Finding(Change.PUBLISHED_OTHERWISE, link.number)
    elif link.number not in heads and link.number < last:
        yield Finding(Change.NOT_PUBLISHED, link.number)


def _compare(
    link: Link, events: Sequence[Record], head: bytes, events_before: int
) -> list[Finding]:
    digests = [digest_of(event) for event in events]
    found = list(_places(link, events, digests))
    if not found and (
        not events
        or head_after(head, digests) != link.head
        or link.events != events_before + len(events)
        or link.last != Token(int(events[-1]["read_as"]), int(events[-1]["at"]))
    ):
        found.append(Finding(Change.LINK_ALTERED, link.number))
    return found


def _places(link: Link, events: Sequence[Record], digests: Sequence[bytes]) -> Iterator[Finding]:
    """Which events of a page are not as they were linked.

    An event's place in the reading order is part of its digest, so one that was moved is altered,
    or, in another page, removed there and added here.
    """
    marks = dict(zip(link.positions, link.marks, strict=False))
    there = {int(event["at"]) for event in events}
    for position in link.positions:
        if position not in there:
            yield Finding(Change.REMOVED, link.number, position)
    for event, digest in zip(events, digests, strict=True):
        position = int(event["at"])
        if position not in marks:
            yield _finding(Change.ADDED, link, event)
        elif digest[:MARK_BYTES] != marks[position]:
            yield _finding(Change.ALTERED, link, event)


def _finding(change: Change, link: Link, event: Record) -> Finding:
    return Finding(change, link.number, int(event["at"]), event["stream_id"], int(event["nth"]))


async def _events_between(connection: Connection, before: Token, link: Link) -> list[Record]:
    """All that stand where the link's events should; not without end, if somebody added many."""
    return await connection.fetch(
        f"SELECT {EVENT_AS_TEXT} FROM events"  # noqa: S608 - a constant
        " WHERE (transaction_id, position) > ($1::text::xid8, $2)"
        " AND (transaction_id, position) <= ($3::text::xid8, $4)"
        " ORDER BY transaction_id, position LIMIT $5",
        str(before.transaction_id),
        before.position,
        str(link.last.transaction_id),
        link.last.position,
        len(link.positions) + MORE_THAN_LINKED,
    )


async def _count_after(connection: Connection, last: Token) -> int:
    count: int = await connection.fetchval(
        "SELECT count(*) FROM events WHERE (transaction_id, position) > ($1::text::xid8, $2)",
        str(last.transaction_id),
        last.position,
    )
    return count
