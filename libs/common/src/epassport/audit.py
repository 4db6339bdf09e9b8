"""Whether the stored events are those that were linked, and where they are not.

Every link is computed anew from the events and compared with what the database says and with
the heads on the history topic. Each link is judged by itself, so that a second change is found
behind a first. What this cannot see: events that were changed before they were linked, and a
chain that was rewritten together with its topic. Links that a restore has lost are told with the
reason for which that was accepted, and are no finding: the topic and the chain both name the gap.
"""

import json
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
    read_action,
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
    LINK_MISSING = "link-missing"  # and no later link says that it was lost
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


@dataclass(frozen=True)
class Gap:
    """Links that a restore has lost, as an operator accepted it."""

    first: int
    last: int
    accepted_by: str
    reason: str

    def __str__(self) -> str:
        return (
            f"links {self.first} to {self.last}: lost in a restore, accepted by"
            f" {self.accepted_by}: {self.reason}"
        )


@dataclass
class Audit:
    """links: the last one; events: how many were compared. unlinked: events that wait for a link.
    published: the last link whose head is on the topic."""

    links: int = 0
    events: int = 0
    unlinked: int = 0
    published: int = 0
    findings: list[Finding] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """For people: every finding and every gap, then what was looked at."""
        yield from map(str, self.findings)
        yield from map(str, self.gaps)
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
            events = await _events_between(connection, before, link)
            order = link.accepted_by
            accepted = await read_action(connection, order) if order else None
            if accepted:
                result.gaps.append(_gap(result.links + 1, link, accepted))
            else:
                result.findings += _missing(result.links + 1, link.number)
            follows = result.links if accepted else None
            result.findings += [
                *_compare(link, events, accepted, before, head, result.events),
                *_compare_heads(link, follows, heads, result.published),
            ]
            result.links, result.events = link.number, link.events
            before, head = link.last, link.head
    result.findings += _missing(result.links + 1, result.published + 1)
    result.unlinked = await _count_after(connection, before)
    return result


def _missing(first: int, end: int) -> list[Finding]:
    return [Finding(Change.LINK_MISSING, number) for number in range(first, end)]


def _gap(first: int, link: Link, accepted: Record) -> Gap:
    actor = json.loads(accepted["actor"])
    return Gap(first, link.number - 1, actor["subject"], accepted["reason"])


Head = tuple[int, int, int, str, int | None]


def _by_link(published: Iterable[HistoryLinked]) -> Mapping[int, set[Head]]:
    """A record may be there twice, as it was sent twice; two that differ are both kept."""
    heads: dict[int, set[Head]] = defaultdict(set)
    for fact in published:
        head = (fact.events, fact.transaction_id, fact.position, fact.head, fact.follows)
        heads[fact.link].add(head)
    return heads


def _compare_heads(
    link: Link, follows: int | None, heads: Mapping[int, set[Head]], last: int
) -> Iterator[Finding]:
    at = link.last
    stored = (link.events, at.transaction_id, at.position, link.head.hex(), follows)
    if link.number in heads and heads[link.number] != {stored}:
        yield Finding(Change.PUBLISHED_OTHERWISE, link.number)
    elif link.number not in heads and link.number < last:
        yield Finding(Change.NOT_PUBLISHED, link.number)


def _compare(
    link: Link,
    events: Sequence[Record],
    accepted: Record | None,
    before: Token,
    head: bytes,
    events_before: int,
) -> list[Finding]:
    """accepted: what a link over no event covers in their place; never both."""
    digests = [digest_of(event) for event in events]
    found = list(_places(link, events, digests))
    covered = digests if accepted is None else [digest_of(accepted)]
    last = Token(int(events[-1]["read_as"]), int(events[-1]["at"])) if events else before
    if not found and (
        (not events) == (accepted is None)
        or head_after(head, covered) != link.head
        or link.events != events_before + len(events)
        or link.last != last
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
