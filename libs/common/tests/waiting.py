"""A stream that waits, in a real database: events begin and end its waits, the timer passes them.

What happens is told by the golden files of a service, so nobody has to have decided it; the
deadlines themselves are decided by the aggregate.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from shelf_operations import Desk, order
from shelf_store import SERVICE, accepted, group_of

from epassport.actor import service_actor
from epassport.catalog import Catalog
from epassport.clock import Clock
from epassport.commands import Envelope
from epassport.database import Database
from epassport.decider import Aggregate
from epassport.events import EventCodec, Origin
from epassport.operations import Found
from epassport.timers import Timer
from epassport.waits import OverdueWait, What, carry_out, overdue_waits


@dataclass(frozen=True)
class Happened:
    facts: Sequence[Any]


class Waiting:
    def __init__(self, db: Database, aggregate: Aggregate, events: Path, now: Path) -> None:
        """events: the golden files. now: where the moved clock may stand; it is twenty years on."""
        now.write_text(str(timedelta(days=20 * 366).total_seconds()))
        self.clock = Clock(now)
        self.stream = aggregate.stream(UUID(int=1))
        self._db = db
        self._events = events
        self._codec = EventCodec([aggregate])

        def decide(command: Any, state: Any, *others: Any) -> Any:
            if isinstance(command, Happened):
                return command.facts
            return aggregate.decide(command, state, *others)

        self._group = group_of(db, known=Catalog(SERVICE, [replace(aggregate, decide=decide)]))

    async def happens(self, *names: str) -> None:
        facts = [self._fact(name) for name in names]
        envelope = Envelope(self.stream, Happened(facts), Origin(service_actor(SERVICE), uuid4()))
        accepted((await self._group.execute([envelope]))[0])

    async def passes(self) -> None:
        """Every deadline that is due by now."""
        timer = Timer(SERVICE, self._db, self._group, self.clock)
        while await timer.step():
            pass

    async def overdue(self) -> list[OverdueWait]:
        async with self._db.connection() as connection:
            return await overdue_waits(connection, self.clock.offset)

    async def order(self, what: What, wait: str) -> Found:
        return await carry_out(Desk(self._db, self.clock).operations, order(), what, wait)

    def _fact(self, name: str) -> Any:
        newest = max((self._events / name).glob("*.json"), key=lambda path: int(path.stem))
        data = json.loads(newest.read_text())["data"]
        return self._codec.decode(name, int(newest.stem), json.dumps(data))


async def is_listed_until_it_ends(
    life: Waiting, wait: str, starts: Sequence[str], ends: Sequence[str]
) -> None:
    """From its deadline on, also when the timer comes again, until what it waits for happens.

    That may start the next wait.
    """
    name = f"deadline/{life.stream}/{wait}"
    await life.happens(*starts)
    await life.passes()
    await life.passes()
    assert [one.wait for one in await life.overdue()] == [name]
    await life.happens(*ends)
    assert name not in [one.wait for one in await life.overdue()]
