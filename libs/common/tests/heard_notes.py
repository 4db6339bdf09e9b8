"""A read model that hears another service, before and after a mended bug."""

from collections.abc import Sequence
from dataclasses import replace

from kafka_notes import NoteTaken

from epassport.events import Recorded
from epassport.readmodel import ReadModel, Tables

heard = ReadModel("heard", version=1, tables=("note",))


@heard.projects(NoteTaken)
async def taken(wave: Sequence[Recorded[NoteTaken]], tables: Tables) -> int:
    """A text that begins with ! is a bug's."""
    if any(event.fact.text.startswith("!") for event in wave):
        raise ZeroDivisionError
    return await tables.upsert(
        """
        INSERT INTO {note} AS known (stream, text, notes)
        SELECT stream, text, 1 FROM unnest($1::text[], $2::text[]) AS new (stream, text)
            ON CONFLICT (stream) DO UPDATE SET text = excluded.text, notes = known.notes + 1
        """,
        [event.stream for event in wave],
        [event.fact.text for event in wave],
    )


mended = ReadModel("heard", version=1, tables=("note",))


@mended.projects(NoteTaken)
async def taken_well(wave: Sequence[Recorded[NoteTaken]], tables: Tables) -> int:
    spoken = [
        replace(event, fact=NoteTaken(at=event.fact.at, text=event.fact.text.lstrip("!")))
        for event in wave
    ]
    return int(await heard.projections[NoteTaken][0].fill(spoken, tables))
