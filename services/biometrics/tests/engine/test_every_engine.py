"""What every `FingerprintEngine` keeps, whoever made it: one suite over all three.

`world` holds the engine, its gallery's truth, and templates of two impressions of some fingers.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from abis_server import AbisServer

from biometrics.engine.abis import AbisClient, AbisEngine
from biometrics.engine.abis_share import RecordShare
from biometrics.engine.expectations import ExpectationsEngine, picture_name
from biometrics.engine.port import (
    FingerprintEngine,
    Fingers,
    Refill,
    SearchLimits,
    TemplateRefused,
)
from biometrics.engine.positions import FingerPosition
from biometrics.engine.process import WorkerSettings
from biometrics.engine.sourceafis import SourceAfis
from epassport_sandbox.fingerprints import DPI, SANDBOX_THRESHOLD, FingerprintSet, fingerprint_set

pytestmark = pytest.mark.stack

LIMITS = SearchLimits(threshold=SANDBOX_THRESHOLD, fused=2 * SANDBOX_THRESHOLD)
INDEX, OTHER_INDEX = FingerPosition.RIGHT_INDEX, FingerPosition.LEFT_INDEX
THUMB = FingerPosition.RIGHT_THUMB
FINGERS = 8


@dataclass
class World:
    engine: FingerprintEngine
    fingers: FingerprintSet
    truth: dict[str, Fingers] = field(default_factory=dict)
    templates: dict[tuple[int, int], bytes] = field(default_factory=dict)

    async def template(self, finger: int, n: int = 0) -> bytes:
        if (finger, n) not in self.templates:
            gray = self.fingers.image(finger, n)
            height, width = gray.shape
            made = await self.engine.extract(gray.tobytes(), width=width, height=height, dpi=DPI)
            self.templates[finger, n] = made.data
        return self.templates[finger, n]

    async def enrol(self, name: str, **fingers: int) -> None:
        await self.engine.insert(name, await self.person(0, **fingers))

    async def person(self, n: int, **fingers: int) -> Fingers:
        positions = {"index": INDEX, "other_index": OTHER_INDEX, "thumb": THUMB}
        return {positions[slot]: await self.template(seed, n) for slot, seed in fingers.items()}

    async def found(self, **fingers: int) -> list[str]:
        result = await self.engine.search(await self.person(1, **fingers), LIMITS)
        return [each.reference_id for each in result.candidates]


def _truth_of(truth: dict[str, Fingers]) -> Refill:
    async def refill() -> AsyncIterator[tuple[str, Fingers]]:
        for reference in list(truth.items()):
            yield reference

    return refill


@pytest.fixture(scope="module")
def fingers() -> FingerprintSet:
    return fingerprint_set(FINGERS, 2)


@pytest.fixture(scope="module", params=["sourceafis", "mosip-abis", "expectations"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture(scope="module")
async def world(
    kind: str,
    worker_settings: WorkerSettings,
    fingers: FingerprintSet,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[World]:
    truth: dict[str, Fingers] = {}
    async with AsyncExitStack() as closing:
        match kind:
            case "sourceafis":
                engine: FingerprintEngine = SourceAfis(worker_settings, _truth_of(truth))
            case "expectations":
                told = tmp_path_factory.mktemp("expectations") / "told.json"
                told.write_text(_second_impressions_are_first_ones(fingers))
                engine = ExpectationsEngine(_truth_of(truth), told)
            case _:
                engine = await closing.enter_async_context(
                    _vendor(worker_settings, _truth_of(truth))
                )
        running = await closing.enter_async_context(engine)
        yield World(running, fingers, truth)


@asynccontextmanager
async def _vendor(settings: WorkerSettings, refill: Refill) -> AsyncIterator[AbisEngine]:
    async with SourceAfis(settings) as comparer:
        server = AbisServer(comparer, LIMITS)
        async with server.listening():
            share = RecordShare(server.certificate, "127.0.0.1", 0)
            yield AbisEngine(SourceAfis(settings), AbisClient(server.url), share, refill)


def _second_impressions_are_first_ones(fingers: FingerprintSet) -> str:
    names = [
        [picture_name(fingers.image(finger, n).tobytes()) for n in (0, 1)]
        for finger in range(FINGERS)
    ]
    return json.dumps({second: {"same_as": first} for first, second in names})


@pytest_asyncio.fixture(autouse=True)
async def nobody_left(world: World) -> AsyncIterator[None]:
    yield
    for name in ("one", "two", "three"):
        await world.engine.remove(name)


async def test_two_impressions_of_a_finger_score_above_two_fingers(world: World) -> None:
    probe = await world.template(0, 1)
    same = await world.engine.compare(probe=probe, reference=await world.template(0))
    other = await world.engine.compare(probe=probe, reference=await world.template(1))
    assert same >= SANDBOX_THRESHOLD > other


async def test_a_template_names_its_maker_and_version(world: World) -> None:
    gray = world.fingers.image(0)
    height, width = gray.shape
    template = await world.engine.extract(gray.tobytes(), width=width, height=height, dpi=DPI)
    name, _, version = template.engine.partition("-")
    assert version.encode() in template.data
    assert name
    assert template.minutiae > 20


async def test_an_image_of_another_size_than_stated_is_our_fault(world: World) -> None:
    with pytest.raises(ValueError, match="pixels"):
        await world.engine.extract(b"\0" * 10, width=400, height=480, dpi=500)


@pytest.mark.parametrize("template", [b"", b"not a template", b"\xa0", b"\x80", b"[]", b"{}"])
async def test_what_is_no_template_is_refused_and_harms_nothing(
    world: World, template: bytes
) -> None:
    whole = await world.template(0)
    with pytest.raises(TemplateRefused):
        await world.engine.compare(probe=template, reference=whole)
    with pytest.raises(TemplateRefused):
        await world.engine.insert("one", {INDEX: template})
    for exhaustive in (True, False):
        limits = SearchLimits(LIMITS.threshold, LIMITS.fused, exhaustive=exhaustive)
        with pytest.raises(TemplateRefused):
            await world.engine.search({INDEX: template}, limits)
    assert await world.engine.size() == 0


async def test_a_template_of_another_version_is_never_compared(world: World, kind: str) -> None:
    whole = await world.template(0)
    old = {"expectations": b"expectations-1"}.get(kind, b"3.18.1-java")
    other = whole.replace(old, old[:-1] + b"z")
    assert other != whole
    with pytest.raises(TemplateRefused):
        await world.engine.compare(probe=whole, reference=other)


async def test_a_search_finds_the_mate_and_nobody_else(world: World) -> None:
    for seed, name in enumerate(("one", "two", "three")):
        await world.enrol(name, index=seed)
    result = await world.engine.search(await world.person(1, index=1), LIMITS)
    assert [each.reference_id for each in result.candidates] == ["two"]
    assert result.candidates[0].score >= SANDBOX_THRESHOLD
    assert result.searched == 3


async def test_any_one_finger_finds_its_owner(world: World) -> None:
    """Who spoils a finger on purpose is found by the others."""
    await world.enrol("one", index=0, thumb=2)
    await world.enrol("two", index=1, thumb=3)
    assert await world.found(index=5, thumb=2) == ["one"]
    assert await world.found(index=1, thumb=6) == ["two"]
    assert await world.found(index=5, thumb=6) == []


async def test_hands_that_are_mixed_up_are_found(world: World) -> None:
    await world.enrol("one", index=0, other_index=1)
    assert await world.found(index=1, other_index=0) == ["one"]


async def test_another_finger_than_the_mirrored_one_is_not_looked_for(world: World) -> None:
    await world.enrol("one", index=0)
    assert await world.found(thumb=0) == []


async def test_candidates_are_the_best_ones_best_first_and_no_more_than_asked(
    world: World,
) -> None:
    for name in ("one", "two", "three"):
        await world.enrol(name, index=4)
    found = await world.engine.search(
        await world.person(1, index=4), SearchLimits(LIMITS.threshold, LIMITS.fused, at_most=2)
    )
    assert len(found.candidates) == 2
    scores = [each.score for each in found.candidates]
    assert scores == sorted(scores, reverse=True)


async def test_an_insert_said_twice_counts_once(world: World) -> None:
    for _ in range(2):
        await world.enrol("one", index=0)
    assert await world.engine.size() == 1
    assert await world.found(index=0) == ["one"]


async def test_an_insert_of_a_known_id_replaces_its_fingers(world: World) -> None:
    await world.enrol("one", index=0, thumb=2)
    await world.enrol("one", index=1)
    assert await world.found(index=0) == []
    assert await world.found(thumb=2) == []
    assert await world.found(index=1) == ["one"]


async def test_who_is_removed_is_found_no_more_and_the_others_still_are(world: World) -> None:
    for seed, name in enumerate(("one", "two", "three")):
        await world.enrol(name, index=seed)
    for _ in range(2):
        await world.engine.remove("one")
    assert await world.engine.size() == 2
    assert await world.found(index=0) == []
    assert await world.found(index=2) == ["three"]


async def test_a_search_sees_every_insert_that_was_awaited_before_it(world: World) -> None:
    for seed in range(FINGERS):
        await world.enrol("one", index=seed)
        assert await world.found(index=seed) == ["one"]


def test_an_engine_without_a_suite_is_noticed() -> None:
    """Every module of the package that has an engine is a parameter above."""
    package = Path(__file__).parents[2] / "src/biometrics/engine"
    engines = [p.stem for p in package.glob("*.py") if "A `FingerprintEngine`" in p.read_text()]
    assert sorted(engines) == ["abis", "expectations", "sourceafis"]
