"""`rebuild NAME`: fill a read model anew from the events, offline.

The own store is read from its beginning; foreign events are on topics that are kept for
ever, so the consumer's offsets are forgotten and the processes read them again when they
start. Stop `project` and `consume` first: what they hold in hand would be applied twice,
which the version guards survive, but not counted once.
"""

from epassport.database import Database
from epassport.events import EventCodec
from epassport.projector import projector
from epassport.readmodel import ReadModel
from epassport.signals import Signals


async def rebuild(model: ReadModel, database: Database, codec: EventCodec) -> int:
    """Empty the model's tables and apply every own event; returns how many were read."""
    async with database.transaction() as connection:
        await model.on(connection).truncate()
        await connection.execute("DELETE FROM checkpoints WHERE reader = $1", model.reader)
        for table in ("consumer_offsets", "consumer_sequences"):
            await connection.execute(f"DELETE FROM {table} WHERE consumer = $1", model.reader)  # noqa: S608
    reader = projector(model, database, codec, Signals())
    read = 0
    while applied := await reader.step():
        read += applied
    return read
