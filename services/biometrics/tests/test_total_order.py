"""One total order of inserts and searches: of two captures of one person the later finds the other.

Two replicas search, either of which may take either task, and one of them loses its engine.
"""

import asyncio
import os
import signal

from biometrics.engine.positions import FingerPosition
from conftest import Bureau, Person, at_work
from epassport import Token
from epassport_sandbox.ports import free_port

TIMES = 50
AT_ONCE = 5
WITHIN_SECONDS = 400


async def test_a_search_counts_what_was_entered_before_its_own_place_whenever_it_runs(
    bureau: Bureau,
) -> None:
    """Also where everything has long been in the engine: the answer does not depend on when."""
    first = await bureau.enrol(bureau.person())
    second = Person(first.finger)
    await bureau.bring(second, 1)
    await bureau.status(second, "suspected")
    app = bureau.opened.app
    gray = bureau.fingers.image(first.finger, 1)
    height, width = gray.shape
    made = await app.engine.extract(gray.tobytes(), width=width, height=height, dpi=500)
    limits = app.search_limits(made.engine, app.clock.now())
    sql = "SELECT entered_transaction, entered_position FROM gallery_entry_v2 WHERE holder_id = $1"
    found = {}
    for who in (first, second):
        (row,) = await bureau.rows(sql, who.holder)
        probe = {FingerPosition.RIGHT_INDEX: made.data}
        result = await app.gallery.search(probe, place=Token(*row), limits=limits)
        found[who.holder] = result.holders
    assert found == {first.holder: (), second.holder: (first.holder,)}


async def test_of_two_enrolments_at_the_same_moment_exactly_one_clears_fifty_times(
    bureau: Bureau,
) -> None:
    settings = bureau.settings.model_copy(update={"http_port": free_port()})
    slots = asyncio.Semaphore(AT_ONCE)

    async def enrol_twice(finger: int) -> list[str]:
        twins = (Person(finger), Person(finger))
        async with slots:
            await asyncio.gather(*(bureau.bring(twin, n) for n, twin in enumerate(twins)))
            return sorted([await bureau.status(twin, "accepted", "suspected") for twin in twins])

    async with at_work(settings) as second, asyncio.timeout(WITHIN_SECONDS):
        await second.app.gallery.begin()
        fingers = [bureau.person().finger for _ in range(TIMES)]
        pairs = [asyncio.create_task(enrol_twice(finger)) for finger in fingers]
        await asyncio.wait(pairs, return_when=asyncio.FIRST_COMPLETED)
        killed = bureau.opened.app.gallery.engine_pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        outcomes = await asyncio.gather(*pairs)
    assert outcomes == [["accepted", "suspected"]] * TIMES
    assert await bureau.opened.app.gallery.size() == len(
        await bureau.rows("SELECT FROM gallery_entry_v2 WHERE present")
    )
