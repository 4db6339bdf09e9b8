"""The real SourceAFIS in its worker: who matches, who does not, and what survives a killed worker.

Scores of synthetic fingers say nothing about real ones; SANDBOX_THRESHOLD is the sandbox's own.
"""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from biometrics.audit import audit
from biometrics.engine.port import (
    EngineUnavailable,
    Fingers,
    SearchLimits,
    Template,
    TemplateRefused,
)
from biometrics.engine.positions import FingerPosition
from biometrics.engine.process import WorkerSettings
from biometrics.engine.quality import CaptureFault, CaptureRejected, Gray, check_minutiae
from biometrics.engine.sourceafis import SourceAfis
from epassport_sandbox.fingerprints import (
    DPI,
    SANDBOX_THRESHOLD,
    Finger,
    FingerprintSet,
    blank,
    fingerprint_set,
    impression,
)

pytestmark = pytest.mark.stack

FINGERS = 200
LIMITS = SearchLimits(threshold=SANDBOX_THRESHOLD, fused=2 * SANDBOX_THRESHOLD)
INDEX = FingerPosition.RIGHT_INDEX
Store = dict[str, Fingers]


async def extract(engine: SourceAfis, gray: Gray) -> Template:
    height, width = gray.shape
    return await engine.extract(gray.tobytes(), width=width, height=height, dpi=DPI)


@pytest.fixture(scope="session")
def fingers() -> FingerprintSet:
    return fingerprint_set(FINGERS, 2)


@pytest_asyncio.fixture(scope="session")
async def references(engine: SourceAfis, fingers: FingerprintSet) -> Store:
    """The first impression of every finger, as the service would keep it."""
    templates = await asyncio.gather(*(extract(engine, fingers.image(n)) for n in range(FINGERS)))
    return {f"finger-{n}": {INDEX: template.data} for n, template in enumerate(templates)}


@pytest_asyncio.fixture(scope="session")
async def probe(engine: SourceAfis, fingers: FingerprintSet) -> Fingers:
    """Another impression of finger 77."""
    return {INDEX: (await extract(engine, fingers.image(77, 1))).data}


@pytest.fixture
def store(references: Store) -> Store:
    return dict(references)


@pytest_asyncio.fixture
async def gallery(worker_settings: WorkerSettings, store: Store) -> AsyncIterator[SourceAfis]:
    async with gallery_of(worker_settings, store) as running:
        yield running


def gallery_of(settings: WorkerSettings, store: Store) -> SourceAfis:
    async def refill() -> AsyncIterator[tuple[str, Fingers]]:
        for reference_id, template in list(store.items()):
            yield reference_id, template

    return SourceAfis(settings, refill)


def pid_of(engine: SourceAfis) -> int:
    pid = engine.engine_pid
    assert pid is not None
    return pid


async def found(engine: SourceAfis, probe: Fingers) -> list[str]:
    return [each.reference_id for each in (await engine.search(probe, LIMITS)).candidates]


async def test_two_impressions_of_a_finger_match(engine: SourceAfis, references: Store) -> None:
    for n in range(5):
        again = await extract(engine, impression(Finger(n), 1))
        score = await engine.compare(probe=again.data, reference=references[f"finger-{n}"][INDEX])
        assert score > SANDBOX_THRESHOLD


async def test_fingers_of_two_persons_do_not_match(engine: SourceAfis, references: Store) -> None:
    for n in range(5):
        score = await engine.compare(
            probe=references[f"finger-{n}"][INDEX],
            reference=references[f"finger-{n + 5}"][INDEX],
        )
        assert score < SANDBOX_THRESHOLD


async def test_a_template_names_its_engine_and_version(engine: SourceAfis) -> None:
    template = await extract(engine, impression(Finger(1), 0))
    assert template.engine == "sourceafis-3.18.1-java"
    assert 30 < template.minutiae < 100


async def test_the_engine_itself_accepts_a_blank_image_hence_the_gate(engine: SourceAfis) -> None:
    assert (await extract(engine, blank())).minutiae == 0


async def test_a_small_cutting_has_too_few_minutiae(engine: SourceAfis) -> None:
    cutting = impression(Finger(10), 0)[140:340, 100:300]
    template = await extract(engine, cutting)
    with pytest.raises(CaptureRejected) as rejected:
        check_minutiae(template.minutiae)
    assert rejected.value.fault is CaptureFault.TOO_FEW_MINUTIAE


async def test_a_search_of_200_finds_the_mate_and_nobody_else(
    gallery: SourceAfis, probe: Fingers
) -> None:
    result = await gallery.search(probe, LIMITS)
    assert [each.reference_id for each in result.candidates] == ["finger-77"]
    assert result.searched == FINGERS
    assert result.engine == "sourceafis-3.18.1-java"


async def test_a_worker_killed_in_a_search_gives_the_same_answer(
    gallery: SourceAfis, probe: Fingers
) -> None:
    before = await gallery.search(probe, LIMITS)
    pid = pid_of(gallery)
    os.kill(pid, signal.SIGSTOP)  # so that it is surely killed before it answers
    searching = asyncio.gather(*(gallery.search(probe, LIMITS) for _ in range(3)))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    assert await searching == [before] * 3
    assert pid_of(gallery) != pid


async def test_nothing_stored_is_lost_with_the_worker(
    gallery: SourceAfis, store: Store, probe: Fingers
) -> None:
    store["twin"] = store["finger-77"]
    del store["finger-77"]
    pid = pid_of(gallery)
    os.kill(pid, signal.SIGSTOP)
    inserting = asyncio.gather(
        gallery.insert("twin", store["twin"]), gallery.remove("finger-77"), gallery.size()
    )
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    assert (await inserting)[2] == FINGERS
    assert await found(gallery, probe) == ["twin"]


async def test_a_worker_that_hangs_is_replaced(
    worker_settings: WorkerSettings, store: Store, probe: Fingers
) -> None:
    impatient = replace(worker_settings, call_timeout=timedelta(seconds=5))
    async with gallery_of(impatient, store) as gallery:
        os.kill(pid_of(gallery), signal.SIGSTOP)
        assert await found(gallery, probe) == ["finger-77"]


async def test_a_worker_that_cannot_start_makes_the_engine_unavailable(
    worker_settings: WorkerSettings,
) -> None:
    with pytest.raises(EngineUnavailable, match="died twice"):
        async with SourceAfis(replace(worker_settings, heap="1k")):
            pass


async def test_a_missing_installation_is_said_at_once(
    worker_settings: WorkerSettings, tmp_path: Path
) -> None:
    with pytest.raises(EngineUnavailable, match="missing"):
        async with SourceAfis(replace(worker_settings, libs=tmp_path)):
            pass


async def test_a_gallery_with_a_template_of_another_version_does_not_open(
    worker_settings: WorkerSettings, probe: Fingers
) -> None:
    older = probe[INDEX].replace(b"3.18.1-java", b"3.17.0-java")
    with pytest.raises(TemplateRefused):
        async with gallery_of(worker_settings, {"old": {INDEX: older}}):
            pass


async def test_an_extraction_that_exhausts_memory_costs_nobody_else_their_answer(
    worker_settings: WorkerSettings, store: Store, probe: Fingers
) -> None:
    """The worker's JVM ends for want of memory, twice; what others asked is asked again."""
    small = replace(worker_settings, heap="192m")
    side = 9000
    async with gallery_of(small, store) as gallery:
        before = await gallery.search(probe, LIMITS)
        pid = pid_of(gallery)
        with pytest.raises(EngineUnavailable, match="died twice over extract"):
            await gallery.extract(bytes(side * side), width=side, height=side, dpi=500)
        assert await gallery.search(probe, LIMITS) == before
        assert pid_of(gallery) != pid


async def test_readiness_is_said_only_when_the_gallery_is_full(
    worker_settings: WorkerSettings, store: Store
) -> None:
    reading, may_go_on = asyncio.Event(), asyncio.Event()

    async def refill() -> AsyncIterator[tuple[str, Fingers]]:
        for reference in store.items():
            yield reference
        reading.set()
        await may_go_on.wait()

    engine = SourceAfis(worker_settings, refill)
    with pytest.raises(EngineUnavailable):
        engine.check_ready()
    await reading.wait()
    with pytest.raises(EngineUnavailable):
        engine.check_ready()
    may_go_on.set()
    async with engine:
        engine.check_ready()
        assert await engine.size() == FINGERS


async def test_the_first_start_is_waited_for_be_it_good_or_not(
    worker_settings: WorkerSettings, tmp_path: Path
) -> None:
    good, bad = SourceAfis(worker_settings), SourceAfis(replace(worker_settings, libs=tmp_path))
    await asyncio.gather(good.begun(), bad.begun())
    good.check_ready()
    with pytest.raises(EngineUnavailable):
        bad.check_ready()
    for engine in (good, bad):
        await engine.__aexit__(None, None, None)


async def test_who_comes_while_the_engine_warms_up_gets_the_same_answer(
    worker_settings: WorkerSettings, engine: SourceAfis, fingers: FingerprintSet
) -> None:
    picture = fingers.image(3, 0)
    async with SourceAfis(replace(worker_settings, threads=1)) as cold:
        assert await extract(cold, picture) == await extract(engine, picture)


async def test_the_filter_lets_the_mate_through_among_those_it_compares(
    worker_settings: WorkerSettings, references: Store, probe: Fingers
) -> None:
    """Strangers enough that the filter has something to leave out."""
    crowd = {f"{name}-{copy}": each for copy in range(3) for name, each in references.items()}
    async with gallery_of(worker_settings, crowd) as gallery:
        everything = await gallery.search(probe, LIMITS)
        filtered = await gallery.search(probe, replace(LIMITS, exhaustive=False))
        assert (everything.compared, filtered.compared) == (3 * FINGERS, 400)
        assert filtered.candidates == everything.candidates
        assert len(filtered.candidates) == 3
        for copy in range(3):
            await gallery.remove(f"finger-77-{copy}")
        after = await gallery.search(probe, replace(LIMITS, exhaustive=False))
        assert (after.candidates, after.searched) == ((), 3 * FINGERS - 3)


async def test_an_audit_counts_whom_only_the_exhaustive_search_finds(
    worker_settings: WorkerSettings, references: Store
) -> None:
    """Copies are mates that the filter lets through; at a threshold that strangers reach too it
    must miss some of them, as it lets through 400 of 600."""
    crowd = {f"{name}-{copy}": each for copy in range(3) for name, each in references.items()}
    async with gallery_of(worker_settings, crowd) as gallery:

        async def probes() -> AsyncIterator[tuple[str, Fingers]]:
            for name in list(crowd)[:3]:
                yield name, crowd[name]

        good = await audit(gallery, probes(), LIMITS, at_most=2)
        assert (good.captures, good.gallery, good.mates, good.missed) == (2, 600, 4, ())
        assert good.recall == 1.0
        nobody_is_a_stranger = SearchLimits(threshold=0.0, fused=0.0)
        bad = await audit(gallery, probes(), nobody_is_a_stranger, at_most=1)
        assert (bad.mates, len(bad.missed)) == (599, 200)
        assert bad.recall == pytest.approx(399 / 599)


PARENT = """
import asyncio, sys
from pathlib import Path
from biometrics.engine.process import WorkerSettings
from biometrics.engine.sourceafis import SourceAfis

async def run():
    async with SourceAfis(WorkerSettings(Path(sys.argv[1]), Path(sys.argv[2]))) as engine:
        assert "jpype" not in sys.modules
        print(engine.engine_pid, file=sys.stderr, flush=True)
        await asyncio.Event().wait()

asyncio.run(run())
"""


def test_a_worker_dies_with_its_parent_which_never_held_a_jvm(
    worker_settings: WorkerSettings,
) -> None:
    command = [
        sys.executable,
        "-c",
        PARENT,
        *map(str, (worker_settings.libs, worker_settings.classes)),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stderr is not None
        worker = os.pidfd_open(int(parent.stderr.readline()))
        parent.kill()
        ended, _, _ = select.select([worker], [], [], 10)
        os.close(worker)
    assert ended
