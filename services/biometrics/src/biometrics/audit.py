"""What the filter misses, counted: every night, `python -m biometrics.audit --captures 500`.

A filtered search compares only part of the gallery, so a duplicate may pass unseen; nothing in
production would show it. The audit searches for captures that are in the gallery both ways and
counts whom only the exhaustive search finds: other ones each night, as ids are random and it
begins anywhere among them. One line of JSON on stdout; exit code 1 where somebody was missed, as
each of them is a second passport to look at, or where it could not be told.
"""

import argparse
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from uuid import UUID, uuid4

from biometrics.engine.port import FingerprintEngine, Fingers, SearchLimits
from biometrics.gallery import Gallery
from biometrics.record_commands import WHOLE
from biometrics.service import build
from epassport.entrypoints import refusing_unsafe, run_once
from epassport.errors import EndsProcess
from epassport.service import Service, running
from epassport.telemetry import configure

NAME = "filter-audit"
EVERYBODY = 1000  # candidates: more than a capture can have in earnest


@dataclass(frozen=True)
class Audit:
    """missed: pairs of captures, ids only."""

    captures: int
    gallery: int
    mates: int
    missed: tuple[tuple[str, str], ...]

    @property
    def recall(self) -> float:
        return 1.0 if not self.mates else 1 - len(self.missed) / self.mates


async def audit(
    engine: FingerprintEngine,
    references: AsyncIterator[tuple[str, Fingers]],
    limits: SearchLimits,
    *,
    at_most: int,
) -> Audit:
    """The first `at_most` references against the whole gallery."""
    captures, mates, missed = 0, 0, []
    async for capture, fingers in references:
        if captures == at_most:
            break
        captures += 1
        exhaustive, filtered = [
            await _mates(engine, capture, fingers, replace(limits, exhaustive=whole))
            for whole in (True, False)
        ]
        mates += len(exhaustive)
        missed += [(capture, other) for other in sorted(exhaustive - filtered)]
    return Audit(captures, await engine.size(), mates, tuple(missed))


async def _mates(
    engine: FingerprintEngine, capture: str, fingers: Fingers, limits: SearchLimits
) -> set[str]:
    found = await engine.search(fingers, replace(limits, at_most=EVERYBODY))
    return {each.reference_id for each in found.candidates} - {capture}


async def beginning_at(gallery: Gallery, start: UUID) -> AsyncIterator[tuple[str, Fingers]]:
    """The whole gallery once, from the first capture behind `start` on."""
    async for reference in gallery.references(WHOLE, after=start):
        yield reference
    async for capture, fingers in gallery.references(WHOLE):
        if UUID(capture) > start:
            return
        yield capture, fingers


async def _audited(service: Service, at_most: int) -> Audit:
    async with running(service) as opened:
        app = opened.app
        engine = await app.gallery.filled()
        name = await app.gallery.engine_name()
        if not name:
            return Audit(0, 0, 0, ())
        limits = app.search_limits(name, app.clock.now())
        references = beginning_at(app.gallery, uuid4())
        return await audit(engine, references, limits, at_most=at_most)


async def _run(service: Service, at_most: int) -> None:
    found = await _audited(service, at_most)
    sys.stdout.write(json.dumps({**asdict(found), "recall": found.recall}) + "\n")
    sys.stdout.flush()
    if found.missed:
        raise EndsProcess(f"{len(found.missed)} of {found.mates} pairs missed by the filter")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m biometrics.audit")
    parser.add_argument("--captures", type=int, default=1000, help="how many to search for")
    at_most: int = parser.parse_args().captures

    def start() -> int:
        service = build()
        configure(service.name, NAME, level=service.settings.log_level)
        return run_once(NAME, lambda: _run(service, at_most))

    return refusing_unsafe(start)


if __name__ == "__main__":
    sys.exit(main())
