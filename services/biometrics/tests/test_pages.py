"""The adjudicator's pages in a real browser, by keyboard, in both languages."""

import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from chromium import Page, chromium, installed
from PIL import Image

from biometrics.pages_words import WORDS
from biometrics.record_commands import Verdict
from conftest import Bureau, Person
from epassport.actor import Role
from epassport_credentials.identity import Sex
from epassport_sandbox.people import DemoPerson
from epassport_sandbox.portraits import draw_portrait

SHIFT = 8  # of Input.dispatchKeyEvent
PICTURES = os.environ.get("EPASSPORT_SCREENSHOTS")  # a folder: `make screenshots`; none: not kept
PICTURE_PIXELS = 1000  # wide, as a page of documentation shows it
# Twice the size, the candidate moved alone: where this module runs by itself, onto the same spot.
ALIGNED = (("+", 0), ("ArrowLeft", SHIFT), ("ArrowDown", SHIFT), ("+", 0))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page() -> AsyncIterator[Page]:
    if installed() is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    async with chromium() as opened:
        yield opened


@pytest_asyncio.fixture
async def case(bureau: Bureau) -> UUID:
    """Two fingers enrolled, and the same two some years later under another name."""
    known, spare = bureau.person(), bureau.person()
    alias = Person(known.finger)
    older = base64.b64encode(draw_portrait(7, Sex.FEMALE, 50)).decode()
    for n, (person, face) in enumerate(((known, {}), (alias, {"face": older}))):
        fingers = [
            {**bureau.finger(finger, n), "position": position}
            for finger, position in ((known.finger, "right-index"), (spare.finger, "left-index"))
        ]
        await bureau.brought(person, {**bureau.samples(person), **face, "fingers": fingers})
        await bureau.status(person, "accepted", "suspected")
    return await bureau.case(alias)


def token(bureau: Bureau, who: str, *roles: Role) -> str:
    return bureau.oidc.issue(DemoPerson(who, who, roles))


async def keep(page: Page, name: str) -> None:
    if PICTURES:
        file = Path(PICTURES) / f"{name}.png"
        await page.picture(file)
        with Image.open(file) as shot:
            size = (PICTURE_PIXELS, round(shot.height * PICTURE_PIXELS / shot.width))
            small = shot.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        small.quantize().save(file, optimize=True)


async def transforms(page: Page) -> list[str]:
    """Of the applicant's picture and of the candidate's."""
    pictures = "document.querySelectorAll('.pane:not([hidden]) figure:not([hidden]) .moved')"
    found: list[str] = await page.value(f"[...{pictures}].map(e => e.style.transform)")
    return found


async def shown_fingers(page: Page) -> list[str]:
    script = "[...document.querySelectorAll('figure[data-finger]')].filter(e => !e.hidden)"
    names: list[str] = await page.value(f"{script}.map(e => e.dataset.finger)")
    return names


async def test_an_adjudicator_answers_a_case_by_keyboard_alone(
    bureau: Bureau, page: Page, case: UUID
) -> None:
    first = token(bureau, "adjudicator-1", Role.ADJUDICATOR)
    await page.go(f"{bureau.url}/adjudications?language=ru", first)
    assert str(case)[:8] in await page.value("document.body.innerText")
    await keep(page, "cases-ru")
    await page.go(f"{bureau.url}/adjudications/{case}?language=ru", first)
    assert await page.value("document.querySelectorAll('.pane:not([hidden])').length") == 2
    assert await shown_fingers(page) == ["right-index"] * 2
    assert await page.value("[...document.images].every(each => each.naturalWidth > 0)")
    assert await page.value("document.querySelectorAll('svg g').length") > 60
    await keep(page, "adjudication-ru")
    await page.press("Tab")
    assert await shown_fingers(page) == ["left-index"] * 2
    for _ in range(3):
        await page.press("+")
    await page.press("ArrowLeft")
    moved = await page.value("document.querySelector('.moved').style.transform")
    assert moved == "translate(40px, 0px) scale(3.375)"
    thin = await page.value("getComputedStyle(document.querySelector('svg circle')).strokeWidth")
    assert float(thin.removesuffix("px")) * 3.375 == pytest.approx(1.6, rel=1e-3)
    await page.press("ArrowUp", modifiers=SHIFT)
    await page.press("ъ", "BracketRight")
    assert await transforms(page) == [
        "translate(40px, 0px) scale(3.375)",
        "translate(40px, 40px) scale(3.375) rotate(5deg)",
    ]
    await page.press("+")  # what is in the middle stays there
    assert (await transforms(page))[0] == "translate(60px, 0px) scale(5.0625)"
    await page.press("0")
    assert set(await transforms(page)) == {"translate(0px, 0px) scale(1)"}
    await page.press("m", "KeyM")
    assert await page.value("getComputedStyle(document.querySelector('svg')).display") == "none"
    await page.press("Enter")
    assert await page.value("document.getElementById('told').textContent") == ""
    assert await page.value("document.getElementById('likeness').textContent") == ""
    for wanted in ("ridges-differ", "pictures-too-poor"):
        await page.press("в", "KeyD")  # what the key of D writes on a Russian keyboard
        assert await page.value("document.getElementById('reason').value") == wanted
    await page.value("document.querySelector('#fingers button').focus()")  # as after a click
    await page.press("ы", "KeyS")
    await page.press("Enter")
    recorded = WORDS["ru"]["recorded"]
    await page.until(f"document.getElementById('told').textContent === {recorded!r}")
    engine, found = WORDS["ru"]["engine"], [WORDS["ru"][each] for each in ("clear", "strong")]
    await page.until("document.getElementById('likeness').textContent !== ''")
    assert await page.value("document.getElementById('likeness').textContent") in [
        f"{engine}: {each}" for each in found
    ]
    assert await page.value("document.documentElement.scrollHeight <= innerHeight")
    await keep(page, "recorded-ru")
    assert await page.value("document.activeElement.id") == "back"  # Enter leads to the list
    assert page.failures == []
    assert str(case) not in await bureau.open_cases("adjudicator-1")


async def test_the_second_sees_the_case_in_english_and_nothing_of_the_first(
    bureau: Bureau, page: Page, case: UUID
) -> None:
    path = f"/adjudications/{case}/decisions"
    said = {"verdict": Verdict.SAME_PERSON, "reason_code": "ridges-agree"}
    await bureau.post(path, said, Role.ADJUDICATOR, who="adjudicator-1")
    second = token(bureau, "adjudicator-2", Role.ADJUDICATOR)
    await page.go(f"{bureau.url}/adjudications/{case}?language=en", second)
    text = await page.value("document.body.innerText")
    assert "Applicant" in text
    html = await page.value("document.body.innerHTML")
    assert "adjudicator-1" not in html
    for key, modifiers in ALIGNED:
        await page.press(key, modifiers=modifiers)
    await keep(page, "adjudication-en")
    await page.click('.verdict[data-verdict="different-persons"]')
    reasons = "[...document.querySelectorAll('#reason option')].filter(e => !e.disabled)"
    assert await page.value(f"{reasons}.map(e => e.value)") == [
        "ridges-differ",
        "pictures-too-poor",
    ]
    await page.click("#confirm")
    await page.until("document.getElementById('told').textContent === 'Decision recorded'")
    await bureau.escalated(case)


async def test_who_has_answered_or_taken_the_samples_does_not_see_the_case(
    bureau: Bureau, case: UUID
) -> None:
    path = f"/adjudications/{case}/decisions"
    said = {"verdict": Verdict.SAME_PERSON, "reason_code": "ridges-agree"}
    answered = await bureau.post(path, said, Role.ADJUDICATOR, who="adjudicator-1")
    url = f"{bureau.url}/adjudications/{case}?after={answered.json()['token']}"
    answers = []
    for who in ("adjudicator-1", "adjudicator-2", "operator"):
        headers = {"Authorization": f"Bearer {token(bureau, who, Role.ADJUDICATOR)}"}
        page = await bureau.http.get(url, headers=headers)
        answers.append(page.status_code)
    assert answers == [409, 200, 409]  # the operator took the samples


async def test_a_case_is_shown_to_whoever_it_waits_for_alone(bureau: Bureau, case: UUID) -> None:
    async def seen(who: str, role: Role) -> int | str:
        headers = {"Authorization": f"Bearer {token(bureau, who, role)}"}
        answer = await bureau.http.get(f"{bureau.url}/v1/adjudications/{case}", headers=headers)
        return 200 if answer.is_success else str(answer.json()["reason"])

    assert await seen("supervisor-1", Role.SUPERVISOR) == "biometrics-case-not-escalated"
    said = {"verdict": Verdict.SAME_PERSON, "reason_code": "ridges-agree"}
    path = f"/adjudications/{case}/decisions"
    await bureau.post(path, said, Role.ADJUDICATOR, who="adjudicator-1")
    said = {"verdict": Verdict.DIFFERENT_PERSONS, "reason_code": "ridges-differ"}
    await bureau.post(path, said, Role.ADJUDICATOR, who="adjudicator-2")
    await bureau.escalated(case)
    assert await seen("adjudicator-3", Role.ADJUDICATOR) == "biometrics-case-escalated"
    assert await seen("supervisor-1", Role.SUPERVISOR) == 200


async def test_who_recorded_an_appeal_neither_sees_nor_decides_it(
    bureau: Bureau, case: UUID
) -> None:
    async def told(who: str, language: str) -> str:
        headers = {"Authorization": f"Bearer {token(bureau, who, Role.SUPERVISOR)}"}
        for path in (f"/adjudications/{case}", "/adjudications"):
            url = f"{bureau.url}{path}?language={language}"
            page = await bureau.http.get(url, headers=headers)
            assert (page.status_code, WORDS[language]["appealed"] in page.text) == (200, True)
        return page.text

    path = f"/adjudications/{case}/decisions"
    same = {"verdict": Verdict.SAME_PERSON, "reason_code": "ridges-agree"}
    for who in ("adjudicator-1", "adjudicator-2"):
        await bureau.post(path, same, Role.ADJUDICATOR, who=who)
    appeal = {"reason_code": "twin-brother"}
    role, recorder, other = Role.SUPERVISOR, "supervisor-1", "supervisor-2"
    recorded = await bureau.post(f"/adjudications/{case}/appeals", appeal, role, who=recorder)
    assert recorded.is_success
    await bureau.escalated(case)
    seen = await bureau.asked(f"/adjudications/{case}", recorder, role)
    assert (seen.status_code, seen.json()["reason"]) == (409, "biometrics-four-eyes")
    listed = await bureau.get("/adjudications", role, who=recorder)
    assert str(case) not in {each["case_id"] for each in listed["adjudications"]}
    decided = await bureau.post(path, same, role, who=recorder)
    assert (decided.status_code, decided.json()["reason"]) == (409, "biometrics-four-eyes")
    for language in ("ru", "en"):
        assert recorder not in await told(other, language)
    differ = {"verdict": Verdict.DIFFERENT_PERSONS, "reason_code": "ridges-differ"}
    assert (await bureau.post(path, differ, role, who=other)).is_success


async def test_the_page_names_nobody_and_keeps_nothing(bureau: Bureau, case: UUID) -> None:
    headers = {"Authorization": f"Bearer {token(bureau, 'adjudicator-3', Role.ADJUDICATOR)}"}
    answer = await bureau.http.get(f"{bureau.url}/adjudications/{case}", headers=headers)
    holders = await bureau.rows(
        "SELECT holder_id, application_id FROM adjudication_v2 WHERE case_id = $1", case
    )
    for row in holders:
        assert str(row["holder_id"]) not in answer.text
        assert str(row["application_id"]) not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "score" not in answer.text


async def test_the_desk_has_no_business_on_the_adjudicators_pages(
    bureau: Bureau, case: UUID
) -> None:
    for path in (f"/adjudications/{case}", "/adjudications", "/pages/adjudication.js"):
        headers = {"Authorization": f"Bearer {token(bureau, 'operator', Role.OPERATOR)}"}
        answer = await bureau.http.get(f"{bureau.url}{path}", headers=headers)
        assert answer.status_code == 403


def test_both_languages_have_words_for_the_same_things() -> None:
    assert set(WORDS["ru"]) == set(WORDS["en"])
    assert all(text.strip() for words in WORDS.values() for text in words.values())
