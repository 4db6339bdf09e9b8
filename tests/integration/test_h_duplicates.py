"""One person, once, through the whole of epassport: `make biometrics-2000` in a smaller size."""

from epassport_sandbox.duplicates import run_duplicates, visits
from epassport_sandbox.fingerprints import fingerprint_set
from epassport_sandbox.pytest_plugin import PEOPLE
from epassport_sandbox.road import Captures, Road
from epassport_sandbox.running import IMPRESSIONS, Fingers, Session

PERSONS, PLANTED = 60, 3


async def test_everybody_who_comes_twice_is_found_and_nobody_else_is_barred(
    epassport: Session,
) -> None:
    """Their fingers are others than those of the people whom the other tests enrol."""
    made = Fingers(fingerprint_set(PEOPLE + PERSONS, IMPRESSIONS), first=PEOPLE)
    today, now = epassport.system.clock.now().date(), epassport.system.clock.now
    road = Road(epassport.client, epassport.country, Captures(made.impression, today), now)
    found = await run_duplicates(road, visits(PERSONS, PLANTED, today), lambda: None)
    assert (found["enrolments"], found["planted"], found["found"]) == (63, 3, 3)
    assert (found["missed"], found["wrongly_barred"], found["other_cases"]) == ([], [], [])
    assert all(case["score_classes"] != ["weak"] for case in found["cases"])
