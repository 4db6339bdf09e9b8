"""What must hold when everything has come to rest: 1, 2, 3 and 6 of the system's invariants.

1. Every acknowledged command has exactly one chain of events; versions have no gaps.
2. Every published event reaches its topic, in order per key, and has one effect in every consumer.
3. Replaying from zero gives the same read models.
6. After the last fault heals, every lag goes to zero (`run` asks; a process that dies of a bug
   again and again never gets there).
"""

from collections import Counter
from collections.abc import Iterator

from tests.simulation.group import CURRENT, FACTS, Event
from tests.simulation.postgres import Database
from tests.simulation.system import System

INVARIANTS = (1, 2, 3, 6)


def broken(system: System) -> dict[int, str]:
    """Invariant -> what breaks it first; empty where all hold."""
    checks = {1: _chains(system), 2: _effects(system), 3: _replay(system)}
    found = {number: next(faults, None) for number, faults in checks.items()}
    return {number: fault for number, fault in found.items() if fault is not None}


def streams_of(database: Database) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for (stream, _), event in sorted(database.table("events").items()):
        found.setdefault(stream, []).append(event)
    return found


def _chains(system: System) -> Iterator[str]:
    keys: Counter[str] = Counter()
    for stream, events in streams_of(system.source).items():
        total = 0
        for number, event in enumerate(events, start=1):
            total += event.fact.amount
            keys[event.key or ""] += 1
            if event.version != number or event.fact.total != total:
                yield f"{stream}: version {event.version} of {number}, {event.fact}"
    for key, answer in system.acknowledged.items():
        wanted = 0 if answer.reason is not None else 1
        if keys[key] != wanted:
            yield f"{key}: {keys[key]} events of {wanted} acknowledged"


def _effects(system: System) -> Iterator[str]:
    copies = streams_of(system.sink)
    for stream, events in streams_of(system.source).items():
        totals = [event.fact.total for event in events]
        sent = [stored for stored in system.broker.log_of(FACTS, stream) if stored.key == stream]
        numbers = list(dict.fromkeys(stored.sequence for stored in sent))
        if sorted(numbers) != list(range(1, len(events) + 1)):  # type: ignore[type-var]
            yield f"{FACTS}: {stream}: {numbers} of {len(events)}"
        shown = [
            s.value
            for s in system.broker.log_of(CURRENT, stream)
            if s.key == stream and s.visible and not s.given_up
        ]
        if shown[-1:] != totals[-1:]:
            yield f"{CURRENT}: {stream}: {shown} of {totals}"
        followed = [event.fact.total for event in copies.get(f"copy/{stream}", [])]
        if followed != totals:
            yield f"reactions: {stream}: {followed} of {totals}"
    for place, times in system.sink.table("effects").items():
        if times != 1:
            yield f"{CURRENT}: record {place} had {times} effects"


def _replay(system: System) -> Iterator[str]:
    events = sorted(system.source.table("events").values(), key=lambda event: event.place)
    replayed = {event.stream: event.fact.total for event in events}
    for database, table in (
        (system.source, "totals"),
        (system.sink, "foreign_totals"),
        (system.sink, "current"),
    ):
        if database.table(table) != replayed:
            yield f"{table}: {database.table(table)} of {replayed}"
