"""Nothing personal lies anywhere in the clear, and after an erasure nothing can be opened.

The surname and the given name are planted canaries that no other text contains.
"""

import io
from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from PIL import Image

from biometrics.engine.process import WorkerSettings
from biometrics.engine.sourceafis import SourceAfis
from epassport_credentials.transliteration import to_icao
from epassport_sandbox.client import Refused, until
from epassport_sandbox.fingerprints import DPI
from epassport_sandbox.invariants import settle
from epassport_sandbox.jars import cache_folder
from epassport_sandbox.people import ADMINISTRATOR, CARD_INSPECTOR
from epassport_sandbox.remains import collect, places_of
from epassport_sandbox.road import BIOMETRICS, CARDS, ENROLLMENT, PROFILE, VERIFICATION, Walk
from epassport_sandbox.running import Session

LIBS, CLASSES = (cache_folder() / f"sourceafis-{each}" for each in ("libs", "classes"))
MIN_MINUTIAE = 20
BY_SUBJECT = ("subject_keys", "received_keys", "blobs", "claims")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def canaries(epassport: Session, cast: Any) -> Mapping[str, str | bytes]:
    """Everything that is known of one person by which she could be found, before the erasure."""
    walk: Walk = cast.canary
    citizen = walk.citizen
    profile = await epassport.client.query(PROFILE, f"/profiles/{walk.holder_id}", walk.person)
    document = profile["documents"][-1]
    assert document["identity"]["surname"] == citizen.surname
    paper, face = citizen.paper_passport, epassport.road.captures.face(citizen)
    assert paper is not None
    return {
        "surname": citizen.surname,
        "surname in capitals": citizen.surname.upper(),
        "surname on the chip": to_icao(citizen.surname),
        "given name": citizen.given_name,
        "given name on the chip": to_icao(citizen.given_name),
        "document number": document["document_number"],
        # Six digits alone stand by chance in many a time stamp.
        "paper passport": f'"{paper.number}"',
        "paper passport in a row": paper.series + paper.number,
        "birth place": citizen.birth_place,
        "birth date": f'"birth_date": "{citizen.birth_date}"',
        **({"SNILS": citizen.snils} if citizen.snils else {}),
        **({"INN": citizen.inn} if citizen.inn else {}),
        "portrait": face[len(face) // 2 :][:24],
        **await _biometrics(epassport, walk),
    }


async def _biometrics(session: Session, walk: Walk) -> Mapping[str, bytes]:
    """Pieces of the finger as it was sent, as pixels, and as the template that the engine makes
    of it, the same each time."""
    png = session.road.captures.finger(walk.citizen, 0)
    with Image.open(io.BytesIO(png)) as picture:
        gray, (width, height) = picture.tobytes(), picture.size
    middle = height // 2 * width + width // 2
    async with SourceAfis(WorkerSettings(LIBS, CLASSES)) as engine:
        made = await engine.extract(gray, width=width, height=height, dpi=DPI)
    assert made.minutiae > MIN_MINUTIAE
    return {
        "finger": png[len(png) // 2 :][:24],
        "finger in pixels": gray[middle:][:24],
        "template": made.data[len(made.data) // 2 :][:24],
    }


async def _found(session: Session, canaries: Mapping[str, str | bytes]) -> list[str]:
    remains = await collect(session.system)
    return [
        f"{name} in {place.where} {place.name}"
        for name, text in canaries.items()
        for place in places_of(text, remains)
    ]


async def test_a_search_for_what_is_stored_in_the_clear_finds_it_everywhere(
    epassport: Session, cast: Any
) -> None:
    """Else the next tests would prove nothing: references are no secret and stand everywhere."""
    remains = await collect(epassport.system)
    assert {place.where for place in places_of(str(cast.canary.holder_id), remains)} >= {
        *epassport.system.urls,
        "topic",
    }
    logs = {place.name for place in places_of('"started"', remains) if place.where == "log"}
    assert logs >= {f"{service}.log" for service in epassport.system.urls}


async def test_nothing_personal_is_in_the_clear_in_any_database_topic_or_log(
    epassport: Session, canaries: Mapping[str, str | bytes]
) -> None:
    assert await _found(epassport, canaries) == []


async def test_not_even_sealed_samples_and_templates_are_on_a_topic(
    epassport: Session, cast: Any
) -> None:
    """Images for the chip are, on a topic of their own, under other keys: other octets."""
    connection = await asyncpg.connect(epassport.system.dsn(BIOMETRICS))
    try:
        rows = await connection.fetch(
            "SELECT ct FROM blobs WHERE subject = $1", cast.canary.holder_id
        )
    finally:
        await connection.close()
    assert len(rows) >= 3  # face, finger, template
    remains = await collect(epassport.system)
    for row in rows:
        found = places_of(row["ct"][: len(row["ct"]) // 2][-24:], remains)
        assert {(place.where, place.name) for place in found} == {(BIOMETRICS, "blobs")}


async def test_a_document_in_force_keeps_its_holder_from_erasure(
    epassport: Session, cast: Any
) -> None:
    with pytest.raises(Refused) as refused:
        await _order(epassport, cast.canary)
    assert refused.value.reason == "holder-has-document-in-force"


async def test_after_an_erasure_nothing_personal_can_be_read_anywhere(
    epassport: Session, cast: Any, canaries: Mapping[str, str | bytes]
) -> None:
    walk: Walk = cast.canary
    await _leave(epassport, walk)
    await _erase(epassport, walk)
    await _opens_nothing(epassport, walk)
    await settle(epassport.system)
    left = {
        (service, table): n
        for service in epassport.system.urls
        for table, n in (await _rows_of(epassport, service, walk)).items()
    }
    assert {place: n for place, n in left.items() if n} == {}
    assert await _found(epassport, canaries) == []


async def test_whoever_is_erased_applies_again_as_a_new_person_whom_the_gallery_does_not_know(
    epassport: Session, cast: Any
) -> None:
    """Runs after the erasure above: claims and templates of the person went with the keys."""
    walk = await epassport.road.apply(cast.canary.citizen)
    assert walk.holder_id != cast.canary.holder_id
    await epassport.road.enrol(walk)
    await epassport.road.reaches(walk, "ready-for-decision")


async def _leave(session: Session, walk: Walk) -> None:
    """The document is made final, and enrollment has heard of it."""
    await session.client.command(
        VERIFICATION, f"/documents/{walk.ref}/revoke", {"reason": "holder-left"}, ADMINISTRATOR
    )
    await until(
        lambda: session.client.query(ENROLLMENT, f"/holders/{walk.holder_id}", ADMINISTRATOR),
        lambda holder: {d["standing"] for d in holder["documents"]} == {"revoked"},
        what="enrollment to hear of the revocation",
    )


async def _order(session: Session, walk: Walk) -> None:
    path = f"/holders/{walk.holder_id}/erasure"
    await session.client.command(ENROLLMENT, path, {}, ADMINISTRATOR)


async def _erase(session: Session, walk: Walk) -> None:
    """Ordered, and reported by all five services."""
    await _order(session, walk)
    await until(
        lambda: session.client.query(ENROLLMENT, f"/holders/{walk.holder_id}", ADMINISTRATOR),
        lambda holder: holder["erasure"] == "keys-destroyed",
        what="all five services to have destroyed their keys",
    )


async def _opens_nothing(session: Session, walk: Walk) -> None:
    """Everybody who could open something before is told that it is erased, or gone."""
    client = session.client
    application = await client.query(
        ENROLLMENT, f"/applications/{walk.application_id}", walk.office.operator
    )
    assert application["identity"] is None
    profile = await client.query(PROFILE, f"/profiles/{walk.holder_id}", walk.person)
    for document in profile["documents"]:
        assert (document["identity"], document["document_number"]) == (None, None)
    card = f"/cards/{walk.ref}"
    for service, path, person in (
        (PROFILE, f"/profiles/{walk.holder_id}/portrait", walk.person),
        (CARDS, f"{card}/files", CARD_INSPECTOR),
        (CARDS, f"{card}/codes", CARD_INSPECTOR),
        (CARDS, f"{card}/faces/front", CARD_INSPECTOR),
    ):
        with pytest.raises(Refused) as refused:
            await client.octets(service, path, person)
        assert (refused.value.status, refused.value.reason) in (
            (410, "erased"),
            (404, "unknown-id"),
        ), path


async def _rows_of(session: Session, service: Any, walk: Walk) -> dict[str, int]:
    """Rows that could open, or find, the person; and one where the erasure is remembered."""
    connection = await asyncpg.connect(session.system.dsn(service))
    try:
        counts = {
            table: await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE subject = $1",
                walk.holder_id,
            )
            for table in BY_SUBJECT
        }
        remembered = await connection.fetchval(
            "SELECT count(*) FROM erased_subjects WHERE subject = $1", walk.holder_id
        )
    finally:
        await connection.close()
    return {**counts, "not remembered": 1 - remembered}
