"""What another team's tests get from the pytest plugin: passports with one call each."""

import asyncio

from epassport_credentials.verifier import verify_offline
from epassport_sandbox.pytest_plugin import NewDuplicate, NewPassport
from epassport_sandbox.running import Session


async def test_an_active_passport_is_good_and_a_revoked_one_refused_by_card_and_by_phone(
    epassport: Session, active_passport: NewPassport, revoked_passport: NewPassport
) -> None:
    active, revoked = await asyncio.gather(active_passport(), revoked_passport())
    for code in (active.small_code, active.phone.code()):
        seen = await epassport.road.age_check(code)
        assert (seen["outcome"], seen["claims"]) == ("good", {"over-18": True})
    for code in (revoked.small_code, revoked.phone.code()):
        seen = await epassport.road.age_check(code)
        assert (seen["outcome"], seen["claims"]) == ("refused", {})
    pack, now = await epassport.offline_pack(), epassport.system.clock.now()
    assert verify_offline(revoked.small_code, pack, now=now).outcome != "good"
    assert active.document_number != revoked.document_number


async def test_a_duplicate_person_was_refused_under_other_papers(
    duplicate_person: NewDuplicate,
) -> None:
    person = await duplicate_person()
    assert person.first_application_id != person.refused_application_id
    assert person.refused_state == "rejected"
