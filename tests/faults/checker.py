"""The history checker: what was acknowledged, stored, sent and applied must tell one story. Pure.

1. Every acknowledged command has exactly one chain of events; versions in a stream have no gaps.
2. Every published event is on its topic, in order per key, and had exactly one effect.
3. Read models are what the events make of them, and replaying gives them again byte for byte.

(Invariant 6, that lag goes to zero in time, is measured where the waiting is done.)
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from uuid import UUID

from tests.faults.load import Operation

SHOWN = 5

Rows = Mapping[str, tuple[int, str]]
"""Of a read model's table: stream -> (operations, digest)."""


class Invariant(StrEnum):
    CHAINS = "1 one chain"
    DELIVERY = "2 one effect"
    REPLAY = "3 replay"
    LAG = "6 lag to zero"


@dataclass(frozen=True)
class Stored:
    """One event, in the order in which its service's readers get it."""

    stream: str
    version: int
    type: str
    operation: UUID
    total: int | None = None
    label: str | None = None
    what: str | None = None
    since: int | None = None


@dataclass(frozen=True)
class Sent:
    """One record as it lies on a topic; lists of them are in the order of offsets per key."""

    key: str
    sequence: int | None
    operation: UUID
    octets: bytes


@dataclass
class Observed:
    """rows, replayed: by table. keys_made: persons for whom a data key was sent; keys_received: how
    often it lies with the receiver. blobs: how many pictures the receiver keeps.

    poison_left: poison that was not parked.
    reordered: records were put on the topic out of order on purpose, so only effects are in order.
    waiting: streams whose deadline is still to come
    """

    operations: Sequence[Operation] = ()
    sender: Sequence[Stored] = ()
    receiver: Sequence[Stored] = ()
    counts: Sequence[Sent] = ()
    pictures: Sequence[Sent] = ()
    rows: Mapping[str, Rows] = field(default_factory=dict)
    replayed: Mapping[str, Rows] = field(default_factory=dict)
    keys_made: frozenset[UUID] = frozenset()
    keys_received: Mapping[UUID, int] = field(default_factory=dict)
    poison_left: Sequence[str] = ()
    reordered: bool = False
    waiting: frozenset[str] = frozenset()


Findings = dict[Invariant, list[str]]


def check(seen: Observed) -> Findings:
    """What is wrong, by invariant, in words; at most a few of each kind."""
    return {
        Invariant.CHAINS: [*_chains(seen), *_labels(seen), *_waits(seen), *_versions(seen)],
        Invariant.DELIVERY: [*_on_topic(seen), *_effects(seen), *_keys(seen), *seen.poison_left],
        Invariant.REPLAY: [*_models(seen), *_replayed(seen)],
    }


def _chains(seen: Observed) -> list[str]:
    found: list[str] = []
    chains: dict[UUID, list[Stored]] = defaultdict(list)
    for event in seen.sender:
        if event.type in ("Counted", "Pictured"):
            chains[event.operation].append(event)
    known = {operation.operation: operation for operation in seen.operations}
    found += [f"{operation} has events, but nobody asked" for operation in chains.keys() - known]
    for operation in seen.operations:
        found += _chain(operation, sorted(chains[operation.operation], key=_version))
    return found[:SHOWN]


def _chain(operation: Operation, chain: Sequence[Stored]) -> list[str]:
    name = f"{operation.kind} {operation.operation}"
    answers = set(operation.answers)
    if len(answers) > 1:
        return [f"{name} was answered in {len(answers)} ways"]
    if not answers and not chain:
        return []
    if answers and next(iter(answers)).version is None:
        return [f"{name} was refused and has {len(chain)} events"] if chain else []
    if len(chain) != operation.steps:
        return [f"{name} has {len(chain)} events of {operation.steps}"]
    versions = [event.version for event in chain]
    if versions != list(range(versions[0], versions[0] + len(chain))):
        return [f"{name} is torn: versions {versions}"]
    if {event.stream for event in chain} != {operation.stream}:
        return [f"{name} stands on another stream"]
    told = {answer.version for answer in answers}
    if answers and {versions[-1]} != told:
        return [f"{name} ends at {versions[-1]}, told {told}"]
    return []


def _labels(seen: Observed) -> list[str]:
    """A label belongs to one stream; whoever was refused for it lost it to another one; and each
    labelled event's task was answered once."""
    owners: dict[str, set[str]] = defaultdict(set)
    labelled: Counter[UUID] = Counter()
    checked: Counter[UUID] = Counter()
    for event in seen.sender:
        if event.label is not None:
            owners[event.label].add(event.stream)
            labelled[event.operation] += 1
        if event.type == "Checked":
            checked[event.operation] += 1
    found = [f"label {label} has {len(of)} owners" for label, of in owners.items() if len(of) > 1]
    for operation in seen.operations:
        refused = any(answer.version is None for answer in operation.answers)
        if refused and not owners[operation.label or ""] - {operation.stream}:
            found.append(f"{operation.operation} was refused {operation.label}, which was free")
    found += [
        f"{operation} was checked {checked[operation]} times of {labelled[operation]}"
        for operation in labelled.keys() | checked.keys()
        if labelled[operation] != checked[operation]
    ]
    return found[:SHOWN]


def _waits(seen: Observed) -> list[str]:
    """Each wait that no later one has taken the place of is reminded of, once, as what it is."""
    found: list[str] = []
    for stream, events in _by_stream(seen.sender).items():
        waits: Stored | None = None
        for event in sorted(events, key=_version):
            if event.label is not None:
                waits = event
            if event.type != "Reminded":
                continue
            if waits is None or (event.operation, event.since) != (waits.operation, waits.version):
                found.append(f"{stream} was reminded of {event.since}, and nothing waited since")
            waits = None
        if waits is not None and stream not in seen.waiting:
            found.append(f"{stream} was not reminded of {waits.version}")
    return found[:SHOWN]


def _versions(seen: Observed) -> list[str]:
    """Without gaps, read in their order, and each decided on the state before it."""
    found: list[str] = []
    for events in (seen.sender, seen.receiver):
        for stream, of in _by_stream(events).items():
            versions = [event.version for event in of]
            if sorted(versions) != list(range(1, len(versions) + 1)):
                found.append(f"{stream} has versions {_shown(sorted(versions))}")
            elif versions != sorted(versions):
                found.append(f"{stream} is read in the order {_shown(versions)}")
            totals = [event.total for event in sorted(of, key=_version) if event.total is not None]
            if totals != list(range(1, len(totals) + 1)):
                found.append(f"{stream} has totals {_shown(totals)}")
    return found[:SHOWN]


def _on_topic(seen: Observed) -> list[str]:
    """First occurrences count 1, 2, 3; a repeat is the same octet for octet."""
    found: list[str] = []
    sent: dict[str, list[Sent]] = defaultdict(list)
    for record in seen.counts:
        sent[record.key].append(record)
    expected = _counted(seen.sender)
    for key in expected.keys() | sent.keys():
        first: dict[int, Sent] = {}
        for record in sent[key]:
            known = first.setdefault(record.sequence or 0, record)
            if known.octets != record.octets:
                found.append(f"{key}: two records have number {record.sequence}")
        if not seen.reordered and list(first) != sorted(first):
            found.append(f"{key} was sent in the order {_shown(list(first))}")
        operations = [first[number].operation for number in sorted(first)]
        if operations != expected[key]:
            found.append(f"{key}: {len(operations)} of {len(expected[key])} records were sent")
    return found[:SHOWN]


def _effects(seen: Observed) -> list[str]:
    """Counts once and in order, however often they were sent; pictures as often as they lie on
    their topic, whose records are not counted: there the fence alone keeps one effect."""
    found: list[str] = []
    heard = _by_stream(event for event in seen.receiver if event.what == "count")
    expected = _counted(seen.sender)
    for key in expected:
        echo = heard.get(key.replace("tally/", "echo/"), [])
        applied = [event.operation for event in sorted(echo, key=_version)]
        if applied != expected[key]:
            same = Counter(applied) == Counter(expected[key])
            how = "in another order" if same else f"{len(applied)} times of {len(expected[key])}"
            found.append(f"{key} had its effect {how}")
    on_topic = Counter(record.operation for record in seen.pictures)
    effects = Counter(event.operation for event in seen.receiver if event.what == "picture")
    found += [
        f"picture {operation}: {on_topic[operation]} records, {effects[operation]} effects"
        for operation in on_topic.keys() | effects.keys()
        if on_topic[operation] != effects[operation]
    ]
    stored = {event.operation for event in seen.sender if event.type == "Pictured"}
    found += [f"picture {operation} was not sent" for operation in stored - on_topic.keys()]
    return found[:SHOWN]


def _keys(seen: Observed) -> list[str]:
    return [
        f"the key of {person} was received {seen.keys_received.get(person, 0)} times"
        for person in seen.keys_made
        if seen.keys_received.get(person) != 1
    ][:SHOWN]


def _models(seen: Observed) -> list[str]:
    """Against what this module makes of the events by itself."""
    counted = _counted(seen.sender)
    echoed = {
        stream: [event.operation for event in sorted(events, key=_version)]
        for stream, events in _by_stream(seen.receiver).items()
    }
    expected = {"tally_v1": counted, "heard_v1": counted, "echoes_v1": echoed}
    found: list[str] = []
    for table, streams in expected.items():
        rows = seen.rows.get(table, {})
        for stream in streams.keys() | rows.keys():
            wanted = _row(streams.get(stream, []))
            if rows.get(stream, (0, "")) != wanted:
                found.append(f"{table} {stream}: {rows.get(stream)} and not {wanted}")
    return found[:SHOWN]


def _replayed(seen: Observed) -> list[str]:
    found = []
    for table, live in seen.rows.items():
        again = seen.replayed.get(table, {})
        found += [
            f"{table} {stream}: {live.get(stream)}, replayed {again.get(stream)}"
            for stream in live.keys() | again.keys()
            if live.get(stream) != again.get(stream)
        ]
    return found[:SHOWN]


def _row(operations: Sequence[UUID]) -> tuple[int, str]:
    """As the upsert in `readmodels.py` makes it."""
    digest = ""
    for operation in operations:
        own = _md5(str(operation))
        digest = _md5(digest + own) if digest else own
    return len(operations), digest


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _counted(sender: Iterable[Stored]) -> dict[str, list[UUID]]:
    found: dict[str, list[UUID]] = defaultdict(list)
    for event in sorted(sender, key=_version):
        if event.type == "Counted":
            found[event.stream].append(event.operation)
    return found


def _by_stream(events: Iterable[Stored]) -> dict[str, list[Stored]]:
    found: dict[str, list[Stored]] = defaultdict(list)
    for event in events:
        found[event.stream].append(event)
    return found


def _version(event: Stored) -> int:
    return event.version


def _shown(numbers: Sequence[int]) -> str:
    """Around the first place that is out of line."""
    at = next((i for i, (a, b) in enumerate(pairwise(numbers)) if b != a + 1), 0)
    return f"... {list(numbers[max(0, at - 1) : at + 4])} ..."
