"""A small service with something for its operators to do: parked notes, stuck tasks, late waits."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from kafka_notes import SERVICE, NoteLost, Notes, NoteTaken, Written, damaged, note
from shelf_aggregate import PutBox
from shelf_store import catalog, envelope, group_of

from epassport.actor import Actor, Role
from epassport.applying import Applier
from epassport.clock import Clock
from epassport.database import Database
from epassport.operations import Operations, Order, Place
from epassport.reactions import Reaction
from epassport.records import RawRecord
from epassport.refused import RefusedReactions
from epassport.republish import Republisher
from epassport_contracts.registry import EventSpec, Topic

OLEG = Actor("https://issuer.test", "oleg", frozenset({Role.PLATFORM_OPERATOR}))
TOPIC = Topic(
    "test.operations.v1",
    frozenset({SERVICE}),
    (EventSpec(NoteTaken, frozenset()), EventSpec(NoteLost, frozenset())),
    partitions=1,
)


def order(reason: str = "the build is mended", action_id: UUID | None = None) -> Order:
    return Order(action_id or uuid4(), OLEG, reason)


def place(offset: int) -> Place:
    return Place("notes", TOPIC.name, 0, offset)


class Desk:
    """What a consumer of notes has applied and parked, and the operator's side of it."""

    def __init__(
        self,
        db: Database,
        clock: Clock | None = None,
        reactions: dict[type, list[Reaction]] | None = None,
    ) -> None:
        self.db = db
        self.handler = Notes(TOPIC)
        self.applier = Applier(db, SERVICE, self.handler, TOPIC)
        refused = RefusedReactions(SERVICE, group_of(db), catalog().codec, reactions or {})
        self.operations = Operations(
            db, clock or Clock(), [self.applier.parked], refused, Republisher(catalog())
        )

    async def receive(self, *records: Written) -> None:
        """As if a slice of these came from Kafka."""
        place = await self.applier.next_offset(0)
        raws = [
            RawRecord(TOPIC.name, 0, place + n, key, tuple(headers), value)
            for n, (key, headers, value) in enumerate(records)
        ]
        await self.applier.apply(0, place, raws)


def held(key: str, *, behind: int) -> Sequence[Written]:
    """A record that nobody can read, and what comes behind it in its stream."""
    return [damaged(key, 1), *(note(key, n) for n in range(2, behind + 2))]


async def stuck_task(db: Database, kind: str = "count-box") -> UUID:
    task_id = uuid4()
    async with db.connection() as connection:
        await connection.execute(
            "INSERT INTO tasks (task_id, kind, stream_id, input, metadata, attempts, last_error,"
            " stuck) VALUES ($1, $2, 'shelf/a', '{}', '{}', 12, 'ValueError', true)",
            task_id,
            kind,
        )
    return task_id


async def refused(db: Database, command: str, *, declared: bool) -> int:
    async with db.connection() as connection:
        refusal_id: int = await connection.fetchval(
            "INSERT INTO reaction_refusals (event_id, stream_id, command, reason, declared)"
            " VALUES (gen_random_uuid(), 'shelf/a', $1, 'shelf-full', $2) RETURNING id",
            command,
            declared,
        )
    return refusal_id


async def overdue(db: Database, *names: str, at: datetime) -> None:
    await group_of(db).execute([envelope(name, PutBox(at)) for name in names])
