"""The gallery, or a shard of it, in an engine of its own, kept as the read table says.

The table is the truth; the engine is filled from sealed templates when it starts or was lost,
and then follows the table's changes. A search first reaches the place of the capture it is for,
and counts only what was entered before that place: of two captures of one person the later one
always finds the earlier, and the answer does not depend on who searched first.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

import structlog
from asyncpg import Record

from biometrics import gallery_readmodel
from biometrics.engine.port import (
    Candidate,
    EngineError,
    EngineUnavailable,
    FingerprintEngine,
    Fingers,
    Refill,
    SearchLimits,
    TemplateRefused,
)
from biometrics.engine.positions import FingerPosition
from biometrics.record_commands import WHOLE, Shard
from biometrics.score_class import ScoreClass, score_class
from epassport import Token
from epassport.blobs import load_all
from epassport.database import Database
from epassport.errors import NotVisibleYet, Transient
from epassport.faults import is_transient
from epassport.keyring import SubjectKeyring
from epassport.opening import InRecord, open_in_task
from epassport.projector import wait_for
from epassport.sealing import ERASED
from epassport_contracts import ServiceName

PAGE = 500
FOLLOW_SECONDS = 2.0  # how long an erased template may stay in the engine's memory
REACH_SECONDS = 20.0
FIRST_CANDIDATES = 32
BEFORE_ALL = UUID(int=0)

log = structlog.get_logger(__name__)


class GalleryNotReady(Transient):
    """The engine is away or refuses an entry, or the table has not reached the capture yet."""


@dataclass(frozen=True)
class Found:
    """holders: whose entries match, the likeliest first; mixed_up: those of them that match only
    with left and right exchanged. classes: how clearly each holder matches. searched: entries in
    the engine then; compared: those of them that the filter let through."""

    holders: tuple[UUID, ...]
    mixed_up: frozenset[UUID]
    classes: Mapping[UUID, ScoreClass]
    searched: int
    compared: int
    engine: str


class Gallery:
    """Use as `async with`; nothing starts before `begin` or the first search."""

    def __init__(
        self,
        database: Database,
        keyring: SubjectKeyring,
        engine: Callable[[Refill], AbstractAsyncContextManager[FingerprintEngine]],
        shard: Shard = WHOLE,
    ) -> None:
        self._shard = shard
        self._database = database
        self._keyring = keyring
        self._opened = engine(self._refill)
        self._seen = Token(0, 0)
        self._catching_up = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._engine = await self._opened.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        running = [task for task in (self._opening, self._following) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._opened.__aexit__(kind, error, trace)

    @property
    def engine_pid(self) -> int | None:
        """The engine's running worker, for limits, metrics and fault tests."""
        return self._engine.engine_pid

    async def filled(self) -> FingerprintEngine:
        """The engine, once it has all that the table has now: for audits."""
        await asyncio.shield(self.begin())
        await self._catch_up()
        return self._engine

    async def engine_name(self) -> str:
        """Whose templates the gallery holds; empty where it holds none."""
        async with self._database.connection() as connection:
            tables = gallery_readmodel.gallery.on(connection)
            figures = await gallery_readmodel.gallery_figures(tables)
        return str(figures["engine"]) if figures and figures["engine"] else ""

    async def size(self) -> int:
        """Entries in the engine, once it has all that the table has now."""
        return await (await self.filled()).size()

    def begin(self) -> "asyncio.Task[None]":
        """Fill the engine, if that is not under way or done; a failed filling is begun anew."""
        known = self._opening
        failed = known is not None and known.done() and (known.cancelled() or known.exception())
        if known is None or failed:
            known = self._opening = asyncio.create_task(self._open(), name="gallery")
        return known

    def check_ready(self) -> None:
        """Raises EngineUnavailable until the gallery is full; begins to fill it."""
        opening = self.begin()
        if not opening.done():
            raise EngineUnavailable("the gallery fills")
        self._engine.check_ready()

    async def search(self, probe: Fingers, *, place: Token, limits: SearchLimits) -> Found:
        """Everything entered before `place`, the place of the probe's own capture.

        Raises GalleryNotReady, TemplateRefused: the probe.
        """
        try:
            await asyncio.shield(self.begin())
            await wait_for(
                self._database, gallery_readmodel.gallery.reader, place, within=REACH_SECONDS
            )
            await self._catch_up()
        except (EngineUnavailable, TemplateRefused, NotVisibleYet) as away:
            raise GalleryNotReady from away
        try:
            return await self._search(probe, place, limits)
        except EngineUnavailable as away:
            raise GalleryNotReady from away

    async def _search(self, probe: Fingers, place: Token, limits: SearchLimits) -> Found:
        """Later captures match too, the own one best of all; they must not crowd others out."""
        limits = replace(limits, at_most=FIRST_CANDIDATES)
        while True:
            result = await self._engine.search(probe, limits)
            if len(result.candidates) < limits.at_most or limits.at_most >= result.searched:
                break
            limits = replace(limits, at_most=4 * limits.at_most)
        captures = {each.reference_id: _capture_of(each) for each in result.candidates}
        found = [capture for capture in captures.values() if capture is not None]
        async with self._database.connection() as connection:
            tables = gallery_readmodel.gallery.on(connection)
            holders = await gallery_readmodel.holders_before(tables, found, place)
        crossed: dict[UUID, bool] = {}  # in the order of the candidates
        shares: dict[UUID, float] = {}
        for each in result.candidates:
            capture = captures[each.reference_id]
            if capture is not None and (holder := holders.get(capture)) is not None:
                crossed[holder] = crossed.get(holder, True) and each.mirrored
                shares[holder] = max(shares.get(holder, 0.0), limits.share(each))
        mixed_up = frozenset(holder for holder, is_crossed in crossed.items() if is_crossed)
        classes = {holder: score_class(share) for holder, share in shares.items()}
        return Found(
            tuple(crossed), mixed_up, classes, result.searched, result.compared, result.engine
        )

    async def _open(self) -> None:
        try:
            await self._engine.__aenter__()
            if self._engine.keeps_gallery:
                await self._remove_left()
        except EngineError as refused:
            # A template of another version bars the whole gallery: who is left out of it has a
            # second passport for the asking.
            log.error("gallery-not-opened", fault=type(refused).__name__, reason=refused.detail)
            raise
        log.info("gallery-ready", references=await self._engine.size())
        self._following = asyncio.create_task(self._follow(), name="gallery follows")

    async def _remove_left(self) -> None:
        """Who was erased while no process of ours ran is erased there as well."""
        last = BEFORE_ALL
        while True:
            async with self._database.connection() as connection:
                tables = gallery_readmodel.gallery.on(connection)
                captures = await gallery_readmodel.left_after(tables, last, PAGE)
            if not captures:
                return
            for capture in captures:
                await self._engine.remove(str(capture))
            last = captures[-1]

    async def _follow(self) -> None:
        """What left the table leaves the engine, also while nobody searches."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            try:
                await self._catch_up()
            except Exception as fault:
                if not (is_transient(fault) or isinstance(fault, EngineError)):
                    raise
                log.warning("gallery-waits", fault=type(fault).__name__)

    async def _catch_up(self) -> None:
        async with self._catching_up:
            while rows := await self._changes():
                mine = [row for row in rows if self._shard.holds(row["capture_id"])]
                templates = await self._templates([row for row in mine if row["present"]])
                for row in mine:
                    capture = str(row["capture_id"])
                    if capture in templates:
                        await self._engine.insert(capture, templates[capture])
                    else:
                        await self._engine.remove(capture)
                last = rows[-1]
                self._seen = Token(last["changed_transaction"], last["changed_position"])

    async def _changes(self) -> list[Record]:
        async with self._database.connection() as connection:
            return await gallery_readmodel.changes_after(
                gallery_readmodel.gallery.on(connection), self._seen, PAGE
            )

    async def _refill(self) -> AsyncIterator[tuple[str, Fingers]]:
        """Every template; what changes meanwhile is followed from the place taken first."""
        async with self._database.connection() as connection:
            self._seen = await gallery_readmodel.last_change(
                gallery_readmodel.gallery.on(connection)
            )
            size = await gallery_readmodel.size(gallery_readmodel.gallery.on(connection))
        count = 0
        async for reference in self.references():
            yield reference
            count += 1
            if count % PAGE == 0:
                log.info("gallery-fills", references=count, total=size // self._shard.of)

    async def references(
        self, shard: Shard | None = None, *, after: UUID = BEFORE_ALL
    ) -> AsyncIterator[tuple[str, Fingers]]:
        """Every capture behind `after`, in the order of their ids, with its templates; an erased
        person's is missing. shard: another than the one that is kept here, or `WHOLE`."""
        wanted = shard or self._shard
        last = after
        while True:
            async with self._database.connection() as connection:
                tables = gallery_readmodel.gallery.on(connection)
                rows = await gallery_readmodel.present_after(tables, last, PAGE)
            if not rows:
                return
            mine = [row for row in rows if wanted.holds(row["capture_id"])]
            for reference in (await self._templates(mine)).items():
                yield reference
            last = rows[-1]["capture_id"]

    async def _templates(self, rows: Sequence[Record]) -> dict[str, Fingers]:
        """By capture; an erased person's is missing."""
        sealed: dict[tuple[str, FingerPosition], InRecord] = {}
        async with self._database.connection() as connection:
            digests = [digest for row in rows for digest in row["templates"]]
            blobs = dict(zip(digests, await load_all(connection, digests), strict=True))
        for row in rows:
            for position, digest in zip(row["positions"], row["templates"], strict=True):
                if (blob := blobs[digest]) is not None:
                    place = (str(row["capture_id"]), FingerPosition(position))
                    sealed[place] = InRecord(row["holder_id"], "template", blob.envelope)
        opened = await open_in_task(
            self._database,
            self._keyring,
            list(sealed.values()),
            service=ServiceName.BIOMETRICS,
            reason="gallery",
            correlation_id=uuid4(),
        )
        found: dict[str, dict[FingerPosition, bytes]] = {}
        for (capture, position), template in zip(sealed, opened, strict=True):
            if template is not ERASED:
                found.setdefault(capture, {})[position] = template
        return dict(found)


def _capture_of(candidate: Candidate) -> UUID | None:
    """None for what is not ours: a vendor may keep others' references beside."""
    try:
        return UUID(candidate.reference_id)
    except ValueError:
        return None
